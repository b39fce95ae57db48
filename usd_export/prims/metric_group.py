# SPDX-License-Identifier: Apache-2.0
"""Prims below the scene's one matrix that are written in world metres all the same."""

from __future__ import annotations

import numpy as np
from pxr import Gf, Usd, UsdGeom

from usd_export.frame import Frame


def define_metric_group(stage: Usd.Stage, path: str, frame: Frame) -> UsdGeom.Xform:
    """Define an Xform that undoes `frame`, so that its children are in world metres and carry no scale.

    Robots and cameras need that: simulators read scale in a camera's or spawn point's transform as part of the pose.
    The group still follows whatever moves the scene.

    Args:
        stage: Stage whose edit target receives the prim.
        path: A path whose parent is (or, after referencing, becomes) the prim that carries `frame`.
        frame: Scene units to world metres.
    """
    group = UsdGeom.Xform.Define(stage, path)
    group.AddTransformOp().Set(Gf.Matrix4d(np.linalg.inv(frame.matrix).T.tolist()))
    return group
