# SPDX-License-Identifier: Apache-2.0
"""Bringing a newly estimated depth map to the scale of the 3D cache it joins (GEN3C, arXiv 2503.03751)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.errors import LyraError

from .warp import unproject_grid

_QUANTILES = (0.1, 0.9)
_ITERATIONS, _LEARNING_RATE = 100, 1e-3
_SMOOTHNESS = 0.1


def align_rigid(z: Tensor, target: Tensor, visible: Tensor) -> Tensor:
    """Depth `[H, W]` whose inverse is a z^-1 + b, fitted to the target by least squares.

    Both maps count only between the 10 % and 90 % quantiles of their inverse, and where the target is `visible`.

    Raises LyraError when fewer than two pixels are left, or when the fit turns depths negative.
    """
    inverse, goal = 1.0 / z, 1.0 / torch.where(target > 0, target, 1.0)
    seen = visible & (target > 0)
    used = seen & _between_quantiles(inverse, torch.ones_like(seen)) & _between_quantiles(goal, seen)
    if used.sum() < 2:
        raise LyraError("the new view sees too little of the 3D cache to align its depth. Move the camera less.")
    columns = torch.stack((inverse[used], torch.ones_like(inverse[used])), dim=-1)
    factor, offset = torch.linalg.lstsq(columns, goal[used][:, None]).solution[:, 0]
    aligned = 1.0 / (factor * inverse + offset)
    if not (aligned > 0).all():
        raise LyraError("the new view's depth contradicts the 3D cache. Move the camera less, or bring its depth.")
    return aligned


@torch.enable_grad()
def align_non_rigid(z: Tensor, target: Tensor, visible: Tensor, intrinsics: Tensor) -> Tensor:
    """Depth `[H, W]` times a smooth map of factors that pulls its points to those of the target.

    100 Adam steps on the mean L1 distance of visible points plus 0.1 times the factors' own roughness.
    """
    seen = visible & (target > 0)
    goal = unproject_grid(target, intrinsics, pixel_center=0.0)[seen]
    factors = torch.ones_like(z, requires_grad=True)
    optimizer = torch.optim.Adam([factors], lr=_LEARNING_RATE)
    for _ in range(_ITERATIONS):
        points = unproject_grid(factors * z, intrinsics, pixel_center=0.0)[seen]
        smooth = functional.avg_pool2d(factors[None, None], 3, stride=1, padding=1)[0, 0]
        loss = (points - goal).abs().mean() + _SMOOTHNESS * (smooth - factors).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (factors * z).detach()


def _between_quantiles(values: Tensor, within: Tensor) -> Tensor:
    low, high = torch.quantile(values[within], values.new_tensor(_QUANTILES))
    return (values > low) & (values < high)
