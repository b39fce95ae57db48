# SPDX-License-Identifier: Apache-2.0
"""Collider, frame and trusted viewpoints to everything a robot needs to know about a scene."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.robotics.occupancy import FREE, UNKNOWN, OccupancyMap, map_collider
from usd_export.robotics.raster import Corners
from usd_export.robotics.region import Cells, Polygon, clearance, outlines, pieces
from usd_export.robotics.sight import any_in_sight, extreme_points
from usd_export.robotics.spawn import distance_to_hull, facing_free_space, spread_out

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

ROBOT_RADIUS = 0.25
"""Metres; a TurtleBot 4 has 0.17, a Nova Carter 0.36."""
OBSTACLE_BAND = (0.05, 1.5)
"""Metres above the floor between which matter is in a robot's way."""
RESOLUTION = 0.05
SPAWN_MARGIN = 0.1
"""Metres between a robot at a spawn pose and the nearest thing that is not floor."""
REACH = 3.0
"""Metres around the trusted viewpoints within which robots are spawned."""
_SIGHT_TARGETS = 16  # cells of an island of free floor that are looked at


@dataclass(frozen=True)
class Robotics:
    """What a robot needs to know about a scene, in world metres, Z up, floor at z = 0.

    Attributes:
        frame: Frame of the scene, scene units to these metres.
        robot_radius: Radius of the robot that poses and region are meant for, metres.
        spawn_poses: [K, 4, 4], column vectors, the robot's +X ahead; K may be 0. All lie in one connected region.
        occupancy: Map of free, occupied and unknown cells.
        navigable: Borders [V, 2] of where the middle of the robot can get to from the spawn poses: counter-clockwise
            around it, clockwise around its holes. Every point keeps `robot_radius` from all that is not free.
        navigable_area: Area of that region, m^2.
        notes: Sentences on what is missing and why.
    """

    frame: Frame
    robot_radius: float
    spawn_poses: NDArray[np.float64]
    occupancy: OccupancyMap
    navigable: tuple[Polygon, ...]
    navigable_area: float
    notes: tuple[str, ...]


def build_robotics(
    collider: ColliderMesh,
    frame: Frame,
    camera_hull: NDArray[np.floating] | None,
    *,
    robot_radius: float = ROBOT_RADIUS,
    band: tuple[float, float] = OBSTACLE_BAND,
    resolution: float = RESOLUTION,
) -> Robotics:
    """Map the collider, find where a robot can drive, and choose spawn poses there. Deterministic.

    Args:
        collider: Collision mesh in scene units.
        frame: Scene units to world metres.
        camera_hull: Trusted viewpoints [M, 3] in scene units; without them all of the floor counts.
        robot_radius: Metres.
        band: Heights between which matter is an obstacle, metres.
        resolution: Edge of a map cell, metres.

    Raises:
        UsdExportError: If a size is not positive, or the map would be absurdly large.
    """
    if not (robot_radius > 0 and resolution > 0 and 0 < band[0] < band[1] < np.inf):
        raise UsdExportError(
            f"robot radius {robot_radius} m, cell {resolution} m and obstacle heights {band} m must be positive and "
            "rising"
        )
    corners = world_triangles(collider, frame)
    occupancy, floor = map_collider(corners, closed=collider.report.watertight, band=band, resolution=resolution)
    viewpoints = _world_viewpoints(camera_hull, frame)
    occupancy = _without_pockets(occupancy, corners, viewpoints, robot_radius)
    floor &= occupancy.cells == FREE
    drivable = clearance(occupancy.cells == FREE, resolution) >= robot_radius
    roomy = clearance(floor, resolution) >= robot_radius + SPAWN_MARGIN
    centers = occupancy.grid.centers()
    if viewpoints is not None:
        roomy &= distance_to_hull(centers, viewpoints[:, :2]) <= REACH
    region = _largest_piece(drivable, roomy)
    candidates = centers[roomy & region]
    towards = candidates if viewpoints is None else viewpoints[:, :2]
    places = spread_out(candidates, towards, 2 * (robot_radius + SPAWN_MARGIN))
    return Robotics(
        frame=frame,
        robot_radius=robot_radius,
        spawn_poses=facing_free_space(places, region, occupancy.grid),
        occupancy=occupancy,
        navigable=outlines(region, occupancy.grid),
        navigable_area=float(region.sum() * resolution**2),
        notes=tuple(_notes(len(places), viewpoints is not None, robot_radius)),
    )


def world_triangles(collider: ColliderMesh, frame: Frame) -> Corners:
    """Corners [T, 3, 3] of the collider's triangles, world metres."""
    corners = frame.apply(np.asarray(collider.vertices, np.float64))[collider.triangles]
    if not np.isfinite(corners).all():
        raise UsdExportError("the collider has vertices that are NaN or infinite; build it again")
    return corners


def _world_viewpoints(camera_hull: NDArray[np.floating] | None, frame: Frame) -> NDArray[np.float64] | None:
    """Viewpoints [M, 3] in world metres, or None if there are none."""
    points = np.asarray([] if camera_hull is None else camera_hull, np.float64).reshape(-1, 3)
    return frame.apply(points) if len(points) else None


def _without_pockets(
    occupancy: OccupancyMap, corners: Corners, viewpoints: NDArray[np.float64] | None, robot_radius: float
) -> OccupancyMap:
    """Make small or unseen islands of free cells unknown.

    The collider's floor goes on below and behind furniture, where nobody has looked. The largest piece of free cells
    stays; another one must be as large as the robot and, if viewpoints are known, in sight of one of them.
    """
    numbers, count = pieces(occupancy.cells == FREE)
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)
    sizes[0] = 0
    largest = int(sizes.argmax())
    known = sizes >= np.pi * (robot_radius / occupancy.resolution) ** 2
    known[largest] = True
    if viewpoints is not None:
        for piece in set(np.flatnonzero(known).tolist()) - {largest}:
            known[piece] = _in_sight(corners, viewpoints, occupancy, numbers == piece)
    cells = np.where((numbers > 0) & ~known[numbers], np.int8(UNKNOWN), occupancy.cells)
    return replace(occupancy, cells=cells)


def _in_sight(corners: Corners, viewpoints: NDArray[np.float64], occupancy: OccupancyMap, piece: Cells) -> bool:
    """Whether the outermost viewpoints [M, 3] see any of some cells, as far down as the obstacle band reaches."""
    members = occupancy.grid.centers()[piece]
    sample = members[:: -(-len(members) // _SIGHT_TARGETS)]
    targets = np.column_stack([sample, np.full(len(sample), occupancy.band[0])])  # above the floor's own unevenness
    return any_in_sight(corners, extreme_points(viewpoints), targets)


def _largest_piece(drivable: Cells, wanted: Cells) -> Cells:
    """The connected piece of `drivable` with the most `wanted` cells; nothing if none has any."""
    numbers, count = pieces(drivable)
    votes = np.bincount(numbers[wanted & drivable], minlength=count + 1)
    return (numbers == votes.argmax()) & (votes.max() > 0)


def _notes(spawns: int, has_viewpoints: bool, robot_radius: float) -> list[str]:
    notes = []
    if spawns == 0:
        where = f" within {REACH:g} m of the trusted viewpoints" if has_viewpoints else ""
        notes.append(
            f"no floor{where} has room for a robot of {robot_radius:g} m radius with {SPAWN_MARGIN:g} m to spare; "
            "there are no spawn poses and no navigable region"
        )
    if not has_viewpoints:
        notes.append("no viewpoints are known; spawn poses may lie where the picture cannot be trusted")
    return notes
