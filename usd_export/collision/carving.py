# SPDX-License-Identifier: Apache-2.0
"""Where a camera has been there is no matter, whatever Gaussians float there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from usd_export.collision.grid import Grid
from usd_export.errors import UsdExportError

CLEARANCE = 0.2
"""Radius of the tube around a camera path that is taken to be free, metres."""


def checked_path(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """The points [M, 3] of a camera path.

    Raises:
        UsdExportError: If they are not finite [M, 3].
    """
    path = np.asarray(points, np.float64)
    if path.ndim != 2 or path.shape[1] != 3 or not np.isfinite(path).all():
        raise UsdExportError(f"the camera path must be finite points [M, 3] in scene units, got shape {path.shape}")
    return path


def clear_path(optical_depth: NDArray[np.float32], grid: Grid, path: NDArray[np.float64]) -> None:
    """Remove the Gaussians within `CLEARANCE` of the polyline through world points [M, 3].

    Args:
        optical_depth: Coverage by Gaussians [z, x, y], changed in place.
        grid: Its grid.
        path: World metres.
    """
    for point in _resampled(path, 0.5 * CLEARANCE):
        first, last = (
            np.clip(np.rint((point + side * CLEARANCE - grid.origin) / grid.voxel).astype(int), 0, grid.shape)
            for side in (-1, 1)
        )
        x, y, z = (
            (grid.axis(axis)[low : high + 1] - point[axis]) ** 2
            for axis, (low, high) in enumerate(zip(first, last, strict=True))
        )
        near = z[:, None, None] + x[None, :, None] + y[None, None, :] <= CLEARANCE**2
        optical_depth[first[2] : last[2] + 1, first[0] : last[0] + 1, first[1] : last[1] + 1][near] = 0.0


def _resampled(path: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Points at most `step` metres apart along a polyline [M, 3]."""
    parts = [path[:1]]
    for start, end in pairwise(path):
        count = int(np.ceil(np.linalg.norm(end - start) / step))
        parts.append(start + np.arange(1, count + 1)[:, None] / max(count, 1) * (end - start))
    return np.concatenate(parts)
