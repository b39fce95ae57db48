# SPDX-License-Identifier: Apache-2.0
"""Collider to occupancy map: what a robot of some height can drive on, bumps into, or knows nothing about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usd_export.errors import UsdExportError
from usd_export.robotics.raster import Corners, MapGrid, ground_and_matter, touched_cells
from usd_export.robotics.ros_map import write_ros_map

FREE = 0
OCCUPIED = 100
UNKNOWN = -1

FLOOR_TOLERANCE = 0.01
"""Metres around z = 0 in which an upward facing triangle is floor."""
_MARGIN = 1  # cells of unknown around what is known
_MAX_CELLS = 25e6


@dataclass(frozen=True)
class OccupancyMap:
    """A horizontal map in world metres, in the terms of ROS' `nav_msgs/OccupancyGrid`.

    Attributes:
        cells: [rows, columns] int8: `FREE`, `OCCUPIED` or `UNKNOWN`. Row 0 is the lowest y, column 0 the lowest x.
        origin: x, y of the lower-left corner of cell (0, 0), metres.
        resolution: Edge of a cell, metres.
        band: Heights above the floor between which matter is an obstacle, metres.
    """

    cells: NDArray[np.int8]
    origin: NDArray[np.float64]
    resolution: float
    band: tuple[float, float]

    @property
    def grid(self) -> MapGrid:
        """Where the cells are."""
        return MapGrid(self.origin, self.resolution, (self.cells.shape[0], self.cells.shape[1]))

    def area(self, kind: int) -> float:
        """Square metres of the cells of one kind."""
        return float((self.cells == kind).sum() * self.resolution**2)

    def save_ros(self, folder: str | Path) -> list[Path]:
        """Write `map.yaml` and `map.pgm` for ROS' map_server; returns the files, the one to load first.

        Raises:
            UsdExportError: If the folder does not exist or cannot be written.
        """
        return write_ros_map(Path(folder), self.cells == FREE, self.cells == OCCUPIED, self.origin, self.resolution)


def map_collider(
    corners: Corners, *, closed: bool, band: tuple[float, float], resolution: float
) -> tuple[OccupancyMap, NDArray[np.bool_]]:
    """Map a collider.

    A cell is occupied when any triangle reaches into the column of air over it within `band`, or, for a closed mesh,
    when its centre lies inside of matter there (a cupboard taller than the robot). It is free when its centre has
    ground and nothing is in the way: an upward facing triangle from 1 cm below the floor plane up to the bottom of the
    band, which is what the robot rolls over. Everything else is unknown. The collider has a floor where one was seen
    or is enclosed by what was seen, so free means just that; the mesh does not tell the two apart.

    Args:
        corners: Triangles in world metres, Z up, floor at z = 0, normals out of matter.
        closed: Whether they enclose matter.
        band: Heights of the lowest and the highest obstacle that matters, metres.
        resolution: Edge of a cell, metres.

    Returns:
        The map, and its free cells [rows, columns] whose ground is the floor itself, within 1 cm.

    Raises:
        UsdExportError: If the map would be absurdly large.
    """
    ground = (-FLOOR_TOLERANCE, band[0])
    relevant = (corners[:, :, 2].max(axis=1) >= ground[0]) & (corners[:, :, 2].min(axis=1) <= band[1])
    grid = _grid_around(corners[relevant, :, :2].reshape(-1, 2), resolution)
    height, inside = ground_and_matter(grid, corners, ground)
    occupied = touched_cells(grid, corners, band) | (inside & closed)
    free = np.isfinite(height) & ~occupied
    cells = np.select([occupied, free], [np.int8(OCCUPIED), np.int8(FREE)], np.int8(UNKNOWN))
    return OccupancyMap(cells, grid.origin, resolution, band), free & (height <= FLOOR_TOLERANCE)


def _grid_around(points: NDArray[np.float64], resolution: float) -> MapGrid:
    """Grid over points [N, 2] whose cell borders are multiples of the resolution."""
    low, high = (points.min(axis=0), points.max(axis=0)) if len(points) else (np.zeros(2), np.zeros(2))
    first = np.floor(low / resolution) - _MARGIN
    size = np.ceil(high / resolution) + _MARGIN - first
    if size.prod() > _MAX_CELLS:
        raise UsdExportError(
            f"an occupancy map of {np.round(high - low)} m at {resolution:g} m per cell is too large; "
            "crop the collider or choose larger cells"
        )
    return MapGrid(first * resolution, resolution, (int(size[1]), int(size[0])))
