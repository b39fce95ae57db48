# SPDX-License-Identifier: Apache-2.0
"""Names of files in stages: relative where both can be moved together, absolute elsewhere, any characters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from pxr import Usd, UsdGeom

from lyra.sim import stage_ops
from lyra.sim.stage.places import relative_asset_path

Spawn = Callable[..., stage_ops.Spawned]
MakeStage = Callable[..., Usd.Stage]


def written_path(stage: Usd.Stage, spawned: stage_ops.Spawned) -> str:
    """The asset path of a scene's payload as it is written."""
    spec = stage.GetRootLayer().GetPrimAtPath(f"{spawned.prim_path}/Asset")
    (payload,) = spec.payloadList.GetAddedOrExplicitItems()
    return payload.assetPath


def test_stages_in_memory_name_scenes_absolutely(stage: Usd.Stage, spawn: Spawn, asset: Path) -> None:
    assert written_path(stage, spawn(stage)) == asset.as_posix()


def test_stages_beside_a_scene_can_be_moved_with_it(make_stage: MakeStage, spawn: Spawn, tmp_path: Path) -> None:
    stage = make_stage(file=tmp_path / "stage.usda")
    spawned = spawn(stage)
    assert written_path(stage, spawned) == "./job/scene/scene.usda"
    stage.Save()
    del stage
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("job", "stage.usda"):
        (tmp_path / name).rename(moved / name)
    reopened = Usd.Stage.Open(str(moved / "stage.usda"))
    assert reopened.GetPrimAtPath(f"{spawned.prim_path}/Asset/Scene/Collision/mesh").IsA(UsdGeom.Mesh)
    assert [info.missing for info in stage_ops.spawned_scenes(reopened)] == [False]


def test_stages_elsewhere_name_scenes_absolutely(
    make_stage: MakeStage, spawn: Spawn, asset: Path, tmp_path: Path
) -> None:
    (tmp_path / "stages").mkdir()
    stage = make_stage(file=tmp_path / "stages" / "s.usda")
    assert written_path(stage, spawn(stage)) == asset.as_posix()


def test_stages_reached_through_a_link_name_scenes_relatively(
    make_stage: MakeStage, spawn: Spawn, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    stage = make_stage(file=tmp_path / "link" / "s.usda")
    assert written_path(stage, spawn(stage)) == "./job/scene/scene.usda"


def test_paths_become_relative_once_a_stage_is_saved_beside(
    stage: Usd.Stage, spawn: Spawn, asset: Path, tmp_path: Path
) -> None:
    first, second = spawn(stage), spawn(stage)
    assert stage_ops.make_paths_relative(stage) == []
    stage.GetRootLayer().Export(str(tmp_path / "saved.usda"))
    saved = Usd.Stage.Open(str(tmp_path / "saved.usda"))
    assert written_path(saved, first) == asset.as_posix()
    assert stage_ops.make_paths_relative(saved) == [first.prim_path, second.prim_path]
    assert written_path(saved, first) == written_path(saved, second) == "./job/scene/scene.usda"
    assert stage_ops.make_paths_relative(saved) == []
    assert saved.GetPrimAtPath(f"{second.prim_path}/Asset/Scene/Collision/mesh").IsA(UsdGeom.Mesh)


@pytest.mark.parametrize("name", ["with space", "größe 部屋", "a@b", "100% [x] (y) #1", "it's"])
@pytest.mark.parametrize("beside", [True, False])
def test_any_folder_name_is_stored(
    make_stage: MakeStage, spawn: Spawn, asset: Path, tmp_path: Path, name: str, beside: bool
) -> None:
    folder = asset.parent.rename(tmp_path / name)
    stage = make_stage(file=tmp_path / "stage.usda") if beside else make_stage()
    spawned = spawn(stage, usd_file=folder / "scene.usda")
    text = stage.GetRootLayer().ExportToString()
    copy = Usd.Stage.CreateInMemory() if not beside else Usd.Stage.CreateNew(str(tmp_path / "copy.usda"))
    copy.GetRootLayer().ImportFromString(text)
    assert copy.GetPrimAtPath(f"{spawned.prim_path}/Asset/Scene/Collision/mesh").IsA(UsdGeom.Mesh)
    assert stage_ops.spawned_scenes(copy)[0].usd_file == folder / "scene.usda"


def test_windows_paths_are_written_with_forward_slashes() -> None:
    folder = PureWindowsPath("C:\\Users\\me\\stages")
    assert relative_asset_path(folder, PureWindowsPath("c:\\users\\me\\stages\\job 1\\s.usda")) == "./job 1/s.usda"
    assert relative_asset_path(folder, PureWindowsPath("D:\\stages\\s.usda")) == ""
    assert relative_asset_path(PurePosixPath("/a/b"), PurePosixPath("/a/bc/s.usda")) == ""
