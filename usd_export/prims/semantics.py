# SPDX-License-Identifier: Apache-2.0
"""Semantic labels on prims, and the variant that shows sensors a labelled mesh instead of the Gaussians.

Labels are authored by name, as UsdSemantics writes them, because OpenUSD 24.05 has no Python module for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pxr import Sdf, Usd, UsdGeom

LABELS_SCHEMA = "SemanticsLabelsAPI:class"
LABELS_ATTRIBUTE = "semantics:labels:class"

SENSORS = "sensors"
"""Variant set: what cameras and lidars see."""
SPLATS = "splats"
PROXY = "proxy"


def write_class_labels(prim: Usd.Prim, *labels: str) -> None:
    """Give a prim and what is below it semantic classes."""
    prim.AddAppliedSchema(LABELS_SCHEMA)
    prim.CreateAttribute(LABELS_ATTRIBUTE, Sdf.ValueTypeNames.TokenArray, custom=False).Set(list(labels))


def read_class_labels(prim: Usd.Prim) -> tuple[str, ...]:
    """Semantic classes authored on a prim itself; empty if there are none."""
    attribute = prim.GetAttribute(LABELS_ATTRIBUTE)
    return tuple(attribute.Get() or ()) if attribute else ()


def write_sensor_variants(stage: Usd.Stage, scene: str, hidden: Sequence[str], surfaces: str) -> None:
    """Add the variant set `sensors` to the scene prim.

    `splats`, the default, changes nothing: pictures are made from the Gaussians. `proxy` hides them and shows the
    vertex-coloured, labelled meshes instead, from which depth, normals, segmentation and lidar are right. The geometry
    is the same as the collider's.

    Args:
        stage: Stage whose edit target receives the opinions.
        scene: Path of the prim that all are below.
        hidden: Paths of what `proxy` hides: the Gaussians, of any encoding, and the matte mesh for their shadows.
        surfaces: Path of the parent of the labelled meshes.
    """
    variants = stage.GetPrimAtPath(scene).GetVariantSets().AddVariantSet(SENSORS)
    for name in (SPLATS, PROXY):
        variants.AddVariant(name)
    variants.SetVariantSelection(PROXY)
    with variants.GetVariantEditContext():
        for path in hidden:
            UsdGeom.Imageable(stage.OverridePrim(path)).CreateVisibilityAttr(UsdGeom.Tokens.invisible)
        UsdGeom.Imageable(stage.OverridePrim(surfaces)).CreatePurposeAttr(UsdGeom.Tokens.default_)
    variants.SetVariantSelection(SPLATS)
