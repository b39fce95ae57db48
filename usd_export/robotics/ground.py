# SPDX-License-Identifier: Apache-2.0
"""The ground check: is there floor under every spawn pose, as a falling robot would find it?

Rays are cast straight down against the collider's triangles from the top of the obstacle band. Nothing of the map that
chose the poses is used, so that the check can catch its mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.robotics.build import SPAWN_MARGIN, Robotics, world_triangles
from usd_export.robotics.occupancy import FLOOR_TOLERANCE
from usd_export.robotics.raster import Corners

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

_RINGS = 3
_RAYS_PER_RING = 16


@dataclass(frozen=True)
class SpawnGround:
    """What lies under one spawn pose.

    Attributes:
        position: x, y in metres.
        rays: Number of rays cast within the robot's radius and the margin.
        missed: How many of them found no surface below.
        lowest: Height of the lowest surface that was hit, metres; NaN if none was.
        highest: Height of the highest one.
    """

    position: tuple[float, float]
    rays: int
    missed: int
    lowest: float
    highest: float

    @property
    def level(self) -> bool:
        """Whether every ray found the floor, and nothing else."""
        return self.missed == 0 and max(abs(self.lowest), abs(self.highest)) <= FLOOR_TOLERANCE


@dataclass(frozen=True)
class GroundReport:
    """Result of the ground check.

    Attributes:
        radius: Metres around each pose that were probed.
        spawns: One entry per spawn pose.
    """

    radius: float
    spawns: tuple[SpawnGround, ...]

    @property
    def passed(self) -> bool:
        """Whether there is a spawn pose and floor under every one of them."""
        return bool(self.spawns) and all(spawn.level for spawn in self.spawns)

    def problems(self) -> list[str]:
        """One sentence per pose without floor; one if there is no pose."""
        if not self.spawns:
            return ["ground check: there is no spawn pose to check"]
        return [
            f"ground check: within {self.radius:g} m of the spawn pose at x {spawn.position[0]:.2f}, "
            f"y {spawn.position[1]:.2f} {spawn.missed} of {spawn.rays} rays find no ground, and the rest find heights "
            f"from {spawn.lowest:.3f} to {spawn.highest:.3f} m"
            for spawn in self.spawns
            if not spawn.level
        ]

    def require(self) -> None:
        """Raises UsdExportError if the check has not passed."""
        problems = self.problems()
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise UsdExportError(
                f"{problems[0]}{more}; nothing was written: look at the floor or leave out --ground-check"
            )


def check_ground(collider: ColliderMesh, frame: Frame, robotics: Robotics) -> GroundReport:
    """Look for floor under every spawn pose and around it as far as the robot and the margin reach.

    Args:
        collider: Collision mesh in scene units.
        frame: Scene units to world metres.
        robotics: Spawn poses and the robot they are meant for.
    """
    corners = world_triangles(collider, frame)
    radius = robotics.robot_radius + SPAWN_MARGIN
    probes = _probes(radius)
    return GroundReport(
        radius,
        tuple(_look_down(corners, pose[:2, 3], probes, robotics.occupancy.band[1]) for pose in robotics.spawn_poses),
    )


def _look_down(corners: Corners, position: NDArray[np.float64], probes: NDArray[np.float64], top: float) -> SpawnGround:
    heights = first_below(corners, position + probes, top)
    found = heights[np.isfinite(heights)]
    return SpawnGround(
        position=(float(position[0]), float(position[1])),
        rays=len(heights),
        missed=len(heights) - len(found),
        lowest=float(found.min()) if len(found) else float("nan"),
        highest=float(found.max()) if len(found) else float("nan"),
    )


def _probes(radius: float) -> NDArray[np.float64]:
    """Offsets [P, 2]: the middle and rings around it."""
    angles = np.arange(_RAYS_PER_RING) * (2 * np.pi / _RAYS_PER_RING)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    radii = radius * np.arange(1, _RINGS + 1) / _RINGS
    return np.concatenate([np.zeros((1, 2)), (radii[:, None, None] * ring).reshape(-1, 2)])


def first_below(corners: Corners, points: NDArray[np.float64], top: float) -> NDArray[np.float64]:
    """Height of the first surface that rays from `top` straight down through points [P, 2] meet; -inf if none."""
    low, high = corners[:, :, :2].min(axis=1), corners[:, :, :2].max(axis=1)
    near = corners[((low <= points.max(axis=0)) & (high >= points.min(axis=0))).all(axis=1)]
    a, b, c = np.moveaxis(near, 1, 0)
    normals = np.cross(b - a, c - a)
    heights = np.full(len(points), -np.inf)
    for number, point in enumerate(points):
        inside = np.ones(len(near), bool)
        for start, end in ((a, b), (b, c), (c, a)):
            side, offset = end - start, point - start[:, :2]
            inside &= (side[:, 0] * offset[:, 1] - side[:, 1] * offset[:, 0]) * normals[:, 2] >= 0
        hit = inside & (np.abs(normals[:, 2]) > 1e-12)
        plane = np.einsum("ij,ij->i", normals[hit, :2], a[hit, :2] - point) / normals[hit, 2] + a[hit, 2]
        below = plane[plane <= top]
        heights[number] = below.max() if len(below) else -np.inf
    return heights
