# SPDX-License-Identifier: Apache-2.0
"""Metadata of a stage that comes with a scene: a default prim for an empty stage, a time range for one without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .places import Place

if TYPE_CHECKING:
    from pxr import Sdf, Usd

Fields = tuple[tuple[str, Any], ...]
"""Names and values of fields that a layer does not have yet."""


def default_prim_for(stage: Usd.Stage, layer: Sdf.Layer, place: Place) -> tuple[Fields, list[str]]:
    """The default prim of an empty stage whose root layer is edited; for others a warning if there is none."""
    if stage.HasDefaultPrim():
        return (), []
    if layer == stage.GetRootLayer() and not any(local.rootPrims for local in stage.GetLayerStack(False)):
        return (("defaultPrim", place.path.GetPrefixes()[0].name),), []
    return (), [
        "The stage has no default prim: files that refer to it will see nothing. "
        "Set one (Stage window, Set as Default Prim)."
    ]


def time_range_for(stage: Usd.Stage, layer: Sdf.Layer, moments: tuple[float, float] | None) -> tuple[Fields, list[str]]:
    """The time codes of two moments [s], for a stage without a range; a warning if the root layer is not edited."""
    root, session = stage.GetRootLayer(), stage.GetSessionLayer()
    authored = any(local.HasStartTimeCode() or local.HasEndTimeCode() for local in (root, session) if local)
    if moments is None or authored:
        return (), []
    start, end = (moment * stage.GetTimeCodesPerSecond() for moment in moments)
    if layer == root:
        return (("startTimeCode", start), ("endTimeCode", end)), []
    return (), [f"The scene moves; set the stage's time range to {start:g} .. {end:g} to play it."]


def set_fields(layer: Sdf.Layer, fields: Iterable[tuple[str, Any]]) -> None:
    """Set metadata of a layer."""
    for name, value in fields:
        setattr(layer, name, value)


def clear_fields(layer: Sdf.Layer, fields: Iterable[tuple[str, Any]]) -> None:
    """Clear metadata that still has the given values; a default prim only if the layer no longer has such a prim."""
    for name, value in fields:
        used = name == "defaultPrim" and layer.GetPrimAtPath(f"/{value}")
        if getattr(layer, name) == value and not used:
            layer.pseudoRoot.ClearInfo(name)
