# SPDX-License-Identifier: Apache-2.0
"""Strictness: an attribute or a keyword that is not in the list is an error, in modules, objects and calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ClassVar, ParamSpec, TypeVar

from fake_kit.table import LIST, table

P = ParamSpec("P")
R = TypeVar("R")


class FakeModule(ModuleType):
    """A module that holds listed symbols only."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"Fake of {name}: the listed symbols only.")
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self.__name__}.{name} is not in {LIST}")


def check_call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """TypeError where a call does not fit the row of a symbol."""
    signature = table().signature(name)
    assert signature is not None, f"{name} has no parameter list in {LIST}"
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}{signature}: {error}") from None


def listed(name: str, *, method: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function of the fake whose calls are held to the row of a symbol; `method`: its first argument is `self`."""
    skip = int(method)
    assert table().get(name), f"{name} is not in {LIST}"

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            check_call(name, tuple(args[skip:]), dict(kwargs))
            return function(*args, **kwargs)

        return checked

    return decorate


class Strict:
    """An object of the fake that shows the methods and attributes of one row.

    Names with a leading underscore are the fake's own. A class of the extension that derives from a listed class
    (a window, a command) may hold what it likes.
    """

    symbol: ClassVar[str]

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).symbol}.{name} is not in {LIST}")

    def __setattr__(self, name: str, value: Any) -> None:
        own = type(self).__module__.startswith("fake_kit.")
        if own and not name.startswith("_") and name not in table().attributes(type(self).symbol):
            raise AttributeError(f"{type(self).symbol}.{name} cannot be set: it is not in {LIST}")
        super().__setattr__(name, value)
