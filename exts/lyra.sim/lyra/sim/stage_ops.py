# SPDX-License-Identifier: Apache-2.0
"""Scenes on a stage: put, remove, restore, replace and repair them, in any stage of USD 24.05 or later.

Every operation either does all it says or raises `StageError` and changes nothing. None touches a prim that it did not
make. What is authored for a scene is described in `scene_draft`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace as replaced
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .stage.encoding import choose_encoding, supports_particle_fields
from .stage.hints import add_physics_scene, find_physics_scene, stage_hints
from .stage.layer_edits import add_prim, define_xform, put_back, remove_prim, take_snapshot
from .stage.metadata import clear_fields, default_prim_for, set_fields, time_range_for
from .stage.places import (
    asset_path_for,
    choose_place,
    require_editable,
    require_editable_target,
    require_stage,
)
from .stage.scene_asset import (
    SceneAsset,
    check_asset,
    encoding_problems,
    metres_per_unit,
    read_asset,
    root_layer_for,
    up_axis,
)
from .stage.scene_draft import ASSET, KEY, Conversion, draft_scene
from .stage.standing_scenes import (
    local_specs,
    make_paths_relative,
    require_definition,
    require_scene,
    set_payload,
    spawned_scenes,
)
from .stage.types import (
    COLLISIONS,
    ENCODINGS,
    PARTICLE_FIELD,
    SENSOR_VARIANTS,
    RemovedScene,
    Spawned,
    SpawnedInfo,
    SpawnRequest,
    SpecSnapshot,
    StageError,
)

if TYPE_CHECKING:
    from pxr import Sdf, Usd

__all__ = [
    "RemovedScene",
    "SpawnRequest",
    "Spawned",
    "SpawnedInfo",
    "StageError",
    "add_physics_scene",
    "asset_path_for",
    "check_asset",
    "choose_encoding",
    "find_physics_scene",
    "make_paths_relative",
    "remove",
    "replace",
    "restore",
    "retarget",
    "spawn",
    "spawned_scenes",
    "stage_hints",
    "supports_particle_fields",
    "unspawn",
]


def spawn(stage: Usd.Stage, request: SpawnRequest) -> Spawned:
    """Put a scene on a stage, in its current edit target.

    Missing ancestors are made, an empty stage gets a default prim, and a stage without a time range takes that of a
    scene that moves.

    Raises:
        StageError: If the request, the scene's file or the stage does not allow it.
    """
    from pxr import Sdf

    layer = require_editable_target(require_stage(stage))
    _require_valid(request)
    asset, request, warnings = _read_asset(request)
    place = choose_place(stage, request.prim_path)
    spec_path = _free_spec_path(stage, layer, place.path)
    draft = _draft(stage, layer, request, asset)
    default_prim, prim_notes = default_prim_for(stage, layer, place)
    time_range, time_notes = time_range_for(stage, layer, asset.time_range)
    with Sdf.ChangeBlock():
        parents = add_prim(draft, _DRAFT, layer, spec_path)
        for parent in place.parents_missing:
            define_xform(layer, stage.GetEditTarget().MapToSpecPath(parent))
        set_fields(layer, (*default_prim, *time_range))
    _load(stage, str(place.path))
    return Spawned(
        prim_path=str(place.path),
        root_prims_created=tuple(map(str, place.parents_missing)),
        warnings=(*place.warnings, *warnings, *prim_notes, *time_notes),
        encoding=request.encoding,
        layer=layer.identifier,
        spec_path=str(spec_path),
        parents_created=parents,
        layer_fields_set=(*default_prim, *time_range),
    )


def unspawn(stage: Usd.Stage, spawned: Spawned) -> None:
    """Take back what `spawn` did; its layer is as before unless something else was written since.

    Raises:
        StageError: If the scene or its layer is gone or refuses edits.
    """
    from pxr import Sdf

    layer = _require_local(require_stage(stage), spawned.layer)
    if not layer.GetPrimAtPath(spawned.spec_path):
        raise StageError(f"{spawned.prim_path} is gone already; nothing to take back.")
    with Sdf.ChangeBlock():
        remove_prim(layer, Sdf.Path(spawned.spec_path), spawned.parents_created)
        clear_fields(layer, spawned.layer_fields_set)


def remove(stage: Usd.Stage, prim_path: str) -> RemovedScene:
    """Remove a scene from all layers of a stage; its files stay.

    Raises:
        StageError: If there is no scene, or a layer that has a part of it refuses edits.
    """
    from pxr import Sdf

    require_definition(require_stage(stage), prim_path)
    specs = local_specs(stage, require_scene(stage, prim_path))
    for spec in specs:
        require_editable(spec.layer)
    snapshots = tuple(take_snapshot(spec) for spec in specs)
    with Sdf.ChangeBlock():
        for spec in specs:
            remove_prim(spec.layer, spec.path)
    return RemovedScene(prim_path, snapshots)


def restore(stage: Usd.Stage, removed: RemovedScene) -> None:
    """Make a scene again what it was before `remove`, `replace` or `retarget`, at its old place in its layers.

    Raises:
        StageError: If its path is taken, or a layer or ancestor is gone or refuses edits.
    """
    from pxr import Sdf

    prim = require_stage(stage).GetPrimAtPath(removed.prim_path)
    if prim and not removed.replaced:
        raise StageError(f"{removed.prim_path} is taken. Move what stands there, then try again.")
    layers = [_require_parent(stage, snapshot) for snapshot in removed.snapshots]
    with Sdf.ChangeBlock():
        for layer, snapshot in zip(layers, removed.snapshots, strict=True):
            put_back(layer, snapshot)


def replace(
    stage: Usd.Stage,
    prim_path: str,
    usd_file: Path,
    *,
    encoding: str | None = None,
    collision: str | None = None,
    sensors: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> RemovedScene:
    """Show another scene at the same path, with the same transformation.

    Changes that were made to parts of the old scene, in the layer it was spawned into, are dropped.

    Args:
        stage: The stage.
        prim_path: Of the scene that goes.
        usd_file: Of the one that comes.
        encoding: None keeps that of the old scene; so do the next two.
        collision: `mesh` or `none`.
        sensors: `camera` or `hybrid`.
        provenance: Of the scene that comes.

    Returns:
        The old scene, for `restore`; `warnings` are about the new one.

    Raises:
        StageError: As `spawn` and `remove`.
    """
    from pxr import Sdf

    spec = require_definition(require_stage(stage), prim_path)
    options = {"encoding": encoding, "collision": collision, "sensors": sensors}
    request = _request_of(spec, usd_file, provenance or {}, options)
    asset, request, warnings = _read_asset(request)
    draft = _draft(stage, spec.layer, request, asset)
    before = take_snapshot(spec)
    asset_path = spec.path.AppendChild(ASSET)
    with Sdf.ChangeBlock():
        Sdf.CreatePrimInLayer(spec.layer, asset_path)
        Sdf.CopySpec(draft, _DRAFT_ASSET, spec.layer, asset_path)
        spec.customData[KEY] = draft.GetPrimAtPath(_DRAFT).customData[KEY]
    _load(stage, prim_path)
    return RemovedScene(prim_path, (before,), replaced=True, warnings=warnings)


def retarget(stage: Usd.Stage, prim_path: str, usd_file: Path) -> RemovedScene:
    """Tell a scene where its file is now; everything else stays, also what was changed in it.

    Returns:
        The scene as it was, for `restore`.

    Raises:
        StageError: As `spawn` and `remove`.
    """
    from pxr import Sdf

    spec = require_definition(require_stage(stage), prim_path)
    asset, request, warnings = _read_asset(_request_of(spec, usd_file, {}, {}))
    draft = _draft(stage, spec.layer, request, asset)
    before = take_snapshot(spec)
    asset_path = spec.path.AppendChild(ASSET)
    new = draft.GetPrimAtPath(_DRAFT_ASSET)
    with Sdf.ChangeBlock():
        old = Sdf.CreatePrimInLayer(spec.layer, asset_path)
        set_payload(old, asset_path_for(spec.layer, asset.file))
        for conversion in new.properties:
            Sdf.CopySpec(draft, conversion.path, spec.layer, asset_path.AppendProperty(conversion.name))
    _load(stage, prim_path)
    return RemovedScene(prim_path, (before,), replaced=True, warnings=warnings)


_DRAFT = "/Scene"
_DRAFT_ASSET = f"{_DRAFT}/{ASSET}"


def _draft(stage: Usd.Stage, layer: Sdf.Layer, request: SpawnRequest, asset: SceneAsset) -> Sdf.Layer:
    from pxr import Sdf

    conversion = Conversion.between(asset, metres_per_unit(stage), up_axis(stage))
    return draft_scene(Sdf.Path(_DRAFT), request, asset, asset_path_for(layer, asset.file), conversion)


def _read_asset(request: SpawnRequest) -> tuple[SceneAsset, SpawnRequest, tuple[str, ...]]:
    """The scene's file, the request with the encoding that will really be shown, and warnings."""
    asset = read_asset(root_layer_for(request.usd_file, request.encoding))
    warnings = [*asset.warnings, *encoding_problems(asset, request.encoding)]
    if request.sensors == "hybrid" and asset.sensor_prim is None:
        warnings.append(f"{asset.file} has no labelled meshes for depth and labels; sensors see its Gaussians.")
        request = replaced(request, sensors="camera")
    if request.encoding not in asset.encodings:
        request = replaced(request, encoding=asset.encodings[0] if asset.encodings else "")
    return asset, request, tuple(warnings)


def _request_of(
    spec: Sdf.PrimSpec, usd_file: Path, provenance: Mapping[str, Any], options: Mapping[str, str | None]
) -> SpawnRequest:
    """What would spawn a scene with the options of one that stands."""
    record = spec.customData[KEY]

    def chosen(name: str, default: str) -> str:
        return str(options.get(name) or record.get(name) or default)

    request = SpawnRequest(
        usd_file,
        encoding=chosen("encoding", PARTICLE_FIELD),
        collision=chosen("collision", "mesh"),
        sensors=chosen("sensors", "camera"),
        provenance=provenance,
    )
    _require_valid(request)
    return request


def _require_valid(request: SpawnRequest) -> None:
    numbers = (*request.translate, *request.rotate_xyz_deg, request.scale)
    if len(numbers) != 7 or not all(math.isfinite(number) for number in numbers):
        raise StageError("Position and rotation need three finite numbers each, the scale one.")
    if request.scale <= 0:
        raise StageError(f"The scale {request.scale} is not positive.")
    for name, choices in (("encoding", ENCODINGS), ("collision", COLLISIONS), ("sensors", tuple(SENSOR_VARIANTS))):
        if getattr(request, name) not in choices:
            raise StageError(f"{name} {getattr(request, name)!r} is unknown; use {' or '.join(choices)}.")


def _free_spec_path(stage: Usd.Stage, layer: Sdf.Layer, path: Sdf.Path) -> Sdf.Path:
    """Where the edit target keeps a prim; in a variant that is edited, but not selected, something may be there."""
    spec_path = stage.GetEditTarget().MapToSpecPath(path)
    if spec_path.isEmpty or layer.GetPrimAtPath(spec_path):
        raise StageError(f"{path} cannot be written in the edit target. Choose another path, or another layer.")
    return spec_path


def _require_local(stage: Usd.Stage, identifier: str) -> Sdf.Layer:
    """A layer of a stage by its identifier, open for edits."""
    from pxr import Sdf

    layer = Sdf.Layer.Find(identifier)
    if not layer or not stage.HasLocalLayer(layer):
        raise StageError(f"The layer {identifier} is no longer a part of this stage; nothing was changed.")
    require_editable(layer)
    return layer


def _require_parent(stage: Usd.Stage, snapshot: SpecSnapshot) -> Sdf.Layer:
    """The layer of a snapshot; StageError unless it still has the prim above it."""
    from pxr import Sdf

    layer = _require_local(stage, snapshot.layer)
    parent = Sdf.Path(snapshot.path).GetParentPath()
    if not layer.GetPrimAtPath(parent):
        raise StageError(f"{parent} is gone from {layer.GetDisplayName()}; put it back first.")
    return layer


def _load(stage: Usd.Stage, prim_path: str) -> None:
    """Load the payload also on stages that were opened without."""
    prim = stage.GetPrimAtPath(prim_path).GetChild(ASSET)
    if prim and not prim.IsLoaded():
        prim.Load()
