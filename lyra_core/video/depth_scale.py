# SPDX-License-Identifier: Apache-2.0
"""Depth maps that were made frame by frame, brought to one scale."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.video.bundle import Sightings, Solution
from lyra_core.video.features import Tracks

_EDGE_RATIO = 1.25
"""Range of depth within 5 x 5 pixels above which the depth of a corner there is a matter of luck."""
_SIGMA = 0.1
_SHIFT_SIGMA = 0.05
"""How far the offset of inverse depth is expected from 0, in units of its median."""
_FEWEST = 12
_ITERATIONS = 10
_SAME_COLOR = 0.06
"""Largest difference of colours at which a pixel of a camera that stands still shows the same surface."""


def log_depth_at(depth: Tensor, tracks: Tracks, scale: tuple[float, float]) -> np.ndarray:
    """Logarithm of the depth maps `[F, H, W]` at every sighting `[N]`; NaN at depth edges and where depth is unknown.

    `scale` is the size of the pictures that the sightings are in, width and height in units of the maps'.
    """
    highest = functional.max_pool2d(depth[:, None], 5, stride=1, padding=2)[:, 0]
    lowest = -functional.max_pool2d(-depth[:, None], 5, stride=1, padding=2)[:, 0]
    usable = (depth > 0) & (lowest > 0) & (highest < _EDGE_RATIO * lowest)
    logs = torch.where(usable, depth.clamp_min(1e-12).log(), torch.nan).numpy()
    columns = np.clip((tracks.pixel[:, 0] / scale[0]).astype(int), 0, depth.shape[2] - 1)
    rows = np.clip((tracks.pixel[:, 1] / scale[1]).astype(int), 0, depth.shape[1] - 1)
    return logs[tracks.frame, rows, columns].astype(np.float64)


def consistent_depth(depth: Tensor, seen: Sightings, solution: Solution, agrees: np.ndarray) -> Tensor:
    """Depth maps `[F, H, W]` whose inverse is a z^-1 + b per frame, fitted to the points that the frame sees.

    a starts at the scale that was found together with the cameras; b stays near 0 where few points contradict it, and
    both stay as they were where the fit would turn a depth negative.
    """
    result = torch.empty_like(depth)
    for number, z in enumerate(depth):
        rows = np.flatnonzero((seen.frame == number) & agrees & np.isfinite(seen.log_depth))
        w2c = solution.w2c[number]
        goal = solution.points[seen.point[rows]] @ w2c[2, :3] + w2c[2, 3]
        placed = goal > 0
        factor, offset = _affine(np.exp(-seen.log_depth[rows][placed]), 1 / goal[placed], solution.log_scale[number])
        inverse = factor / z.clamp_min(1e-12) + offset
        if not (inverse[z > 0] > 0.2 * factor / z[z > 0]).all():
            inverse = float(np.exp(-solution.log_scale[number])) / z.clamp_min(1e-12)
        result[number] = torch.where(z > 0, 1 / inverse, 0.0)
    return result


def steady_depth(depth: Tensor, frames: Tensor) -> Tensor:
    """Depth maps `[F, H, W]` of a camera that stands still, each at the scale of the first.

    What looks the same has the same depth: the median of it over the clip. The rest, what moves, keeps its own.
    """
    smooth = functional.avg_pool2d(frames.movedim(-1, 1), 5, stride=1, padding=2, count_include_pad=False)
    exposure = (smooth[0] / smooth.clamp_min(1e-3)).flatten(1).median(dim=1).values
    same = (smooth * exposure[:, None, None, None] - smooth[0]).abs().amax(1) < _SAME_COLOR
    usable = same & (depth > 0) & (depth[0] > 0)
    scaled = depth.clone()
    for number in range(1, len(depth)):
        ratios = (depth[0] / depth[number].clamp_min(1e-12))[usable[number]]
        if len(ratios):
            scaled[number] = depth[number] * ratios.median()
    known = torch.where(usable, scaled, torch.nan)
    common = known.nanmedian(dim=0).values
    return torch.where(usable & common.isfinite(), common, scaled)


def _affine(inverse: np.ndarray, goal: np.ndarray, log_scale: float) -> tuple[float, float]:
    """a, b of goal = a inverse + b, by iteratively reweighted least squares in units of the goal (Cauchy)."""
    start = float(np.exp(-log_scale))
    if len(goal) < _FEWEST:
        return start, 0.0
    unit = float(np.median(goal))
    columns = np.stack((inverse, np.full_like(inverse, unit)), axis=-1) / goal[:, None] / _SIGMA
    wanted = np.full(len(goal), 1 / _SIGMA)
    prior = np.diag((0.0, 1 / _SHIFT_SIGMA**2))
    solution = np.array((start, 0.0))
    for _ in range(_ITERATIONS):
        weights = 1 / (1 + np.square(columns @ solution - wanted))
        weighted = columns * weights[:, None]
        solution = np.linalg.solve(weighted.T @ columns + prior, weighted.T @ wanted)
    return float(solution[0]), float(solution[1] * unit)
