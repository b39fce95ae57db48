# SPDX-License-Identifier: Apache-2.0
"""The floor as the Gaussians show it, seen from above: where it lies, where it is free, what stands on it.

Where a scene was made from one picture, only floor in that picture counts: what was made up beyond its border lies some
centimetres, now and then decimetres, above or below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from usd_export.collision.morphology import closed
from usd_export.placement.floor import Floor, find_floor
from usd_export.report_card.observation import REACH, Observation

Array = NDArray[np.float64]
Cells = NDArray[np.bool_]  # [x, y]

_CELL = 0.05  # metres, times reach / 4 m
_THICKNESS = 0.04  # metres of height that still belong to the floor
_OBSTACLE = (0.06, 1.0)  # metres above the floor
_BRIDGED = 2  # cells: pixels of distant floor lie that far apart
_MARGIN = 3  # cells around everything
_MADE_UP = 0.4  # metres above and below the floor in which something made up may be meant as floor
_MAX_BELOW = 0.25  # share of points, where the picture is not recorded: what was made up beyond it often lies below
_MAX_RANGE = 8.0  # metres from the viewpoint, times reach / 4 m


@dataclass(frozen=True)
class FloorMap:
    """Cells of the floor.

    Attributes:
        plane: Of the visible floor; its `height` and `tilt` are relative to the world's z = 0 and vertical.
        low: Corner [2] of the first cell, metres.
        seen: Where floor is visible.
        free: Where it is and nothing stands on it.
        made_up: Where there is something like a floor that was made up beyond the picture, and no seen floor.
        cell: Side of a cell, metres.
    """

    plane: Floor
    low: Array
    seen: Cells
    free: Cells
    made_up: Cells
    cell: float

    @property
    def cell_area(self) -> float:
        """Square metres."""
        return self.cell**2

    def centers(self, cells: Cells) -> Array:
        """Points [C, 3] of the visible floor's plane at the middle of the set cells."""
        xy = self.low + (np.argwhere(cells) + 0.5) * self.cell
        return np.column_stack([xy, self.heights(xy)])

    def heights(self, xy: Array) -> Array:
        """Height [C] of the visible floor's plane at [C, 2], metres."""
        normal = self.plane.normal
        return (self.plane.height - xy @ normal[:2]) / normal[2]

    def roomy(self, radius: float) -> Cells:
        """Free cells whose surroundings within `radius` metres are free too."""
        return np.asarray(distance_transform_edt(self.free)) * self.cell > radius


def map_floor(observation: Observation) -> FloorMap | None:
    """Find the visible floor; None if there is none."""
    zoom = observation.reach / REACH
    cell, near = _CELL * zoom, observation.ranges <= _MAX_RANGE * zoom
    points, observed = observation.points[near], observation.observed[near]
    eye = observation.viewpoints[0]
    shown, vertical = points[observed] - eye, np.array([0.0, 0.0, 1.0])
    plane = find_floor(shown, vertical) or find_floor(shown, vertical, max_below=_MAX_BELOW)
    if plane is None:
        return None
    plane = Floor(plane.normal, plane.height + float(plane.normal @ eye), plane.support, plane.tilt)
    height = points @ plane.normal - plane.height
    low = np.floor(points[:, :2].min(axis=0) / cell - _MARGIN) * cell
    shape = np.ceil((points[:, :2].max(axis=0) - low) / cell + _MARGIN).astype(int)

    def cells(chosen: NDArray[np.bool_]) -> Cells:
        raster = np.zeros(shape, bool)
        raster[tuple(((points[chosen, :2] - low) / cell).astype(int).T)] = True
        return raster

    seen = closed(cells(observed & (np.abs(height) < _THICKNESS)), _BRIDGED)
    free = seen & ~cells((height > _OBSTACLE[0]) & (height < _OBSTACLE[1]))
    made_up = closed(cells(~observed & (np.abs(height) < _MADE_UP)), _BRIDGED) & ~seen
    return FloorMap(plane, low, seen, free, made_up, cell)
