# SPDX-License-Identifier: Apache-2.0
"""The door of the room: whatever somebody brings as a video becomes frames with cameras and depth."""

from __future__ import annotations

from pathlib import Path

from lyra_core.conditioning.depth import DepthEstimator
from lyra_core.errors import LyraError
from lyra_core.progress import Progress, no_progress
from lyra_core.video.posed import FrameSize, PosedVideo
from lyra_core.video.reading import WHOLE, Part, read_video
from lyra_core.video.tracking import estimate_cameras
from lyra_core.video.user_files import read_posed
from lyra_core.video.vipe import is_vipe, read_vipe


def pose_video(
    path: Path,
    frames: int,
    size: FrameSize,
    estimator: DepthEstimator,
    part: Part = WHOLE,
    *,
    cameras: Path | None = None,
    depth: Path | None = None,
    progress: Progress = no_progress,
) -> PosedVideo:
    """Frames with cameras and depth of a video.

    A result folder of ViPE brings both, and so may the user; otherwise both are estimated.

    Args:
        path: a video file, a folder of frames, a result folder of ViPE, or the `rgb/<clip>.mp4` in one.
        frames: how many are wanted; 1 modulo 8 for the models.
        size: height and width of a source frame to those wanted.
        estimator: depth of a picture `[H, W, 3]`.
        part: which part of the video.
        cameras: file or folder of the user's cameras, see `user_files`.
        depth: file or folder of the user's depth, see `DepthFiles`.
        progress: listens to the phases "depth" and "cameras".

    Raises:
        LyraError: whatever the readers raise; cameras without depth or the other way round; a camera that cannot be
            tracked.
    """
    root = path.parent.parent if path.parent.name == "rgb" else path
    if cameras is None and depth is None and is_vipe(root):
        return read_vipe(root, frames, size, part, clip=path.stem if root != path else None)
    if cameras is not None and depth is not None:
        return read_posed(path, cameras, depth, frames, size, part)
    if cameras is not None or depth is not None:
        raise LyraError("cameras and depth of a video belong together. Give both, or neither.")
    return estimate_cameras(read_video(path, frames, size, part), estimator, progress)
