# SPDX-License-Identifier: Apache-2.0
"""Commands on real stages in the fake Kit: what they do, what undo and redo leave, what a refusal leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pxr import Sdf, Usd, UsdGeom
from sim.started_kit import start, store_scene, texts

from fake_kit import FakeKit


@pytest.fixture
def root(kit: FakeKit, tmp_path: Path) -> Iterator[str]:
    """Root layer of a stored scene; the extension is on, the stage has something of the user's."""
    start(kit, tmp_path)
    stage = kit.stage
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    UsdGeom.Cube.Define(stage, "/World/Box")
    yield str(store_scene(tmp_path / "kitchen") / "scene" / "scene.usda")
    kit.stop_extension()


def run(kit: FakeKit, command: str, **values: Any) -> Any:
    """Execute a command that has to succeed."""
    done, result = kit.commands.execute(command, **values)
    assert done, kit.errors()
    return result


def select(kit: FakeKit, *paths: str) -> None:
    kit.context.get_selection().set_selected_prim_paths(list(paths), True)


def gaussians(stage: Usd.Stage) -> list[str]:
    return [str(prim.GetPath()) for prim in stage.Traverse() if prim.GetName() == "Gaussians"]


def test_spawn_undo_and_redo_are_exact(kit: FakeKit, root: str) -> None:
    select(kit, "/World/Box")
    before = texts(kit.stage)
    spawned = run(kit, "LyraSpawnScene", usd_path=root, translate=[1, 2, 3], provenance={"seed": 3})
    after = texts(kit.stage)
    assert gaussians(kit.stage) == [f"{spawned.prim_path}/Asset/Scene/Gaussians"]
    assert kit.selection == [spawned.prim_path]
    kit.undo()
    assert texts(kit.stage) == before
    assert kit.selection == ["/World/Box"]
    kit.redo()
    assert texts(kit.stage) == after
    assert kit.selection == [spawned.prim_path]


def test_a_redo_takes_the_path_of_the_first_time(kit: FakeKit, root: str) -> None:
    first = run(kit, "LyraSpawnScene", usd_path=root)
    second = run(kit, "LyraSpawnScene", usd_path=root)
    assert first.prim_path != second.prim_path
    kit.undo()
    kit.undo()
    kit.redo()
    kit.redo()
    assert gaussians(kit.stage) == [f"{path}/Asset/Scene/Gaussians" for path in (first.prim_path, second.prim_path)]


def test_a_missing_world_goes_with_the_scene_that_needed_it(kit: FakeKit, root: str) -> None:
    stage = kit.new_stage()
    before = texts(stage)
    spawned = run(kit, "LyraSpawnScene", usd_path=root)
    assert spawned.root_prims_created == ("/World",)
    kit.undo()
    assert texts(stage) == before


def test_the_selection_stays_if_that_is_wanted(kit: FakeKit, root: str) -> None:
    select(kit, "/World/Box")
    run(kit, "LyraSpawnScene", usd_path=root, select=False)
    assert kit.selection == ["/World/Box"]


def test_remove_undo_and_redo_are_exact(kit: FakeKit, root: str) -> None:
    empty = texts(kit.stage)
    path = run(kit, "LyraSpawnScene", usd_path=root).prim_path
    kit.stage.GetPrimAtPath(path).GetAttribute("xformOp:translate").Set((7, 0, 0))
    moved = texts(kit.stage)
    run(kit, "LyraRemoveScene", prim_path=path)
    assert gaussians(kit.stage) == []
    assert texts(kit.stage) == empty
    kit.undo()
    assert texts(kit.stage) == moved
    assert kit.selection == [path]
    kit.redo()
    assert texts(kit.stage) == empty


def test_replace_keeps_the_place_and_can_be_undone(kit: FakeKit, root: str, tmp_path: Path) -> None:
    other = store_scene(tmp_path / "yard") / "scene" / "scene.usda"
    path = run(kit, "LyraSpawnScene", usd_path=root, translate=[1, 2, 3]).prim_path
    before = texts(kit.stage)
    run(kit, "LyraReplaceScene", prim_path=path, usd_path=str(other), provenance={"prompt": "a yard"})
    assert "yard/scene/scene.usda" in texts(kit.stage)[-1]
    assert kit.stage.GetPrimAtPath(path).GetAttribute("xformOp:translate").Get() == (1, 2, 3)
    kit.undo()
    assert texts(kit.stage) == before


def test_a_scene_whose_files_moved_is_found_again(kit: FakeKit, root: str, tmp_path: Path) -> None:
    path = run(kit, "LyraSpawnScene", usd_path=root).prim_path
    before = texts(kit.stage)
    moved = (tmp_path / "kitchen").rename(tmp_path / "elsewhere") / "scene" / "scene.usda"
    run(kit, "LyraRetargetScene", prim_path=path, usd_path=str(moved))
    assert "elsewhere/scene/scene.usda" in texts(kit.stage)[-1]
    assert gaussians(kit.stage) == [f"{path}/Asset/Scene/Gaussians"]
    kit.undo()
    assert texts(kit.stage) == before


def test_a_physics_scene_is_added_once_and_taken_back(kit: FakeKit, root: str) -> None:
    before = texts(kit.stage)
    path = run(kit, "LyraAddPhysicsScene")
    assert kit.stage.GetPrimAtPath(path).GetTypeName() == "PhysicsScene"
    added = texts(kit.stage)
    assert run(kit, "LyraAddPhysicsScene") == path
    assert texts(kit.stage) == added
    kit.undo()
    assert texts(kit.stage) == added  # the second command did nothing and takes nothing back
    kit.undo()
    assert texts(kit.stage) == before


def test_a_physics_scene_in_a_sublayer_leaves_nothing_there(kit: FakeKit, root: str) -> None:
    sublayer = Sdf.Layer.CreateAnonymous("physics.usda")
    kit.stage.GetRootLayer().subLayerPaths.append(sublayer.identifier)
    kit.stage.SetEditTarget(sublayer)
    run(kit, "LyraAddPhysicsScene")
    assert "PhysicsScene" in sublayer.ExportToString()
    kit.stage.SetEditTarget(kit.stage.GetRootLayer())
    kit.undo()
    assert sublayer.empty


@pytest.mark.parametrize(
    ("command", "values", "reason"),
    [
        ("LyraSpawnScene", {"usd_path": "{root}.gone"}, "does not exist"),
        ("LyraSpawnScene", {"usd_path": "{root}", "prim_path": "not a path"}, "not the path of a prim"),
        ("LyraSpawnScene", {"usd_path": "{root}", "scale": 0.0}, "not positive"),
        ("LyraSpawnScene", {"usd_path": "{root}", "encoding": "mesh"}, "There is no encoding"),
        ("LyraRemoveScene", {"prim_path": "/World/Box"}, "no Lyra scene at"),
        ("LyraReplaceScene", {"prim_path": "/World/Box", "usd_path": "{root}"}, "no Lyra scene at"),
        ("LyraRetargetScene", {"prim_path": "/World/Box", "usd_path": "{root}"}, "no Lyra scene at"),
    ],
)
def test_a_refusal_changes_nothing(kit: FakeKit, root: str, command: str, values: dict[str, Any], reason: str) -> None:
    before = texts(kit.stage)
    values = {name: value.format(root=root) if isinstance(value, str) else value for name, value in values.items()}
    assert kit.commands.execute(command, **values) == (False, None)
    assert reason in kit.errors()[-1]
    assert texts(kit.stage) == before
    assert not kit.undo()


def test_without_a_stage_commands_say_so(kit: FakeKit, root: str) -> None:
    kit.close_stage()
    assert kit.commands.execute("LyraSpawnScene", usd_path=root) == (False, None)
    assert "No stage is open" in kit.errors()[-1]
