# SPDX-License-Identifier: Apache-2.0
"""What a report card is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from usd_export.rules.findings import Finding, Severity

Verdict = Literal["pass", "warning", "fail", "not run"]


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        name: What was measured, in words.
        value: The number, rounded to what can be trusted; text where there is no number.
        unit: Its unit; empty for counts and text.
        bar: What it should be, in words; empty if it is only told.
    """

    name: str
    value: float | int | str
    unit: str = ""
    bar: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture for the page.

    Attributes:
        caption: One sentence.
        png: The file's bytes.
    """

    caption: str
    png: bytes


@dataclass(frozen=True)
class Judgement:
    """One chapter of the card.

    Attributes:
        name: Short name for programs, such as `drop-test`.
        title: Name for people.
        summary: One sentence on what was found, or on why nothing was looked at.
        run: Whether the judgement was made at all. What was not looked at never passes.
        figures: Measured numbers.
        findings: What is wrong.
        pictures: Pictures for the page.
    """

    name: str
    title: str
    summary: str
    run: bool = True
    figures: tuple[Figure, ...] = ()
    findings: tuple[Finding, ...] = ()
    pictures: tuple[Picture, ...] = field(default=(), repr=False)

    @property
    def verdict(self) -> Verdict:
        """The worst that was found; "not run" if nothing was looked at and nothing is known to be wrong."""
        severities = {finding.severity for finding in self.findings}
        if "error" in severities:
            return "fail"
        if "warning" in severities:
            return "warning"
        return "pass" if self.run else "not run"

    def plain(self) -> dict[str, Any]:
        """The judgement without pictures, as plain values."""
        return {
            "name": self.name,
            "title": self.title,
            "verdict": self.verdict,
            "summary": self.summary,
            "figures": [vars(figure) for figure in self.figures],
            "findings": [vars(finding) for finding in self.findings],
        }


def not_run(name: str, title: str, reason: str) -> Judgement:
    """A judgement that could not be made; `reason` says why and what to do."""
    return Judgement(name, title, f"not run: {reason}", run=False)


@dataclass(frozen=True)
class Bars:
    """Two limits for one number: above `good` it deserves a look, above `bad` it is wrong."""

    good: float
    bad: float

    def severity(self, value: float) -> Severity | None:
        """How bad a value is; NaN is bad."""
        if value <= self.good:
            return None
        return "warning" if value <= self.bad else "error"

    def findings(self, value: float, rule: str, message: str, where: str) -> list[Finding]:
        """No finding, or one of the right severity."""
        severity = self.severity(value)
        return [] if severity is None else [Finding(severity, f"lyra:{rule}", message, where)]
