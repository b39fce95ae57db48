# SPDX-License-Identifier: Apache-2.0
"""Colours of the Gaussians on the vertices of a collider."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from usd_export.cloud import SH_C0
from usd_export.collision.grid import Grid
from usd_export.collision.splats import SolidSplats

_CELL = 2.0  # voxels: colours are averaged over cells of this size
_ENOUGH = 500_000  # Gaussians that tell the colours of a scene
_GREY = 128  # where there are no Gaussians at all


def vertex_colors(vertices: NDArray[np.float64], splats: SolidSplats, grid: Grid) -> NDArray[np.uint8]:
    """Display-referred sRGB [V, 3] of the nearest Gaussians, averaged by opacity, for world vertices [V, 3]."""
    step = max(1, len(splats) // _ENOUGH)
    centers, opacities = splats.centers[::step], splats.opacities[::step]
    colors = 0.5 + np.float32(SH_C0) * splats.harmonics[::step]
    shape = np.ceil(np.array(grid.shape) / _CELL).astype(np.int64) + 1
    cells = np.floor((centers - grid.origin.astype(np.float32)) * np.float32(1 / (_CELL * grid.voxel))).astype(np.int64)
    inside = np.logical_and.reduce((cells >= 0) & (cells < shape), axis=1)
    if not inside.any():
        return np.full((len(vertices), 3), _GREY, np.uint8)
    keys = np.ravel_multi_index(tuple(cells[inside].T), tuple(shape))
    weights = np.bincount(keys, opacities[inside])
    sums = [np.bincount(keys, opacities[inside] * colors[inside, channel]) for channel in range(3)]
    used = np.flatnonzero(weights)
    means = np.stack(sums, axis=1)[used] / weights[used, None]
    middles = (np.stack(np.unravel_index(used, tuple(shape)), axis=1) + 0.5) * _CELL * grid.voxel + grid.origin
    nearest = cKDTree(middles).query(vertices)[1]
    return np.rint(255 * np.clip(means[nearest], 0, 1)).astype(np.uint8)
