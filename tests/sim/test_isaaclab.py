# SPDX-License-Identifier: Apache-2.0
"""`lyra.sim.isaaclab`: one scene per prompt, shared by all environments, with Isaac Lab's own field names."""

from __future__ import annotations

import ast
import importlib.metadata
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pxr import Usd, UsdGeom
from sim.fake_worker import make_interpreter
from sim.lab_source import FUNCTIONS, SOURCES, read_class, read_parameters
from sim.lab_stand_in import FACTS, Lab, all_fields
from sim.started_kit import store_scene

from lyra.sim.errors import LyraSimError
from lyra.sim.isaaclab.orientation import quaternion_from_yaw
from lyra.sim.spawn_points import SpawnPose, read_spawn_poses, spawn_poses
from lyra.sim.stage_ops import SpawnRequest, spawn

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "assets" / "sample_particlefield.usdz"
PACKAGE = ROOT / "exts" / "lyra.sim" / "lyra" / "sim" / "isaaclab"
LAB_FILES = [*sorted(PACKAGE.glob("*.py")), *sorted((ROOT / "examples").glob("*lab*.py"))]
OURS = {
    *("prompt", "seed", "model", "max_gaussians", "collider_preset", "camera_height_m"),
    *("encoding", "collision", "sensors", "pinned_for"),
}


@pytest.fixture(params=["2", "3"])
def lab(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Isaac Lab's modules, with the order of quaternions of both major versions."""
    lab = Lab(request.param)
    for name, module in lab.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield lab
    sys.modules.pop("lyra.sim.isaaclab.scene_cfg", None)


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the scenes of a worker go that is asked for one."""
    monkeypatch.setenv("LYRA_WORKER_PYTHON", str(make_interpreter(tmp_path)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lyra"


def made(scenes: Path) -> int:
    """How many scenes the worker has made."""
    return len(list(scenes.glob("*/manifest.json")))


def scene_cfg(**fields: Any) -> Any:
    from lyra.sim.isaaclab import LyraSceneCfg

    return LyraSceneCfg(**fields)


# ----------------------------------------------------------------------------------------------- from prompt to file


def test_importing_it_needs_no_isaac_lab(extension_path: Path) -> None:
    code = (
        "import sys, lyra.sim.spawn_points, lyra.sim.isaaclab.scenes\n"
        "lyra.sim.isaaclab.quaternion_from_yaw\n"
        "heavy = {'isaaclab', 'omni', 'pxr', 'torch', 'numpy'} & {name.split('.')[0] for name in sys.modules}\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(extension_path)})


def test_a_prompt_is_generated_once_and_then_found(lab: Lab, scenes: Path) -> None:
    first, second = scene_cfg(prompt="a kitchen", seed=4), scene_cfg(prompt="a kitchen", seed=4)
    path = first.resolve()
    assert Path(path).is_file()
    assert first.usd_path == path
    assert second.resolve() == path
    assert made(scenes) == 1


def test_words_around_a_prompt_do_not_make_another_scene(lab: Lab, scenes: Path) -> None:
    first, second = scene_cfg(prompt="a kitchen"), scene_cfg(prompt="  a kitchen\n")
    assert first.resolve() == second.resolve()
    assert made(scenes) == 1


@pytest.mark.parametrize(
    "change", [{"seed": 5}, {"prompt": "a yard"}, {"max_gaussians": 1000}, {"collider_preset": "object"}]
)
def test_what_changes_the_scene_makes_another(lab: Lab, scenes: Path, change: dict[str, Any]) -> None:
    cfg = scene_cfg(prompt="a kitchen", seed=4)
    path = cfg.resolve()
    assert cfg.replace(**change).resolve() != path  # though the copy has the old file in usd_path
    assert made(scenes) == 2


def test_a_copy_keeps_the_file(lab: Lab, scenes: Path) -> None:
    cfg = scene_cfg(prompt="a kitchen")
    path = cfg.resolve()
    assert (cfg.copy().usd_path, cfg.copy().resolve()) == (path, path)


def test_the_file_is_that_of_the_encoding(lab: Lab, scenes: Path) -> None:
    assert Path(scene_cfg(prompt="a kitchen", encoding="particlefield").resolve()).name == "scene.usda"
    assert Path(scene_cfg(prompt="a kitchen", encoding="nurec").resolve()).name == "scene_isaac5.usda"
    assert made(scenes) == 1


def test_a_file_that_is_gone_is_made_again(lab: Lab, scenes: Path) -> None:
    cfg = scene_cfg(prompt="a kitchen")
    Path(cfg.resolve()).unlink()
    assert Path(cfg.resolve()).is_file()
    assert made(scenes) == 2


def test_a_failed_generation_is_an_error(lab: Lab, scenes: Path) -> None:
    cfg = scene_cfg(prompt="do: out_of_memory")
    with pytest.raises(LyraSimError, match="choose mini"):
        cfg.resolve()
    assert cfg.usd_path == ""


def test_prompt_and_file_exclude_each_other(lab: Lab, tmp_path: Path) -> None:
    usd = store_scene(tmp_path / "a") / "scene" / "scene.usda"
    assert scene_cfg(usd_path=str(usd), encoding="nurec").resolve() == str(usd.with_name("scene_isaac5.usda"))
    with pytest.raises(LyraSimError, match="give one of the two"):
        scene_cfg(usd_path=str(usd), prompt="a kitchen").resolve()
    with pytest.raises(LyraSimError, match="needs a prompt"):
        scene_cfg().resolve()
    with pytest.raises(LyraSimError, match="nothing to generate"):
        scene_cfg(prompt=" ").resolve()
    with pytest.raises(LyraSimError, match="missing"):
        scene_cfg(usd_path=str(tmp_path / "missing.usda")).resolve()


# -------------------------------------------------------------------------------------------------------- on a stage


def test_spawning_chooses_the_variants(lab: Lab, tmp_path: Path) -> None:
    usd = store_scene(tmp_path / "a") / "scene" / "scene.usda"
    cfg = scene_cfg(usd_path=str(usd), encoding="particlefield", sensors="hybrid", collision="none")
    prim = cfg.func("/World/LyraScene", cfg, translation=(1.0, 2.0, 0.0), orientation=(1, 2, 3, 4))
    assert lab.spawned == [("/World/LyraScene", (1.0, 2.0, 0.0), (1, 2, 3, 4))]
    assert prim.GetVariantSet("encoding").GetVariantSelection() == "particlefield"
    assert lab.stage.GetPrimAtPath("/World/LyraScene/Scene").GetVariantSet("sensors").GetVariantSelection() == "proxy"
    collider = lab.stage.GetPrimAtPath("/World/LyraScene/Scene/Collision/mesh")
    assert collider.GetAttribute("physics:collisionEnabled").Get() is False


def test_a_scene_collides_and_is_seen_unless_told_otherwise(lab: Lab, tmp_path: Path) -> None:
    usd = store_scene(tmp_path / "a") / "scene" / "scene.usda"
    cfg = scene_cfg(usd_path=str(usd), encoding="particlefield")
    cfg.func("/World/LyraScene", cfg)
    collider = lab.stage.GetPrimAtPath("/World/LyraScene/Scene/Collision/mesh")
    assert not collider.GetAttribute("physics:collisionEnabled").HasAuthoredValue()
    assert lab.stage.GetPrimAtPath("/World/LyraScene/Scene").GetVariantSet("sensors").GetVariantSelection() == "splats"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": (1.0, 2.0, 1.0)}, "one factor"),
        ({"sensors": "lidar"}, "camera, hybrid"),
        ({"collision": "sdf"}, "mesh, none"),
        ({"encoding": "jpeg"}, "no encoding 'jpeg'"),
    ],
)
def test_what_cannot_be_spawned_is_refused(lab: Lab, tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    usd = store_scene(tmp_path / "a") / "scene" / "scene.usda"
    cfg = scene_cfg(usd_path=str(usd), **fields)
    with pytest.raises(LyraSimError, match=message):
        cfg.func("/World/LyraScene", cfg)
    assert lab.spawned == []


def test_a_scene_without_the_encoding_is_refused(lab: Lab) -> None:
    cfg = scene_cfg(usd_path=str(SAMPLE), encoding="nurec")
    with pytest.raises(LyraSimError, match="draws nurec"):
        cfg.func("/World/LyraScene", cfg)


@pytest.mark.parametrize(
    "path", ["/World/envs/env_.*/Scene", "{ENV_REGEX_NS}/Scene", "/World/envs/env_0/Scene", "Scene"]
)
def test_a_path_of_single_environments_is_refused(lab: Lab, path: str) -> None:
    from lyra.sim.isaaclab import shared_scene

    cfg = scene_cfg(usd_path=str(SAMPLE))
    for spawn_it in (lambda: cfg.func(path, cfg), lambda: shared_scene(cfg, path)):
        with pytest.raises(LyraSimError, match="collision_group=-1"):
            spawn_it()


def test_the_shared_scene_collides_with_every_environment(lab: Lab) -> None:
    from lyra.sim.isaaclab import collision_mesh_path, shared_scene

    entry = shared_scene(scene_cfg(usd_path=str(SAMPLE)), position=(3.0, 0.0, 0.0), yaw=math.pi / 2)
    assert (entry.collision_group, entry.prim_path, entry.init_state.pos) == (-1, "/World/LyraScene", (3.0, 0.0, 0.0))
    assert entry.spawn.usd_path == str(SAMPLE)
    half = math.sqrt(0.5)
    lab2 = lab.modules["isaaclab.assets"].AssetBaseCfg.InitialStateCfg().rot == (1.0, 0.0, 0.0, 0.0)
    assert entry.init_state.rot == pytest.approx((half, 0, 0, half) if lab2 else (0, 0, half, half))
    stage = Usd.Stage.Open(str(SAMPLE))
    inside = collision_mesh_path("/World").removeprefix("/World/")
    assert stage.GetDefaultPrim().GetPrimAtPath(inside).IsA(UsdGeom.Mesh)


def test_a_quaternion_needs_an_identity() -> None:
    assert quaternion_from_yaw(0.0, (0, 0, 0, 1)) == (0, 0, 0, 1)
    with pytest.raises(ValueError, match="first or last"):
        quaternion_from_yaw(0.0, (0, 1, 0, 0))


# ------------------------------------------------------------------------------------------------------- spawn poses


def test_spawn_poses_of_a_real_scene_are_on_its_floor() -> None:
    """Checked against the scene's own map: the cell of every pose is free, and so is half a metre ahead."""
    poses = read_spawn_poses(SAMPLE)
    stage = Usd.Stage.Open(str(SAMPLE))
    grid = stage.GetPrimAtPath("/World/Scene/Robotics").GetCustomDataByKey("lyra:robotics:occupancy")

    def cell(x: float, y: float) -> int:
        column, row = ((value - low) / grid["resolution"] for value, low in zip((x, y), grid["origin"], strict=False))
        return grid["data"][int(row) * grid["width"] + int(column)]

    assert len(poses) >= 2
    for pose in poses:
        x, y, z = pose.position
        assert z == pytest.approx(0.0, abs=1e-6)
        assert cell(x, y) == 0
        assert cell(x + 0.5 * math.cos(pose.yaw), y + 0.5 * math.sin(pose.yaw)) == 0


@pytest.mark.parametrize("metres_per_unit", [1.0, 0.01])
def test_spawn_poses_follow_a_scene_that_was_moved(metres_per_unit: float) -> None:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, metres_per_unit)
    place = (2.0 / metres_per_unit, -1.0 / metres_per_unit, 0.5 / metres_per_unit)
    spawned = spawn(stage, SpawnRequest(SAMPLE, translate=place, rotate_xyz_deg=(0, 0, 90)))
    expected = [pose.moved((2.0, -1.0, 0.5), math.pi / 2) for pose in read_spawn_poses(SAMPLE)]
    found = spawn_poses(stage, spawned.prim_path)
    assert len(found) == len(expected)
    for pose, wanted in zip(found, expected, strict=True):
        assert pose.position == pytest.approx(wanted.position, abs=1e-5)
        assert math.cos(pose.yaw - wanted.yaw) == pytest.approx(1.0)


def test_moving_a_pose_turns_it_about_the_origin() -> None:
    moved = SpawnPose((1.0, 0.0, 0.0), math.pi).moved((10.0, 0.0, 0.0), math.pi / 2)
    assert moved.position == pytest.approx((10.0, 1.0, 0.0))
    assert moved.yaw == pytest.approx(-math.pi / 2)


def test_a_scene_without_poses_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LyraSimError, match="--ground-check"):
        read_spawn_poses(store_scene(tmp_path / "a") / "scene" / "scene.usda")
    with pytest.raises(LyraSimError, match="no default prim"):
        read_spawn_poses(_empty_stage(tmp_path))
    with pytest.raises(LyraSimError, match="cannot be opened"):
        read_spawn_poses(tmp_path / "missing.usda")
    turned = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(turned, UsdGeom.Tokens.y)
    with pytest.raises(LyraSimError, match="Z-up"):
        spawn_poses(turned, "/World")


def _empty_stage(folder: Path) -> Path:
    file = folder / "empty.usda"
    file.write_text("#usda 1.0\n")
    return file


# ------------------------------------------------------------------------------------------ Isaac Lab's own names


def test_our_fields_hide_none_of_isaac_labs(lab: Lab) -> None:
    import dataclasses

    ours = {field.name for field in dataclasses.fields(scene_cfg())}
    assert ours == set(all_fields("UsdFileCfg")) | OURS
    assert not OURS & set(all_fields("UsdFileCfg"))


def cfg_calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(class, keyword) of every call of an Isaac Lab class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in FACTS["classes"]:
                yield from ((name, keyword.arg) for keyword in node.keywords if keyword.arg)


def cfg_overrides(tree: ast.AST) -> Iterator[tuple[str, str, bool]]:
    """(base, member, whether it is a method) of every class of ours that derives from one of Isaac Lab's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in {ast.unparse(base).rpartition(".")[2] for base in node.bases} & FACTS["classes"].keys():
                for item in node.body:
                    if isinstance(item, ast.FunctionDef):
                        yield base, item.name, True
                    elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                        yield base, item.target.id, False


@pytest.mark.parametrize("path", LAB_FILES, ids=lambda path: path.name)
def test_keywords_are_fields_of_isaac_lab(path: Path) -> None:
    unknown = [
        f"{name}({keyword}=)"
        for name, keyword in cfg_calls(ast.parse(path.read_text(encoding="utf-8")))
        if keyword not in all_fields(name)
    ]
    assert unknown == []


def test_members_of_derived_classes_are_isaac_labs_or_ours() -> None:
    added = {"RoomSceneCfg": {"room", "robot"}, "RoomsSceneCfg": {"robot"}}
    unknown = []
    for path in LAB_FILES:
        for base, member, is_method in cfg_overrides(ast.parse(path.read_text(encoding="utf-8"))):
            known = set(FACTS["classes"][base]["methods"]) if is_method else set(all_fields(base))
            allowed = known | OURS | {"resolve", "_request"} | set().union(*added.values())
            unknown += [] if member in allowed else [f"{base}.{member}"]
    assert unknown == []


def test_the_checks_of_names_see_something() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in LAB_FILES]
    assert ("AssetBaseCfg", "collision_group") in {call for tree in trees for call in cfg_calls(tree)}
    overridden = {(base, member) for tree in trees for base, member, _ in cfg_overrides(tree)}
    assert {("UsdFileCfg", "usd_path"), ("DirectRLEnvCfg", "decimation"), ("DirectRLEnv", "_reset_idx")} <= overridden
    invented = ast.parse("AssetBaseCfg(collisiongroup=-1)")
    assert [keyword for name, keyword in cfg_calls(invented) if keyword not in all_fields(name)] == ["collisiongroup"]


def test_methods_that_the_examples_call_exist() -> None:
    used = {
        "RigidObject": {"write_root_pose_to_sim", "write_root_velocity_to_sim", "data"},
        "RigidObjectData": {"root_pos_w", "root_lin_vel_w", "heading_w"},
        "InteractiveScene": {"reset", "update", "write_data_to_sim"},
        "SimulationContext": {"reset", "step"},
        "DirectRLEnv": {"reset", "step", "close", "device", "num_envs", "max_episode_length"},
    }
    text = "\n".join(path.read_text(encoding="utf-8") for path in LAB_FILES)
    for name, members in used.items():
        assert members <= set(FACTS["classes"][name]["methods"])
        assert all(f".{member}" in text for member in members)


def test_the_spawn_function_takes_what_isaac_labs_takes() -> None:
    tree = ast.parse((PACKAGE / "scene_cfg.py").read_text(encoding="utf-8"))
    ours = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "spawn_lyra_scene")
    rest = f"**{ours.args.kwarg.arg}" if ours.args.kwarg else ""
    assert [*(argument.arg for argument in ours.args.args), rest] == FACTS["functions"]["spawn_from_usd"]


def _installed_isaac_lab() -> Path | None:
    try:
        files = importlib.metadata.distribution(FACTS["package"]).files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [file for file in files if file.parts[-3:] == ("isaaclab", "isaaclab", "__init__.py")]
    return Path(str(found[0].locate())).parent if found else None


@pytest.mark.skipif(_installed_isaac_lab() is None, reason="Isaac Lab is not installed; its facts are in a data file")
def test_the_facts_are_those_of_the_installed_isaac_lab() -> None:
    """Read, not imported; with another version the differences are what has to be looked at."""
    package = _installed_isaac_lab()
    assert package is not None
    for name in SOURCES:
        found, facts = read_class(package, name), FACTS["classes"][name]
        assert set(facts["fields"]) <= set(found.fields), name
        assert set(facts["methods"]) <= set(found.methods), name
    for name in FUNCTIONS:
        assert read_parameters(package, name) == FACTS["functions"][name]
