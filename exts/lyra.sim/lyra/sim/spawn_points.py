# SPDX-License-Identifier: Apache-2.0
"""Where a robot can be put down in a scene, read from the scene's own USD.

A scene that was written with a collider carries up to eight poses below `Scene/Robotics/SpawnPoses`, on the floor, with
room around them, facing the longest free way. They were derived from the collider, so they agree with the physics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lyra.sim.errors import LyraSimError

if TYPE_CHECKING:
    from pxr import Gf, Usd

_POSES = ("Scene/Robotics/SpawnPoses", "Asset/Scene/Robotics/SpawnPoses")
"""Below the default prim of a file (and what Isaac Lab spawns); below what `lyra.sim.api.spawn` spawns."""


@dataclass(frozen=True)
class SpawnPose:
    """A pose on the floor, Z up.

    Attributes:
        position: x, y, z of the floor below the robot, metres.
        yaw: Heading of the robot's +X, radians, counter-clockwise seen from above; 0 faces world +X.
    """

    position: tuple[float, float, float]
    yaw: float

    def moved(self, position: tuple[float, float, float], yaw: float = 0.0) -> SpawnPose:
        """The same pose in a world in which the scene was turned by `yaw` radians and then put at `position` [m]."""
        x, y, z = self.position
        cosine, sine = math.cos(yaw), math.sin(yaw)
        turned = (cosine * x - sine * y + position[0], sine * x + cosine * y + position[1], z + position[2])
        return SpawnPose(turned, math.remainder(self.yaw + yaw, math.tau))


def read_spawn_poses(usd_file: str | Path) -> tuple[SpawnPose, ...]:
    """Spawn poses of a scene file, in the scene's own world.

    Raises:
        LyraSimError: If the file cannot be opened, has no default prim, or has no spawn poses.
    """
    from pxr import Tf, Usd

    try:
        stage = Usd.Stage.Open(str(usd_file), Usd.Stage.LoadNone)
    except Tf.ErrorException as error:
        raise LyraSimError(f"{usd_file} cannot be opened as USD: {error}") from error
    root = stage.GetDefaultPrim()
    if not root:
        raise LyraSimError(f"{usd_file} has no default prim; is it the root file of a scene (scene.usda)?")
    return spawn_poses(stage, str(root.GetPath()))


def spawn_poses(stage: Usd.Stage, prim_path: str) -> tuple[SpawnPose, ...]:
    """Spawn poses of a scene that was spawned at `prim_path`, in the world of the stage.

    Raises:
        LyraSimError: If the stage is not Z-up, or there is no scene with spawn poses at that path.
    """
    from pxr import UsdGeom

    if UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.z:
        raise LyraSimError("spawn poses have a heading about +Z; use a Z-up stage, as Isaac Sim's default one is")
    groups = (stage.GetPrimAtPath(f"{prim_path}/{place}") for place in _POSES)
    poses = [pose for group in groups if group for pose in group.GetChildren()]
    if not poses:
        raise LyraSimError(
            f"there are no spawn poses below {prim_path}: the scene has no collider, or no floor with room for a "
            "robot. `python -m usd_export SCENE OUT --ground-check` says which"
        )
    metres = UsdGeom.GetStageMetersPerUnit(stage)
    cache = UsdGeom.XformCache()
    return tuple(_pose(cache.GetLocalToWorldTransform(pose), metres) for pose in poses)


def _pose(matrix: Gf.Matrix4d, metres: float) -> SpawnPose:
    x, y, z = metres * matrix.ExtractTranslation()
    ahead = matrix.GetRow3(0)
    return SpawnPose((x, y, z), math.atan2(ahead[1], ahead[0]))
