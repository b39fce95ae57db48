# SPDX-License-Identifier: Apache-2.0
"""The prims that stand for a scene on a stage, written to a layer of their own first.

```
<path>              Xform: translate, rotateXYZ and scale of the user, in units and axes of the stage; custom data
                    `lyra`; label of the whole scene in the taxonomy `scene`, apart from the classes of its surfaces
<path>/Asset        Xform: conversion of axis and unit, not meant to be edited; payload to the root layer; chosen
                    variant `encoding`, and `sensors` on the prim that has it
<path>/Asset/...    the scene; with collision "none" also `physics:collisionEnabled = false` on each collider
```

Two prims rather than one keep the three plain transformations that property panels, gizmos and UsdGeom.XformCommonAPI
know on the outer one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .scene_asset import ENCODING_SET, SENSOR_SET, SceneAsset, collider_paths
from .types import SENSOR_VARIANTS, SpawnRequest, StageError

if TYPE_CHECKING:
    from pxr import Sdf, Usd

ASSET = "Asset"
"""Name of the prim that has the payload."""
KEY = "lyra"
"""In the custom data of a scene: `spawned`, the version of this layout; `encoding`, `collision`, `sensors` as in
`SpawnRequest`; `provenance`."""
LAYOUT_VERSION = 1

SCENE_LABEL = "generated_scene"
_LABELS_SCHEMA = "SemanticsLabelsAPI:scene"
_LABELS_ATTRIBUTE = "semantics:labels:scene"
_LARGEST_INTEGER = 2**63


@dataclass(frozen=True)
class Conversion:
    """From the unit and axis of a file to those of a stage.

    Attributes:
        factor: Units of the stage per unit of the file.
        degrees_about_x: Rotation that takes the file's up axis to the stage's.
    """

    factor: float
    degrees_about_x: float

    @classmethod
    def between(cls, asset: SceneAsset, metres_per_unit: float, up_axis: str) -> Conversion:
        """From an asset to a stage with a unit [m] and an up axis."""
        degrees = {("Z", "Y"): -90.0, ("Y", "Z"): 90.0}.get((asset.up_axis, up_axis), 0.0)
        return cls(asset.metres_per_unit / metres_per_unit, degrees)


def draft_scene(
    path: Sdf.Path, request: SpawnRequest, asset: SceneAsset, asset_path: str, conversion: Conversion
) -> Sdf.Layer:
    """A layer with the prims of a scene.

    Args:
        path: Of the scene, in that layer.
        request: What to author.
        asset: The scene's file.
        asset_path: How the layer that the prims go to names that file.
        conversion: From that file to the stage.
    """
    from pxr import Gf, Sdf, Usd, UsdGeom

    layer = Sdf.Layer.CreateAnonymous("draft.usda")
    stage = Usd.Stage.Open(layer, load=Usd.Stage.LoadNone)
    scene = UsdGeom.Xform.Define(stage, path)
    # The default precisions: with others, XformCommonAPI reads these as identity.
    scene.AddTranslateOp().Set(Gf.Vec3d(*request.translate))
    scene.AddRotateXYZOp().Set(Gf.Vec3f(*request.rotate_xyz_deg))
    scene.AddScaleOp().Set(Gf.Vec3f(request.scale))
    if not request.visible:
        scene.CreateVisibilityAttr(UsdGeom.Tokens.invisible)
    prim = scene.GetPrim()
    prim.SetCustomDataByKey(KEY, _record(request))
    prim.AddAppliedSchema(_LABELS_SCHEMA)
    prim.CreateAttribute(_LABELS_ATTRIBUTE, Sdf.ValueTypeNames.TokenArray, custom=False).Set([SCENE_LABEL])
    _draft_asset(stage, path.AppendChild(ASSET), request, asset, asset_path, conversion)
    # A component is what viewports select as a whole; what the asset calls one becomes a part of it.
    Usd.ModelAPI(prim).SetKind("component")
    return layer


def _draft_asset(
    stage: Usd.Stage,
    path: Sdf.Path,
    request: SpawnRequest,
    asset: SceneAsset,
    asset_path: str,
    conversion: Conversion,
) -> None:
    from pxr import Gf, Usd, UsdGeom

    prim = stage.DefinePrim(path, asset.root_type)
    Usd.ModelAPI(prim).SetKind("subcomponent")
    xform = UsdGeom.Xformable(prim)
    double = UsdGeom.XformOp.PrecisionDouble
    turn = xform.AddRotateXOp(double, "lyraAxis")
    turn.Set(conversion.degrees_about_x)
    resize = xform.AddScaleOp(double, "lyraUnits")
    resize.Set(Gf.Vec3d(conversion.factor))
    xform.GetXformOpOrderAttr().Set([turn.GetOpName(), resize.GetOpName(), *asset.xform_ops])
    prim.SetInstanceable(False)  # else nothing below could be changed, not even by hand
    prim.GetPayloads().AddPayload(asset_path)
    if asset.switchable and request.encoding in asset.encodings:
        prim.GetVariantSets().SetSelection(ENCODING_SET, request.encoding)
    if asset.sensor_prim is not None:
        switch = stage.OverridePrim(path.AppendPath(asset.sensor_prim))
        switch.GetVariantSets().SetSelection(SENSOR_SET, SENSOR_VARIANTS[request.sensors])
    if request.collision == "none":
        _disable_colliders(stage, path, asset)


def _disable_colliders(stage: Usd.Stage, path: Sdf.Path, asset: SceneAsset) -> None:
    from pxr import Sdf

    for collider in collider_paths(asset.file):
        prim = stage.OverridePrim(path.AppendPath(collider))
        prim.CreateAttribute("physics:collisionEnabled", Sdf.ValueTypeNames.Bool, custom=False).Set(False)


def _record(request: SpawnRequest) -> dict[str, Any]:
    return {
        "spawned": LAYOUT_VERSION,
        "encoding": request.encoding,
        "collision": request.collision,
        "sensors": request.sensors,
        "provenance": plain_values(request.provenance),
    }


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as USD can store them, without those that are None; StageError for one that is not plain."""
    return {_text(key): _plain_value(key, value) for key, value in values.items() if value is not None}


def _plain_value(key: str, value: Any) -> Any:
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -_LARGEST_INTEGER <= value < _LARGEST_INTEGER else str(value)
    if isinstance(value, str | Path):
        return _text(str(value))
    raise StageError(
        f"The provenance {key!r} is a {type(value).__name__}; only texts, numbers and yes or no are stored."
    )


def _text(value: str) -> str:
    """Text without what USD's text format cannot hold: null characters and halves of characters."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()
