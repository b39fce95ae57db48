# SPDX-License-Identifier: Apache-2.0
"""Opening whatever may hold Gaussians that move, and cutting it down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from usd_export.cloud import GaussianCloud
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.reader import moves, open_dynamic_scene, time_codes_per_second
from usd_export.dynamic.selection import crop_dynamic, most_opaque_of
from usd_export.dynamic.sequence import open_sequence, sequence_files
from usd_export.errors import UsdExportError
from usd_export.formats.file_kind import file_kind
from usd_export.frame import Frame
from usd_export.placement.cropping import Box, crop_cloud, most_opaque
from usd_export.provenance import SceneRecord
from usd_export.scene_reader import open_scene

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

Cloud = GaussianCloud | DynamicCloud

_FPS = 24.0


@dataclass(frozen=True)
class Source:
    """What a file, a folder or a sequence of files holds.

    Attributes:
        cloud: Gaussians in their own frame.
        record: What the source says about itself.
        collider: Static collision mesh, or None.
        fps: Frames of its motion per second.
    """

    cloud: Cloud
    record: SceneRecord
    collider: ColliderMesh | None
    fps: float


def open_source(path: Path, later: Sequence[Path] = (), *, fps: float | None = None, at: float | None = None) -> Source:
    """Open a scene, with its motion if it has any.

    Args:
        path: A splat file, a USD file, a scene folder, or a folder of splat files, one per instant.
        later: More splat files, if `path` is the first of a sequence.
        fps: Files of a sequence per second; by default 24, or what a USD file says.
        at: Take only what is shown at this time [s].

    Raises:
        UsdExportError: If the source cannot be read, or it does not move and `at` is given.
    """
    files = sequence_files(path, later)
    if files:
        rate = fps or _FPS
        moving, record = open_sequence(files, rate)
        source = Source(moving, record, None, rate)
    elif (path.is_dir() or file_kind(path) == "usd") and moves(path):
        moving, record, collider = open_dynamic_scene(path)
        source = Source(moving, record, collider, fps or time_codes_per_second(path))
    elif at is not None:
        raise UsdExportError(f"{path} does not move, so it has no moment at {at:g} s; leave --at out")
    else:
        return Source(*open_scene(path), fps or _FPS)
    return source if at is None else Source(moving.at(at), source.record, source.collider, source.fps)


def first_instant(cloud: Cloud) -> GaussianCloud:
    """All Gaussians of a cloud, at its first instant if it moves."""
    return cloud.at(float(cloud.times[0])) if isinstance(cloud, DynamicCloud) else cloud


def selected(cloud: Cloud, frame: Frame, box: Box | None, count: int | None) -> Cloud:
    """What lies in a box, and of that at most `count` Gaussians.

    Raises:
        UsdExportError: If nothing is left, or nothing that moves of what did.
    """
    if isinstance(cloud, DynamicCloud):
        cloud = crop_dynamic(cloud, frame, box) if box else cloud
        return most_opaque_of(cloud, count) if count else cloud
    cloud = crop_cloud(cloud, frame, box) if box else cloud
    return most_opaque(cloud, count) if count else cloud
