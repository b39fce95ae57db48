# SPDX-License-Identifier: Apache-2.0
"""Judgement: are these metres?"""

from __future__ import annotations

import numpy as np

from usd_export.report_card.floor_map import FloorMap
from usd_export.report_card.judgement import Figure, Judgement
from usd_export.report_card.observation import Observation
from usd_export.report_card.subject import Subject
from usd_export.rules.findings import Finding, Severity

NAME, TITLE = "scale", "Scale"
_EYE = ((0.05, 10.0), (0.01, 50.0))  # metres from floor to viewpoint: plausible, and possible at all
_VIEW = ((0.2, 60.0), (0.04, 200.0))  # metres from viewpoint to surface: the same
_HINT = "is the unit a metre, or a centimetre?"


def judge_scale(subject: Subject, observation: Observation, floor: FloorMap | None) -> Judgement:
    """Compare the height of the eye and the distance of what it sees with what rooms, yards and streets have."""
    where, findings, figures = "Gaussians", [], []
    if len(observation.points):
        distance = float(np.median(observation.ranges))
        figures.append(
            Figure("median distance of what is seen", round(distance, 2), "m", f"{_VIEW[0][0]} to {_VIEW[0][1]:g}")
        )
        findings += _implausible(distance, _VIEW, f"what is seen is {distance:.2f} m away; {_HINT}", where)
    if floor is not None and observation.recorded:
        eyes = observation.viewpoints
        height = float(np.median(eyes[:, 2] - floor.heights(eyes[:, :2])))
        figures.append(Figure("viewpoints above the floor", round(height, 2), "m", f"{_EYE[0][0]} to {_EYE[0][1]:g}"))
        findings += _implausible(height, _EYE, f"the viewpoints are {height:.2f} m above the floor; {_HINT}", where)
    frame = subject.frame
    figures += [Figure("metres per scene unit", round(frame.scale, 6)), Figure("source", frame.scale_source)]
    if not frame.metric:
        message = f"nobody measured the scale ({frame.scale_source}); measure one distance and set it"
        findings.append(Finding("warning", "lyra:scale-assumed", message, where))
    source = "measured" if frame.metric else "assumed"
    return Judgement(
        NAME, TITLE, f"The scale is {source}: {frame.scale_source}.", bool(len(observation.points)),
        tuple(figures), tuple(findings),
    )  # fmt: skip


def _implausible(
    value: float, limits: tuple[tuple[float, float], tuple[float, float]], message: str, where: str
) -> list[Finding]:
    plausible, possible = limits
    if plausible[0] <= value <= plausible[1]:
        return []
    severity: Severity = "warning" if possible[0] <= value <= possible[1] else "error"
    return [Finding(severity, "lyra:scale", message, where)]
