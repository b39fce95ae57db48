# SPDX-License-Identifier: Apache-2.0
"""Prims of one layer, copied, removed and put back such that the layer's text is the same again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .types import SpecSnapshot, StageError

if TYPE_CHECKING:
    from pxr import Sdf

_DEFINITION_FIELDS = {"specifier", "typeName"}


def add_prim(source: Sdf.Layer, source_path: Sdf.Path, layer: Sdf.Layer, path: Sdf.Path) -> tuple[str, ...]:
    """Copy a prim to a path that is free in `layer`; returns the ancestors that were made there, outermost first."""
    from pxr import Sdf

    made = tuple(str(parent) for parent in _prim_parents(path) if not layer.GetPrimAtPath(parent))
    Sdf.CreatePrimInLayer(layer, path)
    Sdf.CopySpec(source, source_path, layer, path)
    return made


def define_xform(layer: Sdf.Layer, path: Sdf.Path) -> None:
    """Make a prim of a layer an Xform."""
    from pxr import Sdf

    spec = layer.GetPrimAtPath(path)
    spec.specifier, spec.typeName = Sdf.SpecifierDef, "Xform"


def remove_prim(layer: Sdf.Layer, path: Sdf.Path, parents: Sequence[str] = ()) -> None:
    """Remove a prim, and those of the `parents` (outermost first) that hold nothing else."""
    del _siblings(layer, path)[path.name]
    for parent in reversed(parents):
        spec = layer.GetPrimAtPath(parent)
        if not spec or spec.nameChildren or spec.properties or not set(spec.ListInfoKeys()) <= _DEFINITION_FIELDS:
            break
        del _siblings(layer, spec.path)[spec.name]


def take_snapshot(spec: Sdf.PrimSpec) -> SpecSnapshot:
    """Copy of a prim with its place among its siblings."""
    from pxr import Sdf

    copy = Sdf.Layer.CreateAnonymous("snapshot.usda")
    Sdf.CreatePrimInLayer(copy, spec.path)
    Sdf.CopySpec(spec.layer, spec.path, copy, spec.path)
    index = [sibling.name for sibling in _siblings(spec.layer, spec.path)].index(spec.name)
    return SpecSnapshot(spec.layer.identifier, str(spec.path), index, copy)


def put_back(layer: Sdf.Layer, snapshot: SpecSnapshot) -> None:
    """Make a prim what it was, at its old place among its siblings."""
    from pxr import Sdf

    path = Sdf.Path(snapshot.path)
    if layer.GetPrimAtPath(path):
        remove_prim(layer, path)
    # Layers move a prim to a place only while they rename it. Renaming the copy first keeps the targets in it.
    passing = path.ReplaceName(_free_name(_siblings(layer, path), path.name))
    carrier = Sdf.Layer.CreateAnonymous("carrier.usda")
    carrier.TransferContent(snapshot.copy)
    _rename(carrier, path, passing, 0)
    add_prim(carrier, passing, layer, passing)
    _rename(layer, passing, path, min(snapshot.index, len(_siblings(layer, path)) - 1))


def _rename(layer: Sdf.Layer, old: Sdf.Path, new: Sdf.Path, index: int) -> None:
    from pxr import Sdf

    edit = Sdf.BatchNamespaceEdit()
    edit.Add(old, new, index)
    if not layer.Apply(edit):
        raise StageError(f"{old} could not be put back into {layer.GetDisplayName()}.")


def _free_name(siblings: Any, name: str) -> str:
    while name in siblings:
        name += "_"
    return f"{name}_"


def _siblings(layer: Sdf.Layer, path: Sdf.Path) -> Any:
    """The children, by name, of the parent of a prim."""
    return layer.GetPrimAtPath(path.GetParentPath()).nameChildren


def _prim_parents(path: Sdf.Path) -> list[Sdf.Path]:
    """The prims above a path, without the variants in between; outermost first."""
    return [parent for parent in path.GetParentPath().GetPrefixes() if not parent.IsPrimVariantSelectionPath()]
