# SPDX-License-Identifier: Apache-2.0
"""Where the middle of a robot can be, as cells and as polygons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, label

from usd_export.robotics.raster import MapGrid

Cells = NDArray[np.bool_]  # [rows, columns]
Polygon = NDArray[np.float64]  # [V, 2] x, y in metres, not repeated at the end

_SIDES = (((0, 0), (0, 1), (-1, 0)), ((0, 1), (1, 1), (0, 1)), ((1, 1), (1, 0), (1, 0)), ((1, 0), (0, 0), (0, -1)))
"""A cell's sides counter-clockwise: start and end corner (row, column) and the step to the neighbour beyond."""


def clearance(cells: Cells, resolution: float) -> NDArray[np.float64]:
    """Distance [rows, columns] in metres from any point of a cell to the nearest point of a cell that is not set.

    What lies beyond the map is not set. Two cells that are n apart have n - 1 between them, hence the dilation.
    """
    blocked = binary_dilation(np.pad(~cells, 2, constant_values=True), np.ones((3, 3), bool))
    return np.asarray(distance_transform_edt(~blocked))[2:-2, 2:-2] * resolution


def pieces(cells: Cells) -> tuple[NDArray[np.int32], int]:
    """Number [rows, columns] of the piece a cell belongs to, from 1, 0 outside; and how many there are."""
    numbers, count = label(cells)
    return numbers, count


def outlines(cells: Cells, grid: MapGrid) -> tuple[Polygon, ...]:
    """Exact borders of a set of cells: counter-clockwise around it, clockwise around its holes.

    Where cells touch at a corner only, polygons touch in that point, too, and never cross.
    """
    following: dict[tuple[int, int], list[tuple[int, int]]] = {}
    padded = np.pad(cells, 1)
    for start, end, (down, right) in _SIDES:
        beyond = padded[1 + down : padded.shape[0] - 1 + down, 1 + right : padded.shape[1] - 1 + right]
        for row, column in np.argwhere(cells & ~beyond).tolist():
            here, there = (row + start[0], column + start[1]), (row + end[0], column + end[1])
            following.setdefault(here, []).append(there)
    polygons = []
    for corner in sorted(following):
        while following[corner]:
            loop = np.array(_loop(following, corner))
            polygons.append(grid.origin + grid.resolution * loop[:, ::-1])
    return tuple(polygons)


def _loop(following: dict[tuple[int, int], list[tuple[int, int]]], first: tuple[int, int]) -> list[tuple[int, int]]:
    """Take one closed walk out of the directed sides; only corners where it turns are kept."""
    corners: list[tuple[int, int]] = []
    at, step = first, None
    while True:
        ahead = following[at]
        # Where two cells touch at a corner only, the left turn stays with the same cell.
        choice = next((end for end in ahead if step is not None and _is_left(step, at, end)), ahead[0])
        ahead.remove(choice)
        taken = (choice[0] - at[0], choice[1] - at[1])
        if taken != step:
            corners.append(at)
        at, step = choice, taken
        if at == first:
            start = (corners[1][0] - first[0], corners[1][1] - first[1])
            straight = start[0] * step[1] == start[1] * step[0]
            return corners[1:] if straight else corners


def _is_left(step: tuple[int, int], at: tuple[int, int], end: tuple[int, int]) -> bool:
    return (end[0] - at[0], end[1] - at[1]) == (step[1], -step[0])
