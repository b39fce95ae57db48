# SPDX-License-Identifier: Apache-2.0
"""How far the camera may move along each path before it comes too close to what the input image shows.

The published paths have fixed lengths; a near object then fills the view or is passed through. `clearance_factors`
shortens them; a factor of 1 is the published behaviour.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lyra_core.trajectories import lyra_cameras

from .depth import DepthEstimate
from .warp import unproject_grid

CLEARANCE = 0.12
"""Smallest distance between a camera and an observed point [scene units]."""

REMAINING_SHARE = 0.35
"""Share of the distance to what lies in front that zooming in leaves."""

_FACTORS = torch.linspace(1.0, 0.05, 20).tolist()
_POINT_STEP = 4
_FRAMES = 17


def clearance_factors(depth: DepthEstimate, paths: Sequence[str]) -> dict[str, float]:
    """Factor in (0, 1] on the movement of each path, for lengths in the middle of the published ranges.

    Args:
        depth: of the base view, in scene units (median 1).
        paths: names of camera paths.
    """
    points = _observed_points(depth)
    return {name: _factor(name, points) for name in paths}


def _factor(name: str, points: Tensor) -> float:
    return next((factor for factor in _FACTORS if _is_clear(name, factor, points)), _FACTORS[-1])


def _observed_points(depth: DepthEstimate) -> Tensor:
    """Every fourth valid pixel per axis as a point `[N, 3]` of the base camera."""
    valid = depth.mask & depth.z.isfinite() & (depth.z > 0)
    sparse = (slice(None, None, _POINT_STEP),) * 2
    return unproject_grid(depth.z.float(), depth.intrinsics)[sparse][valid[sparse]]


def _is_clear(name: str, factor: float, points: Tensor) -> bool:
    """Whether the shortened path keeps clear of the points `[N, 3]`."""
    if len(points) == 0:
        return True
    cameras = lyra_cameras(torch.ones(4), 1, 1, frames=_FRAMES, paths=(name,), movement=factor)
    centers = cameras.c2w[0, :, :3, 3]
    start = points.norm(dim=-1).min()
    if torch.cdist(centers, points).min() < torch.minimum(start.new_tensor(CLEARANCE), 0.9 * start):
        return False
    return name != "zoom_in" or _leaves_distance(centers[-1], points)


def _leaves_distance(end: Tensor, points: Tensor) -> bool:
    """Whether a camera that went straight to `end` `[3]` keeps its share of the distance to what is on its way."""
    ahead = (points[:, :2].norm(dim=-1) < CLEARANCE) & (points[:, 2] > 0)
    if not ahead.any():
        return True
    front = points[ahead, 2].min()
    return bool(front - end[2] >= REMAINING_SHARE * front)
