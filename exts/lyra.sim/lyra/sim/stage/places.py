# SPDX-License-Identifier: Apache-2.0
"""Where on a stage, and in which layer, something may be written; and how that layer names files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from .scene_draft import KEY
from .types import StageError

if TYPE_CHECKING:
    from pxr import Sdf, Usd

WORLD = "/World"
SCENE_NAME = "LyraScene"


@dataclass(frozen=True)
class Place:
    """A free path on a stage.

    Attributes:
        path: The path.
        parents_missing: Ancestors that have to be made; outermost first.
        warnings: Texts for the user.
    """

    path: Sdf.Path
    parents_missing: tuple[Sdf.Path, ...]
    warnings: tuple[str, ...] = ()


def require_stage(stage: Usd.Stage | None) -> Usd.Stage:
    """The stage; StageError if none is open, or it was closed."""
    if not stage:
        raise StageError("No stage is open. Create or open one, then try again.")
    return stage


def require_editable_target(stage: Usd.Stage) -> Sdf.Layer:
    """The layer that edits go to.

    Raises:
        StageError: If it refuses edits, or none of them would be seen.
    """
    layer = stage.GetEditTarget().GetLayer()
    if not layer:
        raise StageError("The stage has no edit target. Make one of its layers the edit target (Layer window).")
    name = layer.GetDisplayName()
    if stage.IsLayerMuted(layer.identifier):
        raise StageError(f"The edit target {name} is muted. Unmute it, or choose another layer (Layer window).")
    if not stage.HasLocalLayer(layer):
        raise StageError(f"The edit target {name} is not a layer of this stage. Choose one in the Layer window.")
    require_editable(layer)
    return layer


def require_editable(layer: Sdf.Layer) -> None:
    """StageError if a layer refuses edits."""
    if not layer.permissionToEdit:
        raise StageError(f"{layer.GetDisplayName()} is read-only. Unlock it, or choose another layer (Layer window).")


def choose_place(stage: Usd.Stage, wanted: str | None) -> Place:
    """A free path for a scene: the wanted one, or one below the default prim, below /World or at the root.

    Raises:
        StageError: If nothing can stand at the wanted path.
    """
    from pxr import Sdf

    if wanted is None:
        return _free_place(stage, default_parent(stage).AppendChild(f"{SCENE_NAME}_01"))
    path = Sdf.Path(wanted) if Sdf.Path.IsValidPathString(wanted) else Sdf.Path.emptyPath
    if not (path.IsPrimPath() and path.IsAbsolutePath()) or path.ContainsPrimVariantSelection():
        raise StageError(f"{wanted!r} is not the path of a prim. Use one like {WORLD}/{SCENE_NAME}.")
    problem = _parent_problem(stage, path.GetParentPath())
    if problem:
        raise StageError(f"Nothing can be put at {wanted}: {problem}. Choose another path.")
    place = _free_place(stage, path)
    taken = () if place.path == path else (f"{wanted} was taken; the scene stands at {place.path}.",)
    return Place(place.path, place.parents_missing, taken)


def default_parent(stage: Usd.Stage) -> Sdf.Path:
    """The prim that new things go below; need not exist."""
    from pxr import Sdf

    default = stage.GetDefaultPrim()
    for parent in [default.GetPath(), Sdf.Path(WORLD)] if default else [Sdf.Path(WORLD)]:
        prim = stage.GetPrimAtPath(parent)
        if not _parent_problem(stage, parent) and (not prim or prim.GetTypeName() in ("", "Xform", "Scope")):
            return parent
    return Sdf.Path.absoluteRootPath


def _parent_problem(stage: Usd.Stage, parent: Sdf.Path) -> str:
    """Why nothing can be put below a path; empty if it can."""
    for path in parent.GetPrefixes():
        prim = stage.GetPrimAtPath(path)
        if not prim:
            return ""
        if prim.IsInstance() or prim.IsInstanceProxy() or prim.IsInPrototype():
            return f"{path} is an instance"
        if prim.HasAuthoredPayloads():
            return f"{path} is a payload, which may be unloaded"
        if prim.GetCustomDataByKey(f"{KEY}:spawned"):
            return f"{path} is a Lyra scene itself"
        if not prim.IsActive():
            return f"{path} is deactivated"
        if prim.IsAbstract():
            return f"{path} is a class"
        if not prim.IsDefined():
            return f"{path} has overrides but no definition"
    return ""


def _free_place(stage: Usd.Stage, path: Sdf.Path) -> Place:
    missing = tuple(parent for parent in path.GetParentPath().GetPrefixes() if not stage.GetPrimAtPath(parent))
    return Place(free_path(stage, path), missing)


def free_path(stage: Usd.Stage, path: Sdf.Path) -> Sdf.Path:
    """The path, or the next one whose trailing number is not taken."""
    stem = path.name.rstrip("0123456789")
    number = int(path.name[len(stem) :] or 0)
    stem = stem if number else f"{stem}_"
    while stage.GetPrimAtPath(path):
        number += 1
        path = path.ReplaceName(f"{stem}{number:02d}")
    return path


def is_package(layer: Sdf.Layer) -> bool:
    """Whether a layer is a package, or lies in one: it can be edited, but not saved."""
    from pxr import Ar

    return layer.GetFileFormat().IsPackage() or Ar.IsPackageRelativePath(layer.identifier)


def asset_path_for(layer: Sdf.Layer, usd_file: Path) -> str:
    """How a layer names a file: relative if the file lies in the layer's folder or below, so that both can be moved
    together, else absolute. With forward slashes on every system."""
    file = Path(os.path.abspath(usd_file))  # noqa: PTH100, `resolve` would follow links
    folder = _folder(layer)
    if folder is None:
        return file.as_posix()
    return relative_asset_path(folder, file) or relative_asset_path(folder.resolve(), file.resolve()) or file.as_posix()


def relative_asset_path(folder: PurePath, file: PurePath) -> str:
    """The path of a file in or below a folder, as USD anchors it; empty for any other file."""
    return f"./{file.relative_to(folder).as_posix()}" if file.is_relative_to(folder) else ""


def _folder(layer: Sdf.Layer) -> Path | None:
    """The folder on this computer that a layer is stored in; None if there is none."""
    stored = layer.realPath and not layer.anonymous and "://" not in layer.identifier and not is_package(layer)
    return Path(layer.realPath).parent if stored else None
