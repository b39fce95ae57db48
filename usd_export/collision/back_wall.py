# SPDX-License-Identifier: Apache-2.0
"""An invented end of the scene behind its cameras, for those who would rather have a wall than an edge to fall off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from usd_export.collision.depth import SurfaceView
from usd_export.collision.floor import SLAB, FloorCells
from usd_export.collision.fusion import SEEN, Volume
from usd_export.collision.grid import Grid

HEIGHT = 2.2
"""Height of the wall, metres."""
BEHIND = 0.5
"""Distance between the rearmost camera and the wall, metres."""
THICKNESS = 0.2
"""Metres."""

_MIN_LEVEL = 0.3  # horizontal part of the viewing direction below which a camera looks at the ground or the sky


@dataclass(frozen=True)
class Bay:
    """The unseen space between the cameras and a wall behind them, open to where the first camera looks."""

    ahead: NDArray[np.float64]  # [2] horizontal viewing direction
    back: float  # front of the wall, metres along `ahead`

    def along(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Metres ahead."""
        return x * self.ahead[0] + y * self.ahead[1]

    def across(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Metres to the right."""
        return x * self.ahead[1] - y * self.ahead[0]


def find_bay(views: Sequence[SurfaceView]) -> Bay | None:
    """The bay behind some views; None if the first one does not look ahead."""
    ahead = views[0].world_from_camera[:2, 2] if views else np.zeros(2)
    length = np.linalg.norm(ahead)
    if length < _MIN_LEVEL:
        return None
    ahead = np.asarray(ahead / length, np.float64)
    return Bay(ahead, min(float(view.origin[:2] @ ahead) for view in views) - BEHIND)


def widened(bay: Bay, low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """A world box that holds the box low, high and the bay behind it."""
    middle = 0.5 * (low[:2] + high[:2])
    rear = middle + (bay.back - 2 * THICKNESS - middle @ bay.ahead) * bay.ahead
    half = 0.5 * np.abs(bay.ahead[::-1]) * (high[:2] - low[:2])
    low_xy = np.minimum(low[:2], rear - half) - 2 * THICKNESS
    high_xy = np.maximum(high[:2], rear + half) + 2 * THICKNESS
    return np.append(low_xy, low[2]), np.append(high_xy, max(high[2], HEIGHT + THICKNESS))


def add_bay(volume: Volume, bay: Bay, floor: FloorCells) -> FloorCells:
    """Put a wall behind the cameras and on both sides of them, and floor between it and the floor that was seen.

    Space that was seen to be free stays free.

    Returns:
        The floor, with the new cells among the completed ones.
    """
    found = floor.observed | floor.completed
    if not found.any():
        return floor
    grid = volume.grid
    x, y = np.meshgrid(grid.axis(0), grid.axis(1), indexing="ij")
    along, across = bay.along(x, y), bay.across(x, y)
    column = np.floor(across / grid.voxel).astype(int)
    column -= column.min()
    begin = np.full(column.max() + 1, np.inf)
    np.minimum.at(begin, column[found], along[found])
    left, right = across[found].min(), across[found].max()
    filled = np.where(np.isfinite(begin), begin, np.interp(np.arange(len(begin)), *_known(begin)))
    before_floor = along < filled[column]
    inside = (across >= left) & (across <= right) & (along >= bay.back) & before_floor
    around = (across > left - THICKNESS) & (across < right + THICKNESS) & (along > bay.back - THICKNESS) & before_floor
    _raise_wall(volume, around & ~inside)
    return replace(floor, completed=floor.completed | (inside & ~found))


def _known(values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    known = np.flatnonzero(np.isfinite(values))
    return known, values[known]


def _raise_wall(volume: Volume, columns: NDArray[np.bool_]) -> None:
    """Unite the unseen part of the volume with a wall over some columns [x, y]."""
    grid: Grid = volume.grid
    sideways = (distance_transform_edt(~columns) - distance_transform_edt(columns)) * grid.voxel
    for k, height in enumerate(grid.axis(2)):
        upwards = max(height - HEIGHT, -SLAB - height)
        signed = np.clip(np.maximum(sideways, upwards), -volume.truncation, volume.truncation).astype(np.float32)
        layer = volume.distance[k]
        np.minimum(layer, signed, out=layer, where=volume.known[k] != SEEN)
