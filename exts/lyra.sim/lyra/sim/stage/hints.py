# SPDX-License-Identifier: Apache-2.0
"""What a user should know about a stage that a scene stands on, and the physics scene it may lack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .places import choose_place, default_parent, is_package, require_editable_target, require_stage
from .scene_asset import time_range
from .standing_scenes import payload_of, scene_prims, spawned_scenes
from .types import StageError

if TYPE_CHECKING:
    from pxr import Sdf, Usd

PHYSICS_SCENE_NAME = "PhysicsScene"


def stage_hints(stage: Usd.Stage) -> list[str]:
    """Texts about what would surprise a user: nothing falls, nothing is saved, something is missing."""
    return [*_layer_hints(require_stage(stage)), *_physics_hints(stage), *_file_hints(stage), *_time_hints(stage)]


def _layer_hints(stage: Usd.Stage) -> Iterator[str]:
    try:
        layer = require_editable_target(stage)
    except StageError as error:
        yield str(error)
        return
    name = layer.GetDisplayName()
    if layer == stage.GetSessionLayer():
        yield "Edits go to the session layer, which is lost with the stage. Choose another layer to keep them."
    elif is_package(layer):
        yield f"{name} is a package and cannot be saved. Save the stage under another name, as .usd or .usda."
    elif not layer.anonymous and (not layer.permissionToSave or not _writable(layer)):
        yield f"{name} cannot be written. Save the stage under another name to keep the scene."


def _writable(layer: Sdf.Layer) -> bool:
    """Whether a layer's file can be written; true for what is not a file of this computer."""
    return not os.path.exists(layer.realPath) or os.access(layer.realPath, os.W_OK)  # noqa: PTH110, may be a URL


def _physics_hints(stage: Usd.Stage) -> Iterator[str]:
    if find_physics_scene(stage) is None:
        yield "The stage has no physics scene, so nothing falls or collides. Add one to simulate."


def _file_hints(stage: Usd.Stage) -> Iterator[str]:
    for scene in spawned_scenes(stage):
        if scene.missing:
            yield (
                f"The file of {scene.prim_path} is gone: {scene.usd_file}. "
                "Put it back, or point the scene to where it is now (retarget)."
            )


def _time_hints(stage: Usd.Stage) -> Iterator[str]:
    from pxr import Sdf

    if not stage.HasAuthoredTimeCodeRange():
        return
    rate = stage.GetTimeCodesPerSecond()
    start, end = stage.GetStartTimeCode() / rate, stage.GetEndTimeCode() / rate
    for prim in scene_prims(stage):
        payload = payload_of(prim)
        layer = Sdf.Layer.Find(payload.file()) if payload else None
        moments = time_range(layer) if layer else None
        if moments and (moments[0] < start or moments[1] > end):
            yield (
                f"{prim.GetPath()} moves from {moments[0]:g} s to {moments[1]:g} s, the stage plays {start:g} s to "
                f"{end:g} s. Change the stage's time range to see all of it."
            )


def find_physics_scene(stage: Usd.Stage) -> str | None:
    """Path of the first physics scene of a stage."""
    from pxr import UsdPhysics

    return next((str(prim.GetPath()) for prim in stage.Traverse() if prim.IsA(UsdPhysics.Scene)), None)


def add_physics_scene(stage: Usd.Stage, path: str | None = None) -> str:
    """Add a physics scene with earth's gravity along the stage's down axis, unless there is one; returns its path.

    Gravity is left to USD's defaults, which follow unit and axis of the stage.

    Args:
        stage: Stage whose edit target receives the prim.
        path: Where; below the default prim by default.

    Raises:
        StageError: If the stage or its edit target refuses.
    """
    from pxr import Sdf, UsdGeom, UsdPhysics

    require_editable_target(require_stage(stage))
    existing = find_physics_scene(stage)
    if existing:
        return existing
    parent = default_parent(stage)
    home = parent if stage.GetPrimAtPath(parent) else Sdf.Path.absoluteRootPath
    place = choose_place(stage, path or str(home.AppendChild(PHYSICS_SCENE_NAME)))
    for missing in place.parents_missing:
        UsdGeom.Xform.Define(stage, missing)
    return str(UsdPhysics.Scene.Define(stage, place.path).GetPath())
