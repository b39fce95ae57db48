# SPDX-License-Identifier: Apache-2.0
"""Cameras and depth that a user brings with a video, one of each per frame of the file.

Cameras are a JSON file, an .npz, or the folder of a COLMAP model:

* `{"width": 1280, "height": 720, "intrinsics": [fx, fy, cx, cy], "metric": true, "c2w": [[4 x 4], ...]}`;
  `intrinsics` may be a list of one per frame; width and height [px] may be left out when they are the video's.
* .npz: arrays `c2w` (or `w2c`) `[N, 4, 4]`, `intrinsics` `[4]` or `[N, 4]`, and the same optional values.
* COLMAP: registered images in the order of their names; lens distortion must have been removed before.

Poses have OpenCV axes (x right, y down, z forward). Depth is described at `DepthFiles`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lyra_core.errors import LyraError
from lyra_core.evaluation.clips import PINHOLE
from lyra_core.evaluation.datasets.colmap import read_images, read_lenses
from lyra_core.synthesis.codecs import decode_npz
from lyra_core.synthesis.shards import DAMAGE
from lyra_core.video.depth_files import DepthFiles
from lyra_core.video.given import GivenCameras, posed_as_given
from lyra_core.video.posed import FrameSize, PosedVideo
from lyra_core.video.reading import WHOLE, Part, read_video


def read_posed(video: Path, cameras: Path, depth: Path, frames: int, size: FrameSize, part: Part = WHOLE) -> PosedVideo:
    """A clip of a video, with the user's cameras and depth.

    Raises LyraError naming the file that is missing, damaged, or does not cover the clip.
    """
    clip = read_video(video, frames, size, part, numbered=True)
    assert clip.numbers is not None
    return posed_as_given(clip, read_cameras(cameras), DepthFiles(depth).read(clip.numbers), "user")


def read_cameras(path: Path) -> GivenCameras:
    """Cameras of a JSON file, an .npz or a COLMAP model; see the module.

    Raises LyraError when it is missing, damaged, of another kind, or a lens distorts.
    """
    if path.is_dir():
        return _from_colmap(path)
    if not path.is_file():
        raise LyraError(f"cameras {path} do not exist. Check the path.")
    try:
        if path.suffix == ".npz":
            return _from_values(decode_npz(path.read_bytes()), path)
        return _from_values(json.loads(path.read_text(encoding="utf-8")), path)
    except (*DAMAGE, TypeError, UnicodeDecodeError, np.linalg.LinAlgError) as error:
        raise LyraError(
            f"cameras {path} are damaged or incomplete ({error}). Give c2w [N, 4, 4] and intrinsics [4] or [N, 4]."
        ) from error


def _from_values(values: dict[str, Any], path: Path) -> GivenCameras:
    c2w = np.asarray(values["c2w"] if "c2w" in values else np.linalg.inv(values["w2c"]), np.float64)
    lenses = np.broadcast_to(np.asarray(values["intrinsics"], np.float64), (len(c2w), 4))
    size = (int(values["height"]), int(values["width"])) if "width" in values else None
    return GivenCameras(
        dict(enumerate(c2w)), dict(enumerate(lenses)), size, bool(values.get("metric", True)), str(path)
    )


def _from_colmap(model: Path) -> GivenCameras:
    lenses, images = read_lenses(model), read_images(model)
    used = [lenses[image.lens] for image in images if image.lens in lenses]
    if not images or len(used) < len(images):
        raise LyraError(f"{model} holds no images, or images of a camera that is missing. Write the model again.")
    if any(lens.distortion != PINHOLE for lens in used):
        raise LyraError(f"{model} has lenses that distort. Undistort the video and the model first (COLMAP does both).")
    sizes = {(lens.height, lens.width) for lens in used}
    if len(sizes) > 1:
        raise LyraError(f"{model} has pictures of different sizes, so they are no video.")
    poses = {number: np.linalg.inv(image.w2c) for number, image in enumerate(images)}
    intrinsics = {number: np.array(lens.intrinsics) for number, lens in enumerate(used)}
    return GivenCameras(poses, intrinsics, sizes.pop(), False, str(model))
