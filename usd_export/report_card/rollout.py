# SPDX-License-Identifier: Apache-2.0
"""Judgement: can a small robot cross the visible floor?

The route is planned on what the Gaussians show: the longest one over the largest part of the free floor. It is driven
on the collider: a capsule is pushed along it in small steps and lowered onto the mesh after each, by exact distances
rather than by a solver, so that the outcome depends on the geometry alone. It falls if nothing holds it up; it jams if
the mesh stands in its way or asks it to climb a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from skimage.graph import MCP_Geometric

from usd_export.report_card.floor_level import NO_FLOOR
from usd_export.report_card.floor_map import Cells, FloorMap
from usd_export.report_card.judgement import Figure, Judgement, not_run
from usd_export.report_card.subject import SolidMesh
from usd_export.report_card.triangle_tree import TriangleTree
from usd_export.rules.findings import Finding

Array = NDArray[np.float64]

NAME, TITLE = "rollout", "Rollout"
RADIUS, HEIGHT = 0.15, 0.5
"""Of the capsule, metres."""
_CLEARANCE = RADIUS + 0.10  # metres from the route to what is not free floor
_SHORTEST = 0.5  # metres of a route worth driving
_STEP = 0.03  # metres
_CLIMB = 0.04  # metres that it may rise in one step
_FALL = 0.10  # metres below the visible floor at which it has fallen
_TOUCH = 1e-3  # metres: at this distance it stands
_SQUEEZE = 0.02  # metres by which its upper part may touch something


@dataclass(frozen=True)
class Rollout:
    """A drive.

    Attributes:
        route: Floor [S, 3] along the plan, metres.
        driven: Steps that succeeded.
        outcome: How it ended.
    """

    route: Array
    driven: int
    outcome: Literal["arrived", "fell", "jammed"]


def judge_rollout(floor: FloorMap | None, mesh: SolidMesh | None) -> tuple[Judgement, Rollout | None]:
    """Drive a capsule of 0.3 m width and 0.5 m height over the visible floor."""
    if mesh is None:
        return not_run(NAME, TITLE, "there is no static collision mesh"), None
    if floor is None:
        return not_run(NAME, TITLE, NO_FLOOR), None
    route = plan_route(floor)
    length = float(np.linalg.norm(np.diff(route, axis=0), axis=1).sum())
    if length < _SHORTEST:
        return not_run(
            NAME, TITLE, f"the visible floor has no free route of {_SHORTEST} m for a 0.3 m wide robot"
        ), None
    rollout = drive(route, mesh.tree)
    done = length * rollout.driven / len(route)
    findings = []
    if rollout.outcome != "arrived":
        x, y, _ = route[min(rollout.driven, len(route) - 1)]
        cause = "falls" if rollout.outcome == "fell" else "is stopped by something that is not visible"
        message = f"a capsule {cause} at ({x:.2f}, {y:.2f}) m after {done:.1f} of {length:.1f} m"
        findings.append(Finding("error", f"lyra:rollout-{rollout.outcome}", message, mesh.where))
    figures = (
        Figure("length of the route", round(length, 2), "m"),
        Figure("driven", round(done, 2), "m", f"{length:.2f}"),
        Figure("end", rollout.outcome, "", "arrived"),
    )
    summary = f"A capsule drove {done:.1f} of {length:.1f} m over the visible floor: {rollout.outcome}."
    return Judgement(NAME, TITLE, summary, figures=figures, findings=tuple(findings)), rollout


def plan_route(floor: FloorMap) -> Array:
    """The longest shortest way [S, 3] over the largest part of the roomy floor, a point per step."""
    parts, count = label(floor.roomy(_CLEARANCE), structure=np.ones((3, 3)))
    if count == 0:
        return np.zeros((0, 3))
    part = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    corner = _farthest(part, tuple(np.argwhere(part)[0]))[-1]
    cells = np.array(_farthest(part, corner))
    return _resampled(floor, floor.low + (cells + 0.5) * floor.cell)


def _farthest(part: Cells, start: tuple[int, int]) -> list[tuple[int, int]]:
    """Shortest way from one cell to the one that is hardest to reach."""
    ways = MCP_Geometric(np.where(part, 1.0, np.inf))
    costs, _ = ways.find_costs([start])
    costs[~np.isfinite(costs)] = -1
    return ways.traceback(np.unravel_index(int(np.argmax(costs)), costs.shape))


def _resampled(floor: FloorMap, xy: Array) -> Array:
    """Points [S, 3] on the floor's plane, `_STEP` apart along a polyline [K, 2]."""
    lengths = np.append(0.0, np.linalg.norm(np.diff(xy, axis=0), axis=1).cumsum())
    at = np.arange(0.0, lengths[-1], _STEP)
    places = np.column_stack([np.interp(at, lengths, xy[:, axis]) for axis in range(2)])
    return np.column_stack([places, floor.heights(places)])


def drive(route: Array, tree: TriangleTree) -> Rollout:
    """Push the capsule along the route [S, 3] until it arrives, falls or jams."""
    height = route[0, 2] + _CLIMB  # of its lowest point
    for step, place in enumerate(route):
        center = np.array([place[0], place[1], height + _CLIMB + RADIUS])
        if _gap(tree, center) < 0.0:
            return Rollout(route, step, "jammed")
        lowered = _lowered(tree, center, place[2] - _FALL + RADIUS)
        if lowered is None:
            return Rollout(route, step, "fell")
        above = [lowered + np.array([0, 0, rise]) for rise in np.arange(RADIUS, HEIGHT - 2 * RADIUS + 1e-9, RADIUS / 2)]
        if min(_gap(tree, point) for point in above) < -_SQUEEZE:
            return Rollout(route, step, "jammed")
        height = lowered[2] - RADIUS
    return Rollout(route, len(route), "arrived")


def _gap(tree: TriangleTree, center: Array) -> float:
    """Metres between a ball of the capsule's radius and the mesh; negative if it cuts into it."""
    return float(tree.distances(center[None], 2 * RADIUS)[0]) - RADIUS


def _lowered(tree: TriangleTree, center: Array, lowest: float) -> Array | None:
    """The ball's centre [3] when it touches the mesh; None if that is below `lowest`."""
    center = center.copy()
    while center[2] > lowest:
        gap = _gap(tree, center)
        if gap < _TOUCH:
            return center
        center[2] -= gap
    return None
