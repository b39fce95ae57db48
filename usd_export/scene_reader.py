# SPDX-License-Identifier: Apache-2.0
"""Opening a Gaussian scene from any file that can be exported again."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Usd, UsdGeom, UsdPhysics

from usd_export.cloud import GaussianCloud, merge_clouds
from usd_export.dynamic.playing import is_shown
from usd_export.encodings.nurec import is_nurec_volume, read_nurec_volume
from usd_export.encodings.particle_field import PRIM_TYPE, read_particle_field
from usd_export.errors import UsdExportError
from usd_export.formats.compressed_ply import read_compressed_ply
from usd_export.formats.file_kind import file_kind
from usd_export.formats.ply import read_ply
from usd_export.formats.ply_file import read_header
from usd_export.formats.spz import read_spz
from usd_export.frame import Frame, estimate_frame
from usd_export.layout import CAMERAS, ROOT_LAYER
from usd_export.opening.stage import USD_SUFFIXES, composition_problems, open_stage
from usd_export.placement.baking import bake_frame
from usd_export.prims.cameras import read_cameras
from usd_export.prims.physics import read_colors, read_labels, whole_collider
from usd_export.provenance import KEY, SceneRecord, python_dictionary, record_from_ply_comments, record_from_usd

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

Matrix = NDArray[np.float64]

_FRAME_SAMPLE = 1_000_000  # points that a guess of the frame looks at


def open_scene(path: str | Path) -> tuple[GaussianCloud, SceneRecord, ColliderMesh | None]:
    """Read a PLY, compressed PLY, SPZ or USD file, told apart by content, or a scene folder.

    A USD file and a PLY of ours keep their frame and record. Other splats are taken to have OpenCV axes, their first
    camera at the origin and one metre per unit; the record says that this is a guess.

    Returns:
        The Gaussians in their own frame, the record with the frame to world metres, and the collider, if any.

    Raises:
        UsdExportError: If the file cannot be read or holds no Gaussians.
    """
    file = Path(path)
    if file.is_dir():
        file = file / ROOT_LAYER
    if file_kind(file) == "usd":
        return _read_stage(file)
    cloud, record = read_splat_file(file)
    return cloud, record or SceneRecord(_guess_frame(cloud)), None


def read_splat_file(file: Path) -> tuple[GaussianCloud, SceneRecord | None]:
    """Read a PLY, compressed PLY or SPZ file, told apart by content, and the record of one that is ours.

    Raises:
        UsdExportError: If the file cannot be read.
    """
    match file_kind(file):
        case "spz":
            return read_spz(file), None
        case "compressed ply":
            return read_compressed_ply(file), record_from_ply_comments(read_header(file).comments)
        case "ply":
            return read_ply(file), record_from_ply_comments(read_header(file).comments)
    raise UsdExportError(f"{file} is a USD file; a sequence is made of splat files such as frame_000.ply")


def _guess_frame(cloud: GaussianCloud) -> Frame:
    opaque = cloud.positions[cloud.opacities > 0.5]
    points = opaque if len(opaque) else cloud.positions
    sample = points[:: -(-len(points) // _FRAME_SAMPLE)]
    return estimate_frame(sample, np.eye(4), 1.0, "assumed: one unit of the file is one metre")


def _read_stage(file: Path) -> tuple[GaussianCloud, SceneRecord, ColliderMesh | None]:
    stage = open_complete_stage(file)
    prims = list(stage.Traverse(Usd.TraverseInstanceProxies()))
    splats = [prim for prim in prims if prim.GetTypeName() == PRIM_TYPE or is_nurec_volume(prim)]
    if not splats:
        raise UsdExportError(f"{file} holds no {PRIM_TYPE} and no NuRec volume; only those can be read")
    splats = [prim for prim in splats if is_shown(prim, Usd.TimeCode.EarliestTime())]
    origin = scene_record_data(stage)
    placed = [_read_splats(prim) for prim in splats]
    clouds, records = [cloud for cloud, _ in placed], [read_record(prim, origin) for _, prim in placed]
    if all(np.array_equal(record.frame.matrix, records[0].frame.matrix) for record in records):
        record = records[0]
    else:
        clouds = [bake_frame(cloud, record.frame) for cloud, record in zip(clouds, records, strict=True)]
        record = record_from_usd(origin, np.eye(4))
    activate_cameras(stage)
    record = replace(record, cameras=read_cameras(stage, record.frame, world_matrix))
    return merge_clouds(clouds), record, read_collider(prims, record.frame)


def open_complete_stage(path: Path) -> Usd.Stage:
    """Open a USD file, or the root layer of a scene folder, of which nothing is missing.

    Raises:
        UsdExportError: If it cannot be read, or refers to what does not exist.
    """
    file = path / ROOT_LAYER if path.is_dir() else path
    if file.suffix.lower() not in USD_SUFFIXES:
        raise UsdExportError(f"{file} is a USD file by its content; rename it to {', '.join(USD_SUFFIXES)}")
    stage = open_stage(file)
    problems = composition_problems(stage)
    if problems:
        raise UsdExportError(f"{file} is incomplete ({problems[0]}); write it again")
    return stage


def scene_record_data(stage: Usd.Stage) -> dict[str, Any]:
    """What a stage says about its origin, as `read_record` takes it; empty if it says nothing."""
    data = stage.GetDefaultPrim().GetCustomDataByKey(KEY) if stage.GetDefaultPrim() else None
    return data if isinstance(data, dict) else {}


def activate_cameras(stage: Usd.Stage) -> None:
    """Scenes for Isaac Sim 5 keep theirs switched off; only the session layer hears about the change."""
    cameras = stage.GetPrimAtPath(CAMERAS)
    if cameras and not cameras.IsActive():
        with Usd.EditContext(stage, stage.GetSessionLayer()):
            cameras.SetActive(True)


def _read_splats(prim: Usd.Prim) -> tuple[GaussianCloud, Usd.Prim]:
    """Gaussians of a prim, and the prim whose frame they are in.

    That is the parent of a NuRec volume which only has an origin and a unit of its own, as all parts of a scene have.
    """
    if prim.GetTypeName() == PRIM_TYPE:
        return read_particle_field(prim), prim
    cloud, xform = read_nurec_volume(prim), UsdGeom.Xformable(prim)
    matrix = xform.GetLocalTransformation(Usd.TimeCode.EarliestTime())
    unit = matrix[0][0]
    if xform.GetResetXformStack() or unit <= 0 or matrix.ExtractRotationMatrix() != Gf.Matrix3d(unit):
        return cloud, prim
    positions = cloud.positions * np.float32(unit) + np.array(matrix.ExtractTranslation(), np.float32)
    return replace(cloud, positions=positions, scales=cloud.scales * np.float32(unit)), prim.GetParent()


def read_record(prim: Usd.Prim, origin: dict[str, Any]) -> SceneRecord:
    """The record of a scene whose Gaussians are in the frame of a prim.

    Raises:
        UsdExportError: If the transform of the prim mirrors, shears or is not finite.
    """
    try:
        return record_from_usd(origin, world_matrix(prim))
    except UsdExportError as error:
        raise UsdExportError(f"the transform of {prim.GetPath()} cannot be used: {error}") from error


def world_matrix(prim: Usd.Prim, time: Usd.TimeCode | None = None) -> Matrix:
    """Column-vector matrix [4, 4] from a prim to metres, Z-up, at a time, else the default one."""
    stage = prim.GetStage()
    cache = UsdGeom.XformCache(Usd.TimeCode.Default() if time is None else time)
    to_stage = np.array(cache.GetLocalToWorldTransform(prim), dtype=np.float64).T
    if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y:
        to_stage = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]) @ to_stage
    metres = UsdGeom.GetStageMetersPerUnit(stage)
    return np.diag([metres, metres, metres, 1.0]) @ to_stage


def read_collider(prims: list[Usd.Prim], frame: Frame) -> ColliderMesh | None:
    """The first triangle mesh with collision that belongs to no rigid body, in the frame of the cloud.

    Raises:
        UsdExportError: If it is not a whole triangle mesh.
    """
    for prim in prims:
        if prim.IsA(UsdGeom.Mesh) and prim.HasAPI(UsdPhysics.CollisionAPI) and not _is_body(prim):
            prim = whole_collider(prim)
            mesh = UsdGeom.Mesh(prim)
            points = np.array(mesh.GetPointsAttr().Get() or [], dtype=np.float64).reshape(-1, 3)
            indices = np.array(mesh.GetFaceVertexIndicesAttr().Get() or [], dtype=np.int32)
            counts = np.array(mesh.GetFaceVertexCountsAttr().Get() or [])
            if len(points) == 0 or len(indices) == 0 or not (counts == 3).all() or len(indices) != 3 * len(counts):
                raise UsdExportError(f"the collider at {prim.GetPath()} is not a triangle mesh; triangulate it first")
            if not np.isfinite(points).all() or indices.min() < 0 or indices.max() >= len(points):
                raise UsdExportError(f"the collider at {prim.GetPath()} has NaN or missing vertices; repair it first")
            to_cloud = np.linalg.inv(frame.matrix) @ world_matrix(prim)
            vertices = (points @ to_cloud[:3, :3].T + to_cloud[:3, 3]).astype(np.float32)
            collider = _collider(vertices, indices.reshape(-1, 3), prim.GetParent().GetCustomDataByKey(KEY))
            return replace(collider, labels=read_labels(prim), colors=read_colors(prim))
    return None


def _is_body(prim: Usd.Prim) -> bool:
    """Whether a collider moves with a kinematic body, as those of Gaussians that move do."""
    return UsdPhysics.RigidBodyAPI(prim.GetParent()).GetKinematicEnabledAttr().Get() is True


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
