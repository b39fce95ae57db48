# SPDX-License-Identifier: Apache-2.0
"""Things that move: rigid bodies whose collision shape is a signed distance field or a set of convex hulls.

The PhysX schemas are authored by name, because their plug-in exists only inside of Kit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pxr import Sdf, Usd, UsdGeom, UsdPhysics

from usd_export.errors import UsdExportError
from usd_export.prims.physics import MESH, define_mesh

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

Approximation = Literal["sdf", "convexParts", "convexHull"]

PARTS = "parts"
DENSITY = 300.0
"""Mass per volume [kg/m^3] of furniture and boxes, hollow spaces included."""

_INT, _FLOAT = Sdf.ValueTypeNames.Int, Sdf.ValueTypeNames.Float
_SDF: tuple[tuple[str, Sdf.ValueTypeName, Any], ...] = (
    ("sdfResolution", _INT, 256),
    ("sdfSubgridResolution", _INT, 6),
    ("sdfMargin", _FLOAT, 0.01),
    ("sdfNarrowBandThickness", _FLOAT, 0.01),
)
_HULL: tuple[tuple[str, Sdf.ValueTypeName, Any], ...] = (("hullVertexLimit", _INT, 64), ("minThickness", _FLOAT, 0.001))


def write_movable(
    stage: Usd.Stage, path: str, collider: ColliderMesh, approximation: Approximation = "sdf"
) -> UsdGeom.Xform:
    """Define a rigid body of purpose guide.

    Args:
        stage: Stage whose edit target receives the prims.
        path: Path of the body. `mesh` below it holds the solid; `parts` its convex parts.
        collider: Closed mesh, as `build_collider(..., preset="object")` gives it.
        approximation: `sdf` keeps every hollow and needs PhysX on a GPU; `convexParts` works in every engine;
            `convexHull` is the fastest.

    Raises:
        UsdExportError: If the mesh is open, or the parts cannot be made.
    """
    if not collider.report.watertight:
        raise UsdExportError(f"the collider for {path} is open, so it has no inside; build it with watertight=True")
    body = UsdGeom.Xform.Define(stage, path)
    body.CreatePurposeAttr(UsdGeom.Tokens.guide)
    UsdPhysics.RigidBodyAPI.Apply(body.GetPrim())
    UsdPhysics.MassAPI.Apply(body.GetPrim()).CreateDensityAttr(DENSITY)
    mesh = define_mesh(stage, f"{path}/{MESH}", collider.vertices, collider.triangles, collider.colors)
    if approximation == "sdf":
        _collide(mesh.GetPrim(), "sdf")
        _apply(mesh.GetPrim(), "PhysxSDFMeshCollisionAPI", "physxSDFMeshCollision", _SDF)
    elif approximation == "convexHull":
        collide_as_hull(mesh.GetPrim())
    elif approximation == "convexParts":
        _write_parts(stage, path, collider)
    else:
        raise UsdExportError(f"the approximation {approximation!r} is unknown; use sdf, convexParts or convexHull")
    return body


def _write_parts(stage: Usd.Stage, path: str, collider: ColliderMesh) -> None:
    from usd_export.collision.convex import convex_parts

    UsdGeom.Xform.Define(stage, f"{path}/{PARTS}")
    for number, (vertices, triangles) in enumerate(convex_parts(collider.vertices, collider.triangles)):
        collide_as_hull(define_mesh(stage, f"{path}/{PARTS}/part_{number:03d}", vertices, triangles).GetPrim())


def collide_as_hull(prim: Usd.Prim) -> None:
    """Let a mesh collide with its convex hull."""
    _collide(prim, UsdPhysics.Tokens.convexHull)
    _apply(prim, "PhysxConvexHullCollisionAPI", "physxConvexHullCollision", _HULL)


def _collide(prim: Usd.Prim, approximation: str) -> None:
    UsdPhysics.CollisionAPI.Apply(prim).CreateCollisionEnabledAttr(True)
    UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(approximation)


def _apply(
    prim: Usd.Prim, schema: str, namespace: str, attributes: tuple[tuple[str, Sdf.ValueTypeName, Any], ...]
) -> None:
    """Apply a PhysX schema with its attributes; without the schema entry PhysX falls back to a convex hull."""
    prim.AddAppliedSchema(schema)
    for name, kind, value in attributes:
        prim.CreateAttribute(f"{namespace}:{name}", kind, False, Sdf.VariabilityUniform).Set(value)
