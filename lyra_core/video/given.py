# SPDX-License-Identifier: Apache-2.0
"""A clip whose cameras and depth somebody else has made, one of each per frame of the video file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from lyra_core.cameras import Cameras
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError
from lyra_core.evaluation.clips import checked_poses
from lyra_core.fitting import fit_depth
from lyra_core.video.posed import PosedVideo, VideoClip, from_first_camera

_STILL_SHIFT, _STILL_TURN = 1e-3, 1e-3
"""A camera that moves less stands still [share of the median depth, rad]."""


@dataclass(frozen=True)
class GivenCameras:
    """The cameras of a video.

    Attributes:
        c2w: camera-to-world poses by number of the frame.
        intrinsics: fx, fy, cx, cy [px of `size`] by number of the frame.
        size: height and width of the pictures that the intrinsics are for [px]; None: those of the video.
        metric: whether the unit is the metre.
        where: file they are from, for messages.
    """

    c2w: dict[int, np.ndarray]
    intrinsics: dict[int, np.ndarray]
    size: tuple[int, int] | None
    metric: bool
    where: str


def posed_as_given(clip: VideoClip, given: GivenCameras, depth: Iterable[np.ndarray], source: str) -> PosedVideo:
    """The clip with the cameras and depth of its frames.

    Args:
        clip: read with `numbered`.
        given: cameras of at least the frames in the clip.
        depth: z-depth `[h, w]` of the clip's frames, uncropped, 0 where unknown [unit of the poses].
        source: who made them.

    Raises:
        LyraError: frames without camera, poses or lenses that are none, pictures and depth of different aspect.
    """
    assert clip.numbers is not None
    numbers = clip.numbers.tolist()
    missing = [number for number in numbers if number not in given.c2w or number not in given.intrinsics]
    if missing:
        raise LyraError(f"{given.where} has no camera for frame {missing[0]}. Choose another part, or add cameras.")
    poses = checked_poses(np.stack([given.c2w[number] for number in numbers]), given.where)
    lenses = np.stack([given.intrinsics[number] for number in numbers]).astype(np.float32)
    if not np.isfinite(lenses).all() or (lenses[:, :2] <= 0).any():
        raise LyraError(f"{given.where} holds focal lengths that are not positive. Repair or make it again.")
    height, width = clip.frames.shape[1:3]
    fitted = []
    for array, lens in zip(depth, lenses, strict=True):
        size = given.size or clip.source_size
        scale = np.array((array.shape[1] / size[1], array.shape[0] / size[0]) * 2, np.float32)
        values = torch.from_numpy(np.ascontiguousarray(array))
        estimate = DepthEstimate(values, values > 0, torch.from_numpy(lens * scale), source, given.metric)
        fitted.append(fit_depth(estimate, clip.source_size, height, width))
    z = torch.stack([estimate.z for estimate in fitted])
    mask = torch.stack([estimate.mask for estimate in fitted])
    cameras = from_first_camera(Cameras(poses, torch.stack([item.intrinsics for item in fitted]), width, height))
    static = _stands_still(cameras, float(z[mask].median()))
    if static:
        cameras = Cameras(torch.eye(4).repeat(len(numbers), 1, 1), cameras.intrinsics, width, height)
    return PosedVideo(
        clip.rgb(), cameras, torch.where(mask, z, 0.0), mask, torch.from_numpy(clip.times).float(), static,
        given.metric, source, clip.notes,
    )  # fmt: skip


def _stands_still(cameras: Cameras, depth: float) -> bool:
    turns = cameras.c2w[:, :3, :3]
    off = (turns - turns[0]).flatten(1).norm(dim=1) / 2**0.5
    return bool((cameras.c2w[:, :3, 3].norm(dim=1) < _STILL_SHIFT * depth).all() and (off < _STILL_TURN).all())
