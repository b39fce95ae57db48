# SPDX-License-Identifier: Apache-2.0
"""A generated scene for a ROS 2 stack: its occupancy map as a file, an RGB-D camera as topics.

    ~/isaacsim/python.sh examples/ros2_bridge.py "a small kitchen with a red fridge" --out ros --gui

Every scene with a collider carries a map of where a robot can drive, made from the same collider. This script writes it
as ROS' map_server loads it, starts the ROS 2 bridge with a camera that looks into the scene, and prints the two
commands that make map and camera known to ROS. Topics: /rgb, /depth (metres), /camera_info, /clock.

Colour and depth come from one render, so both show the labelled meshes (variant `proxy`): splats have no depth that
means anything. `--sensors camera` publishes colour from the splats and no depth.

It checks itself: the map must have free cells, and the bridge's graph must have made its render product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import example_app
import isaac_app

if TYPE_CHECKING:
    from pxr import Usd

GRAPH = "/World/RosGraph"
CAMERA = "/World/RosCamera"
FRAME = "sim_camera"
SIZE = (640, 480)
CAMERA_HEIGHT = 1.2
"""Metres above the spawn pose."""

GREY = {0: 254, 100: 0, -1: 205}
"""Free, occupied and unknown cells as the grey values of ROS' map files."""


def read_map(stage: Usd.Stage, scene: str) -> dict[str, Any]:
    """The scene's occupancy grid: `width`, `height`, `resolution` [m], `origin` [m] and `data`, row 0 at lowest y.

    Raises:
        LyraSimError: If the scene has none.
    """
    from lyra.sim.errors import LyraSimError

    for place in ("Scene/Robotics", "Asset/Scene/Robotics"):
        prim = stage.GetPrimAtPath(f"{scene}/{place}")
        grid = prim.GetCustomDataByKey("lyra:robotics:occupancy") if prim else None
        if grid:
            return dict(grid)
    raise LyraSimError(f"{scene} has no occupancy map; it was made without a collider")


def write_map(folder: Path, grid: Mapping[str, Any]) -> Path:
    """Write `map.yaml` and `map.pgm`; returns the first, which names the second."""
    width, height = grid["width"], grid["height"]
    rows = [bytes(GREY[cell] for cell in grid["data"][row * width : (row + 1) * width]) for row in range(height)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "map.pgm").write_bytes(f"P5\n{width} {height}\n255\n".encode() + b"".join(reversed(rows)))
    x, y, _ = grid["origin"]
    file = folder / "map.yaml"
    file.write_text(
        f"image: map.pgm\nmode: trinary\nresolution: {grid['resolution']:.6f}\norigin: [{x:.6f}, {y:.6f}, 0.000000]\n"
        "negate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.196\n",
        encoding="ascii",
    )
    return file


def ros_commands(map_file: Path, position: Sequence[float], yaw: float) -> list[str]:
    """Commands for a ROS 2 terminal: serve the map, and say where the camera is (optical axes: z ahead, y down).

    Args:
        map_file: From `write_map`.
        position: Of the camera, x, y, z in the map, metres.
        yaw: Where it looks, radians; 0 is +x.
    """
    half = (yaw - math.pi / 2) / 2
    # a turn by yaw - 90 degrees about z, after the one from optical axes to a camera that looks along +y
    w, z = math.cos(half) * math.sqrt(0.5), math.sin(half) * math.sqrt(0.5)
    quaternion = (-w, -z, z, w)
    place = " ".join(f"--{axis} {value:.4f}" for axis, value in zip("xyz", position, strict=True))
    turn = " ".join(f"--q{axis} {value:.6f}" for axis, value in zip("xyzw", quaternion, strict=True))
    return [
        f"ros2 run nav2_map_server map_server --ros-args -p yaml_filename:={map_file}",
        f"ros2 run tf2_ros static_transform_publisher {place} {turn} --frame-id map --child-frame-id {FRAME}",
    ]


def add_camera(stage: Usd.Stage, position: Sequence[float], yaw: float) -> None:
    """A camera that looks along a heading, level."""
    from pxr import Gf, UsdGeom

    camera = UsdGeom.Camera.Define(stage, CAMERA)
    camera.CreateVerticalApertureAttr(camera.GetHorizontalApertureAttr().Get() * SIZE[1] / SIZE[0])
    camera.CreateFocalLengthAttr(16.0)
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.05, 1000.0))
    camera.AddTranslateOp().Set(Gf.Vec3d(*position))
    camera.AddRotateXYZOp().Set(Gf.Vec3f(90.0, 0.0, math.degrees(yaw) - 90.0))  # USD cameras look along -Z


def add_graph(depth: bool) -> None:
    """The bridge's OmniGraph: clock, colour, camera info and, if wanted, depth."""
    import omni.graph.core as og
    import usdrt.Sdf

    keys = og.Controller.Keys
    images = {"rgb": "rgb", "depth": "depth"} if depth else {"rgb": "rgb"}
    helpers = [*images, "camera_info"]
    og.Controller.edit(
        {"graph_path": GRAPH, "evaluator_name": "execution"},
        {
            keys.CREATE_NODES: [
                ("tick", "omni.graph.action.OnPlaybackTick"),
                ("time", "isaacsim.core.nodes.IsaacReadSimulationTime"),
                ("clock", "isaacsim.ros2.bridge.ROS2PublishClock"),
                ("render", "isaacsim.core.nodes.IsaacCreateRenderProduct"),
                ("camera_info", "isaacsim.ros2.bridge.ROS2CameraInfoHelper"),
                *((name, "isaacsim.ros2.bridge.ROS2CameraHelper") for name in images),
            ],
            keys.CONNECT: [
                ("tick.outputs:tick", "clock.inputs:execIn"),
                ("time.outputs:simulationTime", "clock.inputs:timeStamp"),
                ("tick.outputs:tick", "render.inputs:execIn"),
                *(("render.outputs:execOut", f"{name}.inputs:execIn") for name in helpers),
                *(("render.outputs:renderProductPath", f"{name}.inputs:renderProductPath") for name in helpers),
            ],
            keys.SET_VALUES: [
                ("render.inputs:cameraPrim", [usdrt.Sdf.Path(CAMERA)]),
                ("render.inputs:width", SIZE[0]),
                ("render.inputs:height", SIZE[1]),
                *((f"{name}.inputs:type", kind) for name, kind in images.items()),
                *((f"{name}.inputs:topicName", name) for name in helpers),
                *((f"{name}.inputs:frameId", FRAME) for name in helpers),
            ],
        },
    )


def render_product() -> str:
    """Path of the render product that the graph made; empty if it made none."""
    import omni.graph.core as og

    return str(og.Controller.attribute(f"{GRAPH}/render.outputs:renderProductPath").get() or "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    parser = isaac_app.argument_parser(__doc__)
    parser.add_argument("--out", type=Path, default=Path("ros"), help="folder for the map (default: %(default)s)")
    parser.add_argument("--sensors", choices=("hybrid", "camera"), default="hybrid", help="see above")
    parser.add_argument("--steps", type=int, default=600, help="frames; 0 runs until the window is closed")
    options = parser.parse_args(arguments)
    app = isaac_app.start(options, "isaacsim.ros2.bridge")

    import omni.timeline

    from lyra.sim.spawn_points import spawn_poses

    stage, scene = isaac_app.spawn_scene(app, options, sensors=options.sensors)
    grid = read_map(stage, scene)
    pose = spawn_poses(stage, scene)[0]
    position = (*pose.position[:2], pose.position[2] + CAMERA_HEIGHT)
    map_file = write_map(options.out.absolute(), grid)
    add_camera(stage, position, pose.yaw)
    add_graph(depth=options.sensors == "hybrid")
    print("In a terminal with ROS 2:", *ros_commands(map_file, position, pose.yaw), sep="\n  ")
    isaac_app.wait_until_loaded(app)
    omni.timeline.get_timeline_interface().play()
    frames = 0
    while app.is_running() and (options.steps == 0 or frames < options.steps):
        app.update()
        frames += 1
    problems = [] if 0 in grid["data"] else ["no cell of the map is free"]
    problems += [] if render_product() else ["the graph made no render product; is isaacsim.ros2.bridge enabled?"]
    omni.timeline.get_timeline_interface().stop()
    example_app.finish(app, problems)


if __name__ == "__main__":
    main()
