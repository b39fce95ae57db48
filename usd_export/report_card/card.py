# SPDX-License-Identifier: Apache-2.0
"""All judgements on one scene."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from usd_export.errors import UsdExportError
from usd_export.files import replacing
from usd_export.layout import ROOT_LAYER
from usd_export.opening.stage import USD_SUFFIXES
from usd_export.report_card import agreement, drop_test, floor_level, rollout, scale, watertight
from usd_export.report_card.floor_map import map_floor
from usd_export.report_card.judgement import Judgement, Verdict, not_run
from usd_export.report_card.observation import observe
from usd_export.report_card.page import page
from usd_export.report_card.plan import draw_plan
from usd_export.report_card.schema import judge_schema
from usd_export.report_card.subject import Subject, load_subject
from usd_export.rules.findings import Finding, Severity
from usd_export.rules.validation import check

Progress = Callable[[str, int, int], None]
"""Receives (phase, step, total)."""

PAGE, DATA = "report.html", "report.json"
"""Files of a written report."""

_CHAPTERS = (agreement, watertight, floor_level, scale, drop_test, rollout)


@dataclass(frozen=True)
class ReportCard:
    """How good a scene is.

    Attributes:
        file: Name of the file or folder.
        judgements: The chapters, the schema first.
    """

    file: str
    judgements: tuple[Judgement, ...]

    @property
    def findings(self) -> list[Finding]:
        """Everything that is wrong, errors first."""
        found = [finding for judgement in self.judgements for finding in judgement.findings]
        return sorted(found, key=lambda finding: finding.severity)

    @property
    def severity(self) -> Severity | None:
        """Of the worst finding; None if there is none."""
        return self.findings[0].severity if self.findings else None

    @property
    def verdict(self) -> Verdict:
        """The worst of all judgements; a card with a judgement that was not run never passes."""
        order: tuple[Verdict, ...] = ("fail", "warning", "not run")
        verdicts = {judgement.verdict for judgement in self.judgements}
        return next((verdict for verdict in order if verdict in verdicts), "pass")

    def plain(self) -> dict[str, Any]:
        """The card without pictures, as plain values."""
        return {
            "file": self.file,
            "verdict": self.verdict,
            "judgements": [judgement.plain() for judgement in self.judgements],
        }

    def to_json(self) -> str:
        """The card without pictures, as text; the same scene gives the same text."""
        return json.dumps(self.plain(), indent=2, ensure_ascii=False)


def report_card(
    path: str | Path, *, directory: str | Path | None = None, physics: bool = True, progress: Progress | None = None
) -> ReportCard:
    """Judge a scene: its schema, its collider against its Gaussians, its floor and its physics.

    Args:
        path: A USD file, a scene folder or a .ply. Of a .ply only the file itself is judged.
        directory: Folder for `report.html` and `report.json`; made if it does not exist.
        physics: False judges the file alone, by the rules for USD and its schemas.
        progress: Called with ("check", step, total).

    Raises:
        UsdExportError: If the path does not exist, has an unknown suffix, or the report cannot be written.
    """
    step = progress or (lambda phase, done, total: None)
    step("check", 0, 4)
    schema = judge_schema(check(path))
    step("check", 1, 4)
    file = Path(path)
    root = file / ROOT_LAYER if file.is_dir() else file
    judgements = [schema]
    if physics and root.suffix.lower() in USD_SUFFIXES:
        judgements += _physical(root, schema.findings, step)
    elif physics:
        judgements += [not_run(chapter.NAME, chapter.TITLE, "a .ply holds no collider") for chapter in _CHAPTERS]
    card = ReportCard(file.name, tuple(judgements))
    if directory is not None:
        _write(card, Path(directory))
    return card


def _physical(root: Path, known: tuple[Finding, ...], step: Progress) -> list[Judgement]:
    """Every judgement but the schema's. A scene that cannot be read is an error even if no rule has said so."""
    try:
        subject = load_subject(root)
    except UsdExportError as error:
        reason = "the scene cannot be read; see the findings"
        judgements = [not_run(chapter.NAME, chapter.TITLE, reason) for chapter in _CHAPTERS]
        if not any(finding.severity == "error" for finding in known):
            judgements[0] = replace(judgements[0], findings=(Finding("error", "lyra:readable", str(error), root.name),))
        return judgements
    return _judged(subject, step)


def _judged(subject: Subject, step: Progress) -> list[Judgement]:
    observation = observe(subject)
    floor, mesh = map_floor(observation), subject.mesh
    step("check", 2, 4)
    judgements = [
        agreement.judge_agreement(observation, mesh),
        watertight.judge_watertightness(observation, mesh),
        floor_level.judge_floor(floor, mesh),
        scale.judge_scale(subject, observation, floor),
    ]
    step("check", 3, 4)
    dropping, drops = drop_test.judge_drops(subject, floor)
    rolling, drive = rollout.judge_rollout(floor, mesh)
    step("check", 4, 4)
    if floor is not None and mesh is not None:
        rolling = replace(rolling, pictures=(draw_plan(floor, mesh, observation.viewpoints, drops, drive),))
    return [*judgements, dropping, rolling]


def _write(card: ReportCard, directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsdExportError(
            f"{directory} cannot be made ({error.strerror or error}); choose another folder"
        ) from error
    for name, text in ((PAGE, page(card.file, card.verdict, card.judgements)), (DATA, f"{card.to_json()}\n")):
        with replacing(directory / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
