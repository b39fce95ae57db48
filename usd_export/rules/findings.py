# SPDX-License-Identifier: Apache-2.0
"""What rules and judgements say about a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a file.

    Attributes:
        severity: "error" for what breaks readers or physics, "warning" for what deserves a look.
        rule: Name of the rule, prefixed by who made it: `usd:`, `nvidia:` or `lyra:`.
        message: What is wrong.
        where: Prim path, layer or file.
    """

    severity: Severity
    rule: str
    message: str
    where: str


def error(rule: str, message: str, where: object) -> Finding:
    """An error by a rule of ours."""
    return Finding("error", f"lyra:{rule}", message, str(where))


def warning(rule: str, message: str, where: object) -> Finding:
    """A warning by a rule of ours."""
    return Finding("warning", f"lyra:{rule}", message, str(where))
