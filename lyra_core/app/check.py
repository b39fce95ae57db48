# SPDX-License-Identifier: Apache-2.0
"""`lyra check`: every rule we know of, on one file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from usd_export import validation


def check(file: Path) -> list[dict[str, Any]]:
    """Findings as plain values, errors first; empty if all is well. Raises UsdExportError for a path that is none."""
    return [asdict(finding) for finding in validation.check(file)]


def show(file: Path, findings: list[dict[str, Any]]) -> str:
    """The findings as lines for a person."""
    if not findings:
        return f"{file}: nothing found"
    lines = [f"{found['severity']}: {found['message']} [{found['rule']}] {found['where']}" for found in findings]
    return "\n".join([*lines, f"{file}: {len(findings)} findings"])
