# SPDX-License-Identifier: Apache-2.0
"""What the extension does to stages, run under one USD version.

`python spawn_code.py spawn FOLDER` writes a scene, puts it on stages of several kinds, and prints the stages and what
they compose to; `encoding VERSION...` prints what is chosen for versions of Kit. Both print one JSON document.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pxr import Usd, UsdGeom
from stage_code import cloud, slab

from lyra.sim import stage_ops
from usd_export.frame import Frame
from usd_export.scene_writer import write_scene

STAGES = {"metres": (1.0, "Z"), "centimetres": (0.01, "Z"), "upright": (0.01, "Y")}


def spawn(folder: Path) -> dict[str, Any]:
    """Everything that is looked at, by name."""
    write_scene(folder / "asset", cloud(), Frame.identity(), collider=slab(), encoding="universal")
    found: dict[str, Any] = {}
    for name, (unit, axis) in STAGES.items():
        stage = new_stage(folder / f"{name}.usda", unit, axis)
        before = stage.GetRootLayer().ExportToString()
        request = stage_ops.SpawnRequest(
            folder / "asset" / "scene.usda", translate=(1, 2, 3), rotate_xyz_deg=(0, 0, 90)
        )
        spawned = stage_ops.spawn(stage, request)
        found[name] = {"text": stage.GetRootLayer().ExportToString(), "world": world(stage, spawned.prim_path)}
        stage_ops.unspawn(stage, spawned)
        found[name]["taken back"] = stage.GetRootLayer().ExportToString() == before
    stage = new_stage(folder / "many.usda", 1.0, "Z")
    request = stage_ops.SpawnRequest(
        folder / "asset" / "scene.usda",
        encoding="nurec",
        collision="none",
        sensors="hybrid",
        provenance={"seed": 2**40},
    )
    found["many"] = operations(stage, request, folder)
    return found


def operations(stage: Usd.Stage, request: stage_ops.SpawnRequest, folder: Path) -> dict[str, Any]:
    """Two scenes on a stage, through every operation."""
    found: dict[str, Any] = {"hints": stage_ops.stage_hints(stage)}
    first, second = (stage_ops.spawn(stage, request) for _ in range(2))
    stage.SetEditTarget(stage.GetSessionLayer())
    stage.OverridePrim(f"{first.prim_path}/Asset/Scene").SetActive(False)
    stage.SetEditTarget(stage.GetRootLayer())
    found["both"] = texts(stage)
    removed = stage_ops.remove(stage, first.prim_path)
    found["one"] = texts(stage)
    stage_ops.restore(stage, removed)
    found["restored"] = texts(stage) == found["both"]
    old = stage_ops.replace(stage, second.prim_path, request.usd_file, encoding="particlefield", collision="mesh")
    found["replaced"] = [*texts(stage), world(stage, second.prim_path)]
    stage_ops.restore(stage, old)
    found["as before"] = texts(stage) == found["both"]
    moved = (folder / "asset").rename(folder / "moved")
    found["missing"] = [scene.missing for scene in stage_ops.spawned_scenes(stage)]
    stage_ops.retarget(stage, second.prim_path, moved / "scene.usda")
    found["repaired"] = [[scene.missing, scene.provenance] for scene in stage_ops.spawned_scenes(stage)]
    found["physics"] = [stage_ops.add_physics_scene(stage), *texts(stage)]
    return found


def encodings(kit_versions: list[str]) -> dict[str, Any]:
    """What the setting `auto` means in versions of Kit, if this is their USD."""
    return {version: stage_ops.choose_encoding("auto", version or None) for version in kit_versions}


def new_stage(file: Path, unit: float, axis: str) -> Usd.Stage:
    """A stage with a default prim."""
    stage = Usd.Stage.CreateNew(str(file))
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    UsdGeom.SetStageUpAxis(stage, axis)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/World").GetPrim())
    return stage


def texts(stage: Usd.Stage) -> list[str]:
    """The layers of a stage that can be edited."""
    return [layer.ExportToString() for layer in (stage.GetRootLayer(), stage.GetSessionLayer())]


def world(stage: Usd.Stage, scene: str) -> dict[str, Any]:
    """Where the first point of each part lies, and what is switched how."""
    places = {}
    for prim in Usd.PrimRange(stage.GetPrimAtPath(scene)):
        points = prim.GetAttribute("points") or prim.GetAttribute("positions")
        if points and points.Get():
            matrix = UsdGeom.Imageable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default())
            places[str(prim.GetPath())] = [round(number, 3) for number in matrix.Transform(points.Get()[0])]
    types = {str(prim.GetPath()): prim.GetTypeName() for prim in Usd.PrimRange(stage.GetPrimAtPath(scene))}
    return {"places": places, "types": types}


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    found = spawn(Path(arguments[0])) if verb == "spawn" else encodings(arguments)
    print(json.dumps(found, sort_keys=True))
