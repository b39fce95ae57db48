# SPDX-License-Identifier: Apache-2.0
"""The regular grid in world metres on which the collider is assembled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usd_export.errors import UsdExportError

MIN_VOXEL = 0.01  # metres
MAX_VOXEL = 0.08
_TYPICAL_VOXELS = 6e6  # aimed at when the voxel size is free
MAX_VOXELS = 24e6  # about 300 MB at the peak
_MARGIN = 4  # empty voxels on every side, so that the surface closes inside the grid


@dataclass(frozen=True)
class Grid:
    """Cell centres are `origin + voxel * index`. Layers lie half a voxel off z = 0, so a floor there is exact."""

    origin: NDArray[np.float64]  # [3] centre of cell (0, 0, 0)
    voxel: float
    shape: tuple[int, int, int]  # x, y, z

    def axis(self, dimension: int) -> NDArray[np.float64]:
        """Cell centres along one dimension, metres."""
        return self.origin[dimension] + self.voxel * np.arange(self.shape[dimension])

    def cells(self, points: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Cell index [N, 3] of world points and whether they fall inside [N]."""
        index = np.floor((points - self.origin) / self.voxel + 0.5).astype(np.int64)
        inside = (index >= 0) & (index < np.array(self.shape))
        return index, np.logical_and.reduce(inside, axis=1)


def fit_voxel(
    low: NDArray[np.float64], high: NDArray[np.float64], requested: float | None, limits: tuple[float, float]
) -> float | None:
    """Voxel size in metres for the box, within the limits unless it is requested; None if it needs too much memory.

    Raises:
        UsdExportError: If a size is requested that is not positive.
    """
    if requested is not None and not requested > 0:
        raise UsdExportError(f"the voxel size must be positive metres, got {requested}")
    volume = np.prod(np.maximum(high - low, limits[1]))
    typical = float(np.clip(np.cbrt(volume / _TYPICAL_VOXELS), *limits))
    voxel = typical if requested is None else requested
    return voxel if np.prod(_shape(low, high, voxel).astype(float)) <= MAX_VOXELS else None


def make_grid(low: NDArray[np.float64], high: NDArray[np.float64], voxel: float) -> Grid:
    """Grid that covers the box with a margin."""
    first = np.floor(low / voxel) - _MARGIN
    shape = _shape(low, high, voxel)
    return Grid((first + 0.5) * voxel, voxel, (int(shape[0]), int(shape[1]), int(shape[2])))


def _shape(low: NDArray[np.float64], high: NDArray[np.float64], voxel: float) -> NDArray[np.int64]:
    return (np.ceil(high / voxel) - np.floor(low / voxel)).astype(np.int64) + 2 * _MARGIN
