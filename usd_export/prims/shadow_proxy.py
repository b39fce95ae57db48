# SPDX-License-Identifier: Apache-2.0
"""The matte mesh on which Isaac Sim 5 lets robots throw shadows over a NuRec volume.

The renderer draws the mesh only where a shadow falls on it. It must be visible and of purpose default, so it cannot be
the physics collider. The volume names it in its relationship `proxy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pxr import Sdf, Usd, UsdGeom

from usd_export.prims.physics import define_mesh

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

MATTE = "isMatteObject"
NO_SHADOW = "doNotCastShadows"


def write_shadow_proxy(stage: Usd.Stage, path: str, collider: ColliderMesh) -> UsdGeom.Mesh:
    """Define the matte mesh at `path`, a sibling of the volume, so that both follow the same matrix.

    It does not collide, and throws no shadow of its own: the shadows of the scene are in the pictures already.
    """
    mesh = define_mesh(stage, path, collider.vertices, collider.triangles)
    primvars = UsdGeom.PrimvarsAPI(mesh)
    for name in (MATTE, NO_SHADOW):
        primvars.CreatePrimvar(name, Sdf.ValueTypeNames.Bool).Set(True)
    return mesh


def link_shadow_proxy(volume: Usd.Prim, proxy: str) -> None:
    """Tell a NuRec volume which mesh stands for its surfaces."""
    volume.CreateRelationship("proxy", custom=False).SetTargets([proxy])
