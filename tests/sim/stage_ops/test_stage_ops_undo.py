# SPDX-License-Identifier: Apache-2.0
"""What is taken back is taken back exactly: layers have the same text again, in every kind of edit target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pxr import Sdf, Usd, UsdGeom

from lyra.sim import stage_ops

Spawn = Callable[..., stage_ops.Spawned]
MakeStage = Callable[..., Usd.Stage]
Texts = Callable[[Usd.Stage], dict[str, str]]


def edit_root(stage: Usd.Stage) -> None:
    """The root layer, as at first."""


def edit_session(stage: Usd.Stage) -> None:
    """The session layer."""
    stage.SetEditTarget(stage.GetSessionLayer())


def edit_sublayer(stage: Usd.Stage) -> None:
    """A sublayer that knows nothing of /World."""
    layer = Sdf.Layer.CreateAnonymous("sub.usda")
    stage.GetRootLayer().subLayerPaths.append(layer.identifier)
    stage.SetEditTarget(layer)
    stage.layer_kept = layer


def edit_variant(stage: Usd.Stage) -> None:
    """A selected variant of /World."""
    variants = stage.GetPrimAtPath("/World").GetVariantSets().AddVariantSet("room")
    variants.AddVariant("generated")
    variants.SetVariantSelection("generated")
    stage.SetEditTarget(variants.GetVariantEditTarget())


def empty(stage: Usd.Stage) -> None:
    """No prims, no default prim."""
    stage.GetRootLayer().Clear()


TARGETS = (edit_root, edit_session, edit_sublayer, edit_variant, empty)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("prim_path", [None, "/Rooms/A/Scene"])
def test_spawn_and_undo_and_redo(
    stage: Usd.Stage, spawn: Spawn, texts: Texts, target: Callable[[Usd.Stage], None], prim_path: str | None
) -> None:
    target(stage)
    if target is edit_variant and prim_path:
        prim_path = "/World/Rooms/Scene"
    before = texts(stage)
    spawned = spawn(stage, prim_path=prim_path)
    done = texts(stage)
    assert done != before
    assert stage.GetPrimAtPath(f"{spawned.prim_path}/Asset/Scene/Collision/mesh").IsA(UsdGeom.Mesh)
    for _ in range(2):
        stage_ops.unspawn(stage, spawned)
        assert texts(stage) == before
        assert not stage.GetPrimAtPath(spawned.prim_path)
        spawned = spawn(stage, prim_path=prim_path)
        assert texts(stage) == done


def test_only_the_edit_target_is_written(stage: Usd.Stage, spawn: Spawn, texts: Texts) -> None:
    edit_sublayer(stage)
    before = texts(stage)
    spawned = spawn(stage)
    changed = [name for name, text in texts(stage).items() if text != before[name]]
    assert changed == [stage.GetEditTarget().GetLayer().identifier] == [spawned.layer]


def test_undo_goes_to_the_layer_of_the_spawn(stage: Usd.Stage, spawn: Spawn, texts: Texts) -> None:
    edit_sublayer(stage)
    before = texts(stage)
    spawned = spawn(stage)
    stage.SetEditTarget(stage.GetSessionLayer())
    stage_ops.unspawn(stage, spawned)
    assert texts(stage) == before


def test_an_empty_stage_gets_a_default_prim_others_a_warning(stage: Usd.Stage, spawn: Spawn) -> None:
    stage.GetRootLayer().ClearDefaultPrim()
    assert any("no default prim" in warning for warning in spawn(stage).warnings)
    assert not stage.HasDefaultPrim()
    empty(stage)
    spawned = spawn(stage)
    assert (spawned.root_prims_created, spawned.warnings) == (("/World",), ())
    assert stage.GetDefaultPrim().GetPath() == "/World"
    assert stage.GetDefaultPrim().GetTypeName() == "Xform"


def test_undo_keeps_what_others_put_beside_the_scene(stage: Usd.Stage, spawn: Spawn) -> None:
    empty(stage)
    spawned = spawn(stage)
    UsdGeom.Cube.Define(stage, "/World/Robot")
    stage_ops.unspawn(stage, spawned)
    assert [str(prim.GetPath()) for prim in stage.Traverse()] == ["/World", "/World/Robot"]
    assert stage.GetDefaultPrim().GetPath() == "/World"


def test_undo_twice_is_refused(stage: Usd.Stage, spawn: Spawn, texts: Texts) -> None:
    spawned = spawn(stage)
    stage_ops.unspawn(stage, spawned)
    before = texts(stage)
    with pytest.raises(stage_ops.StageError, match="gone already"):
        stage_ops.unspawn(stage, spawned)
    assert texts(stage) == before


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("followers", [0, 1, 2])
def test_removed_scenes_come_back_as_they_were(
    stage: Usd.Stage, spawn: Spawn, texts: Texts, target: Callable[[Usd.Stage], None], followers: int
) -> None:
    target(stage)
    spawned = spawn(stage)
    for number in range(followers):
        UsdGeom.Cube.Define(stage, f"/World/After{number}")
    scene = stage.GetPrimAtPath(spawned.prim_path)
    scene.CreateRelationship("mine", custom=True).SetTargets([f"{spawned.prim_path}/Asset/Scene"])
    stage.SetEditTarget(stage.GetRootLayer())
    UsdGeom.XformCommonAPI(scene).SetTranslate((5, 6, 7))  # possibly in another layer than the scene
    before = texts(stage)
    removed = stage_ops.remove(stage, spawned.prim_path)
    assert not stage.GetPrimAtPath(spawned.prim_path)
    assert stage_ops.spawned_scenes(stage) == []
    stage_ops.restore(stage, removed)
    assert texts(stage) == before
    assert stage.GetPrimAtPath(f"{spawned.prim_path}/Asset/Scene/Collision/mesh").IsA(UsdGeom.Mesh)


def test_a_taken_path_is_not_overwritten_by_a_restored_scene(stage: Usd.Stage, spawn: Spawn, texts: Texts) -> None:
    removed = stage_ops.remove(stage, spawn(stage).prim_path)
    spawn(stage)
    before = texts(stage)
    with pytest.raises(stage_ops.StageError, match="is taken"):
        stage_ops.restore(stage, removed)
    assert texts(stage) == before


def test_a_scene_is_not_restored_without_its_parent(stage: Usd.Stage, spawn: Spawn, texts: Texts) -> None:
    removed = stage_ops.remove(stage, spawn(stage).prim_path)
    stage.RemovePrim("/World")
    before = texts(stage)
    with pytest.raises(stage_ops.StageError, match="/World is gone"):
        stage_ops.restore(stage, removed)
    assert texts(stage) == before


def test_a_scene_is_not_restored_on_another_stage(make_stage: MakeStage, spawn: Spawn) -> None:
    stage, other = make_stage(), make_stage()
    spawned = spawn(stage)
    with pytest.raises(stage_ops.StageError, match="no longer a part of this stage"):
        stage_ops.unspawn(other, spawned)
    with pytest.raises(stage_ops.StageError, match="no longer a part of this stage"):
        stage_ops.restore(other, stage_ops.remove(stage, spawned.prim_path))


def test_replacing_keeps_the_place_and_nothing_of_the_old_scene(
    stage: Usd.Stage, spawn: Spawn, texts: Texts, asset: Path
) -> None:
    spawned = spawn(stage, translate=(1, 2, 3), collision="none", sensors="hybrid", provenance={"seed": 1})
    reference = spawn(stage, translate=(1, 2, 3), collision="mesh", sensors="hybrid", provenance={"seed": 2})
    before = texts(stage)
    old = stage_ops.replace(stage, spawned.prim_path, asset, collision="mesh", provenance={"seed": 2})
    specs = [stage.GetRootLayer().GetPrimAtPath(path) for path in (spawned.prim_path, reference.prim_path)]
    replaced, fresh = (alone(spec) for spec in specs)
    assert replaced == fresh
    stage_ops.restore(stage, old)
    assert texts(stage) == before


def alone(spec: Sdf.PrimSpec) -> str:
    """Text of a prim under a name of its own."""
    layer = Sdf.Layer.CreateAnonymous()
    Sdf.CopySpec(spec.layer, spec.path, layer, "/Scene")
    return layer.ExportToString()


def test_a_moved_file_is_found_again_with_all_changes(
    stage: Usd.Stage, spawn: Spawn, texts: Texts, asset: Path, tmp_path: Path
) -> None:
    spawned = spawn(stage, encoding="nurec", collision="none", provenance={"seed": 1})
    changed = stage.OverridePrim(f"{spawned.prim_path}/Asset/Scene/Cameras")
    UsdGeom.Imageable(changed).MakeInvisible()
    before = texts(stage)
    moved = asset.parent.rename(tmp_path / "elsewhere")
    assert [info.missing for info in stage_ops.spawned_scenes(stage)] == [True]
    assert any("is gone" in hint for hint in stage_ops.stage_hints(stage))
    old = stage_ops.retarget(stage, spawned.prim_path, moved / "scene.usda")
    (info,) = stage_ops.spawned_scenes(stage)
    assert (info.missing, info.usd_file, info.provenance) == (False, moved / "scene_isaac5.usda", {"seed": 1})
    after = texts(stage)
    folder = asset.parent.as_posix()
    assert {name: text.replace(folder, moved.as_posix()) for name, text in before.items()} == after
    stage_ops.restore(stage, old)
    assert texts(stage) == before
