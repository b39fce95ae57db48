# SPDX-License-Identifier: Apache-2.0
"""What does not move: points are looked up in every frame of a posed video.

A frame confirms a point that it shows where the point projects to, in depth and in colour; it contradicts one that it
looks through, or of which it shows another colour; it says nothing about one that lies behind what it shows, or
outside. A neighbourhood of 3 x 3 pixels is compared, so that silhouettes and rounding contradict nothing. How far depth
and colour may differ follows from how much they usually do in this video.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.conditioning.warp import project, unproject_grid
from lyra_core.video.posed import PosedVideo

MAX_FRAMES = 9
"""Frames that are asked; more cost time and tell little."""

DEPTH_RANGE = (0.03, 0.25)
"""Least and most tolerance of the log depth."""

COLOR_RANGE = (0.06, 0.25)
"""Least and most tolerance of a colour channel."""

_USUAL = 4.0
"""Tolerance in units of the median difference."""

_SAMPLE = 7
"""Every n-th pixel per axis decides what is usual."""

_NEAR = 1e-3


class Verdict(NamedTuple):
    """What all frames together say about points `[N]`."""

    confirmed: Tensor  # [N, S] bool
    contradicted: Tensor  # [N, S] bool

    @property
    def still(self) -> Tensor:
        """Points `[N]` that no frame contradicts."""
        return ~self.contradicted.any(dim=1)


class Consistency:
    """The frames of a video as witnesses.

    Args:
        video: posed, any unit of length.
        frames: numbers of the witnesses; None takes up to `MAX_FRAMES`, evenly spread.
        tolerances: of log depth and colour; None measures what is usual.
    """

    def __init__(
        self, video: PosedVideo, frames: list[int] | None = None, tolerances: tuple[float, float] | None = None
    ) -> None:
        self.frames = frames if frames is not None else spread_frames(len(video), MAX_FRAMES)
        z = torch.where(video.mask, video.depth, torch.inf)[self.frames]
        self._nearest = -functional.max_pool2d(-z[:, None], 3, stride=1, padding=1)[:, 0]
        finite = torch.where(z.isfinite(), z, 0.0)
        self._farthest = functional.max_pool2d(finite[:, None], 3, stride=1, padding=1)[:, 0]
        self._rgb = video.frames[self.frames].float()
        self._cameras = video.cameras[self.frames]
        self.depth_tolerance, self.color_tolerance = tolerances or self._usual(video)

    def judge(self, points: Tensor, colors: Tensor) -> Verdict:
        """What the witnesses say about points `[N, 3]` of the world and their colours `[N, 3]`."""
        votes = [self._witness(index, points, colors) for index in range(len(self.frames))]
        confirmed, contradicted = (torch.stack(part, dim=1) for part in zip(*votes, strict=True))
        return Verdict(confirmed, contradicted)

    def _witness(self, index: int, points: Tensor, colors: Tensor) -> tuple[Tensor, Tensor]:
        z, row, column, inside = pixels_of(points, self._cameras[index])
        near, far = self._nearest[index][row, column], self._farthest[index][row, column]
        log_z = z.clamp_min(_NEAR).log()
        through = log_z < near.log() - self.depth_tolerance
        behind = (log_z > far.clamp_min(_NEAR).log() + self.depth_tolerance) | (far <= 0)
        shown = inside & ~through & ~behind
        alike = torch.zeros_like(shown)
        alike[shown] = self._color_gap(index, row[shown], column[shown], colors[shown]) <= self.color_tolerance
        return shown & alike, inside & (through & near.isfinite() | shown & ~alike)

    def _color_gap(self, index: int, row: Tensor, column: Tensor, colors: Tensor) -> Tensor:
        """Smallest difference `[N]` (largest channel) to the 3 x 3 pixels around."""
        picture = self._rgb[index]
        height, width = picture.shape[:2]
        gaps = [
            (picture[(row + dy).clamp(0, height - 1), (column + dx).clamp(0, width - 1)] - colors).abs().amax(-1)
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        ]
        return torch.stack(gaps).amin(0)

    def _usual(self, video: PosedVideo) -> tuple[float, float]:
        """Tolerances: a few times the median difference between what two witnesses show of a point."""
        depths, colors = [], []
        for first in range(len(self.frames) - 1):
            points, rgb = frame_points(video, self.frames[first], step=_SAMPLE)
            z, row, column, inside = pixels_of(points, self._cameras[first + 1])
            other = video.depth[self.frames[first + 1]][row, column]
            known = inside & video.mask[self.frames[first + 1]][row, column] & (other > 0)
            depths.append((z[known] / other[known]).log().abs())
            colors.append((self._rgb[first + 1][row[known], column[known]] - rgb[known]).abs().amax(-1))
        return _tolerance(depths, DEPTH_RANGE), _tolerance(colors, COLOR_RANGE)


def spread_frames(count: int, limit: int) -> list[int]:
    """At most `limit` of `count` frame numbers, first and last among them, evenly spread."""
    return sorted({round(float(number)) for number in torch.linspace(0, count - 1, min(count, limit))})


def frame_points(video: PosedVideo, frame: int, *, step: int = 1) -> tuple[Tensor, Tensor]:
    """World points `[N, 3]` and colours `[N, 3]` of a frame's pixels with known depth, every step-th per axis."""
    thin = (slice(step // 2, None, step),) * 2
    known = (video.mask[frame] & (video.depth[frame] > 0))[thin]
    local = unproject_grid(video.depth[frame], video.cameras.intrinsics[frame])[thin][known]
    c2w = video.cameras.c2w[frame]
    return local @ c2w[:3, :3].T + c2w[:3, 3], video.frames[frame][thin][known]


def still_pixels(video: PosedVideo, consistency: Consistency, frame: int) -> Tensor:
    """bool `[H, W]`: pixels of known depth that no witness contradicts."""
    known = video.mask[frame] & (video.depth[frame] > 0)
    still = torch.zeros_like(known)
    still[known] = consistency.judge(*frame_points(video, frame)).still
    return still


def moving_share(video: PosedVideo, consistency: Consistency) -> float:
    """Share of the pixels of known depth, at the beginning, the middle and the end, that a witness contradicts."""
    frames = spread_frames(len(video), 3)
    known = sum(int((video.mask[frame] & (video.depth[frame] > 0)).sum()) for frame in frames)
    return 1.0 - sum(int(still_pixels(video, consistency, frame).sum()) for frame in frames) / max(known, 1)


def pixels_of(points: Tensor, camera: Cameras) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Depth, row and column of points `[N, 3]` in one camera, and whether they lie in its picture; all `[N]`."""
    pixels, z = project(points, camera.w2c[None].to(points), camera.intrinsics[None].to(points))
    column, row = pixels[0].nan_to_num(-1.0, -1.0, -1.0).clamp(-1.0, 1e6).floor().long().unbind(-1)
    inside = (z[0] > _NEAR) & (row >= 0) & (row < camera.height) & (column >= 0) & (column < camera.width)
    return z[0], row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1), inside


def _tolerance(differences: list[Tensor], limits: tuple[float, float]) -> float:
    values = torch.cat(differences) if differences else torch.empty(0)
    usual = float(values.median()) if len(values) else 0.0
    return min(max(_USUAL * usual, limits[0]), limits[1])
