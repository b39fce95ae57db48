# SPDX-License-Identifier: Apache-2.0
"""Files, requests and stages that do not allow a scene: a message that says why, and nothing changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pxr import Sdf, Usd, UsdGeom

from lyra.sim import stage_ops
from lyra.sim.protocol import SCHEMA
from usd_export.usdz import write_usdz

Spawn = Callable[..., stage_ops.Spawned]
MakeStage = Callable[..., Usd.Stage]
Foreign = Callable[..., Path]
Texts = Callable[[Usd.Stage], dict[str, str]]
Refused = Callable[..., None]


@pytest.fixture
def refused(spawn: Spawn, texts: Texts) -> Refused:
    """Checks that a spawn is refused for a reason, and that the stage is as before."""

    def check(stage: Usd.Stage, reason: str, **fields: object) -> None:
        before = texts(stage)
        with pytest.raises(stage_ops.StageError, match=reason):
            spawn(stage, **fields)
        assert texts(stage) == before

    return check


def test_no_stage(asset: Path) -> None:
    calls: list[Callable[[], object]] = [
        lambda: stage_ops.spawn(None, stage_ops.SpawnRequest(asset)),
        lambda: stage_ops.remove(None, "/World/LyraScene_01"),
        lambda: stage_ops.replace(None, "/World/LyraScene_01", asset),
        lambda: stage_ops.retarget(None, "/World/LyraScene_01", asset),
        lambda: stage_ops.spawned_scenes(None),
        lambda: stage_ops.stage_hints(None),
        lambda: stage_ops.add_physics_scene(None),
        lambda: stage_ops.make_paths_relative(None),
    ]
    for call in calls:
        with pytest.raises(stage_ops.StageError, match="No stage is open"):
            call()


CONTENTS = {
    "empty.usda": (b"", "not a USD file"),
    "picture.usd": (b"\x89PNG\r\n\x1a\n", "not a USD file"),
    "text.usda": (b"def Xform {}", "not a USD file"),
    "cut.usda": (b'#usda 1.0\n(\ndefaultPrim = "A"\n)\ndef Xform "A" {', "damaged"),
    "cut.usdc": (b"PXR-USDC" + bytes(40), "damaged"),
    "cut.usdz": (b"PK\x03\x04" + bytes(40), "damaged"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_files_that_are_no_scenes(stage: Usd.Stage, refused: Refused, tmp_path: Path, name: str) -> None:
    content, reason = CONTENTS[name]
    (tmp_path / name).write_bytes(content)
    refused(stage, reason, usd_file=tmp_path / name)
    (problem,) = stage_ops.check_asset(tmp_path / name, "particlefield")
    assert str(tmp_path / name) in problem


def test_files_that_are_not_there(stage: Usd.Stage, refused: Refused, tmp_path: Path) -> None:
    refused(stage, "does not exist", usd_file=tmp_path / "scene.usda")
    refused(stage, "not a file of this computer", usd_file=Path("omniverse://server/scene.usda"))
    refused(stage, r"is a folder.*scene\.usda", usd_file=tmp_path)


def test_names_that_usd_cannot_store(stage: Usd.Stage, refused: Refused, asset: Path) -> None:
    refused(stage, "Rename", usd_file=asset.rename(asset.with_name("a\nb.usda")))
    refused(stage, "Rename", usd_file=asset.with_name("\udcff.usda"))


def test_a_scene_with_a_missing_part(stage: Usd.Stage, refused: Refused, asset: Path) -> None:
    asset.with_name("collision.usdc").unlink()
    refused(stage, "collision.usdc")


def test_scenes_without_a_place_unit_or_axis(stage: Usd.Stage, refused: Refused, foreign: Foreign) -> None:
    refused(stage, "no default prim", usd_file=foreign("a.usda", default=""))
    refused(stage, "metersPerUnit", usd_file=foreign("b.usda", "metersPerUnit = 0"))
    refused(stage, "up axis X", usd_file=foreign("c.usda", 'upAxis = "X"'))


def test_stages_without_a_unit_or_axis(make_stage: MakeStage, refused: Refused) -> None:
    stage = make_stage()
    stage.GetRootLayer().pseudoRoot.SetInfo("metersPerUnit", -1.0)
    refused(stage, "metersPerUnit")
    stage = make_stage()
    stage.GetRootLayer().pseudoRoot.SetInfo("upAxis", "X")
    refused(stage, "up axis X")


def test_a_file_without_a_unit_is_in_centimetres_and_that_is_said(
    make_stage: MakeStage, spawn: Spawn, foreign: Foreign
) -> None:
    stage = make_stage()
    spawned = spawn(stage, usd_file=foreign())
    assert any("centimetres" in warning for warning in spawned.warnings)
    scale = stage.GetPrimAtPath(f"{spawned.prim_path}/Asset").GetAttribute("xformOp:scale:lyraUnits").Get()
    assert tuple(scale) == (0.01, 0.01, 0.01)


def test_packages_are_shown_with_a_warning(stage: Usd.Stage, spawn: Spawn, asset: Path, tmp_path: Path) -> None:
    package = tmp_path / "scene.usdz"
    write_usdz(package, [asset, *(file for file in sorted(asset.parent.iterdir()) if file != asset)])
    spawned = spawn(stage, usd_file=package)
    assert [("package" in warning) for warning in spawned.warnings] == [True]
    assert stage.GetPrimAtPath(f"{spawned.prim_path}/Asset/Scene/Collision/mesh").IsA(UsdGeom.Mesh)


NUMBERS: dict[str, dict[str, Any]] = {
    "not a number": {"translate": (0, 0, float("nan"))},
    "infinite": {"rotate_xyz_deg": (float("inf"), 0, 0)},
    "two numbers": {"translate": (0, 0)},
    "no scale": {"scale": 0.0},
    "mirrored": {"scale": -1.0},
    "encoding": {"encoding": "universal"},
    "collision": {"collision": "sdf"},
    "sensors": {"sensors": "lidar"},
    "list in provenance": {"provenance": {"models": ["a"]}},
}


@pytest.mark.parametrize("name", NUMBERS)
def test_requests_that_make_no_sense(stage: Usd.Stage, refused: Refused, name: str) -> None:
    refused(stage, "numbers|positive|unknown|only texts", **NUMBERS[name])


PATHS = ("", "/", "Scene", "/World/", "/World.scene", "/World/1", "/World{a=b}Scene", "../x", "/W W")


@pytest.mark.parametrize("path", PATHS)
def test_paths_that_are_none(stage: Usd.Stage, refused: Refused, path: str) -> None:
    refused(stage, "not the path of a prim", prim_path=path)


def test_places_where_nothing_can_stand(stage: Usd.Stage, spawn: Spawn, refused: Refused, foreign: Foreign) -> None:
    file = foreign(body='def Xform "Child" {}').as_posix()
    stage.DefinePrim("/Instance").GetReferences().AddReference(file)
    stage.GetPrimAtPath("/Instance").SetInstanceable(True)
    stage.DefinePrim("/Payload").GetPayloads().AddPayload(file)
    stage.DefinePrim("/Off").SetActive(False)
    stage.CreateClassPrim("/Class")
    stage.OverridePrim("/Over")
    scene = spawn(stage).prim_path
    for parent, reason in (
        ("/Instance", "instance"),
        ("/Instance/Child", "instance"),
        ("/Payload", "payload"),
        ("/Payload/Child/Deeper", "payload"),
        ("/Off", "deactivated"),
        ("/Class", "class"),
        ("/Over", "no definition"),
        (scene, "Lyra scene"),
        (f"{scene}/Asset/Scene", "Lyra scene"),
    ):
        refused(stage, reason, prim_path=f"{parent}/Scene")


def test_taken_names_are_numbered_and_said(stage: Usd.Stage, spawn: Spawn) -> None:
    paths = []
    for wanted in ("/World/Robot", "/World/Robot", "/World/Robot_07", "/World/Robot_07", None):
        spawned = spawn(stage, prim_path=wanted)
        assert any("was taken" in warning for warning in spawned.warnings) == (wanted not in (spawned.prim_path, None))
        paths.append(spawned.prim_path.removeprefix("/World/"))
    assert paths == ["Robot_01", "Robot_02", "Robot_07", "Robot_08", "LyraScene_01"]


def test_scenes_go_elsewhere_if_the_default_prim_is_unfit(stage: Usd.Stage, spawn: Spawn, foreign: Foreign) -> None:
    stage.SetDefaultPrim(stage.GetPrimAtPath("/Ball"))
    assert spawn(stage).prim_path == "/World/LyraScene_01"
    stage.RemovePrim("/World")
    stage.DefinePrim("/World").GetPayloads().AddPayload(foreign().as_posix())
    assert spawn(stage).prim_path == "/LyraScene_01"
    assert stage.GetDefaultPrim().GetPath() == "/Ball"


def test_layers_that_refuse_edits(stage: Usd.Stage, spawn: Spawn, refused: Refused, texts: Texts) -> None:
    spawned = spawn(stage)
    layer = stage.GetRootLayer()
    layer.SetPermissionToEdit(False)
    refused(stage, "read-only")
    before = texts(stage)
    for call in (
        lambda: stage_ops.unspawn(stage, spawned),
        lambda: stage_ops.remove(stage, spawned.prim_path),
        lambda: stage_ops.retarget(stage, spawned.prim_path, stage_ops.spawned_scenes(stage)[0].usd_file),
        lambda: stage_ops.add_physics_scene(stage),
    ):
        with pytest.raises(stage_ops.StageError, match="read-only"):
            call()
    assert texts(stage) == before
    assert any("read-only" in hint for hint in stage_ops.stage_hints(stage))
    layer.SetPermissionToEdit(True)


def test_a_part_of_a_scene_in_a_locked_layer_keeps_all_of_it(stage: Usd.Stage, spawn: Spawn, texts: Texts) -> None:
    spawned = spawn(stage)
    session = stage.GetSessionLayer()
    Sdf.CreatePrimInLayer(session, spawned.prim_path)
    session.SetPermissionToEdit(False)
    before = texts(stage)
    with pytest.raises(stage_ops.StageError, match="read-only"):
        stage_ops.remove(stage, spawned.prim_path)
    assert texts(stage) == before


def test_edit_targets_that_show_nothing(make_stage: MakeStage, refused: Refused) -> None:
    stage = make_stage()
    sublayer = Sdf.Layer.CreateAnonymous("sublayer.usda")
    stage.GetRootLayer().subLayerPaths.append(sublayer.identifier)
    stage.SetEditTarget(sublayer)
    stage.MuteLayer(sublayer.identifier)
    refused(stage, "muted")
    stage.UnmuteLayer(sublayer.identifier)
    stage.GetRootLayer().subLayerPaths.clear()
    refused(stage, "not a layer of this stage")


def test_the_session_layer_is_pointed_out(stage: Usd.Stage) -> None:
    assert not any("session layer" in hint for hint in stage_ops.stage_hints(stage))
    stage.SetEditTarget(stage.GetSessionLayer())
    assert any("session layer" in hint for hint in stage_ops.stage_hints(stage))


def test_stages_that_cannot_be_saved_are_pointed_out(make_stage: MakeStage, asset: Path, tmp_path: Path) -> None:
    stage = make_stage(file=tmp_path / "stage.usda")
    assert not any("cannot be" in hint for hint in stage_ops.stage_hints(stage))
    stage.GetRootLayer().SetPermissionToSave(False)
    assert any("cannot be written" in hint for hint in stage_ops.stage_hints(stage))
    write_usdz(tmp_path / "stage.usdz", [asset.with_name("collision.usdc")])
    package = Usd.Stage.Open(str(tmp_path / "stage.usdz"))
    assert any("package and cannot be saved" in hint for hint in stage_ops.stage_hints(package))


def test_paths_without_a_scene(stage: Usd.Stage, spawn: Spawn, asset: Path) -> None:
    spawned = spawn(stage)
    for path in ("/World/Robot", "/Nothing", f"{spawned.prim_path}/Asset", "no path", ""):
        with pytest.raises(stage_ops.StageError, match="scenes on this stage: /World/LyraScene_01"):
            stage_ops.remove(stage, path)


def test_scenes_of_another_file_are_listed_but_not_changed(
    make_stage: MakeStage, spawn: Spawn, asset: Path, tmp_path: Path, texts: Texts
) -> None:
    inner = make_stage(file=tmp_path / "inner.usda")
    spawned = spawn(inner)
    inner.Save()
    stage = make_stage()
    stage.DefinePrim("/Room").GetReferences().AddReference(str(tmp_path / "inner.usda"))
    stage.OverridePrim("/Room/LyraScene_01")
    before = texts(stage)
    assert [info.prim_path for info in stage_ops.spawned_scenes(stage)] == ["/Room/LyraScene_01"]
    for call in (
        lambda: stage_ops.remove(stage, "/Room/LyraScene_01"),
        lambda: stage_ops.replace(stage, "/Room/LyraScene_01", asset),
    ):
        with pytest.raises(stage_ops.StageError, match="Open that file"):
            call()
    assert stage_ops.make_paths_relative(stage) == []
    assert texts(stage) == before
    assert inner.GetPrimAtPath(spawned.prim_path)


def test_a_copy_by_reference_is_not_the_scene_itself(stage: Usd.Stage, spawn: Spawn, texts: Texts) -> None:
    spawned = spawn(stage)
    stage.DefinePrim("/World/Copy").GetReferences().AddInternalReference(spawned.prim_path)
    before = texts(stage)
    with pytest.raises(stage_ops.StageError, match="Open that file"):
        stage_ops.remove(stage, "/World/Copy")
    assert texts(stage) == before


def test_a_failed_replacement_changes_nothing(stage: Usd.Stage, spawn: Spawn, texts: Texts, tmp_path: Path) -> None:
    spawned = spawn(stage)
    before = texts(stage)
    for call in (stage_ops.replace, stage_ops.retarget):
        with pytest.raises(stage_ops.StageError, match="does not exist"):
            call(stage, spawned.prim_path, tmp_path / "gone.usda")
    with pytest.raises(stage_ops.StageError, match="sensors 'lidar' is unknown"):
        stage_ops.replace(stage, spawned.prim_path, tmp_path / "gone.usda", sensors="lidar")
    assert texts(stage) == before


def write_manifest(folder: Path, **fields: object) -> None:
    """A manifest of the scene below `folder`, with some fields changed."""
    empty: dict[str, Any] = {"int": 1, "str": "x", "bool": True, "float": 1.0, "list": [], "dict": {}}
    values = {name: None if kind.endswith("?") else empty[kind] for name, kind in SCHEMA["manifest"].items()}
    files = [
        {"kind": "usd", "path": file.relative_to(folder).as_posix(), "bytes": file.stat().st_size, "sha256": ""}
        for file in sorted(folder.rglob("*.*"))
    ]
    values |= {"usd": "scene/scene.usda", "usd_isaac5": "scene/scene_isaac5.usda", "files": files}
    values |= {"encodings": ["particlefield", "nurec"], "bounds_m": {"min": [0, 0, 0], "max": [1, 1, 1]}}
    (folder / "manifest.json").write_text(json.dumps({**values, **fields}))


@pytest.mark.parametrize("encoding", ["particlefield", "nurec"])
def test_a_complete_folder_has_no_problems(asset: Path, encoding: str) -> None:
    write_manifest(asset.parents[1])
    assert stage_ops.check_asset(asset.parents[1], encoding) == []
    assert stage_ops.check_asset(asset, encoding) == []


def test_incomplete_folders_are_told(asset: Path) -> None:
    folder = asset.parents[1]
    assert "manifest.json" in stage_ops.check_asset(folder, "nurec")[0]
    write_manifest(folder, encodings=["particlefield"])
    assert "not nurec" in stage_ops.check_asset(folder, "nurec")[0]
    asset.with_name("collision.usdc").unlink()
    asset.with_name("gaussians.usdc").write_bytes(b"PXR-USDC")
    problems = stage_ops.check_asset(folder, "particlefield")
    assert [("collision.usdc" in text, "gaussians.usdc has 8 bytes" in text) for text in problems] == [
        (True, False),
        (False, True),
    ]


def test_encodings_follow_setting_then_schema() -> None:
    assert stage_ops.supports_particle_fields()
    assert stage_ops.choose_encoding("nurec", "110.1.2") == "nurec"
    assert stage_ops.choose_encoding("particlefield", "107.3.1") == "particlefield"
    assert stage_ops.choose_encoding("auto", "107.3.1") == "particlefield"  # this USD has the schema
    with pytest.raises(stage_ops.StageError, match="auto"):
        stage_ops.choose_encoding("splats", None)
