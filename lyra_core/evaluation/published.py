# SPDX-License-Identifier: Apache-2.0
"""Numbers of papers, to stand beside ours: data in `published.yaml`, never re-run here."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("published.yaml")
_METRICS = ("psnr", "ssim", "lpips")


@cache
def _content() -> dict[str, Any]:
    return yaml.safe_load(_FILE.read_text(encoding="utf-8"))


def published_tables() -> list[dict[str, Any]]:
    """All tables: title, source, note, suites, and rows of method and suite to scores.

    A score is a dict of psnr, ssim and lpips, a remark such as "out of memory", or None.
    """
    return [
        {
            "name": name,
            **{key: table[key] for key in ("title", "source", "note", "single")},
            "status": _content()["status"],
            "suites": [suite for suite in table["rows"][0] if suite != "method"],
            "rows": [{key: _scores(value) for key, value in row.items()} for row in table["rows"]],
        }
        for name, table in _content()["tables"].items()
    ]


def published_rows(suite: str) -> list[dict[str, Any]]:
    """What papers report for a suite: method, scores, source, and the status that nobody re-ran it."""
    return [
        {"method": row["method"], "scores": row[suite], "source": table["source"], "status": table["status"]}
        for table in published_tables()
        for row in table["rows"]
        if suite in table["suites"] and row[suite] is not None
    ]


def left_out() -> list[dict[str, str]]:
    """Tables that belong here and could not be verified: what and why."""
    return _content()["left_out"]


def _scores(value: Any) -> Any:
    return dict(zip(_METRICS, value, strict=True)) if isinstance(value, list) else value
