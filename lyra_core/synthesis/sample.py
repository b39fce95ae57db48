# SPDX-License-Identifier: Apache-2.0
"""One sample of a data set: what the teacher made of one picture along its camera paths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lyra_core.errors import LyraError
from lyra_core.trajectories import PUBLISHED_PATHS

REVERSED_OFFSET = len(PUBLISHED_PATHS)
"""Motion-reversed views have the number of their path plus this."""

LATENT_CHANNELS = 16
PIXELS_PER_LATENT = 8
FRAMES_PER_LATENT = 8


@dataclass(frozen=True)
class InputView:
    """The one picture everything was made from, and its depth.

    Attributes:
        image: RGB uint8 `[H, W, 3]`.
        z: depth along the optical axis, float32 `[H, W]` [scene units: the median of the valid pixels is 1].
        mask: bool `[H, W]`, False where z is unknown.
        intrinsics: fx, fy, cx, cy, float32 `[4]` [pixels].
    """

    image: np.ndarray
    z: np.ndarray
    mask: np.ndarray
    intrinsics: np.ndarray


@dataclass(frozen=True)
class View:
    """One video along one camera path; all arrays run in the order of its content.

    Attributes:
        number: the published folder: 0 to 5 for `PUBLISHED_PATHS`, 6 to 11 for the same paths motion-reversed.
        frames: RGB uint8 `[F, H, W, 3]`.
        depth: of the guidance, holes filled, along the optical axis, float16 `[F, H, W]` [scene units]; 0 where there
            is none. For what the frames really show see `target_depth`.
        known: bool `[F, H, W]`, True where the 3D cache saw the pixel.
        c2w: camera-to-world poses, OpenCV axes, float32 `[F, 4, 4]` [scene units].
        intrinsics: fx, fy, cx, cy, float32 `[F, 4]` [pixels of the frames].
        latents: diffusion space, float32 `[16, T, h, w]`; None for a motion-reversed view, whose latents would run in
            the order of its motion.
    """

    number: int
    frames: np.ndarray
    depth: np.ndarray
    known: np.ndarray
    c2w: np.ndarray
    intrinsics: np.ndarray
    latents: np.ndarray | None

    @property
    def path(self) -> str:
        """Name of the camera path."""
        return PUBLISHED_PATHS[self.number % REVERSED_OFFSET]

    @property
    def reversed(self) -> bool:
        """Whether the camera moves against the time of the content."""
        return self.number >= REVERSED_OFFSET


@dataclass(frozen=True)
class Sample:
    """All views of one clip.

    Attributes:
        name: of the clip: letters, digits, `_` and `-`.
        views: in the order of their numbers.
        input: where they came from; None for data of others, which do not keep it.
        about: plain JSON values: prompt, seed, sources, units.
    """

    name: str
    views: tuple[View, ...]
    input: InputView | None
    about: dict[str, Any]


EVERYWHERE, WHERE_KNOWN = "everywhere", "known"
"""Values of `about["depth_holds"]`: whether the frames show the filled depth, or something else where it is filled."""


def target_depth(sample: Sample, view: View) -> np.ndarray:
    """Depth of what the frames really show, float16 `[F, H, W]`; 0 where a generative teacher filled in."""
    if sample.about.get("depth_holds") != WHERE_KNOWN:
        return view.depth
    return np.where(view.known, view.depth, np.float16(0))


_PER_FRAME = ("frames", "depth", "known", "c2w", "intrinsics")


def motion_reversed(view: View) -> View:
    """A view made of an input that was reversed in time, put back into the time of its content.

    Frames, depth and poses turn together; the published script leaves the poses behind, see `order`. The result's pose
    of the LAST frame is where the camera started.

    Raises LyraError for a view that is motion-reversed already.
    """
    if view.reversed:
        raise LyraError(f"view {view.number} is motion-reversed already.")
    turned = {name: np.ascontiguousarray(getattr(view, name)[::-1]) for name in _PER_FRAME}
    return replace(view, number=view.number + REVERSED_OFFSET, latents=None, **turned)


def problems(sample: Sample) -> list[str]:
    """What is wrong with a sample, one phrase each; nothing for a good one."""
    return [f"view {view.number}: {text}" for view in sample.views for text in view_problems(view)]


def view_problems(view: View) -> list[str]:
    """What is wrong with a view: sizes that do not belong together, values that are not finite, no rotations."""
    frames, height, width = view.frames.shape[:3]
    expected = {
        "frames": (view.frames, (frames, height, width, 3)),
        "depth": (view.depth, (frames, height, width)),
        "mask": (view.known, (frames, height, width)),
        "poses": (view.c2w, (frames, 4, 4)),
        "intrinsics": (view.intrinsics, (frames, 4)),
    }
    found = [
        f"{name} have shape {list(array.shape)} instead of {list(shape)}"
        for name, (array, shape) in expected.items()
        if array.shape != shape
    ]
    return found or [*camera_problems(view.c2w, view.intrinsics), *_latent_problems(view)]


def camera_problems(c2w: np.ndarray, intrinsics: np.ndarray) -> list[str]:
    """What is wrong with poses `[F, 4, 4]` and intrinsics `[F, 4]`."""
    if len(c2w) != len(intrinsics):
        return [f"there are {len(c2w)} poses, but {len(intrinsics)} intrinsics"]
    if not np.isfinite(c2w).all():
        return ["poses hold NaN or infinity"]
    if not (np.isfinite(intrinsics).all() and (intrinsics[:, :2] > 0).all()):
        return ["intrinsics hold NaN, infinity or a focal length that is not positive"]
    turns = c2w[:, :3, :3].astype(np.float64)
    if not np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-3):
        return ["poses are no rigid motions"]
    return []


def latent_frames(frames: int) -> int:
    """Latent frames of a video."""
    return 1 + (frames - 1) // FRAMES_PER_LATENT


def _latent_problems(view: View) -> list[str]:
    if view.latents is None:
        return [] if view.reversed else ["latents are missing"]
    frames, height, width = view.frames.shape[:3]
    shape = (LATENT_CHANNELS, latent_frames(frames), height // PIXELS_PER_LATENT, width // PIXELS_PER_LATENT)
    if view.latents.shape != shape:
        return [f"latents have shape {list(view.latents.shape)} instead of {list(shape)}"]
    return [] if np.isfinite(view.latents).all() else ["latents hold NaN or infinity"]
