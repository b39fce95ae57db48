# SPDX-License-Identifier: Apache-2.0
"""Opening a USD scene whose Gaussians move, whichever way their motion is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd

from usd_export.cloud import GaussianCloud, merge_clouds
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.lazy import LazyClouds
from usd_export.dynamic.playing import is_moved, is_shown, is_switched, lineage, time_codes
from usd_export.dynamic.samples import CLUSTERS
from usd_export.encodings.particle_field import PRIM_TYPE, read_particle_field
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.placement.baking import bake_frame
from usd_export.prims.cameras import read_cameras
from usd_export.scene_reader import (
    activate_cameras,
    open_complete_stage,
    read_collider,
    read_record,
    scene_record_data,
    world_matrix,
)

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh
    from usd_export.provenance import SceneRecord

Array = NDArray[np.float64]

_SAME = 1e-9


def open_dynamic_scene(path: str | Path) -> tuple[DynamicCloud, SceneRecord, ColliderMesh | None]:
    """Read a USD file or a scene folder whose Gaussians move.

    Returns:
        The Gaussians in their own frame, the record with the frame to world metres, and the static collider, if any.
        The moving Gaussians are read from the file when an instant is asked for; one that appears or vanishes makes
        the counts differ, which `DynamicCloud.instants` refuses.

    Raises:
        UsdExportError: If the file cannot be read, or nothing in it moves.
    """
    stage = open_complete_stage(Path(path))
    prims = list(stage.Traverse(Usd.TraverseInstanceProxies()))
    fields = [prim for prim in prims if prim.GetTypeName() == PRIM_TYPE]
    moving = [prim for prim in fields if time_codes(prim)]
    codes = sorted({code for prim in moving for code in time_codes(prim)})
    if len(codes) < 2:
        raise UsdExportError(f"{path} holds no Gaussians that move; open it as a static scene")
    still = [prim for prim in fields if not time_codes(prim)]
    record = read_record(_frame_prim(still, moving), scene_record_data(stage))
    activate_cameras(stage)
    record = replace(record, cameras=read_cameras(stage, record.frame, world_matrix))
    static = [_placed(prim, Usd.TimeCode.Default(), record.frame) for prim in still]
    cloud = DynamicCloud(
        merge_clouds(static) if static else None,
        _instants(stage, [prim.GetPath() for prim in moving], codes, record.frame),
        np.array(codes) / stage.GetTimeCodesPerSecond(),
        _clusters(moving),
    )
    return cloud, record, read_collider(prims, record.frame)


def moves(path: Path) -> bool:
    """Whether a USD file or a scene folder holds Gaussians that move.

    Raises:
        UsdExportError: If it cannot be read.
    """
    stage = open_complete_stage(path)
    return any(time_codes(prim) for prim in stage.Traverse() if prim.GetTypeName() == PRIM_TYPE)


def time_codes_per_second(path: Path) -> float:
    """Unit of the time samples of a USD file or a scene folder.

    Raises:
        UsdExportError: If it cannot be read.
    """
    return float(open_complete_stage(path).GetTimeCodesPerSecond())


def _instants(stage: Usd.Stage, paths: Sequence[Sdf.Path], codes: Sequence[float], frame: Frame) -> LazyClouds:
    """Gaussians of the particle fields at some paths, by time code, in the frame of the scene."""

    def at(code: float) -> GaussianCloud:
        time = Usd.TimeCode(code)
        shown = [prim for prim in map(stage.GetPrimAtPath, paths) if is_shown(prim, time)]
        if not shown:
            raise UsdExportError(f"no moving Gaussian is visible at time code {code:g}; repair the file")
        return merge_clouds([_placed(prim, time, frame) for prim in shown])

    return LazyClouds(codes, at)


def _frame_prim(still: list[Usd.Prim], moving: list[Usd.Prim]) -> Usd.Prim:
    """The prim whose frame the Gaussians are given in: the nearest one that nothing moves."""
    if still:
        return still[0]
    above = list(lineage(moving[0]))
    moved = [number for number, prim in enumerate(above) if is_moved(prim)]
    return above[moved[-1]].GetParent() if moved else moving[0]


def _placed(prim: Usd.Prim, time: Usd.TimeCode, frame: Frame) -> GaussianCloud:
    """Gaussians of a prim at a time, in `frame`."""
    cloud = read_particle_field(prim, None if time.IsDefault() else time)
    matrix = np.linalg.inv(frame.matrix) @ world_matrix(prim, time)
    if np.allclose(matrix, np.eye(4), rtol=0, atol=_SAME):
        return cloud
    return bake_frame(cloud, replace(Frame.identity(), matrix=matrix))


def _clusters(moving: list[Usd.Prim]) -> NDArray[np.int64] | None:
    """Rigid clusters [N]: those that are noted on the one prim, else one per prim that moves as a whole."""
    if any(is_switched(prim) for prim in moving):
        return None
    counts = [len(prim.GetAttribute("positions").Get(Usd.TimeCode.EarliestTime()) or ()) for prim in moving]
    rigid = [any(map(is_moved, lineage(prim))) for prim in moving]
    if any(rigid):
        numbers = np.where(rigid, np.cumsum(rigid) - 1, -1)
        return np.repeat(numbers, counts)
    noted = moving[0].GetAttribute(CLUSTERS) if len(moving) == 1 else None
    values = np.array(noted.Get() or (), np.int64) if noted else np.empty(0, np.int64)
    return values if len(values) == sum(counts) else None
