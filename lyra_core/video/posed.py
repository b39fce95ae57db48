# SPDX-License-Identifier: Apache-2.0
"""What the room makes: the frames of a clip, and the same frames with cameras and depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError

FrameSize = Callable[[int, int], tuple[int, int]]
"""Height and width of an upright source frame to the height and width that frames are wanted at [px]."""


@dataclass(frozen=True)
class VideoClip:
    """The frames of a clip, read from a file or a folder.

    Attributes:
        frames: sRGB uint8 `[F, H, W, 3]`, upright, of the wanted size.
        times: seconds from the first frame `[F]`, ascending.
        source: name of the file.
        notes: what was done to it, one phrase each: trimmed, played back and forth, resampled, tone-mapped, turned.
        numbers: which frame of the source each is, counted from 0 `[F]`; None where the file was entered in the middle.
        source_size: height and width of an upright source frame [px].
        moving: whether anything changes over time; False for a clip that is a still picture.
    """

    frames: np.ndarray
    times: np.ndarray
    source: str
    notes: tuple[str, ...] = ()
    numbers: np.ndarray | None = None
    source_size: tuple[int, int] = (0, 0)
    moving: bool = True

    def rgb(self) -> Tensor:
        """Frames float32 `[F, H, W, 3]` in [0, 1]."""
        return torch.from_numpy(self.frames).float() / 255


@dataclass(frozen=True)
class PosedVideo:
    """A clip with one camera and one depth map per frame.

    Attributes:
        frames: sRGB float32 `[F, H, W, 3]` in [0, 1].
        cameras: `[F]`, OpenCV axes; the pose of the first is the identity.
        depth: along the optical axis, float32 `[F, H, W]` in the unit of the cameras' translations; 0 where unknown.
        mask: bool `[F, H, W]`, False where depth is unknown.
        times: seconds from the first frame `[F]`.
        static_camera: whether the camera stands still; then all poses are the identity.
        metric: whether the unit is the metre.
        source: of cameras and depth: "ViPE", "embedded", "user" or "synthetic".
        notes: what the user should know, one phrase each; those of the clip come first.
    """

    frames: Tensor
    cameras: Cameras
    depth: Tensor
    mask: Tensor
    times: Tensor
    static_camera: bool
    metric: bool
    source: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts belong together.

        Raises LyraError for sizes that differ, values that are not finite, a first camera that is not the identity,
        and frames without any valid depth.
        """
        frames, height, width = self.frames.shape[:3]
        size = (self.cameras.height, self.cameras.width)
        found = {tuple(self.depth.shape), tuple(self.mask.shape), (*self.cameras.shape, *size)}
        if self.frames.shape[3:] != (3,) or found != {(frames, height, width)} or self.times.shape != (frames,):
            raise LyraError(
                f"a posed video needs as many frames as cameras, depth maps and times, all of one size; got frames "
                f"{list(self.frames.shape)}, depth {list(self.depth.shape)}, mask {list(self.mask.shape)}, "
                f"{list(self.cameras.shape)} cameras of {size[1]}x{size[0]} and {list(self.times.shape)} times."
            )
        numbers = (self.cameras.c2w, self.cameras.intrinsics, self.depth, self.times)
        if not all(values.isfinite().all() for values in numbers):
            raise LyraError("cameras, depth or times of the video hold NaN or infinity. Make them again.")
        if not torch.allclose(self.cameras.c2w[0], torch.eye(4).to(self.cameras.c2w), atol=1e-5):
            raise LyraError("the first camera of a posed video must be the identity; see `from_first_camera`.")
        empty = (~(self.mask & (self.depth > 0)).flatten(1).any(dim=1)).nonzero()
        if len(empty):
            raise LyraError(f"frame {int(empty[0])} of the video has no valid depth. Make its depth again.")

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def reversed(self) -> PosedVideo:
        """The clip played backwards, in the frame of its new first camera; times still ascend from 0."""
        return replace(
            self,
            frames=self.frames.flip(0), depth=self.depth.flip(0), mask=self.mask.flip(0),
            cameras=from_first_camera(self.cameras[torch.arange(len(self) - 1, -1, -1)]),
            times=(self.times[-1] - self.times).flip(0),
        )  # fmt: skip


def from_first_camera(cameras: Cameras) -> Cameras:
    """Cameras `[F]` in the axes of the first of them, whose pose becomes exactly the identity."""
    poses = cameras.c2w.double()
    c2w = torch.linalg.inv(poses[0]) @ poses
    c2w[0] = torch.eye(4, dtype=torch.float64)
    return replace(cameras, c2w=c2w.float())
