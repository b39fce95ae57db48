# SPDX-License-Identifier: Apache-2.0
"""The examples: help in any Python, and everything in them that needs no Kit, for real."""

from __future__ import annotations

import ast
import importlib
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdPhysics
from sim.started_kit import start, store_scene

from fake_kit import FakeKit
from lyra.sim.spawn_points import read_spawn_poses
from lyra.sim.stage_ops import SpawnRequest, spawn
from usd_export.robotics.ros_map import write_ros_map
from usd_export.rules.validation import check

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
ASSETS = EXAMPLES / "assets"
SAMPLES = {"particlefield": ASSETS / "sample_particlefield.usdz", "nurec": ASSETS / "sample_nurec.usdz"}
SHARED = {"example_app", "isaac_app", "lab_app", "rover"}
SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if path.stem not in SHARED)
SAMPLE_BYTES = 400_000


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports an example by its name, as `python examples/<name>.py` would find it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    before = set(sys.modules)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(EXAMPLES) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.fixture
def stage() -> Usd.Stage:
    """An empty stage as Isaac Sim makes one."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    return stage


# ------------------------------------------------------------------------------------------------------- all of them


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_help_teaches_without_kit(path: Path) -> None:
    shown = subprocess.run([sys.executable, str(path), "--help"], check=True, capture_output=True, text=True).stdout
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert docstring.splitlines()[0] in shown
    assert f"examples/{path.name}" in shown  # how to start it


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_example_is_listed_in_the_readme(path: Path) -> None:
    assert f"`{path.name}`" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_kit_is_imported_after_the_application_has_started(path: Path) -> None:
    """At the top of a file only Python itself, the shared parts, and lyra-sim's own packages in its own script."""
    allowed = {*sys.stdlib_module_names, *SHARED}
    allowed |= {"numpy", "torch", "lyra_core", "usd_export"} if path.name == "thin_scene.py" else set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert {name.split(".")[0] for name in names} <= allowed


FINISH = """
import sys
import example_app
class App:
    def close(self):
        sys.exit(0)  # what SimulationApp.close may do
example_app.finish(App(), sys.argv[1:])
"""


def test_the_exit_status_tells_success_from_failure() -> None:
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES)}

    def run(*problems: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", FINISH, *problems]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    failed = run("it fell over")
    assert failed.returncode == 1
    assert "FAILED: it fell over" in failed.stderr
    passed = run()
    assert passed.returncode == 0
    assert "PASSED" in passed.stdout


# ----------------------------------------------------------------------------------------------------- sample assets


@pytest.mark.parametrize("encoding", SAMPLES)
def test_samples_are_small_and_keep_all_rules(encoding: str) -> None:
    file = SAMPLES[encoding]
    assert file.stat().st_size <= SAMPLE_BYTES
    assert [finding for finding in check(file) if finding.severity == "error"] == []


@pytest.mark.parametrize(("encoding", "kind"), [("particlefield", "ParticleField3DGaussianSplat"), ("nurec", "Volume")])
def test_samples_hold_what_their_names_say(encoding: str, kind: str) -> None:
    stage = Usd.Stage.Open(str(SAMPLES[encoding]))
    types = [prim.GetTypeName() for prim in stage.Traverse()]
    assert kind in types
    assert UsdPhysics.CollisionAPI(stage.GetPrimAtPath("/World/Scene/Collision/mesh"))
    assert stage.GetPrimAtPath("/World/Scene").GetVariantSet("sensors").GetVariantNames() == ["proxy", "splats"]
    assert len(read_spawn_poses(SAMPLES[encoding])) >= 2


# ------------------------------------------------------------------------------------------------- a robot on the floor


def test_the_rover_stands_on_the_floor_and_fits_its_pose(example: Any, stage: Usd.Stage) -> None:
    rover = example("rover")
    rover.add_rover(stage, "/World/Rover", position=(1.0, 2.0, 0.0), yaw=math.pi / 2)
    box = UsdGeom.BBoxCache(0, [UsdGeom.Tokens.default_]).ComputeWorldBound(stage.GetPrimAtPath("/World/Rover"))
    low, high = box.ComputeAlignedRange().GetMin(), box.ComputeAlignedRange().GetMax()
    assert low[2] == pytest.approx(rover.CLEARANCE, abs=1e-6)
    assert max(math.dist((x, y), (1.0, 2.0)) for x in (low[0], high[0]) for y in (low[1], high[1])) < 0.25
    assert high[1] - low[1] == pytest.approx(rover.LENGTH)  # it faces +Y


def test_the_rover_is_one_articulation_with_two_motors(example: Any, stage: Usd.Stage) -> None:
    rover = example("rover")
    body = rover.add_rover(stage, "/World/Rover", (0.0, 0.0, 0.0), 0.0)
    prims = [prim for prim in stage.Traverse() if str(prim.GetPath()).startswith("/World/Rover")]
    assert sum(prim.HasAPI(UsdPhysics.ArticulationRootAPI) for prim in prims) == 1
    assert [prim.GetName() for prim in prims if prim.HasAPI(UsdPhysics.RigidBodyAPI)] == [
        "Body",
        "LeftWheel",
        "RightWheel",
    ]
    joints = [UsdPhysics.RevoluteJoint(prim) for prim in prims if prim.IsA(UsdPhysics.RevoluteJoint)]
    for joint in joints:
        ends = []
        for rel, local in (
            (joint.GetBody0Rel(), joint.GetLocalPos0Attr()),
            (joint.GetBody1Rel(), joint.GetLocalPos1Attr()),
        ):
            prim = UsdGeom.Xformable(stage.GetPrimAtPath(rel.GetTargets()[0]))
            ends.append(prim.ComputeLocalToWorldTransform(0).Transform(Gf.Vec3d(local.Get())))
        assert (ends[0] - ends[1]).GetLength() < 1e-6  # both bodies have the joint in the same place
    rover.drive(stage, body, forward=0.3, turn=1.0)
    speeds = {
        joint.GetPrim().GetName(): UsdPhysics.DriveAPI(joint.GetPrim(), "angular").GetTargetVelocityAttr().Get()
        for joint in joints
    }
    left, right = (math.radians(speeds[f"{side}WheelJoint"]) * rover.WHEEL_RADIUS for side in ("Left", "Right"))
    assert (left + right) / 2 == pytest.approx(0.3)
    assert (right - left) / rover.WHEEL_TRACK == pytest.approx(1.0)


def driven(rover: ModuleType, file: Path, seconds: float, **speeds: float) -> tuple[Any, float]:
    """Drive on a plane in Newton; where the body is then (x, y, z) and its yaw."""
    newton = pytest.importorskip("newton", reason="needs the physics extra: pip install lyra-sim[physics]")
    stage = Usd.Stage.CreateNew(str(file))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    rover.drive(stage, rover.add_rover(stage, "/World/Rover", (0.0, 0.0, 0.0), 0.0), **speeds)
    stage.Save()
    builder = newton.ModelBuilder(up_axis=newton.Axis.Z)
    builder.add_ground_plane()
    builder.add_usd(str(file))
    model = builder.finalize(device="cpu")
    pipeline, solver = newton.CollisionPipeline(model), newton.solvers.SolverXPBD(model, iterations=8)
    contacts, state, following = pipeline.contacts(), model.state(), model.state()
    newton.eval_fk(model, model.joint_q, model.joint_qd, state)
    for _ in range(round(seconds * 240)):
        state.clear_forces()
        pipeline.collide(state, contacts)
        solver.step(state, following, model.control(), contacts, 1 / 240)
        state, following = following, state
    x, y, z, *quaternion = state.body_q.numpy()[0].tolist()
    return (x, y, z), 2 * math.atan2(quaternion[2], quaternion[3])


def test_the_rover_drives_in_a_real_physics_engine(example: Any, tmp_path: Path) -> None:
    rover = example("rover")
    (x, y, z), yaw = driven(rover, tmp_path / "ahead.usda", 1.0, forward=0.25)
    assert 0.15 < x < 0.30
    assert abs(y) < 0.02
    assert abs(yaw) < 0.05
    assert z == pytest.approx(0.08, abs=0.01)  # it neither sank in nor took off
    _, left = driven(rover, tmp_path / "left.usda", 0.25, forward=0.0, turn=1.0)
    assert left > 0.05


def test_the_judge_of_the_rover_can_fail(example: Any) -> None:
    judge = example("isaac_sim_standalone").judge
    assert judge((0, 0, 0.1), (0.5, 0.5, 0.1)) == []
    assert "did not move" in judge((0, 0, 0.1), (0.01, 0, 0.1))[0]
    assert "not on the floor" in judge((0, 0, 0.1), (1.0, 0, -4.0))[0]
    assert judge((0, 0, 0.1), (math.nan, 0, 0)) != []


def test_another_robot_is_put_at_the_pose(example: Any, stage: Usd.Stage) -> None:
    pose = read_spawn_poses(SAMPLES["particlefield"])[1]
    assert example("isaac_sim_standalone").place_robot(stage, str(SAMPLES["nurec"]), pose) is None
    place = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Robot/Asset")).ComputeLocalToWorldTransform(0)
    assert tuple(place.ExtractTranslation()) == pytest.approx(pose.position)
    ahead = place.GetRow3(0)
    assert math.atan2(ahead[1], ahead[0]) == pytest.approx(pose.yaw)


# ----------------------------------------------------------------------------------------------------- hybrid sensors


def test_viewpoints_stay_inside_the_trusted_box(example: Any) -> None:
    box = {"min": [-1.0, -2.0, 1.0], "max": [1.0, 0.0, 2.0], "count": 9}
    points = example("replicator_hybrid_sensors").viewpoints(box, 4)
    assert len(set(points)) == 4
    assert all(-0.5 <= x <= 0.5 and (y, z) == (-1.0, 1.5) for x, y, z in points)


def test_the_sensor_camera_looks_ahead(example: Any, stage: Usd.Stage) -> None:
    module = example("replicator_hybrid_sensors")
    camera = module.add_camera(stage)
    ahead = camera.ComputeLocalToWorldTransform(0).TransformDir(Gf.Vec3d(0, 0, -1))
    assert (ahead - Gf.Vec3d(0, 1, 0)).GetLength() < 1e-6
    gf = camera.GetCamera(0)
    assert gf.GetFieldOfView(Gf.Camera.FOVHorizontal) == pytest.approx(module.FIELD_OF_VIEW, abs=1e-3)
    assert gf.aspectRatio == pytest.approx(module.SIZE[0] / module.SIZE[1], rel=1e-5)


def test_switching_sensors_hides_the_splats_of_a_real_scene(example: Any, stage: Usd.Stage) -> None:
    scene = spawn(stage, SpawnRequest(SAMPLES["particlefield"])).prim_path
    seen = {}
    for variant in ("splats", "proxy"):
        example("replicator_hybrid_sensors").select_sensors(stage, scene, variant)
        purpose = UsdGeom.Imageable(stage.GetPrimAtPath(f"{scene}/Asset/Scene/Collision/surfaces")).ComputePurpose()
        gaussians = UsdGeom.Imageable(stage.GetPrimAtPath(f"{scene}/Asset/Scene/Gaussians"))
        seen[variant] = (str(gaussians.ComputeVisibility()), str(purpose))
    assert seen == {"splats": ("inherited", "guide"), "proxy": ("invisible", "default")}


def test_the_judge_of_a_frame_can_fail(example: Any) -> None:
    judge = example("replicator_hybrid_sensors").judge
    picture = np.random.default_rng(0).integers(0, 255, (8, 8, 4), dtype=np.uint8)
    depth, classes = np.ones((8, 8), np.float32), np.full((8, 8), 3, np.uint32)
    assert judge(picture, depth, classes, {3}) == []
    assert "one colour" in judge(np.zeros_like(picture), depth, classes, {3})[0]
    assert "depth" in judge(picture, np.full_like(depth, np.inf), classes, {3})[0]
    assert "floor" in judge(picture, depth, classes, {4})[0]


def test_a_frame_is_written(example: Any, tmp_path: Path) -> None:
    frame = {
        "rgb": np.full((4, 6, 4), 9, np.uint8),
        "depth": np.ones((4, 6), np.float32),
        "classes": np.zeros((4, 6), np.uint32),
        "labels": {0: "floor"},
    }
    example("replicator_hybrid_sensors").save(tmp_path, 7, frame)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("classes_0007.npy", "depth_0007.npy", "labels.json", "rgb_0007.png")
    ]
    assert np.load(tmp_path / "depth_0007.npy").shape == (4, 6)


# -------------------------------------------------------------------------------------------------------------- ROS 2


def test_the_map_is_the_one_that_lyra_export_writes(example: Any, stage: Usd.Stage, tmp_path: Path) -> None:
    module = example("ros2_bridge")
    scene = spawn(stage, SpawnRequest(SAMPLES["particlefield"])).prim_path
    grid = module.read_map(stage, scene)
    module.write_map(tmp_path / "ours", grid)
    cells = np.array(grid["data"]).reshape(grid["height"], grid["width"])
    (tmp_path / "theirs").mkdir()
    write_ros_map(tmp_path / "theirs", cells == 0, cells == 100, np.array(grid["origin"])[:2], grid["resolution"])
    assert (tmp_path / "ours" / "map.pgm").read_bytes() == (tmp_path / "theirs" / "map.pgm").read_bytes()
    settings = [
        dict(line.split(": ", 1) for line in (tmp_path / name / "map.yaml").read_text().splitlines())
        for name in ("ours", "theirs")
    ]
    assert settings[0] == settings[1]
    assert {0, 100} <= set(cells.ravel().tolist())


def test_a_scene_without_a_map_says_so(example: Any, stage: Usd.Stage) -> None:
    from lyra.sim.errors import LyraSimError

    stage.DefinePrim("/World/Other", "Xform")
    with pytest.raises(LyraSimError, match="without a collider"):
        example("ros2_bridge").read_map(stage, "/World/Other")


@pytest.mark.parametrize("yaw", [0.0, 1.2, math.pi / 2, -2.5])
def test_the_camera_frame_is_where_the_camera_is(example: Any, stage: Usd.Stage, yaw: float) -> None:
    """The transform told to ROS has optical axes: z where the camera looks, x right, y down."""
    module = example("ros2_bridge")
    module.add_camera(stage, (1.0, 2.0, 1.2), yaw)
    camera = UsdGeom.Xformable(stage.GetPrimAtPath(module.CAMERA)).ComputeLocalToWorldTransform(0)
    command = module.ros_commands(Path("map.yaml"), (1.0, 2.0, 1.2), yaw)[1].split()
    told = {
        command[i][2:]: float(command[i + 1])
        for i in range(len(command))
        if command[i][:3] in ("--x", "--y", "--z", "--q")
    }
    quaternion = Gf.Quatd(told["qw"], told["qx"], told["qy"], told["qz"])
    for optical, own in (((0, 0, 1), (0, 0, -1)), ((1, 0, 0), (1, 0, 0)), ((0, 1, 0), (0, -1, 0))):
        found = Gf.Rotation(quaternion).TransformDir(Gf.Vec3d(*optical))
        assert (found - camera.TransformDir(Gf.Vec3d(*own))).GetLength() < 1e-5
    assert camera.TransformDir(Gf.Vec3d(0, 0, -1))[2] == pytest.approx(0.0, abs=1e-9)
    assert (told["x"], told["y"], told["z"]) == (1.0, 2.0, 1.2)


# ---------------------------------------------------------------------------------------------------------- Isaac Lab


def test_every_environment_changes_its_room(example: Any) -> None:
    module = example("isaaclab_randomisation")
    poses = read_spawn_poses(SAMPLES["particlefield"])
    rooms = [[pose.moved(offset) for pose in poses] for offset in module.offsets(3, 50.0)]
    generator = random.Random(0)
    episodes = [module.choose_places(rooms, 4, episode, generator) for episode in range(3)]
    for environment in range(4):
        assert {numbers[environment] for numbers, _ in episodes} == {0, 1, 2}
    for numbers, places in episodes:
        assert all(place in rooms[number] for number, place in zip(numbers, places, strict=True))


def test_rooms_stand_around_the_middle(example: Any) -> None:
    assert example("isaaclab_randomisation").offsets(3, 50.0) == [(-50.0, 0, 0), (0.0, 0, 0), (50.0, 0, 0)]


def test_the_judge_of_the_rooms_can_fail(example: Any) -> None:
    judge = example("isaaclab_randomisation").judge
    assert judge({0, 1}, 2, [0.1, 0.12]) == []
    assert "[1]" in judge({0}, 2, [0.1])[0]
    assert "1 boxes" in judge({0, 1}, 2, [0.1, -3.0])[0]


def test_the_hand_written_policy_turns_before_it_drives(example: Any) -> None:
    torch = pytest.importorskip("torch")
    actions = example("isaaclab_environment").steer(torch.tensor([[2.0, 0.0], [2.0, math.pi / 2], [0.0, 0.0]]))
    assert actions[0].tolist() == pytest.approx([1.0, 0.0])
    assert actions[1].tolist() == pytest.approx([0.0, 1.0], abs=1e-6)
    assert actions[2].tolist() == pytest.approx([0.0, 0.0])


# ------------------------------------------------------------------------------------------------------ in a fake Kit


class Application:
    """What the examples use of SimulationApp, around the fake Kit."""

    def __init__(self, kit: FakeKit) -> None:
        self.update = kit.app.pump


def test_a_stored_scene_is_spawned_with_physics_and_light(example: Any, kit: FakeKit, tmp_path: Path) -> None:
    start(kit, tmp_path)
    module = example("isaac_app")
    options = module.argument_parser("a").parse_args(["--scene", str(store_scene(tmp_path / "kitchen"))])
    stage, path = module.spawn_scene(Application(kit), options, sensors="hybrid")
    module.wait_until_loaded(Application(kit))
    assert stage.GetPrimAtPath(f"{path}/Asset/Scene/Collision/mesh").HasAPI(UsdPhysics.CollisionAPI)
    assert stage.GetPrimAtPath(f"{path}/Asset/Scene").GetVariantSet("sensors").GetVariantSelection() == "proxy"
    assert [prim.GetTypeName() for prim in stage.Traverse()].count("PhysicsScene") == 1
    assert stage.GetPrimAtPath("/World/SkyLight").GetAttribute("inputs:intensity").Get() > 0


def test_a_prompt_is_generated_while_the_application_lives(example: Any, kit: FakeKit, tmp_path: Path) -> None:
    start(kit, tmp_path)
    module = example("isaac_app")
    options = module.argument_parser("a").parse_args(["a small kitchen", "--seed", "5"])
    stage, path = module.spawn_scene(Application(kit), options)
    assert stage.GetPrimAtPath(path).GetCustomDataByKey("lyra:provenance:seed") == 5
