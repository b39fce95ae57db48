# SPDX-License-Identifier: Apache-2.0
"""One splat file per instant, as most tools give out what moves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.interpolation import sign_aligned
from usd_export.dynamic.lazy import LazyClouds, selected
from usd_export.errors import UsdExportError
from usd_export.formats.splat_writer import SPLAT_SUFFIXES
from usd_export.layout import ROOT_LAYER
from usd_export.placement.cropping import select
from usd_export.provenance import SceneRecord
from usd_export.scene_reader import open_scene, read_splat_file


def sequence_files(source: Path, later: Sequence[Path] = ()) -> tuple[Path, ...]:
    """The splat files of a sequence, by the numbers in their names; empty if there is none.

    Args:
        source: A file, or a folder; one with splat files, and without a scene, is a sequence.
        later: More files.
    """
    files = [source, *later]
    if not later and source.is_dir() and not (source / ROOT_LAYER).exists():
        files = [file for file in source.iterdir() if file.name.lower().endswith(tuple(SPLAT_SUFFIXES))]
    elif not later:
        return ()
    return tuple(sorted(files, key=_natural))


def open_sequence(files: tuple[Path, ...], frames_per_second: float) -> tuple[DynamicCloud, SceneRecord]:
    """Open splat files that hold the same Gaussians, row by row, at consecutive instants.

    What has the same values in all files is taken to be static, and what keeps its shape to be a rigid cluster. If the
    files hold different numbers of Gaussians, nothing is either, and the motion can be stored as frames only.

    Returns:
        The Gaussians, which stay in their files, and the record of the first file.

    Raises:
        UsdExportError: If a file cannot be read, or nothing moves.
    """
    if len(files) < 2:
        raise UsdExportError(f"{len(files)} splat files make no sequence; give two or more, one per instant")
    first, record, _ = open_scene(files[0])
    clouds = LazyClouds(files, _read)
    times = np.arange(len(files)) / frames_per_second
    moves = _moving_rows(first, clouds)
    if moves is None:
        return DynamicCloud(None, clouds, times), record
    if not moves.any():
        raise UsdExportError(f"nothing moves from {files[0].name} to {files[-1].name}; export one of them")
    static = None if moves.all() else select(first, np.flatnonzero(~moves))
    return DynamicCloud(static, selected(clouds, np.flatnonzero(moves)), times).clustered(), record


def _read(file: Path) -> GaussianCloud:
    return read_splat_file(file)[0]


def _moving_rows(first: GaussianCloud, clouds: Sequence[GaussianCloud]) -> NDArray[np.bool_] | None:
    """Which Gaussians [N] ever change; None if their numbers do."""
    moves = np.zeros(len(first), bool)
    for cloud in clouds:
        if cloud.sh.shape != first.sh.shape:
            return None
        cloud = replace(cloud, rotations=sign_aligned(cloud.rotations, first.rotations))
        for name in ("positions", "scales", "rotations", "opacities", "sh"):
            differs = getattr(cloud, name) != getattr(first, name)
            moves |= differs.reshape(len(moves), -1).any(axis=1)
    return moves


def _natural(file: Path) -> list[tuple[int, str]]:
    """Sorts frame_2 before frame_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(file)) if part]
