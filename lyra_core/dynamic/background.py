# SPDX-License-Identifier: Apache-2.0
"""What a moving thing hides now was seen at another time: the part of a video that stands still, as one cache."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.conditioning.cache4d import Cache4D, Playback
from lyra_core.conditioning.warp import Warp
from lyra_core.dynamic.consistency import Consistency, spread_frames, still_pixels
from lyra_core.video.posed import PosedVideo

MOVING_VIEWS = 4
"""Frames of a walking camera that are kept; a camera that stands still needs one."""


class Background:
    """The still pixels of a video.

    Args:
        video: in scene units.
        consistency: tells what is still.
        footprint: see `Cache3D`.
    """

    def __init__(self, video: PosedVideo, consistency: Consistency, footprint: str) -> None:
        if video.static_camera:
            video, still = _merged(video, consistency)
            self._frames = [0]
        else:
            self._frames = spread_frames(len(video), MOVING_VIEWS)
            still = torch.zeros_like(video.mask)
            for frame in self._frames:
                still[frame] = still_pixels(video, consistency, frame)
        self._cache = Cache4D(video, footprint, keep=still)

    def render(self, cameras: Cameras) -> Warp:
        """What paths `[..., F]` see of it; where several frames show something, the nearest surface."""
        views = [self._cache.frozen(frame, cameras.shape[-1]).render(cameras) for frame in self._frames]
        nearest = views[0]
        for view in views[1:]:
            closer = view.mask & (~nearest.mask | (view.z < nearest.z))
            nearest = _chosen(closer, view, nearest)
        return nearest

    def completed(self, own: Warp, cameras: Cameras) -> Warp:
        """A warp of the same paths whose holes show the background, where it is known."""
        return _chosen(own.mask, own, self.render(cameras))


class Remembering:
    """A cache whose holes show the background as far as any time of the video has seen it."""

    def __init__(self, playback: Playback, background: Background) -> None:
        self.playback, self.background = playback, background

    def render(self, cameras: Cameras) -> Warp:
        """Frames `[..., F, H, W]` of paths `[..., F]`."""
        return self.background.completed(self.playback.render(cameras), cameras)


def _chosen(first: Tensor, a: Warp, b: Warp) -> Warp:
    """`a` where `first` is True, else `b`."""
    silhouette = None
    if a.silhouette is not None and b.silhouette is not None:
        silhouette = torch.where(first, a.silhouette, b.silhouette)
    return Warp(
        torch.where(first[..., None], a.rgb, b.rgb), torch.where(first, a.z, b.z), torch.where(first, a.mask, b.mask),
        silhouette,
    )  # fmt: skip


def _merged(video: PosedVideo, consistency: Consistency) -> tuple[PosedVideo, Tensor]:
    """One frame for a camera that stands still: per pixel the farthest still surface; and where there is one."""
    z = torch.zeros_like(video.depth[0])
    rgb = video.frames[0].clone()
    for frame in consistency.frames:
        farther = still_pixels(video, consistency, frame) & (video.depth[frame] > z)
        z = torch.where(farther, video.depth[frame], z)
        rgb = torch.where(farther[..., None], video.frames[frame], rgb)
    still = z > 0
    depth = torch.where(still, z, video.depth[0])
    single = replace(
        video, frames=rgb[None], cameras=video.cameras[:1], depth=depth[None], mask=still[None] | video.mask[:1],
        times=video.times[:1],
    )  # fmt: skip
    return single, still[None]
