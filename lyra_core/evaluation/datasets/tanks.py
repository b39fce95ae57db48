# SPDX-License-Identifier: Apache-2.0
"""Tanks-and-Temples: COLMAP models, or the official pictures with a trajectory in a `.log` file.

A `.log` file has five lines per picture: three numbers of which the first is the picture's, then the 4x4
camera-to-world matrix (OpenCV axes). It knows no lens, so that a COLMAP `cameras.txt` (or `.bin`) must lie beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from lyra_core.errors import LyraError
from lyra_core.evaluation.clips import Clip, Frame, checked_camera
from lyra_core.evaluation.datasets.colmap import Lens, read_lenses
from lyra_core.evaluation.datasets.dl3dv import colmap_clips
from lyra_core.evaluation.datasets.pictures import pictures_in
from lyra_core.images import read_image

_LINES = 5


def tanks_clips(root: Path) -> Iterator[Clip]:
    """All scenes below `root`, each read when its turn comes: those with a `.log` file, or else COLMAP models.

    Raises LyraError for damaged files, pictures and poses that do not go together, and poses that are none.
    """
    logs = sorted(root.rglob("*.log"))
    return (_clip(path) for path in logs) if logs else colmap_clips(root)


def _clip(path: Path) -> Clip:
    poses = _poses(path)
    pictures = pictures_in(path.parent) or _pictures_below(path.parent)
    if len(pictures) != len(poses) or list(poses) != list(range(len(poses))):
        raise LyraError(
            f"{path} holds {len(poses)} poses for {len(pictures)} pictures. Give exactly the pictures it was made for."
        )
    lens = _lens(path)
    frames = tuple(_frame(picture, poses[index], lens, path) for index, picture in enumerate(pictures))
    return Clip(path.parent.name, frames[0], (frames,))


def _pictures_below(folder: Path) -> list[Path]:
    return pictures_in(folder / "images") if (folder / "images").is_dir() else []


def _poses(path: Path) -> dict[int, np.ndarray]:
    """Camera-to-world matrices `[4, 4]` by number of the picture."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [[float(word) for word in words] for words in lines if words]
        blocks = [rows[start : start + _LINES] for start in range(0, len(rows), _LINES)]
        poses = {int(block[0][0]): np.array(block[1:]) for block in blocks}
    except (ValueError, IndexError) as error:
        raise LyraError(f"{path} is no trajectory ({error}). Download it again.") from error
    if len(poses) < 2 or any(pose.shape != (4, 4) for pose in poses.values()):
        raise LyraError(f"{path} is no trajectory of at least two poses. Download it again.")
    return poses


def _lens(path: Path) -> Lens:
    if not any((path.parent / f"cameras.{suffix}").is_file() for suffix in ("txt", "bin")):
        raise LyraError(f"{path} states no lens. Put COLMAP's cameras.txt of the scene beside it.")
    lenses = read_lenses(path.parent)
    if len(lenses) != 1:
        raise LyraError(f"{path.parent / 'cameras.txt'} holds {len(lenses)} lenses. A trajectory needs exactly one.")
    return next(iter(lenses.values()))


def _frame(picture: Path, c2w: np.ndarray, lens: Lens, path: Path) -> Frame:
    where = f"{path}, picture {picture.name}"
    camera = checked_camera(c2w, lens.intrinsics, (lens.height, lens.width), where)
    return Frame(picture.name, camera, partial(read_image, picture), lens.distortion)
