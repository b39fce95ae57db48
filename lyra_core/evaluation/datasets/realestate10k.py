# SPDX-License-Identifier: Apache-2.0
"""RealEstate10K: one text file of cameras per clip, and frames that are named by their time stamp.

First line: address of the video. Every other line: time stamp [microseconds], fx, fy, cx, cy in shares of the picture's
width and height, two zeros, and the 3x4 world-to-camera matrix row by row (OpenCV axes, unit unknown).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from lyra_core.errors import LyraError
from lyra_core.evaluation.clips import Clip, Frame, checked_camera
from lyra_core.evaluation.datasets.pictures import picture_named, picture_size
from lyra_core.images import read_image

_COLUMNS = 19


def realestate10k_clips(root: Path) -> Iterator[Clip]:
    """All clips whose camera files lie below `root`, each read when its turn comes.

    The frames of `<clip>.txt` are looked for in `<clip>/` beside it and in `frames/<split>/<clip>/` or
    `frames/<clip>/` in one of the folders above.

    Raises LyraError for camera files that are none, frames that are missing, and poses that are none.
    """
    return (_clip(path) for path in sorted(root.rglob("*.txt")) if _is_camera_file(path))


def _is_camera_file(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"http"


def _clip(path: Path) -> Clip:
    folder = _frames_folder(path)
    frames = tuple(_frame(folder, row, path) for row in _rows(path))
    if len(frames) < 2:
        raise LyraError(f"{path} holds {len(frames)} cameras. A clip needs at least two.")
    return Clip(path.stem, frames[0], (frames,))


def _rows(path: Path) -> list[list[str]]:
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:] if line.strip()]
    for number, row in enumerate(rows, start=2):
        if len(row) != _COLUMNS or not row[0].isdigit():
            raise LyraError(f"{path}, line {number} is no RealEstate10K camera (19 numbers). Download it again.")
    return rows


def _frames_folder(path: Path) -> Path:
    beside = path.with_suffix("")
    above = [parent / "frames" for parent in list(path.parents)[:3]]
    candidates = [beside, *(base / part / path.stem for base in above for part in (path.parent.name, "."))]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise LyraError(f"the frames of {path} are missing. Put them into {beside}, each named by its time stamp.")


def _frame(folder: Path, row: list[str], path: Path) -> Frame:
    picture = picture_named(folder, row[0])
    height, width = picture_size(picture)
    where = f"{path}, time stamp {row[0]}"
    try:
        values = np.array([float(value) for value in row[1:]])
    except ValueError as error:
        raise LyraError(f"{where} is no RealEstate10K camera (19 numbers). Download it again.") from error
    intrinsics = values[:4] * (width, height, width, height)
    w2c = np.vstack((values[6:].reshape(3, 4), (0.0, 0.0, 0.0, 1.0)))
    c2w = np.linalg.inv(w2c) if np.isfinite(w2c).all() and np.linalg.det(w2c) else np.full((4, 4), np.nan)
    camera = checked_camera(c2w, intrinsics.tolist(), (height, width), where)
    return Frame(row[0], camera, partial(read_image, picture))
