# SPDX-License-Identifier: Apache-2.0
"""Robot metadata as prims and custom data.

```
/World/Scene/Robotics                   Xform that undoes the scene's matrix: everything below is in world metres
/World/Scene/Robotics/SpawnPoses        Scope of Xforms Spawn_00, Spawn_01, ...: z = 0 on the floor, +X ahead
/World/Scene/Robotics/NavigableRegion   BasisCurves of purpose guide: the region's borders, counter-clockwise,
                                        those of its holes clockwise
```

The custom data `lyra:robotics` of the first prim holds the map as ROS' OccupancyGrid has it (`occupancy:data`, row by
row from the lowest y: 0 free, 100 occupied, -1 unknown), the robot's radius, the obstacle band, and the notes.
"""

from __future__ import annotations

import numpy as np
from pxr import Gf, Usd, UsdGeom, Vt

from usd_export.prims.metric_group import define_metric_group
from usd_export.provenance import KEY, usd_dictionary
from usd_export.robotics.build import Robotics
from usd_export.robotics.occupancy import OccupancyMap

_LINE_WIDTH = 0.02  # metres
_ABOVE_FLOOR = 0.01  # metres that the drawn border floats over the floor


def write_robotics(stage: Usd.Stage, path: str, robotics: Robotics) -> Usd.Prim:
    """Define the robot metadata of a scene.

    Args:
        stage: Stage whose edit target receives the prims.
        path: Path of the group, a child of the prim that carries the scene's frame.
        robotics: What to write.
    """
    group = define_metric_group(stage, path, robotics.frame).GetPrim()
    occupancy = robotics.occupancy
    data = usd_dictionary(
        {
            "robotRadius": robotics.robot_radius,
            "obstacleBand": list(occupancy.band),
            "navigableArea": robotics.navigable_area,
            "notes": list(robotics.notes),
        }
    )
    group.SetCustomDataByKey(f"{KEY}:robotics", {**data, "occupancy": _occupancy_grid(occupancy)})
    poses = UsdGeom.Scope.Define(stage, f"{path}/SpawnPoses").GetPath()
    for number, pose in enumerate(robotics.spawn_poses):
        spawn = UsdGeom.Xform.Define(stage, poses.AppendChild(f"Spawn_{number:02d}"))
        spawn.AddTransformOp().Set(Gf.Matrix4d(pose.T.tolist()))
    if robotics.navigable:
        _write_region(stage, f"{path}/NavigableRegion", robotics)
    return group


def _occupancy_grid(occupancy: OccupancyMap) -> dict[str, object]:
    rows, columns = occupancy.cells.shape
    return {
        "resolution": occupancy.resolution,
        "origin": Gf.Vec3d(*occupancy.origin.tolist(), 0.0),
        "width": columns,
        "height": rows,
        "data": Vt.IntArray.FromNumpy(np.ascontiguousarray(occupancy.cells.ravel(), np.int32)),
    }


def _write_region(stage: Usd.Stage, path: str, robotics: Robotics) -> None:
    curves = UsdGeom.BasisCurves.Define(stage, path)
    flat = np.concatenate(robotics.navigable)
    points = np.column_stack([flat, np.full(len(flat), _ABOVE_FLOOR)]).astype(np.float32)
    counts = np.array([len(polygon) for polygon in robotics.navigable], np.int32)
    curves.CreateTypeAttr(UsdGeom.Tokens.linear)
    curves.CreateWrapAttr(UsdGeom.Tokens.periodic)
    curves.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    curves.CreateCurveVertexCountsAttr(Vt.IntArray.FromNumpy(counts))
    curves.CreateWidthsAttr([_LINE_WIDTH])
    curves.SetWidthsInterpolation(UsdGeom.Tokens.constant)
    reach = np.float32(_LINE_WIDTH / 2)
    curves.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([points.min(axis=0) - reach, points.max(axis=0) + reach])))
    curves.CreatePurposeAttr(UsdGeom.Tokens.guide)
