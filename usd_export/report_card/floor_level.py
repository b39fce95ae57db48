# SPDX-License-Identifier: Apache-2.0
"""Judgement: does the floor lie level at z = 0, in the Gaussians and in the collider, and is it whole?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from usd_export.collision.morphology import opened
from usd_export.report_card.floor_map import Cells, FloorMap
from usd_export.report_card.judgement import Bars, Figure, Judgement, not_run
from usd_export.report_card.subject import SolidMesh

Array = NDArray[np.float64]

NAME, TITLE = "floor", "Floor tilt, height and holes"
NO_FLOOR = "no floor is visible in the Gaussians; record viewpoints that see it, or check the vertical"
_TILT = Bars(np.radians(1.0), np.radians(3.0))
_HEIGHT = Bars(0.01, 0.05)  # metres
_UNEVEN = Bars(0.03, 0.10)  # metres
_HOLE = Bars(0.02, 0.04)  # square metres
_ABOVE, _BELOW = 0.15, 0.15  # metres around the visible floor in which the collider is looked for
_SLIVER = 1.5  # cells: holes that no disc of this radius enters are the frayed rim of the map


@dataclass(frozen=True)
class _Ground:
    """The collider below the visible floor."""

    tilt: float  # radians
    height: float  # metres
    uneven: float  # metres: 95th percentile of the distance to its own plane
    hole: float  # square metres of the largest one
    holes: float  # square metres of all


def judge_floor(floor: FloorMap | None, mesh: SolidMesh | None) -> Judgement:
    """Planes through the visible floor and through the collider under it; visible floor without collider is a hole."""
    if floor is None:
        return not_run(NAME, TITLE, NO_FLOOR)
    level = f"within ±{100 * _HEIGHT.good:g}"
    splat_height = float(np.median(floor.centers(floor.seen)[:, 2]))
    findings = _level(floor.plane.tilt, splat_height, "visible floor", "Gaussians")
    figures = [
        Figure("tilt of the visible floor", round(float(np.degrees(floor.plane.tilt)), 2), "°", _degrees(_TILT)),
        Figure("height of the visible floor", round(100 * splat_height, 2), "cm", level),
        Figure("area of the visible floor", round(float(floor.seen.sum() * floor.cell_area), 2), "m²"),
    ]
    if floor.made_up.any():
        area = round(float(floor.made_up.sum() * floor.cell_area), 2)
        figures.append(Figure("floor made up beyond the picture, not judged", area, "m²"))
    if mesh is not None:
        even = f"≤ {100 * _UNEVEN.good:g}"
        ground = _ground(floor, mesh)
        findings += _level(ground.tilt, ground.height, "collider's floor", mesh.where)
        findings += _UNEVEN.findings(
            ground.uneven, "floor-uneven", f"the collider's floor is uneven by {100 * ground.uneven:.1f} cm", mesh.where
        )
        findings += _HOLE.findings(
            ground.hole, "floor-hole", f"the collider has a hole of {ground.hole:.2f} m² in the floor", mesh.where
        )
        figures += [
            Figure("tilt of the collider's floor", round(float(np.degrees(ground.tilt)), 2), "°", _degrees(_TILT)),
            Figure("height of the collider's floor", round(100 * ground.height, 2), "cm", level),
            Figure("unevenness of the collider's floor", round(100 * ground.uneven, 2), "cm", even),
            Figure("visible floor without collider", round(ground.holes, 3), "m²", f"no hole > {_HOLE.good:g}"),
        ]  # fmt: skip
    summary = f"{np.degrees(floor.plane.tilt):.1f}° from level, {100 * splat_height:+.1f} cm from z = 0."
    return Judgement(NAME, TITLE, summary, figures=tuple(figures), findings=tuple(findings))


def find_holes(floor: FloorMap, mesh: SolidMesh) -> Cells:
    """Cells of the visible floor below which the collider is missing."""
    holes = np.zeros_like(floor.seen)
    holes[floor.seen] = ~np.isfinite(_collider_heights(floor, mesh))
    return opened(holes, _SLIVER)


def _ground(floor: FloorMap, mesh: SolidMesh) -> _Ground:
    heights = _collider_heights(floor, mesh)
    solid = np.isfinite(heights)
    holes = find_holes(floor, mesh)
    marked, _ = label(holes)
    largest = int(np.bincount(marked[holes]).max(initial=0))
    if solid.sum() < 3:
        return _Ground(0.0, 0.0, 0.0, largest * floor.cell_area, float(holes.sum() * floor.cell_area))
    xy = floor.centers(floor.seen)[solid, :2]
    slope, uneven = _plane(xy - xy.mean(axis=0), heights[solid])
    return _Ground(
        float(np.arctan(np.linalg.norm(slope))),
        float(np.median(heights[solid])),
        uneven,
        largest * floor.cell_area,
        float(holes.sum() * floor.cell_area),
    )


def _collider_heights(floor: FloorMap, mesh: SolidMesh) -> Array:
    """Height [C] of the collider in the seen cells, metres; NaN where there is none near the visible floor."""
    tops = floor.centers(floor.seen) + np.array([0, 0, _ABOVE])
    falls, _ = mesh.tree.first_hits(tops, np.array([0.0, 0.0, -1.0]))
    return np.where(falls <= _ABOVE + _BELOW, tops[:, 2] - falls, np.nan)


def _plane(xy: Array, heights: Array) -> tuple[Array, float]:
    """Slope [2] of the least-squares plane through most points, and the 95th percentile of the distance to it."""
    columns = np.column_stack([xy, np.ones(len(xy))])
    kept = np.ones(len(xy), bool)
    for _ in range(4):
        solution = np.linalg.lstsq(columns[kept], heights[kept], rcond=None)[0]
        residuals = np.abs(heights - columns @ solution)
        kept = residuals <= max(3 * np.median(residuals), 1e-3)
    return np.asarray(solution[:2], np.float64), float(np.percentile(residuals, 95))


def _level(tilt: float, height: float, what: str, where: str) -> list:
    degrees = f"the {what} is tilted by {np.degrees(tilt):.1f}°"
    return [
        *_TILT.findings(tilt, "floor-tilt", degrees, where),
        *_HEIGHT.findings(abs(height), "floor-height", f"the {what} lies {100 * height:+.1f} cm off z = 0", where),
    ]


def _degrees(bars: Bars) -> str:
    return f"≤ {np.degrees(bars.good):g}"
