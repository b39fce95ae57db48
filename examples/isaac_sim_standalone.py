# SPDX-License-Identifier: Apache-2.0
"""A robot drives on the floor of a generated scene.

    ~/isaacsim/python.sh examples/isaac_sim_standalone.py "a small kitchen with a red fridge" --gui

What it shows: start Isaac Sim with the extension, generate a scene from a sentence, spawn it with its collider, read a
spawn pose from its metadata, put a rover there, press Play, drive, and ask PhysX where the rover went. Pass `--robot`
to look at another robot on the same spot; it is not driven, because every robot has its own joints.

It checks itself: the rover must have moved and must still be on the floor. Exit status 0 if so, else 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import example_app
import isaac_app
import rover

if TYPE_CHECKING:
    from isaacsim import SimulationApp
    from pxr import Usd

    from lyra.sim.isaaclab import SpawnPose

SETTLING_STEPS = 30
STEPS = 240
FORWARD = 0.25
"""Metres per second."""


def judge(start: Sequence[float], end: Sequence[float]) -> list[str]:
    """What is wrong with how the rover moved from x, y, z to x, y, z [m]; empty if nothing is."""
    problems = []
    if not all(math.isfinite(value) for value in end):
        return [f"the rover's position is {tuple(end)}"]
    if abs(end[2] - start[2]) > 0.05:
        problems.append(f"the rover went from z = {start[2]:.3f} m to {end[2]:.3f} m; it is not on the floor any more")
    if math.dist(start[:2], end[:2]) < 0.05:
        problems.append("the rover did not move; is something in its way?")
    return problems


def position_of(body: str) -> tuple[float, float, float]:
    """Where PhysX has a rigid body, x, y, z [m]; USD is not always told."""
    from omni.physx import get_physx_interface

    pose = get_physx_interface().get_rigidbody_transformation(body)
    x, y, z = pose["position"] if pose["ret_val"] else (math.nan, math.nan, math.nan)
    return (x, y, z)


def place_robot(stage: Usd.Stage, robot: str | None, pose: SpawnPose) -> str | None:
    """Put the rover, or the USD of another robot, at a pose; path of the rover's body, None for another robot."""
    from pxr import Gf, UsdGeom

    if robot is None:
        return rover.add_rover(stage, "/World/Rover", pose.position, pose.yaw)
    place = UsdGeom.Xform.Define(stage, "/World/Robot")
    place.AddTranslateOp().Set(Gf.Vec3d(*pose.position))
    place.AddRotateZOp().Set(math.degrees(pose.yaw))
    stage.DefinePrim("/World/Robot/Asset").GetReferences().AddReference(robot)
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    parser = isaac_app.argument_parser(__doc__)
    parser.add_argument("--robot", help="path or URL of a robot's USD, shown instead of the driving rover")
    parser.add_argument("--steps", type=int, default=STEPS, help="frames to simulate (default: %(default)s)")
    options = parser.parse_args(arguments)
    app = isaac_app.start(options)

    import omni.timeline

    from lyra.sim.spawn_points import spawn_poses

    stage, scene = isaac_app.spawn_scene(app, options)
    body = place_robot(stage, options.robot, spawn_poses(stage, scene)[0])
    isaac_app.wait_until_loaded(app)
    omni.timeline.get_timeline_interface().play()
    problems = simulate(app, stage, body, options.steps)
    omni.timeline.get_timeline_interface().stop()
    example_app.finish(app, problems)


def simulate(app: SimulationApp, stage: Usd.Stage, body: str | None, steps: int) -> list[str]:
    """Let the robot settle and drive for so many frames; what is wrong with the result."""
    for _ in range(SETTLING_STEPS):
        app.update()
    start = position_of(body) if body else None
    if body:
        rover.drive(stage, body, forward=FORWARD)
    for _ in range(steps):
        app.update()
    return judge(start, position_of(body)) if body and start else []


if __name__ == "__main__":
    main()
