# SPDX-License-Identifier: Apache-2.0
"""Opening a Gaussian scene from any file that can be exported again."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom, UsdPhysics

from usd_export.baking import bake_frame
from usd_export.cloud import GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.frame import Frame, estimate_frame
from usd_export.particle_field import PRIM_TYPE, read_particle_field
from usd_export.ply import read_header, read_ply
from usd_export.provenance import KEY, SceneRecord, python_dictionary, record_from_ply_comments, record_from_usd
from usd_export.scene_writer import ROOT_LAYER
from usd_export.stage import USD_SUFFIXES, open_stage

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

Matrix = NDArray[np.float64]


def open_scene(path: str | Path) -> tuple[GaussianCloud, SceneRecord, ColliderMesh | None]:
    """Read a .ply, a USD file or a scene folder.

    A USD file and a PLY of ours keep their frame and record. Any other PLY is taken to have OpenCV axes, its first
    camera at the origin and one metre per unit; the record says that this is a guess.

    Returns:
        The Gaussians in their own frame, the record with the frame to world metres, and the collider, if any.

    Raises:
        UsdExportError: If the file cannot be read or holds no Gaussians.
    """
    file = Path(path)
    if file.is_dir():
        file = file / ROOT_LAYER
    suffix = file.suffix.lower()
    if suffix == ".ply":
        cloud = read_ply(file)
        return cloud, record_from_ply_comments(read_header(file).comments) or SceneRecord(_guess_frame(cloud)), None
    if suffix in USD_SUFFIXES:
        return _read_stage(file)
    raise UsdExportError(f"{file} has an unknown suffix; use .ply, {', '.join(USD_SUFFIXES)} or a scene folder")


def _guess_frame(cloud: GaussianCloud) -> Frame:
    opaque = cloud.positions[cloud.opacities > 0.5]
    points = opaque if len(opaque) else cloud.positions
    return estimate_frame(points, np.eye(4), 1.0, "assumed: one unit of the PLY is one metre")


def _read_stage(file: Path) -> tuple[GaussianCloud, SceneRecord, ColliderMesh | None]:
    stage = open_stage(file)
    problems = stage.GetCompositionErrors()
    if problems:
        raise UsdExportError(f"{file} is incomplete ({str(problems[0]).splitlines()[0]}); write it again")
    prims = list(Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()))
    splats = [prim for prim in prims if prim.GetTypeName() == PRIM_TYPE]
    if not splats:
        raise UsdExportError(f"{file} holds no {PRIM_TYPE}; only that kind of Gaussian prim can be read")
    data = stage.GetDefaultPrim().GetCustomDataByKey(KEY) if stage.GetDefaultPrim() else None
    origin = data if isinstance(data, dict) else {}
    records = [_record(prim, origin) for prim in splats]
    clouds = [read_particle_field(prim) for prim in splats]
    if all(np.array_equal(record.frame.matrix, records[0].frame.matrix) for record in records):
        record = records[0]
    else:
        clouds = [bake_frame(cloud, record.frame) for cloud, record in zip(clouds, records, strict=True)]
        record = record_from_usd(origin, np.eye(4))
    return _merged(clouds), record, _read_collider(prims, record.frame)


def _record(prim: Usd.Prim, origin: dict[str, Any]) -> SceneRecord:
    try:
        return record_from_usd(origin, _world_matrix(prim))
    except UsdExportError as error:
        raise UsdExportError(f"the transform of {prim.GetPath()} cannot be used: {error}") from error


def _world_matrix(prim: Usd.Prim) -> Matrix:
    """Column-vector matrix [4, 4] from a prim to metres, Z-up."""
    stage = prim.GetStage()
    to_stage = np.array(UsdGeom.XformCache().GetLocalToWorldTransform(prim), dtype=np.float64).T
    if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y:
        to_stage = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]) @ to_stage
    metres = UsdGeom.GetStageMetersPerUnit(stage)
    return np.diag([metres, metres, metres, 1.0]) @ to_stage


def _merged(clouds: list[GaussianCloud]) -> GaussianCloud:
    """One cloud of the highest degree among the parts; missing harmonics are zero."""
    bands = max(cloud.sh.shape[1] for cloud in clouds)
    harmonics = [np.pad(cloud.sh, ((0, 0), (0, bands - cloud.sh.shape[1]), (0, 0))) for cloud in clouds]
    columns = {
        name: np.concatenate([getattr(cloud, name) for cloud in clouds])
        for name in ("positions", "scales", "rotations", "opacities")
    }
    return GaussianCloud(**columns, sh=np.concatenate(harmonics))


def _read_collider(prims: list[Usd.Prim], frame: Frame) -> ColliderMesh | None:
    """The first triangle mesh with collision, in the frame of the cloud."""
    for prim in prims:
        if prim.IsA(UsdGeom.Mesh) and prim.HasAPI(UsdPhysics.CollisionAPI):
            mesh = UsdGeom.Mesh(prim)
            points = np.array(mesh.GetPointsAttr().Get() or [], dtype=np.float64).reshape(-1, 3)
            indices = np.array(mesh.GetFaceVertexIndicesAttr().Get() or [], dtype=np.int32)
            counts = np.array(mesh.GetFaceVertexCountsAttr().Get() or [])
            if len(points) == 0 or not (counts == 3).all() or len(indices) != 3 * len(counts):
                raise UsdExportError(f"the collider at {prim.GetPath()} is not a triangle mesh; triangulate it first")
            to_cloud = np.linalg.inv(frame.matrix) @ _world_matrix(prim)
            vertices = (points @ to_cloud[:3, :3].T + to_cloud[:3, 3]).astype(np.float32)
            return _collider(vertices, indices.reshape(-1, 3), prim.GetParent().GetCustomDataByKey(KEY))
    return None


def _collider(vertices: NDArray[np.float32], triangles: NDArray[np.int32], data: Any) -> ColliderMesh:
    """A collider with its report, as far as the file has one."""
    from usd_export.collision import ColliderMesh, ColliderReport

    saved = python_dictionary(data).get("report") if isinstance(data, dict) else None
    unknown: dict[str, Any] = {
        "observed_floor_area": 0.0,
        "completed_floor_area": 0.0,
        "triangles": len(triangles),
        "watertight": False,
        "voxel_size": 0.0,
        "notes": (),
    }
    known = saved if isinstance(saved, dict) else {"notes": ["read from a file that says nothing about its collider"]}
    values = {field.name: known.get(field.name, unknown[field.name]) for field in fields(ColliderReport)}
    values["notes"] = tuple(values["notes"])
    return ColliderMesh(vertices, triangles, ColliderReport(**values))
