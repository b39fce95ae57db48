# SPDX-License-Identifier: Apache-2.0
"""Judgement: do things that are put on the visible floor stay there?

Where the bodies are let go is taken from the Gaussians, not from the collider: a floor that is seen but does not hold
must not be left out. Where there are fewer places than bodies, several fall on one place, one through the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from usd_export.report_card.floor_level import NO_FLOOR
from usd_export.report_card.floor_map import FloorMap
from usd_export.report_card.judgement import Figure, Judgement, not_run
from usd_export.report_card.newton_drop import Motion, drop_bodies
from usd_export.report_card.subject import Subject
from usd_export.rules.findings import Finding

Array = NDArray[np.float64]

NAME, TITLE = "drop-test", "Drop test"
BODIES = 40
"""Balls and cubes, half of them each."""
RADIUS = 0.08
"""Of the balls, and half the side of the cubes, metres."""
_FEWEST = 8  # places
_HEIGHT = 0.03  # metres between the body and the visible floor when it is let go
_SECONDS = 1.5
_CLEARANCE = RADIUS * 1.5 + 0.05  # metres around the centre in which nothing stands
_APART = 0.25  # metres
_SPEED, _SPIN = 0.05, 0.5  # metres and radians per second of a body at rest
_SUNK, _LIFTED = 0.04, 0.05  # metres below and above its place on the floor


@dataclass(frozen=True)
class Drops:
    """What became of the bodies.

    Attributes:
        spots: Floor [B, 3] below the bodies when they were let go, metres.
        through: [B] Those that sank into the floor or fell.
        moving: [B] Those that did not come to rest, without the former.
        lifted: [B] Those that rest on something that is not seen.
    """

    spots: Array
    through: NDArray[np.bool_]
    moving: NDArray[np.bool_]
    lifted: NDArray[np.bool_]


def judge_drops(subject: Subject, floor: FloorMap | None) -> tuple[Judgement, Drops | None]:
    """Let 20 balls and 20 cubes go over free floor and see whether all come to rest on it."""
    reason = _obstacle(subject, floor)
    if reason or floor is None:
        return not_run(NAME, TITLE, reason), None
    spots = choose_spots(floor)
    if len(spots) < _FEWEST:
        return not_run(
            NAME, TITLE, f"only {len(spots)} bodies fit on the visible floor; room for {_FEWEST} is needed"
        ), None
    bodies = np.arange(BODIES)
    boxes = (bodies % len(spots) + bodies // len(spots)) % 2 == 1  # the next on the same place is of the other kind
    spots = spots[bodies % len(spots)]
    starts = spots + np.array([0, 0, RADIUS + _HEIGHT])
    try:
        motion = drop_bodies(subject.file, starts, boxes, RADIUS, _SECONDS)
    except Exception as error:  # whatever a third-party importer raises on this file is a verdict on it
        message = f"Newton cannot simulate the file ({type(error).__name__}: {str(error).splitlines()[0]})"
        finding = Finding("error", "lyra:drop-import", message, str(subject.file.name))
        return Judgement(NAME, TITLE, "Newton refused the file.", False, findings=(finding,)), None
    drops = _outcome(floor, spots, motion)
    return _judgement(drops, subject), drops


def _obstacle(subject: Subject, floor: FloorMap | None) -> str:
    """Why nothing can be dropped; empty if it can."""
    if subject.mesh is None:
        return "there is no static collision mesh"
    if floor is None:
        return NO_FLOOR
    if subject.metres_per_unit != 1.0:
        return f"one unit of the stage is {subject.metres_per_unit:g} m and Newton takes it for 1 m; export in metres"
    if find_spec("newton") is None:
        return "Newton is not installed: pip install lyra-sim[physics]"
    return ""


def choose_spots(floor: FloorMap) -> Array:
    """Up to `BODIES` points [B, 3] spread evenly over the free floor, each farthest from those before it."""
    candidates = floor.centers(floor.roomy(_CLEARANCE))
    if len(candidates) == 0:
        return candidates
    chosen = [candidates[0]]
    gaps = np.linalg.norm(candidates - chosen[0], axis=1)
    while len(chosen) < BODIES and gaps.max() >= _APART:
        chosen.append(candidates[int(np.argmax(gaps))])
        gaps = np.minimum(gaps, np.linalg.norm(candidates - chosen[-1], axis=1))
    return np.array(chosen)


def _outcome(floor: FloorMap, spots: Array, motion: Motion) -> Drops:
    above = motion.positions[:, 2] - floor.heights(motion.positions[:, :2]) - RADIUS
    through = ~(above > -_SUNK)  # NaN is through
    moving = ~((motion.speeds < _SPEED) & (motion.spins < _SPIN)) & ~through
    return Drops(spots, through, moving, (above > _LIFTED) & ~through)


def _judgement(drops: Drops, subject: Subject) -> Judgement:
    where = subject.mesh.where if subject.mesh else ""
    count, through = len(drops.spots), int(drops.through.sum())
    moving, lifted = int(drops.moving.sum()), int(drops.lifted.sum())
    rest = count - through - moving
    findings = []
    if through:
        findings.append(Finding("error", "lyra:drop-through", f"{through} of {count} bodies fell through", where))
    if moving:
        findings.append(Finding("error", "lyra:drop-moving", f"{moving} of {count} bodies do not come to rest", where))
    if lifted:
        message = f"{lifted} of {count} bodies rest on something that is not visible"
        findings.append(Finding("warning", "lyra:drop-lifted", message, where))
    figures = (
        Figure("bodies", count),
        Figure("places", len(np.unique(drops.spots, axis=0))),
        Figure("at rest", rest, "", str(count)),
        Figure("fell through", through, "", "0"),
        Figure("still moving", moving, "", "0"),
        Figure("on unseen matter", lifted, "", "0"),
        Figure("simulated time", _SECONDS, "s"),
    )
    summary = f"{rest} of {count} balls and cubes come to rest, {through} fall through (Newton, XPBD)."
    return Judgement(NAME, TITLE, summary, figures=figures, findings=tuple(findings))
