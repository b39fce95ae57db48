# SPDX-License-Identifier: Apache-2.0
"""Static colliders and their surface material, in plain UsdPhysics."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom, UsdPhysics, UsdShade, Vt

from usd_export.provenance import KEY, usd_dictionary

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

STATIC_FRICTION = 0.8
DYNAMIC_FRICTION = 0.6
RESTITUTION = 0.0


def write_collider(stage: Usd.Stage, path: str, collider: ColliderMesh) -> UsdGeom.Mesh:
    """Define a triangle mesh that collides but is not rendered, below an Xform of purpose guide.

    Guide rather than invisible: the viewport can still show it, and asset validators reject invisible colliders.

    Args:
        stage: Stage whose edit target receives the prims.
        path: Path of the Xform; the mesh becomes its child `mesh`.
        collider: Mesh in the cloud's own frame.
    """
    group = UsdGeom.Xform.Define(stage, path)
    group.CreatePurposeAttr(UsdGeom.Tokens.guide)
    group.GetPrim().SetCustomDataByKey(f"{KEY}:report", usd_dictionary(asdict(collider.report)))
    mesh = UsdGeom.Mesh.Define(stage, f"{path}/mesh")
    vertices = np.ascontiguousarray(collider.vertices, np.float32)
    triangles = np.ascontiguousarray(collider.triangles, np.int32)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(vertices))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(triangles), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(triangles.ravel()))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(_vertex_normals(vertices, triangles)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([vertices.min(axis=0), vertices.max(axis=0)])))
    UsdPhysics.CollisionAPI.Apply(mesh.GetPrim()).CreateCollisionEnabledAttr(True)
    UsdPhysics.MeshCollisionAPI.Apply(mesh.GetPrim()).CreateApproximationAttr(UsdPhysics.Tokens.none)
    return mesh


def _vertex_normals(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    """Area-weighted unit normals [V, 3]; up where a vertex has no area around it."""
    a, b, c = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    faces = np.cross(b - a, c - a).repeat(3, axis=0)
    sums = [np.bincount(triangles.ravel(), faces[:, axis], len(vertices)) for axis in range(3)]
    normals = np.stack(sums, axis=1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(lengths > 0, normals / np.where(lengths > 0, lengths, 1), [0, 0, 1]).astype(np.float32)


def write_ground_material(stage: Usd.Stage, path: str) -> UsdShade.Material:
    """Define a physics material with explicit friction: UsdPhysics' own fallback is 0, ice."""
    material = UsdShade.Material.Define(stage, path)
    api = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    api.CreateStaticFrictionAttr(STATIC_FRICTION)
    api.CreateDynamicFrictionAttr(DYNAMIC_FRICTION)
    api.CreateRestitutionAttr(RESTITUTION)
    return material


def bind_physics_material(prim: Usd.Prim, material: UsdShade.Material) -> None:
    """Bind for the purpose physics only, so that rendering is not affected."""
    binding = UsdShade.MaterialBindingAPI.Apply(prim)
    binding.Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")
