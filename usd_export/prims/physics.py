# SPDX-License-Identifier: Apache-2.0
"""Static colliders and their surface materials, in plain UsdPhysics.

```
<path>                    Xform, purpose guide, variant set `collider`
<path>/mesh               the whole collider; collides in the variant `merged`, the default
<path>/surfaces           Xform, if the triangles are labelled
<path>/surfaces/floor     the same triangles by label (also wall, ceiling, obstacle); collide in `labelled`
<path>/chunks/chunk_000   the same triangles by place, for large scenes; collide in `chunked`
```

Each variant lets exactly one copy of a triangle collide. `mesh` comes first, and ray-casters that take the first mesh
find the whole collider in every variant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdGeom, UsdPhysics, UsdShade, Vt

from usd_export.encodings.partition import kd_partitions
from usd_export.prims.semantics import write_class_labels
from usd_export.provenance import KEY, usd_dictionary

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

Vertices = NDArray[np.float32]  # [V, 3]
Triangles = NDArray[np.int32]  # [T, 3]

MESH = "mesh"
SURFACES = "surfaces"
CHUNKS = "chunks"

COLLIDER = "collider"
"""Variant set: which of the meshes collide."""
MERGED = "merged"
LABELLED = "labelled"
CHUNKED = "chunked"

MAX_CHUNK_TRIANGLES = 100_000
"""A collider with more triangles also comes in chunks."""

LABEL_PRIMVAR = "surfaceLabel"
"""`SurfaceLabel` per triangle of the whole collider."""


@dataclass(frozen=True)
class SurfaceMaterial:
    """Coulomb friction and restitution; UsdPhysics' own fallback for all three is 0, ice."""

    static_friction: float
    dynamic_friction: float
    restitution: float = 0.0


GROUND = "ground"
"""Material of the whole collider."""
SURFACE_MATERIALS = {
    GROUND: SurfaceMaterial(0.8, 0.6),
    "floor": SurfaceMaterial(0.8, 0.6),
    "wall": SurfaceMaterial(0.5, 0.4),
    "ceiling": SurfaceMaterial(0.5, 0.4),
    "obstacle": SurfaceMaterial(0.6, 0.5),
}


def write_collider(stage: Usd.Stage, path: str, collider: ColliderMesh) -> UsdGeom.Mesh:
    """Define triangle meshes that collide but are not rendered, below an Xform of purpose guide.

    Guide rather than invisible: the viewport can still show it, and asset validators reject invisible colliders.

    Args:
        stage: Stage whose edit target receives the prims.
        path: Path of the Xform; the whole collider becomes its child `mesh`.
        collider: Mesh in the cloud's own frame.

    Returns:
        The whole collider.
    """
    group = UsdGeom.Xform.Define(stage, path)
    group.CreatePurposeAttr(UsdGeom.Tokens.guide)
    group.GetPrim().SetCustomDataByKey(f"{KEY}:report", usd_dictionary(asdict(collider.report)))
    mesh = define_mesh(stage, f"{path}/{MESH}", collider.vertices, collider.triangles, collider.colors)
    surfaces, chunks = list(_write_surfaces(stage, path, collider)), list(_write_chunks(stage, path, collider))
    if not surfaces and not chunks:
        make_static_collider(mesh.GetPrim())
        return mesh
    variants = group.GetPrim().GetVariantSets().AddVariantSet(COLLIDER)
    for variant, prims in ((LABELLED, surfaces), (CHUNKED, chunks), (MERGED, [mesh.GetPrim()])):
        if not prims:
            continue
        variants.AddVariant(variant)
        variants.SetVariantSelection(variant)
        with variants.GetVariantEditContext():
            for prim in prims:
                make_static_collider(prim)
    return mesh


def _write_surfaces(stage: Usd.Stage, path: str, collider: ColliderMesh) -> Iterator[Usd.Prim]:
    """One mesh per label that occurs, and the labels on the whole collider."""
    if collider.labels is None:
        return
    from usd_export.collision import SurfaceLabel

    whole = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath(f"{path}/{MESH}"))
    labels = Vt.IntArray.FromNumpy(collider.labels.astype(np.int32))
    whole.CreatePrimvar(LABEL_PRIMVAR, Sdf.ValueTypeNames.IntArray, UsdGeom.Tokens.uniform).Set(labels)
    UsdGeom.Xform.Define(stage, f"{path}/{SURFACES}").CreatePurposeAttr(UsdGeom.Tokens.guide)
    for label in SurfaceLabel:
        chosen = np.flatnonzero(collider.labels == label)
        if len(chosen):
            prim = _define_part(stage, f"{path}/{SURFACES}/{label.name.lower()}", collider, chosen)
            write_class_labels(prim, label.name.lower())
            yield prim


def _write_chunks(stage: Usd.Stage, path: str, collider: ColliderMesh) -> Iterator[Usd.Prim]:
    """Compact parts of a large collider, so that an engine can skip the far ones."""
    if len(collider.triangles) <= MAX_CHUNK_TRIANGLES:
        return
    parts = kd_partitions(collider.vertices[collider.triangles].mean(axis=1), MAX_CHUNK_TRIANGLES)
    UsdGeom.Xform.Define(stage, f"{path}/{CHUNKS}")
    for number, chosen in enumerate(parts):
        yield _define_part(stage, f"{path}/{CHUNKS}/chunk_{number:03d}", collider, chosen)


def _define_part(stage: Usd.Stage, path: str, collider: ColliderMesh, chosen: NDArray[np.int64]) -> Usd.Prim:
    """A mesh of some of the triangles, with the vertices they use."""
    from usd_export.prims.mesh_parts import mesh_part  # brings SciPy along

    used, triangles = mesh_part(collider.triangles[chosen])
    colors = None if collider.colors is None else collider.colors[used]
    return define_mesh(stage, path, collider.vertices[used], triangles, colors).GetPrim()


def define_mesh(
    stage: Usd.Stage, path: str, vertices: Vertices, triangles: Triangles, colors: NDArray[np.uint8] | None = None
) -> UsdGeom.Mesh:
    """Define a triangle mesh with normals, extent and, if given, display-referred sRGB colours [V, 3] of 0 to 255."""
    mesh = UsdGeom.Mesh.Define(stage, path)
    vertices = np.ascontiguousarray(vertices, np.float32)
    triangles = np.ascontiguousarray(triangles, np.int32)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(vertices))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(triangles), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(triangles.ravel()))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(_vertex_normals(vertices, triangles)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([vertices.min(axis=0), vertices.max(axis=0)])))
    if colors is not None:
        display = mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
        distinct, indices = np.unique(colors, axis=0, return_inverse=True)
        display.Set(Vt.Vec3fArray.FromNumpy(_linear(distinct)))
        display.SetIndices(Vt.IntArray.FromNumpy(indices.ravel().astype(np.int32)))
    return mesh


def make_static_collider(prim: Usd.Prim) -> None:
    """Let a mesh collide with its very triangles; without a rigid body it never moves."""
    UsdPhysics.CollisionAPI.Apply(prim).CreateCollisionEnabledAttr(True)
    UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(UsdPhysics.Tokens.none)


def _linear(colors: NDArray[np.uint8]) -> Vertices:
    """Linear Rec.709, which displayColor is, of sRGB bytes."""
    encoded = colors.astype(np.float32) / np.float32(255)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _encoded(colors: Vertices) -> NDArray[np.uint8]:
    """The inverse of `_linear`, exact for what it gave."""
    linear = np.clip(colors.astype(np.float64), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def whole_collider(prim: Usd.Prim) -> Usd.Prim:
    """The mesh that holds all triangles of the collider that `prim` is a part of; `prim` itself if it is no part."""
    parent = prim.GetParent()
    whole = parent.GetParent().GetChild(MESH) if parent.GetName() in (SURFACES, CHUNKS) else None
    return whole if whole and whole.IsA(UsdGeom.Mesh) else prim


def read_labels(mesh: Usd.Prim) -> NDArray[np.uint8] | None:
    """`SurfaceLabel` per triangle of a whole collider; None if it has none."""
    from usd_export.collision import SurfaceLabel

    labels = mesh.GetAttribute(f"primvars:{LABEL_PRIMVAR}")
    values = np.array(labels.Get() or []) if labels else np.zeros(0)
    count = len(UsdGeom.Mesh(mesh).GetFaceVertexCountsAttr().Get() or [])
    if len(values) != count or not np.isin(values, list(SurfaceLabel)).all():
        return None
    return values.astype(np.uint8)


def read_colors(mesh: Usd.Prim) -> NDArray[np.uint8] | None:
    """Display-referred sRGB [V, 3] of a mesh; None unless it has one colour per vertex."""
    values = UsdGeom.Mesh(mesh).GetDisplayColorPrimvar().ComputeFlattened()
    points = UsdGeom.Mesh(mesh).GetPointsAttr().Get()
    if values is None or points is None or len(values) != len(points):
        return None
    return _encoded(np.array(values).reshape(-1, 3))


def _vertex_normals(vertices: Vertices, triangles: Triangles) -> Vertices:
    """Area-weighted unit normals [V, 3]; up where a vertex has no area around it."""
    a, b, c = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    faces = np.cross(b - a, c - a).repeat(3, axis=0)
    sums = [np.bincount(triangles.ravel(), faces[:, axis], len(vertices)) for axis in range(3)]
    normals = np.stack(sums, axis=1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(lengths > 0, normals / np.where(lengths > 0, lengths, 1), [0, 0, 1]).astype(np.float32)


def write_collider_materials(stage: Usd.Stage, collision: str, materials: str) -> None:
    """Define the physics materials of a collider that `stage` composes at `collision`, and bind them.

    Args:
        stage: Stage whose edit target receives the materials and bindings.
        collision: Path of the Xform that `write_collider` defined.
        materials: Path of the Scope the materials go into.
    """
    UsdGeom.Scope.Define(stage, materials)
    bind_physics_material(stage, [f"{collision}/{MESH}", f"{collision}/{CHUNKS}"], f"{materials}/{GROUND}")
    surfaces = stage.GetPrimAtPath(f"{collision}/{SURFACES}")
    for prim in surfaces.GetChildren() if surfaces else []:
        bind_physics_material(stage, [str(prim.GetPath())], f"{materials}/{prim.GetName()}")


def bind_physics_material(stage: Usd.Stage, paths: Sequence[str], material: str) -> None:
    """Define a material of `SURFACE_MATERIALS` by name and bind it to those of the prims that exist.

    For the purpose physics only, so that rendering is not affected.
    """
    definition = write_physics_material(stage, material)
    for path in paths:
        if stage.GetPrimAtPath(path):
            binding = UsdShade.MaterialBindingAPI.Apply(stage.OverridePrim(path))
            binding.Bind(definition, UsdShade.Tokens.weakerThanDescendants, "physics")


def write_physics_material(stage: Usd.Stage, path: str) -> UsdShade.Material:
    """Define the physics material that `SURFACE_MATERIALS` lists under the last name of `path`."""
    surface = SURFACE_MATERIALS[Sdf.Path(path).name]
    material = UsdShade.Material.Define(stage, path)
    api = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    api.CreateStaticFrictionAttr(surface.static_friction)
    api.CreateDynamicFrictionAttr(surface.dynamic_friction)
    api.CreateRestitutionAttr(surface.restitution)
    return material
