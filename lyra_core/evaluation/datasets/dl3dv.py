# SPDX-License-Identifier: Apache-2.0
"""DL3DV-10K: `transforms.json` in nerfstudio's form (sample and benchmark), or only the COLMAP model.

`transforms.json` states one lens for all pictures and a camera-to-world matrix per picture in OpenGL axes (x right,
y up, z backward). Pictures may have been kept at a reduced size only (`images_4`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lyra_core.errors import LyraError
from lyra_core.evaluation.clips import Clip, Frame, checked_camera
from lyra_core.evaluation.datasets.colmap import colmap_clip, find_picture
from lyra_core.images import read_image

_OPENGL_TO_OPENCV = np.diag((1.0, -1.0, -1.0, 1.0))


def dl3dv_clips(root: Path) -> Iterator[Clip]:
    """All scenes below `root`, each read when its turn comes: those with a `transforms.json`, or else COLMAP models.

    Raises LyraError for damaged files, missing pictures, and poses that are none.
    """
    scenes = sorted(root.rglob("transforms.json"))
    return (_clip(_name(path.parent, root), path) for path in scenes) if scenes else colmap_clips(root)


def colmap_clips(root: Path) -> Iterator[Clip]:
    """All scenes `<scene>/sparse/0` with `<scene>/images` below `root`. Raises LyraError as `colmap_clip`."""
    models = sorted({path.parent for suffix in ("bin", "txt") for path in root.rglob(f"sparse/0/images.{suffix}")})
    return (colmap_clip(_name(model.parents[1], root), model, _pictures(model)) for model in models)


def _pictures(model: Path) -> Path:
    """The folder beside which the picture folders of a model lie: DL3DV keeps models one level deeper."""
    scene = model.parents[1]
    return scene if (scene / "images").is_dir() or not (scene.parent / "images").is_dir() else scene.parent


def _name(folder: Path, root: Path) -> str:
    parts = folder.relative_to(root).parts or (folder.name,)
    return "_".join(part for part in parts if part not in ("colmap", "nerfstudio", "gaussian_splat")) or parts[0]


def _clip(name: str, path: Path) -> Clip:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = sorted(content["frames"], key=lambda row: row["file_path"])
        frames = tuple(_frame(row, content, path) for row in rows)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LyraError(f"{path} is damaged or no transforms.json ({error!r}). Download it again.") from error
    if len(frames) < 2:
        raise LyraError(f"{path} holds {len(frames)} frames. A clip needs at least two.")
    return Clip(name, frames[0], (frames,))


def _frame(row: dict[str, Any], content: dict[str, Any], path: Path) -> Frame:
    lens = {**content, **row}
    where = f"{path}, frame {row['file_path']}"
    opengl = np.array(row["transform_matrix"], dtype=np.float64)
    if opengl.shape != (4, 4):
        raise LyraError(f"{where} has a transform of shape {opengl.shape}. It must be 4x4.")
    camera = checked_camera(
        opengl @ _OPENGL_TO_OPENCV,
        [lens[name] for name in ("fl_x", "fl_y", "cx", "cy")],
        (int(lens["h"]), int(lens["w"])),
        where,
    )
    k1, k2, p1, p2 = (float(lens.get(name, 0.0)) for name in ("k1", "k2", "p1", "p2"))
    stated = path.parent / row["file_path"]
    picture = stated if stated.is_file() else find_picture(stated.parents[1], stated.name)
    return Frame(row["file_path"], camera, partial(read_image, picture), (k1, k2, p1, p2))
