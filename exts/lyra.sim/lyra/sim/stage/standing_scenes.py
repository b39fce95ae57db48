# SPDX-License-Identifier: Apache-2.0
"""Scenes that stand on a stage: finding them, and the files they show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .places import asset_path_for, require_editable, require_stage
from .scene_draft import ASSET, KEY
from .types import SpawnedInfo, StageError

if TYPE_CHECKING:
    from pxr import Sdf, Usd


@dataclass(frozen=True)
class Payload:
    """Where a payload is written.

    Attributes:
        spec: The opinion that has it.
        asset_path: As it is written there.
    """

    spec: Sdf.PrimSpec
    asset_path: str

    def file(self) -> str:
        """The path, anchored to the layer it is written in."""
        return str(self.spec.layer.ComputeAbsolutePath(self.asset_path))


def spawned_scenes(stage: Usd.Stage) -> list[SpawnedInfo]:
    """All scenes on a stage, in its order, also those whose file is gone."""
    return [_info(prim) for prim in scene_prims(require_stage(stage))]


def scene_prims(stage: Usd.Stage) -> Iterator[Usd.Prim]:
    """The prims of all scenes on a stage; what is below them is not looked through."""
    from pxr import Usd

    prims = iter(Usd.PrimRange.Stage(stage, Usd.PrimIsDefined & ~Usd.PrimIsAbstract))
    for prim in prims:
        if _record(prim):
            prims.PruneChildren()
            yield prim


def require_scene(stage: Usd.Stage, prim_path: str) -> Usd.Prim:
    """The prim of a scene; StageError if there is no scene at the path."""
    from pxr import Sdf

    prim = stage.GetPrimAtPath(prim_path) if Sdf.Path.IsValidPathString(prim_path) else None
    if not prim or not _record(prim):
        standing = ", ".join(str(found.GetPath()) for found in scene_prims(stage)) or "none"
        raise StageError(f"There is no Lyra scene at {prim_path!r}; scenes on this stage: {standing}.")
    return prim


def require_definition(stage: Usd.Stage, prim_path: str) -> Sdf.PrimSpec:
    """The opinion that defines a scene.

    Raises:
        StageError: If there is no scene, or it was put into another file, or into a layer that refuses edits.
    """
    prim = require_scene(stage, prim_path)
    for spec in local_specs(stage, prim):
        if "spawned" in spec.customData.get(KEY, {}):
            require_editable(spec.layer)
            return spec
    raise StageError(f"{prim_path} comes from a file that this stage refers to. Open that file to change it.")


def local_specs(stage: Usd.Stage, prim: Usd.Prim) -> list[Sdf.PrimSpec]:
    """Opinions about a prim in the layers of the stage itself, without those it refers to; strongest first."""
    path = prim.GetPath()
    return [
        spec
        for spec in prim.GetPrimStack()
        if stage.HasLocalLayer(spec.layer) and spec.path.StripAllVariantSelections() == path
    ]


def payload_of(prim: Usd.Prim) -> Payload | None:
    """The payload of a scene; None if someone removed it."""
    asset = prim.GetChild(ASSET)
    for spec in asset.GetPrimStack() if asset else []:
        for payload in spec.payloadList.GetAddedOrExplicitItems():
            return Payload(spec, payload.assetPath)
    return None


def make_paths_relative(stage: Usd.Stage) -> list[str]:
    """Once a stage is saved, name those scene files relatively that lie in or below its folder.

    Layers that refuse edits are left alone. What changed has to be saved again.

    Returns:
        Paths of the scenes that changed.
    """
    changed = []
    for prim in scene_prims(require_stage(stage)):
        payload = payload_of(prim)
        if payload is None or not stage.HasLocalLayer(payload.spec.layer) or not payload.spec.layer.permissionToEdit:
            continue
        asset_path = asset_path_for(payload.spec.layer, Path(payload.file()))
        if asset_path != payload.asset_path:
            set_payload(payload.spec, asset_path)
            changed.append(str(prim.GetPath()))
    return changed


def set_payload(spec: Sdf.PrimSpec, asset_path: str) -> None:
    """Make a file the payload of a prim."""
    from pxr import Sdf

    spec.payloadList.ClearEdits()
    spec.payloadList.Prepend(Sdf.Payload(asset_path))


def _record(prim: Usd.Prim) -> dict[str, Any]:
    """What `spawn` noted on a prim; empty for all others, also for those that only come from a scene file."""
    record = prim.GetCustomDataByKey(KEY)
    return record if isinstance(record, dict) and "spawned" in record else {}


def _info(prim: Usd.Prim) -> SpawnedInfo:
    from pxr import Ar

    record = _record(prim)
    payload = payload_of(prim)
    file = payload.file() if payload else ""
    return SpawnedInfo(
        prim_path=str(prim.GetPath()),
        usd_file=Path(file),
        missing=not file or not Ar.GetResolver().Resolve(file),
        provenance=dict(record.get("provenance", {})),
        encoding=str(record.get("encoding", "")),
        collision=str(record.get("collision", "")),
        sensors=str(record.get("sensors", "")),
    )
