# SPDX-License-Identifier: Apache-2.0
"""Corners, and where they go from frame to frame (pyramidal Lucas-Kanade, patches without their mean brightness)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from skimage.feature import corner_shi_tomasi, peak_local_max
from torch import Tensor
from torch.nn import functional

_RADIUS = 5
_ITERATIONS = 8
_COARSEST = 24
"""Shortest side of the coarsest level [px]."""
_LEVELS = 4
_RETURN_ERROR = 0.7
"""A point that, followed back, misses its start by more than this was not found [px]."""
_MARGIN = 3
_FLAT = 2e-3
"""Weakest corner that is followed, as a share of the strongest."""
_CELLS = (6, 8)


@dataclass
class Tracks:
    """Points seen in several frames, one row per sighting.

    Attributes:
        frame, point: int `[N]`.
        pixel: x, y `[N, 2]` [px, centre of the first at 0.5].
        points: how many points there are.
    """

    frame: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    point: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    pixel: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    points: int = 0

    def add(self, frame: int, point: np.ndarray, pixel: np.ndarray) -> None:
        """New sightings in one frame."""
        self.frame = np.concatenate((self.frame, np.full(len(point), frame)))
        self.point = np.concatenate((self.point, point))
        self.pixel = np.concatenate((self.pixel, pixel))
        self.points = max(self.points, int(point.max(initial=-1)) + 1)


def track_corners(gray: Tensor, count: int) -> Tracks:
    """Follows about `count` corners through frames `[F, H, W]` in [0, 1]; new ones take the place of those lost."""
    tracks, before = Tracks(), pyramid(gray[0])
    live, pixels = np.zeros(0, np.int64), np.zeros((0, 2))
    for number, frame in enumerate(gray):
        levels = pyramid(frame)
        moved, found = follow(before, levels, pixels)
        live, pixels, before = live[found], moved[found], levels
        fresh = corners(gray[number].numpy(), pixels, count - len(live))
        live = np.concatenate((live, tracks.points + np.arange(len(fresh))))
        pixels = np.concatenate((pixels, fresh))
        tracks.add(number, live, pixels)
    return tracks


def corners(gray: np.ndarray, taken: np.ndarray, count: int) -> np.ndarray:
    """At most `count` corners `[N, 2]` of a frame `[H, W]`, spread over it, not near those already `taken`."""
    if count <= 0:
        return np.zeros((0, 2))
    height, width = gray.shape
    spacing = max(4, round(width / 60))
    strength = corner_shi_tomasi(gray, sigma=1.5)
    strength[strength < _FLAT * strength.max()] = 0
    for x, y in taken.astype(int):
        strength[max(0, y - spacing) : y + spacing + 1, max(0, x - spacing) : x + spacing + 1] = 0
    rows, columns = (np.arange(side) * cells // side for side, cells in zip((height, width), _CELLS, strict=True))
    cells = 1 + rows[:, None] * _CELLS[1] + columns
    share = -(-3 * count // (2 * _CELLS[0] * _CELLS[1]))
    found = peak_local_max(
        strength, min_distance=spacing, threshold_abs=0.0, exclude_border=_RADIUS + _MARGIN, labels=cells,
        num_peaks_per_label=share,
    )  # fmt: skip
    order = np.argsort(-strength[found[:, 0], found[:, 1]])[:count]
    return found[order][:, ::-1] + 0.5


def pyramid(gray: Tensor) -> list[Tensor]:
    """A frame `[H, W]` at halved sizes, finest first."""
    levels = [gray[None, None]]
    while len(levels) < _LEVELS and min(levels[-1].shape[-2:]) >= 2 * _COARSEST:
        levels.append(functional.avg_pool2d(levels[-1], 2))
    return levels


def follow(before: list[Tensor], after: list[Tensor], pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points `[N, 2]` of one frame are in the next, and which of them were found: bool `[N]`."""
    if not len(pixels):
        return pixels, np.zeros(0, bool)
    start = torch.from_numpy(pixels).float()
    moved = _followed(before, after, start)
    back = _followed(after, before, moved, start)
    height, width = before[0].shape[-2:]
    inside = (moved > _MARGIN).all(-1) & (moved < moved.new_tensor((width - _MARGIN, height - _MARGIN))).all(-1)
    found = inside & ((back - start).norm(dim=-1) < _RETURN_ERROR)
    return moved.double().numpy(), found.numpy()


def _followed(before: list[Tensor], after: list[Tensor], start: Tensor, guess: Tensor | None = None) -> Tensor:
    """Inverse compositional Lucas-Kanade (Baker and Matthews 2004) for shifts, coarse to fine."""
    shift = torch.zeros_like(start) if guess is None else guess - start
    offsets = torch.arange(-_RADIUS, _RADIUS + 1.0)
    window = torch.stack(torch.meshgrid(offsets, offsets, indexing="xy"), dim=-1).reshape(-1, 2)
    for level in reversed(range(len(before))):
        scale = 0.5**level
        around = start[:, None] * scale + window
        template = _patches(before[level], around)
        slopes = torch.stack([_slope(before[level], around, axis) for axis in range(2)], dim=-1)
        steepness = slopes.transpose(1, 2) @ slopes + 1e-6 * torch.eye(2)
        solver = torch.linalg.solve(steepness, slopes.transpose(1, 2))
        for _ in range(_ITERATIONS):
            difference = _patches(after[level], around + shift[:, None] * scale) - template
            shift = shift - (solver @ difference[..., None])[..., 0] / scale
    return start + shift


def _slope(image: Tensor, around: Tensor, axis: int) -> Tensor:
    step = torch.eye(2)[axis]
    return 0.5 * (_patches(image, around + step) - _patches(image, around - step))


def _patches(image: Tensor, around: Tensor) -> Tensor:
    """Values `[N, P]` at pixels `[N, P, 2]`, without the mean of each patch."""
    height, width = image.shape[-2:]
    grid = 2 * around / around.new_tensor((width, height)) - 1
    values = functional.grid_sample(image, grid[None], padding_mode="border", align_corners=False)[0, 0]
    return values - values.mean(dim=-1, keepdim=True)
