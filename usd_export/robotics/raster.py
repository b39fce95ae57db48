# SPDX-License-Identifier: Apache-2.0
"""Triangles on a map grid: which columns of air they touch, and what a vertical ray through a cell meets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]  # [T, 3, 3] triangles as world points, metres

_LONGEST_EDGE = 8.0  # cells: longer triangles are split, lest their bounding boxes hold mostly cells they miss
_PAIRS_AT_ONCE = 200_000
_INSIDE = -1e-9  # barycentric: a ray through a shared edge belongs to both triangles, never to none


@dataclass(frozen=True)
class MapGrid:
    """Cells of a horizontal map; cell (row, column) covers `origin + resolution * [column, row]` to one cell on.

    Attributes:
        origin: x, y of the lower-left corner of cell (0, 0), metres.
        resolution: Edge of a cell, metres.
        shape: Rows (along +y) and columns (along +x).
    """

    origin: NDArray[np.float64]
    resolution: float
    shape: tuple[int, int]

    def centers(self) -> NDArray[np.float64]:
        """Cell centres [rows, columns, 2] as x, y in metres."""
        rows, columns = np.indices(self.shape)
        return self.origin + self.resolution * (np.stack([columns, rows], axis=-1) + 0.5)


def touched_cells(grid: MapGrid, corners: Corners, band: tuple[float, float]) -> NDArray[np.bool_]:
    """Cells [rows, columns] whose column of air between the heights `band` meets a triangle.

    Exact and without gaps: a separating-axis test of every triangle against the box over every cell (Akenine-Moller).
    """
    low, high = band
    half = np.array([grid.resolution / 2, grid.resolution / 2, (high - low) / 2])
    touched = np.zeros(grid.shape, bool)
    in_band = (corners[:, :, 2].min(axis=1) <= high) & (corners[:, :, 2].max(axis=1) >= low)
    for pieces, cells, centers in _pairs(grid, corners[in_band]):
        boxes = np.column_stack([centers, np.full(len(centers), (low + high) / 2)])
        touched.reshape(-1)[cells[_overlap(pieces - boxes[:, None], half)]] = True
    return touched


def ground_and_matter(
    grid: MapGrid, corners: Corners, ground: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What vertical rays through the cell centres meet.

    Args:
        grid: Cells.
        corners: Triangles of a mesh whose normals point out of matter.
        ground: Lowest and highest height of what counts as ground, metres.

    Returns:
        Height [rows, columns] of the highest upward facing triangle between the heights `ground`, -inf where there is
        none; and cells whose centre lies within matter just above the highest ground: the next surface up there faces
        up. The latter means something for closed meshes only.
    """
    top = np.full(grid.shape, -np.inf)
    next_surface = {facing_up: np.full(grid.shape, np.inf) for facing_up in (True, False)}
    for pieces, cells, centers in _pairs(grid, corners):
        met, heights, facing_up = _vertical_hits(pieces, centers)
        cells = cells[met]
        on_ground = facing_up & (heights >= ground[0]) & (heights <= ground[1])
        np.maximum.at(top.reshape(-1), cells[on_ground], heights[on_ground])
        above = heights > ground[1]
        for direction, lowest in next_surface.items():
            chosen = above & (facing_up == direction)
            np.minimum.at(lowest.reshape(-1), cells[chosen], heights[chosen])
    return top, next_surface[True] < next_surface[False]


def _pairs(grid: MapGrid, corners: Corners) -> Iterator[tuple[Corners, NDArray[np.int64], NDArray[np.float64]]]:
    """Triangles [P, 3, 3], flat cell indices [P] and cell centres [P, 2] of all pairs whose bounding boxes meet."""
    corners = _split(corners, _LONGEST_EDGE * grid.resolution)
    scaled = (corners[:, :, :2] - grid.origin) / grid.resolution
    last = np.array(grid.shape[::-1]) - 1
    first = np.clip(np.ceil(scaled.min(axis=1)).astype(np.int64) - 1, 0, last)  # cells that only touch count, too
    spans = np.clip(np.floor(scaled.max(axis=1)).astype(np.int64), 0, last) - first + 1
    counts = spans.prod(axis=1)
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] - counts[start] + _PAIRS_AT_ONCE, side="right")))
        triangle = np.repeat(np.arange(start, stop), counts[start:stop])
        offset = np.arange(len(triangle)) - np.repeat(ends[start:stop] - counts[start:stop], counts[start:stop])
        offset += ends[start] - counts[start]
        column = first[triangle, 0] + offset % spans[triangle, 0]
        row = first[triangle, 1] + offset // spans[triangle, 0]
        centers = grid.origin + grid.resolution * (np.stack([column, row], axis=1) + 0.5)
        yield corners[triangle], row * grid.shape[1] + column, centers
        start = stop


def _split(corners: Corners, longest: float) -> Corners:
    """Halve triangles at their longest horizontal edge until none is longer than `longest` metres."""
    done = []
    while len(corners):
        edges = np.linalg.norm((np.roll(corners, -1, axis=1) - corners)[:, :, :2], axis=2)
        long = edges.max(axis=1) > longest
        done.append(corners[~long])
        a, b, tip = np.moveaxis(_starting_at(corners[long], edges[long].argmax(axis=1)), 1, 0)
        middle = (a + b) / 2
        corners = np.concatenate([np.stack([a, middle, tip], axis=1), np.stack([middle, b, tip], axis=1)])
    return np.concatenate([np.zeros((0, 3, 3)), *done])


def _starting_at(corners: Corners, first: NDArray[np.intp]) -> Corners:
    """The same triangles with the corner numbered `first` [T] in front."""
    return np.take_along_axis(corners, ((first[:, None] + np.arange(3)) % 3)[:, :, None], axis=1)


def _vertical_hits(
    corners: Corners, points: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.bool_]]:
    """Which pairs [P] of a triangle and a vertical line at x, y meet; for those the heights and whether it faces up."""
    flat = corners[:, :, :2] - points[:, None]
    # Twice the signed areas that the line's foot spans with each edge; their sum is that of the triangle.
    areas = np.stack(
        [_cross(flat[:, 1], flat[:, 2]), _cross(flat[:, 2], flat[:, 0]), _cross(flat[:, 0], flat[:, 1])], 1
    )
    whole = areas.sum(axis=1)
    upright = np.abs(whole) < 1e-12
    weights = areas / np.where(upright, 1.0, whole)[:, None]
    met = ~upright & (weights >= _INSIDE).all(axis=1)
    return met, (weights[met] * corners[met, :, 2]).sum(axis=1), whole[met] > 0


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _overlap(corners: Corners, half: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether triangles [P, 3, 3] meet the box of half-widths `half` around 0; touching counts."""
    meets = (corners[:, :, 2].min(axis=1) <= half[2]) & (corners[:, :, 2].max(axis=1) >= -half[2])
    edges = np.roll(corners, -1, axis=1) - corners
    axes = [np.cross(edges[:, 0], edges[:, 1])]
    axes += [np.cross(unit, edges[:, edge]) for unit in np.eye(3) for edge in range(3)]
    for axis in axes:
        shadow = np.einsum("pij,pj->pi", corners, axis)
        reach = np.abs(axis) @ half * (1 + 1e-12)
        meets &= (shadow.min(axis=1) <= reach) & (shadow.max(axis=1) >= -reach)
    return meets
