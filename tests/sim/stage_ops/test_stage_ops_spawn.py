# SPDX-License-Identifier: Apache-2.0
"""What a spawned scene composes to: places, encodings, sensors, collisions, labels, time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from lyra.sim import stage_ops

Spawn = Callable[..., stage_ops.Spawned]
MakeStage = Callable[..., Usd.Stage]
Foreign = Callable[..., Path]
MESH = "Scene/Collision/mesh"
GAUSSIANS = "Scene/Gaussians"
COLLIDERS = (MESH, "Scene/Collision/surfaces/floor", "Scene/Collision/surfaces/wall")


def part(stage: Usd.Stage, spawned: stage_ops.Spawned, path: str) -> Usd.Prim:
    """A prim of the spawned scene."""
    return stage.GetPrimAtPath(f"{spawned.prim_path}/Asset/{path}")


def world_points(prim: Usd.Prim) -> NDArray[np.float64]:
    """Points or centres of a prim [N, 3] in the world of its stage."""
    points = (prim.GetAttribute("points") or prim.GetAttribute("positions")).Get()
    matrix = UsdGeom.Imageable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default())
    return np.array([matrix.Transform(Gf.Vec3d(point)) for point in points])


def rotation(degrees: tuple[float, float, float]) -> NDArray[np.float64]:
    """Rotation about x, then y, then z [3, 3]."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def y_up(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Z-up points [N, 3] as a Y-up world has them: up becomes y, and what came towards the viewer becomes z."""
    return np.stack([points[:, 0], points[:, 2], -points[:, 1]], axis=1)


@pytest.mark.parametrize("unit", [1.0, 0.01, 0.0254])
@pytest.mark.parametrize("axis", ["Z", "Y"])
def test_scenes_have_their_size_and_stand_upright_in_any_stage(
    make_stage: MakeStage, spawn: Spawn, asset: Path, unit: float, axis: str
) -> None:
    stage = make_stage(unit, axis)
    translate, degrees, scale = (1.0, -20.0, 3.0), (10.0, 20.0, 30.0), 1.5
    spawned = spawn(stage, translate=translate, rotate_xyz_deg=degrees, scale=scale)
    alone = Usd.Stage.Open(str(asset))
    for name in (MESH, GAUSSIANS):
        metres = world_points(alone.GetPrimAtPath(f"/World/{name}"))
        own = (y_up(metres) if axis == "Y" else metres) / unit
        expected = (rotation(degrees) @ (scale * own).T).T + translate
        np.testing.assert_allclose(world_points(part(stage, spawned, name)), expected, rtol=1e-5, atol=1e-5 / unit)


def test_a_file_of_another_program_is_converted_too(make_stage: MakeStage, spawn: Spawn, foreign: Foreign) -> None:
    body = 'double3 xformOp:translate = (0, 5, 0)\nuniform token[] xformOpOrder = ["xformOp:translate"]\n'
    body += 'def Mesh "mesh" {\npoint3f[] points = [(1, 2, 3)]\n}'
    file = foreign(metadata='metersPerUnit = 0.01\nupAxis = "Y"', body=body)
    stage = make_stage(0.001, "Z")
    spawned = spawn(stage, usd_file=file)
    # (1, 7, 3) centimetres, y up: 10 mm to the right, 70 mm up, 30 mm towards the viewer
    np.testing.assert_allclose(world_points(part(stage, spawned, "mesh")), [[10, -30, 70]], atol=1e-9)


def test_what_a_foreign_default_prim_is_stays(make_stage: MakeStage, spawn: Spawn, tmp_path: Path) -> None:
    file = tmp_path / "mesh.usda"
    file.write_text(
        '#usda 1.0\n(\ndefaultPrim = "M"\nmetersPerUnit = 1\n)\ndef Mesh "M" {\npoint3f[] points = [(1, 2, 3)]\n}'
    )
    stage = make_stage()
    spawned = spawn(stage, usd_file=file)
    assert stage.GetPrimAtPath(f"{spawned.prim_path}/Asset").IsA(UsdGeom.Mesh)


def test_users_edit_three_plain_transformations(make_stage: MakeStage, spawn: Spawn) -> None:
    stage = make_stage(0.01, "Y")
    spawned = spawn(stage, translate=(1, 2, 3), rotate_xyz_deg=(0, 90, 0), scale=2)
    before = world_points(part(stage, spawned, MESH))
    editor = UsdGeom.XformCommonAPI(stage.GetPrimAtPath(spawned.prim_path))
    assert editor
    translate, rotate, scale, _, order = editor.GetXformVectors(Usd.TimeCode.Default())
    assert (tuple(translate), tuple(rotate), tuple(scale)) == ((1, 2, 3), (0, 90, 0), (2, 2, 2))
    assert order == UsdGeom.XformCommonAPI.RotationOrderXYZ
    editor.SetTranslate((1, 2, 103))
    np.testing.assert_allclose(world_points(part(stage, spawned, MESH)), before + np.array([0, 0, 100]), atol=1e-6)


@pytest.mark.parametrize(
    ("encoding", "type_name"), [("particlefield", "ParticleField3DGaussianSplat"), ("nurec", "Volume")]
)
@pytest.mark.parametrize("root", ["scene.usda", "scene_isaac5.usda"])
def test_the_asked_for_encoding_is_composed(
    stage: Usd.Stage, spawn: Spawn, asset: Path, encoding: str, type_name: str, root: str
) -> None:
    spawned = spawn(stage, usd_file=asset.with_name(root), encoding=encoding)
    prims = [part(stage, spawned, GAUSSIANS), *Usd.PrimRange(part(stage, spawned, GAUSSIANS))]
    assert any(prim.GetTypeName() == type_name for prim in prims)
    assert spawned.encoding == encoding and spawned.warnings == ()
    assert part(stage, spawned, "Scene/Cameras").IsActive() == (encoding == "particlefield")


def test_an_encoding_the_file_lacks_is_said(stage: Usd.Stage, spawn: Spawn, foreign: Foreign) -> None:
    file = foreign(metadata="metersPerUnit = 1", body='def ParticleField3DGaussianSplat "G" {}')
    spawned = spawn(stage, usd_file=file, encoding="nurec")
    assert spawned.encoding == "particlefield"
    assert ["particlefield only" in warning for warning in spawned.warnings] == [True]
    assert stage_ops.spawned_scenes(stage)[0].encoding == "particlefield"


def test_sensors_see_gaussians_or_labelled_meshes(stage: Usd.Stage, spawn: Spawn) -> None:
    camera, hybrid = spawn(stage, sensors="camera"), spawn(stage, sensors="hybrid")
    for spawned, splats_shown in ((camera, True), (hybrid, False)):
        splats = UsdGeom.Imageable(part(stage, spawned, GAUSSIANS))
        surface = UsdGeom.Imageable(part(stage, spawned, "Scene/Collision/surfaces/floor"))
        assert (splats.ComputeVisibility() == "inherited") == splats_shown
        assert (surface.ComputePurpose() == "guide") == splats_shown


def test_a_scene_without_labelled_meshes_says_so(stage: Usd.Stage, spawn: Spawn, foreign: Foreign) -> None:
    file = foreign(metadata="metersPerUnit = 1", body='def ParticleField3DGaussianSplat "G" {}')
    spawned = spawn(stage, usd_file=file, sensors="hybrid")
    assert any("no labelled meshes" in warning for warning in spawned.warnings)
    assert stage_ops.spawned_scenes(stage)[0].sensors == "camera"


def colliding(stage: Usd.Stage, spawned: stage_ops.Spawned) -> list[str]:
    """Parts of the scene that an engine would let collide."""
    return [
        name
        for name in COLLIDERS
        if part(stage, spawned, name).HasAPI(UsdPhysics.CollisionAPI)
        and UsdPhysics.CollisionAPI(part(stage, spawned, name)).GetCollisionEnabledAttr().Get()
    ]


def test_colliders_are_on_hidden_and_editable(stage: Usd.Stage, spawn: Spawn) -> None:
    spawned = spawn(stage)
    assert colliding(stage, spawned) == [MESH]
    mesh = part(stage, spawned, MESH)
    assert UsdPhysics.MeshCollisionAPI(mesh).GetApproximationAttr().Get() == "none"
    assert UsdGeom.Imageable(mesh).ComputePurpose() == "guide"
    assert UsdGeom.Imageable(mesh).ComputeVisibility() == "inherited"
    assert not any(prim.IsInstance() for prim in stage.TraverseAll())


def test_collision_none_holds_in_every_variant_and_leaves_the_file(stage: Usd.Stage, spawn: Spawn, asset: Path) -> None:
    before = {file: hashlib.sha256(file.read_bytes()).digest() for file in asset.parent.iterdir()}
    with_mesh, without = spawn(stage), spawn(stage, collision="none")
    for variant, colliders in (("merged", [MESH]), ("labelled", [*COLLIDERS[1:]])):
        for spawned in (with_mesh, without):
            part(stage, spawned, "Scene/Collision").GetVariantSet("collider").SetVariantSelection(variant)
        assert colliding(stage, with_mesh) == colliders
        assert colliding(stage, without) == []
    assert {file: hashlib.sha256(file.read_bytes()).digest() for file in asset.parent.iterdir()} == before


def test_labels_survive_and_the_whole_scene_has_one(stage: Usd.Stage, spawn: Spawn) -> None:
    spawned = spawn(stage)
    floor = part(stage, spawned, "Scene/Collision/surfaces/floor")
    assert list(floor.GetAttribute("semantics:labels:class").Get()) == ["floor"]
    scene = stage.GetPrimAtPath(spawned.prim_path)
    assert "SemanticsLabelsAPI:scene" in scene.GetAppliedSchemas()
    assert list(scene.GetAttribute("semantics:labels:scene").Get()) == ["generated_scene"]
    assert not scene.GetAttribute("semantics:labels:class")  # would be added to the classes of all surfaces


def test_invisible_scenes_collide(stage: Usd.Stage, spawn: Spawn) -> None:
    spawned = spawn(stage, visible=False)
    assert UsdGeom.Imageable(part(stage, spawned, GAUSSIANS)).ComputeVisibility() == "invisible"
    assert colliding(stage, spawned) == [MESH]


def test_provenance_is_kept_as_given(stage: Usd.Stage, spawn: Spawn) -> None:
    given = {
        "prompt": 'a "red" room\nwith ünïcode 部屋',
        "seed": 2**63 - 1,
        "larger": 2**70,
        "metric": True,
        "scale": 1.25,
        "manifest": Path("job/manifest.json"),
        "a key: with colon": "x",
        "nothing": None,
        "null": "a\0b",
        "half": "\ud800",
    }
    spawn(stage, provenance=given)
    copy = Usd.Stage.CreateInMemory()
    copy.GetRootLayer().ImportFromString(stage.GetRootLayer().ExportToString())
    kept = stage_ops.spawned_scenes(copy)[0].provenance
    del given["nothing"]
    assert kept == {**given, "larger": str(2**70), "manifest": "job/manifest.json", "null": "ab", "half": "?"}


def test_two_scenes_stand_side_by_side(stage: Usd.Stage, spawn: Spawn) -> None:
    first, second = spawn(stage), spawn(stage, translate=(10, 0, 0))
    assert (first.prim_path, second.prim_path) == ("/World/LyraScene_01", "/World/LyraScene_02")
    distance = world_points(part(stage, second, MESH)) - world_points(part(stage, first, MESH))
    np.testing.assert_allclose(distance, np.broadcast_to([10, 0, 0], distance.shape), atol=1e-9)
    assert [info.prim_path for info in stage_ops.spawned_scenes(stage)] == [first.prim_path, second.prim_path]


def test_other_prims_are_never_touched(stage: Usd.Stage, spawn: Spawn) -> None:
    def others() -> dict[str, dict[str, str]]:
        found = {}
        layer = stage.GetRootLayer()

        def look(path: Sdf.Path) -> None:
            spec = layer.GetObjectAtPath(path)
            if spec and "LyraScene" not in str(path):
                keys = set(spec.ListInfoKeys()) - {"primChildren"}
                found[str(path)] = {key: str(spec.GetInfo(key)) for key in keys}

        layer.Traverse(Sdf.Path.absoluteRootPath, look)
        return found

    before = others()
    spawned = spawn(stage, collision="none", sensors="hybrid")
    stage_ops.replace(stage, spawned.prim_path, stage_ops.spawned_scenes(stage)[0].usd_file, collision="mesh")
    stage_ops.remove(stage, spawned.prim_path)
    assert others() == before
    assert {"/World/Robot", "/World/Robot.xformOp:translate", "/Ball"} <= before.keys()


def test_scenes_that_move_bring_their_time_range(make_stage: MakeStage, spawn: Spawn, foreign: Foreign) -> None:
    metadata = "metersPerUnit = 1\nstartTimeCode = 0\nendTimeCode = 48\ntimeCodesPerSecond = 24"
    samples = "double3 xformOp:translate.timeSamples = { 0: (0, 0, 0), 48: (4, 0, 0) }"
    body = f'def Xform "M" {{\n{samples}\nuniform token[] xformOpOrder = ["xformOp:translate"]\n}}'
    file = foreign(metadata=metadata, body=body)
    stage = make_stage()
    stage.SetTimeCodesPerSecond(60)
    before = stage.GetRootLayer().ExportToString()
    spawned = spawn(stage, usd_file=file)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode(), stage.GetTimeCodesPerSecond()) == (0, 120, 60)
    moved = UsdGeom.Xformable(part(stage, spawned, "M")).ComputeLocalToWorldTransform(60).ExtractTranslation()
    assert moved == Gf.Vec3d(2, 0, 0)  # after one of two seconds
    stage_ops.unspawn(stage, spawned)
    assert stage.GetRootLayer().ExportToString() == before

    stage.SetEndTimeCode(30)
    assert spawn(stage, usd_file=file).warnings
    assert not stage.GetRootLayer().HasStartTimeCode() and stage.GetEndTimeCode() == 30
    stage.SetStartTimeCode(0)
    hints = [
        hint for hint in stage_ops.stage_hints(stage) if "moves from 0 s to 2 s, the stage plays 0 s to 0.5 s" in hint
    ]
    assert len(hints) == 1


def test_payloads_load_on_a_stage_that_was_opened_without(asset: Path, spawn: Spawn) -> None:
    stage = Usd.Stage.CreateInMemory(load=Usd.Stage.LoadNone)
    UsdGeom.Xform.Define(stage, "/World")
    assert part(stage, spawn(stage), MESH).IsA(UsdGeom.Mesh)


def test_reading_a_scene_loads_no_payload(foreign: Foreign, stage: Usd.Stage, tmp_path: Path) -> None:
    (tmp_path / "heavy.usda").write_text("#usda 1.0\nthis would not parse\n")
    file = foreign(metadata="metersPerUnit = 1", body='def "Heavy" ( payload = @./heavy.usda@ ) {}')
    assert stage_ops.check_asset(file, "particlefield") == [
        f"{file} holds no Gaussians; cameras will see only its meshes."
    ]
    assert not Sdf.Layer.Find(str(tmp_path / "heavy.usda"))


def test_physics_scenes_are_offered_not_added(make_stage: MakeStage, spawn: Spawn) -> None:
    stage = make_stage(0.01, "Y")
    spawn(stage)
    assert stage_ops.find_physics_scene(stage) is None
    assert any("no physics scene" in hint for hint in stage_ops.stage_hints(stage))
    path = stage_ops.add_physics_scene(stage)
    assert path == stage_ops.add_physics_scene(stage, "/Other") == "/World/PhysicsScene"
    assert stage.GetPrimAtPath(path).IsA(UsdPhysics.Scene)
    assert not any("no physics scene" in hint for hint in stage_ops.stage_hints(stage))


def test_physics_scenes_go_where_they_are_asked_to(stage: Usd.Stage) -> None:
    assert stage_ops.add_physics_scene(stage, "/Physics/Scene") == "/Physics/Scene"
    assert stage.GetPrimAtPath("/Physics").GetTypeName() == "Xform"
