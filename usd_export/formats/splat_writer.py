# SPDX-License-Identifier: Apache-2.0
"""Formats that hold only splats, in one place for those who write by suffix: PLY, compressed PLY and SPZ.

None of them holds a matrix, so that the frame is applied to the data. Both PLY formats get world coordinates (metres,
Z-up) and say so in a comment; SPZ has axes of its own and is written upright in those, in metres, without a record.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from usd_export.cloud import GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.formats.compressed_ply import write_compressed_ply
from usd_export.formats.ply import write_ply
from usd_export.formats.spz import write_spz
from usd_export.placement.baking import bake_frame
from usd_export.provenance import SceneRecord

SplatFormat = Literal["ply", "compressed ply", "spz"]

SPLAT_SUFFIXES: dict[str, SplatFormat] = {".compressed.ply": "compressed ply", ".ply": "ply", ".spz": "spz"}
"""By the end of the name; the longer suffix comes first."""

_Z_UP_TO_OPENCV = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0.0]])


def splat_format(path: str | Path) -> SplatFormat | None:
    """The splat format that a name asks for; None if it asks for something else."""
    name = Path(path).name.lower()
    return next((kind for suffix, kind in SPLAT_SUFFIXES.items() if name.endswith(suffix)), None)


def write_splats(path: str | Path, cloud: GaussianCloud, record: SceneRecord) -> None:
    """Write a cloud in the format of the suffix.

    Args:
        path: Target; its content is replaced only when the new file is complete.
        cloud: Gaussians in scene units.
        record: Origin of the scene, with the frame to world metres.

    Raises:
        UsdExportError: If the suffix is unknown, the cloud is invalid or the target cannot be written.
    """
    match splat_format(path):
        case "ply":
            write_ply(path, bake_frame(cloud, record.frame), comments=[record.to_ply_comment()])
        case "compressed ply":
            write_compressed_ply(path, bake_frame(cloud, record.frame), comments=[record.to_ply_comment()])
        case "spz":
            write_spz(path, bake_frame(cloud, record.frame.turned(_Z_UP_TO_OPENCV)))
        case None:
            raise UsdExportError(f"{path} names no splat format; use {', '.join(SPLAT_SUFFIXES)}")
