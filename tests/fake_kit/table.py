# SPDX-License-Identifier: Apache-2.0
"""The closed list of Kit symbols (`symbols.toml`) as objects: one list for the fake Kit and for the static check."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

LIST = "the closed list of Kit symbols (tests/fake_kit/symbols.toml)"


@dataclass(frozen=True)
class Symbol:
    """One row; see the head of `symbols.toml` for the meaning of the fields."""

    name: str
    tier: str
    since: str
    params: str | None = None
    returns: str | None = None
    bases: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    exported: bool = True
    local: bool = False
    open: bool = False

    @property
    def module(self) -> str:
        """Module that holds the symbol."""
        return self.name.split(":")[0]

    @property
    def path(self) -> tuple[str, ...]:
        """Names below the module: ("IApp", "get_kit_version")."""
        return tuple(self.name.split(":")[1].split("."))


class Table:
    """All rows, by name, with what classes take over from their bases."""

    def __init__(self, rows: list[Symbol]) -> None:
        self._rows = {row.name: row for row in rows}
        assert len(self._rows) == len(rows), "a symbol is listed twice"
        self.modules = frozenset(row.module for row in rows)

    def __iter__(self) -> Iterator[Symbol]:
        return iter(self._rows.values())

    def get(self, name: str) -> Symbol | None:
        """The row of a name such as "omni.ui:Label"."""
        return self._rows.get(name)

    def is_package(self, module: str) -> bool:
        """Whether a listed module is this one or lies below it."""
        return any(listed == module or listed.startswith(f"{module}.") for listed in self.modules)

    def is_prefix(self, name: str) -> bool:
        """Whether listed names go on below this one ("omni.replicator.core:functional")."""
        return any(row.startswith(f"{name}.") for row in self._rows)

    def lineage(self, name: str) -> list[Symbol]:
        """A class and its bases."""
        row = self._rows[name]
        return [row, *(base for parent in row.bases for base in self.lineage(parent))]

    def method(self, class_name: str, attribute: str) -> Symbol | None:
        """Row of a method of a class or of one of its bases."""
        found = (self.get(f"{row.name}.{attribute}") for row in self.lineage(class_name))
        return next((row for row in found if row), None)

    def attributes(self, class_name: str) -> dict[str, str]:
        """Plain attributes of a class, with those of its bases."""
        return {name: kind for row in reversed(self.lineage(class_name)) for name, kind in row.attributes.items()}

    def signature(self, name: str) -> inspect.Signature | None:
        """How a symbol is called; None: it is not called."""
        if all(row.params is None for row in self.lineage(name)):
            return None
        parameters = {
            parameter.name: parameter
            for parent in reversed(self.lineage(name))
            if parent.params is not None
            for parameter in _parameters(parent.params)
        }
        return inspect.Signature(sorted(parameters.values(), key=lambda parameter: parameter.kind))


@cache
def _parameters(text: str) -> tuple[inspect.Parameter, ...]:
    """Parameters written as in Python: "(title, *, width=0)"."""
    function = eval(f"lambda {text[1:-1]}: None")  # rows of a file in this repository
    return tuple(inspect.signature(function).parameters.values())


@cache
def table() -> Table:
    """The list of this repository."""
    text = Path(__file__).with_name("symbols.toml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["symbol"]
    return Table([Symbol(**_tuples(row)) for row in rows])


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
