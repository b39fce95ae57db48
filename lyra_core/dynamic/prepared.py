# SPDX-License-Identifier: Apache-2.0
"""A posed video as the model takes it: fitted to its size, in scene units, with camera paths at every time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.conditioning.cache4d import Cache4D
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.conditioning.movement import clearance_factors
from lyra_core.dynamic.background import Background
from lyra_core.dynamic.consistency import Consistency, spread_frames
from lyra_core.fitting import fit_depth, fit_image
from lyra_core.images import quantized
from lyra_core.pipeline import input_camera, input_size, normalize, video_size
from lyra_core.trajectories import lyra_cameras
from lyra_core.video.posed import PosedVideo
from lyra_core.weights.presets import Preset


@dataclass(frozen=True)
class PreparedVideo:
    """Everything the reconstruction of any instant starts from.

    Attributes:
        video: fitted, in scene units (median depth of the first frame = 1).
        measured: depth of the first frame as it came.
        paths: camera paths relative to the camera of an instant, poses `[V, F]` at video size.
        cache: RGB-D of every frame.
        consistency: tells what stands still.
        background: what stands still.
    """

    video: PosedVideo
    measured: DepthEstimate
    paths: Cameras
    cache: Cache4D
    consistency: Consistency
    background: Background

    def sources(self) -> Tensor:
        """Numbers `[F]` of the source frames that a decoder with a clock takes: evenly spread over the clip."""
        return torch.linspace(0, len(self.video) - 1, self.paths.shape[1]).round().long()

    def played_paths(self) -> Cameras:
        """Paths `[V, F]` of which step f is relative to the camera of source frame `sources()[f]`, as published."""
        return _relative(self.paths, self.video.cameras.c2w[self.sources()])

    def frozen_paths(self, frame: int) -> Cameras:
        """Paths `[V, F]` around the camera of one frame."""
        return _relative(self.paths, self.video.cameras.c2w[frame])


def prepare(video: PosedVideo, preset: Preset) -> PreparedVideo:
    """Fits a posed video to a model. Raises LyraError as `fit_depth` and `normalize`."""
    height, width = input_size(video.frames.shape[1], video.frames.shape[2], preset)
    fitted = fitted_video(video, height, width)
    measured = Cache4D(fitted, "adaptive").depth(0)
    normalized, unit = normalize(measured)
    scaled = in_units(fitted, unit)
    consistency = Consistency(scaled)
    cache = Cache4D(scaled, preset.warp_footprint, foreground=preset.foreground_masking)
    background = Background(scaled, consistency, preset.warp_footprint)
    return PreparedVideo(scaled, measured, _paths(cache, normalized, preset), cache, consistency, background)


def fitted_video(video: PosedVideo, height: int, width: int) -> PosedVideo:
    """The video cut and resized like a picture, with the cameras that belong to it."""
    size = (video.frames.shape[1], video.frames.shape[2])
    if size == (height, width):
        return video
    depths = [
        fit_depth(DepthEstimate(z, mask, lens, video.source), size, height, width)
        for z, mask, lens in zip(video.depth, video.mask, video.cameras.intrinsics, strict=True)
    ]
    intrinsics = torch.stack([depth.intrinsics for depth in depths])
    return replace(
        video,
        frames=torch.stack([quantized(fit_image(frame, height, width)) for frame in video.frames]),
        cameras=Cameras(video.cameras.c2w, intrinsics, width, height),
        depth=torch.stack([depth.z for depth in depths]), mask=torch.stack([depth.mask for depth in depths]),
    )  # fmt: skip


def in_units(video: PosedVideo, unit: float) -> PosedVideo:
    """Depth and camera positions divided by the length `unit`."""
    c2w = video.cameras.c2w.clone()
    c2w[:, :3, 3] /= unit
    return replace(video, depth=video.depth / unit, cameras=replace(video.cameras, c2w=c2w))


def _paths(cache: Cache4D, first: DepthEstimate, preset: Preset) -> Cameras:
    """Paths around a camera at rest, short enough for the beginning, the middle and the end of the clip."""
    height, width = video_size(first, preset)
    rest = input_camera(first).resized(height, width)
    movement: dict[str, float] = dict.fromkeys(preset.paths, 1.0)
    if preset.movement == "clearance":
        for frame in spread_frames(len(cache), 3):
            for name, factor in clearance_factors(cache.depth(frame), preset.paths).items():
                movement[name] = min(movement[name], factor)
    return lyra_cameras(rest.intrinsics[0], width, height, frames=preset.frames, paths=preset.paths, movement=movement)


def _relative(paths: Cameras, start: Tensor) -> Cameras:
    """Paths `[V, F]` after a start pose `[4, 4]`, or one per step `[F, 4, 4]`: w2c = path w2c @ start w2c."""
    return replace(paths, c2w=start.to(paths.c2w) @ paths.c2w)
