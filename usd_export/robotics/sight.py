# SPDX-License-Identifier: Apache-2.0
"""Lines of sight from viewpoints to the floor, past a collider."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usd_export.robotics.raster import Corners

_CLEAR = 1e-6  # share of the line at either end in which nothing blocks it


def extreme_points(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points [<= 2 D, D] with the least and the greatest coordinate along each axis, out of [M, D]."""
    return points[np.unique(np.concatenate([points.argmin(axis=0), points.argmax(axis=0)]))]


def any_in_sight(corners: Corners, viewpoints: NDArray[np.float64], targets: NDArray[np.float64]) -> bool:
    """Whether a straight line from any viewpoint [M, 3] to any target [N, 3] misses all triangles (Moller-Trumbore)."""
    ends = np.concatenate([viewpoints, targets])
    low, high = ends.min(axis=0), ends.max(axis=0)
    between = corners[((corners.min(axis=1) <= high) & (corners.max(axis=1) >= low)).all(axis=1)]
    start, first, second = between[:, 0], between[:, 1] - between[:, 0], between[:, 2] - between[:, 0]
    for viewpoint in viewpoints:
        offset = viewpoint - start
        across = np.cross(offset, first)
        for line in targets - viewpoint:
            side = np.cross(line, second)
            with np.errstate(divide="ignore", invalid="ignore"):
                scale = 1.0 / np.einsum("ij,ij->i", first, side)
                u, v = scale * np.einsum("ij,ij->i", offset, side), scale * (across @ line)
                at = scale * np.einsum("ij,ij->i", second, across)
                blocked = (u >= 0) & (v >= 0) & (u + v <= 1) & (at > _CLEAR) & (at < 1 - _CLEAR)
            if not blocked.any():
                return True
    return False
