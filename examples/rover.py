# SPDX-License-Identifier: Apache-2.0
"""A small robot with two driven wheels, made from USD's own shapes: no download, no asset server.

    rover = add_rover(stage, "/World/Rover", position=(0.0, 2.0, 0.0), yaw=1.57)
    drive(stage, rover, forward=0.3)

Metres, Z up, +X ahead. It is 0.30 m long and 0.28 m wide and fits the spawn poses of a scene, which leave 0.25 m.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pxr import Usd

WHEEL_RADIUS = 0.06
WHEEL_TRACK = 0.24
LENGTH = 0.30
CLEARANCE = 0.01
"""Metres between a wheel and the floor when the rover is put down."""

_BODY_HEIGHT = 0.08
_BODY_WIDTH = 0.18
_WHEEL_WIDTH = 0.03
_WHEELS = {"LeftWheel": WHEEL_TRACK / 2, "RightWheel": -WHEEL_TRACK / 2}
_MASSES = {"Body": 4.0, "LeftWheel": 0.4, "RightWheel": 0.4}
_DAMPING = 0.02
"""N m s per degree: the wheels turn as fast as they are told."""
_SLIDER_LIFT = 0.003
"""Metres between sliders and floor while the rover is level; the wheels carry it."""


def add_rover(stage: Usd.Stage, path: str, position: tuple[float, float, float], yaw: float) -> str:
    """Put a rover on a Z-up stage in metres.

    Args:
        stage: Where to.
        path: A free prim path.
        position: The floor below the rover's middle, metres.
        yaw: Heading, radians, counter-clockwise seen from above; 0 faces +X.

    Returns:
        Path of the body, a rigid body.
    """
    from pxr import Gf, UsdGeom, UsdPhysics

    root = UsdGeom.Xform.Define(stage, path)
    root.AddTranslateOp().Set(Gf.Vec3d(*position) + Gf.Vec3d(0, 0, CLEARANCE))
    root.AddRotateZOp().Set(math.degrees(yaw))
    UsdPhysics.ArticulationRootAPI.Apply(root.GetPrim())
    _add_body(stage, f"{path}/Body")
    for name, y in _WHEELS.items():
        _add_wheel(stage, path, name, y)
    for name, mass in _MASSES.items():
        prim = stage.GetPrimAtPath(f"{path}/{name}")
        UsdPhysics.RigidBodyAPI.Apply(prim)
        UsdPhysics.MassAPI.Apply(prim).CreateMassAttr(mass)
    return f"{path}/Body"


def drive(stage: Usd.Stage, body: str, forward: float, turn: float = 0.0) -> None:
    """Set the speeds of the wheels.

    Args:
        stage: Where the rover is.
        body: From `add_rover`.
        forward: Metres per second.
        turn: Radians per second, counter-clockwise seen from above.
    """
    from pxr import UsdPhysics

    path = body.rsplit("/", 1)[0]
    for name, y in _WHEELS.items():
        speed = (forward - turn * y) / WHEEL_RADIUS
        motor = UsdPhysics.DriveAPI.Get(stage.GetPrimAtPath(f"{path}/{name}Joint"), "angular")
        motor.GetTargetVelocityAttr().Set(math.degrees(speed))


def _add_body(stage: Usd.Stage, path: str) -> None:
    """A box, and below each of its ends a ball that slides over the floor when the rover pitches."""
    from pxr import Gf, UsdGeom, UsdPhysics

    body = UsdGeom.Xform.Define(stage, path)
    body.AddTranslateOp().Set(Gf.Vec3d(0, 0, WHEEL_RADIUS + _BODY_HEIGHT / 4))
    box = UsdGeom.Cube.Define(stage, f"{path}/Box")
    box.CreateSizeAttr(1.0)
    box.AddScaleOp().Set(Gf.Vec3f(LENGTH, _BODY_WIDTH, _BODY_HEIGHT))
    box.CreateDisplayColorAttr([Gf.Vec3f(0.95, 0.55, 0.10)])
    UsdPhysics.CollisionAPI.Apply(box.GetPrim())
    radius = WHEEL_RADIUS / 3
    for name, x in (("FrontSlider", LENGTH / 2 - radius), ("RearSlider", radius - LENGTH / 2)):
        ball = UsdGeom.Sphere.Define(stage, f"{path}/{name}")
        ball.CreateRadiusAttr(radius)
        ball.AddTranslateOp().Set(Gf.Vec3d(x, 0, radius + _SLIDER_LIFT - WHEEL_RADIUS - _BODY_HEIGHT / 4))
        ball.CreateDisplayColorAttr([Gf.Vec3f(0.2, 0.2, 0.2)])
        UsdPhysics.CollisionAPI.Apply(ball.GetPrim())
        _make_slippery(stage, path, ball.GetPrim())


def _make_slippery(stage: Usd.Stage, path: str, prim: Usd.Prim) -> None:
    from pxr import UsdPhysics, UsdShade

    material = UsdShade.Material.Define(stage, f"{path}/Slippery")
    physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    physics.CreateStaticFrictionAttr(0.0)
    physics.CreateDynamicFrictionAttr(0.0)
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")


def _add_wheel(stage: Usd.Stage, path: str, name: str, y: float) -> None:
    """A cylinder about the rover's y axis and the motor that turns it."""
    from pxr import Gf, UsdGeom, UsdPhysics

    wheel = UsdGeom.Cylinder.Define(stage, f"{path}/{name}")
    wheel.CreateAxisAttr(UsdGeom.Tokens.y)
    wheel.CreateRadiusAttr(WHEEL_RADIUS)
    wheel.CreateHeightAttr(_WHEEL_WIDTH)
    wheel.AddTranslateOp().Set(Gf.Vec3d(0, y, WHEEL_RADIUS))
    wheel.CreateDisplayColorAttr([Gf.Vec3f(0.1, 0.1, 0.1)])
    UsdPhysics.CollisionAPI.Apply(wheel.GetPrim())
    joint = UsdPhysics.RevoluteJoint.Define(stage, f"{path}/{name}Joint")
    joint.CreateAxisAttr(UsdPhysics.Tokens.y)
    joint.CreateBody0Rel().SetTargets([f"{path}/Body"])
    joint.CreateBody1Rel().SetTargets([wheel.GetPath()])
    joint.CreateLocalPos0Attr(Gf.Vec3f(0, y, -_BODY_HEIGHT / 4))
    motor = UsdPhysics.DriveAPI.Apply(joint.GetPrim(), "angular")
    motor.CreateDampingAttr(_DAMPING)
    motor.CreateTargetVelocityAttr(0.0)
