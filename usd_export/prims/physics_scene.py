# SPDX-License-Identifier: Apache-2.0
"""The physics scene that makes a file simulate when it is opened and played on its own."""

from __future__ import annotations

from pxr import Gf, Usd, UsdGeom, UsdPhysics

EARTH_GRAVITY = 9.81
"""Metres per second squared."""


def write_physics_scene(stage: Usd.Stage, path: str) -> UsdPhysics.Scene:
    """Define a UsdPhysics scene with earth's gravity along -Z.

    Only for a file that is opened on its own: Isaac Lab and most applications bring a scene of their own, and two of
    them in one stage are simulated apart. The gravity is written out because not every reader knows the schema's
    fallback "earth, down".

    Args:
        stage: Z-up stage; gravity is scaled by its metres per unit.
        path: Prim path, outside of what other stages refer to.
    """
    scene = UsdPhysics.Scene.Define(stage, path)
    scene.CreateGravityDirectionAttr(Gf.Vec3f(0, 0, -1))
    scene.CreateGravityMagnitudeAttr(EARTH_GRAVITY / UsdGeom.GetStageMetersPerUnit(stage))
    return scene
