# SPDX-License-Identifier: Apache-2.0
"""`lyra evaluate`: score a model on views it never saw."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_core.errors import LyraError
from lyra_core.evaluation.ablations.plan import DEFAULT_PLAN, load_plan
from lyra_core.evaluation.ablations.report import ablation_report, write_sheets
from lyra_core.evaluation.ablations.run import run_table
from lyra_core.evaluation.ceiling import evaluate_ceiling
from lyra_core.evaluation.dynamic import dynamic_table, evaluate_dynamic
from lyra_core.evaluation.novel_views import Protocol
from lyra_core.evaluation.published import left_out, published_tables
from lyra_core.evaluation.suites import DATA_SUITES, evaluate_data
from lyra_core.evaluation.synthetic import evaluate_synthetic
from lyra_core.evaluation.tables import (
    ablations_table,
    ceiling_table,
    clips_table,
    published_table,
    synthetic_table,
)
from lyra_core.files import replacing, require_writable_folder
from lyra_core.pipeline import LyraPipeline
from lyra_core.progress import Progress

SUITES = ("synthetic", "dynamic", *DATA_SUITES, "ceiling", "ablations", "published")
"""What `lyra evaluate --suite` knows."""

_WORLD_SUITES: dict[str, tuple[Callable[..., dict[str, Any]], int]] = {
    "synthetic": (evaluate_synthetic, 24),
    "dynamic": (evaluate_dynamic, 16),
    "ceiling": (evaluate_ceiling, 16),
}
"""Suites that make their own worlds, and how many unless the user says otherwise."""
_ABLATIONS = Path("runs/ablations")


@dataclass(frozen=True)
class EvaluateRequest:
    """What to run; see `evaluation.novel_views.Protocol` for the choices of suites that run on data.

    Attributes:
        suite: one of `SUITES`.
        model: preset name, or the path of a preset file.
        data: folder of the data set; of the ablations, their work folder.
        first_seed: of the synthetic worlds.
        scenes: worlds or clips; None for 24 worlds or all clips.
        frames: scored frames per clip; None for all.
        span: frames after the input that count.
        scale: how poses become scene units.
        paths: cameras of the model's videos.
        sheets: folder for contact sheets.
        json_out: file for the report.
        plan: rows and budget of the ablations; None for those that come with the package.
    """

    suite: str
    model: str
    data: Path | None
    first_seed: int
    scenes: int | None
    frames: int | None
    span: int
    scale: str
    paths: str
    sheets: Path | None
    json_out: Path | None
    plan: Path | None = None

    @property
    def protocol(self) -> Protocol:
        """For suites that run on data. Raises LyraError for choices that do not exist."""
        return Protocol(self.scenes, self.frames, self.span, self.scale, self.paths, sheets=self.sheets)


def evaluate(request: EvaluateRequest, progress: Progress) -> dict[str, Any]:
    """Run a suite; the report also goes to `json_out`. Raises LyraError for an unknown suite and data that is none."""
    if request.suite not in SUITES:
        raise LyraError(f"there is no suite {request.suite!r}. Known: {', '.join(SUITES)}.")
    if request.json_out is not None:
        require_writable_folder(request.json_out)
    report = _report(request, progress)
    if request.json_out is not None:
        with replacing(request.json_out) as temporary:
            temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def _report(request: EvaluateRequest, progress: Progress) -> dict[str, Any]:
    if request.suite == "published":
        return {"suite": "published", "tables": published_tables(), "left_out": left_out()}
    if request.suite in _WORLD_SUITES:
        run, worlds = _WORLD_SUITES[request.suite]
        return run(
            LyraPipeline.from_pretrained(request.model),
            first_seed=request.first_seed,
            worlds=request.scenes or worlds,
            sheets=request.sheets,
            progress=progress,
        )
    if request.suite == "ablations":
        return _ablations(request, progress)
    if request.data is None:
        raise LyraError(f"suite {request.suite} needs the folder of its data set. Give it with --data.")
    protocol = request.protocol
    pipeline = LyraPipeline.from_pretrained(request.model)
    return evaluate_data(pipeline, request.suite, request.data, protocol, progress=progress)


def _ablations(request: EvaluateRequest, progress: Progress) -> dict[str, Any]:
    """Trains and scores what is missing of the table in the work folder."""
    plan, folder = load_plan(request.plan or DEFAULT_PLAN), request.data or _ABLATIONS
    if folder == _ABLATIONS:
        folder.parent.mkdir(exist_ok=True)
    work = run_table(plan, folder, progress=progress)
    report = ablation_report(plan, work)
    if request.sheets is not None:
        report["sheets"] = [f"wrote {path}" for path in write_sheets(plan, work, request.sheets)]
    return report


def show(report: dict[str, Any]) -> str:
    """The report as a table for a person."""
    tables = {
        "synthetic": synthetic_table,
        "dynamic": dynamic_table,
        "published": published_table,
        "ceiling": ceiling_table,
        "ablations": ablations_table,
    }
    return tables.get(report["suite"], clips_table)(report)
