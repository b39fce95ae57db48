# SPDX-License-Identifier: Apache-2.0
"""The scene under judgement: its Gaussians, what collides, and where its pictures were taken, in world metres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom, UsdPhysics

from usd_export.cloud import GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.opening.stage import open_stage
from usd_export.provenance import SceneRecord
from usd_export.report_card.triangle_tree import TriangleTree, triangle_tree
from usd_export.scene_reader import open_scene, world_matrix

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SolidMesh:
    """All static collision meshes of a scene as one.

    Attributes:
        vertices: [V, 3] world metres.
        triangles: [T, 3] counter-clockwise seen from outside of the matter.
        paths: Prims they come from.
    """

    vertices: Array
    triangles: NDArray[np.int64]
    paths: tuple[str, ...]

    @cached_property
    def tree(self) -> TriangleTree:
        """For rays and distances."""
        return triangle_tree(self.vertices, self.triangles)

    @cached_property
    def normals(self) -> Array:
        """Unit normals [T, 3]; zero where a triangle has no area."""
        a, b, c = (self.vertices[self.triangles[:, corner]] for corner in range(3))
        normals = np.cross(b - a, c - a)
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        return normals / np.where(lengths > 0, lengths, 1)

    @property
    def where(self) -> str:
        """The prim to name in a finding."""
        return self.paths[0]


@dataclass(frozen=True)
class Subject:
    """A scene that could be read.

    Attributes:
        file: The file to open.
        cloud: Gaussians in their own frame.
        record: What the scene says about itself.
        mesh: What collides; None if nothing does.
        metres_per_unit: Of the stage.
    """

    file: Path
    cloud: GaussianCloud
    record: SceneRecord
    mesh: SolidMesh | None
    metres_per_unit: float

    @property
    def frame(self) -> Frame:
        """Gaussians to world metres."""
        return self.record.frame

    @property
    def hull(self) -> Array | None:
        """Viewpoints [M, 3] that can be trusted, in world metres."""
        hull = self.record.camera_hull
        return None if hull is None or len(hull) == 0 else self.frame.apply(np.asarray(hull, np.float64))


def load_subject(file: Path) -> Subject:
    """Read a USD scene.

    Raises:
        UsdExportError: If there are no readable Gaussians or a collider is malformed.
    """
    cloud, record, _ = open_scene(file)
    stage = open_stage(file)
    prims = Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies())
    meshes = [_world_mesh(prim) for prim in prims if _is_static_collider(prim)]
    return Subject(file, cloud, record, _joined(meshes), UsdGeom.GetStageMetersPerUnit(stage))


def _is_static_collider(prim: Usd.Prim) -> bool:
    if not prim.IsA(UsdGeom.Mesh) or not prim.HasAPI(UsdPhysics.CollisionAPI):
        return False
    if UsdPhysics.CollisionAPI(prim).GetCollisionEnabledAttr().Get() is False:
        return False
    ancestors = [prim]
    while ancestors[-1].GetParent():
        ancestors.append(ancestors[-1].GetParent())
    return not any(ancestor.HasAPI(UsdPhysics.RigidBodyAPI) for ancestor in ancestors)


def _world_mesh(prim: Usd.Prim) -> SolidMesh:
    mesh = UsdGeom.Mesh(prim)
    points = np.array(mesh.GetPointsAttr().Get() or [], np.float64).reshape(-1, 3)
    counts = np.array(mesh.GetFaceVertexCountsAttr().Get() or [], np.int64)
    indices = np.array(mesh.GetFaceVertexIndicesAttr().Get() or [], np.int64)
    proper = len(counts) > 0 and (counts == 3).all() and len(indices) == 3 * len(counts)
    if not proper or indices.min() < 0 or indices.max() >= len(points) or not np.isfinite(points).all():
        raise UsdExportError(f"the collider at {prim.GetPath()} is not a finite triangle mesh; build it again")
    to_world = world_matrix(prim)
    triangles = indices.reshape(-1, 3)
    if np.linalg.det(to_world[:3, :3]) < 0:
        triangles = triangles[:, ::-1]
    return SolidMesh(points @ to_world[:3, :3].T + to_world[:3, 3], triangles, (str(prim.GetPath()),))


def _joined(meshes: list[SolidMesh]) -> SolidMesh | None:
    if not meshes:
        return None
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return SolidMesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)]),
        tuple(path for mesh in meshes for path in mesh.paths),
    )
