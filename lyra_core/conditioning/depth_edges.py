# SPDX-License-Identifier: Apache-2.0
"""Crisp silhouettes for smooth depth maps.

A network draws a depth edge as a ramp; its pixels fly between the two surfaces and smear when another camera looks at
them. `sharpen_edges` finds such ramps and gives every pixel on them to one side: the one whose colours it resembles.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

RADIUS = 8
"""Half width of the window that must show both sides of an edge [px]."""

_EDGE_RATIO = 1.12
_STEEPNESS = 1.7
_SIDE_SHARE = 0.3
_PRIOR = 0.05
_VOTE_GAIN = 10.0


def sharpen_edges(z: Tensor, image: Tensor, radius: int = RADIUS) -> Tensor:
    """Depth `[H, W]` with every ramp at a depth edge replaced by a step.

    A pixel lies on a ramp when inverse depth, in which planes are linear, varies much faster around it than across
    its window. Near and far side are the outer thirds of the window's range.

    Args:
        z: smooth positive depth `[H, W]`.
        image: RGB `[H, W, 3]` in [0, 1] of the same view.
        radius: of the window [px]; at least the width of the ramps.
    """
    inverse = (1.0 / z)[None, None]
    highest, lowest = _dilated(inverse, radius), -_dilated(-inverse, radius)
    span = highest - lowest
    steep = _dilated(inverse, 1) + _dilated(-inverse, 1)
    ramp = (highest > _EDGE_RATIO * lowest) & (steep * radius > _STEEPNESS * _continued_span(inverse, radius))
    ramp = _dilated(ramp.float(), radius // 2) > 0
    nearness = (inverse - lowest) / span.clamp_min(1e-9)
    colors = image.movedim(-1, 0)[None]
    near_color, near = _side_means(nearness > 1.0 - _SIDE_SHARE, colors, inverse, highest, radius)
    far_color, far = _side_means(nearness < _SIDE_SHARE, colors, inverse, lowest, radius)
    likeness = (colors - far_color).square().sum(1) - (colors - near_color).square().sum(1)
    score = likeness + _PRIOR * torch.logit(nearness[0], 0.02)
    is_near = _box(torch.tanh(_VOTE_GAIN * score)[None], 1)[0] > 0
    between = ramp & (highest > _EDGE_RATIO * lowest)
    return (1.0 / torch.where(between, torch.where(is_near[None], near, far), inverse))[0, 0]


def _continued_span(inverse: Tensor, radius: int) -> Tensor:
    """Range of the window, with the map continued linearly past the image border, where the window would be cut."""
    padding = (radius,) * 4
    edge, mirrored = (functional.pad(inverse, padding, mode=mode) for mode in ("replicate", "reflect"))
    continued = 2.0 * edge - mirrored
    return (_dilated(continued, radius) + _dilated(-continued, radius))[..., radius:-radius, radius:-radius]


def _side_means(side: Tensor, colors: Tensor, inverse: Tensor, extreme: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Means of colour and inverse depth over the window's pixels of one side; `extreme` is its depth if it has none."""
    weight = side.to(inverse)
    sums = _box(torch.cat((colors * weight, inverse * weight, weight), dim=1), radius)
    count = sums[:, -1:]
    means = sums / count.clamp_min(1e-6)
    return means[:, :3], torch.where(count > 1e-4, means[:, 3:4], extreme)


def _box(maps: Tensor, radius: int) -> Tensor:
    for kernel, padding in (((1, 2 * radius + 1), (0, radius)), ((2 * radius + 1, 1), (radius, 0))):
        maps = functional.avg_pool2d(maps, kernel, stride=1, padding=padding)
    return maps


def _dilated(maps: Tensor, radius: int) -> Tensor:
    for kernel, padding in (((1, 2 * radius + 1), (0, radius)), ((2 * radius + 1, 1), (radius, 0))):
        maps = functional.max_pool2d(maps, kernel, stride=1, padding=padding)
    return maps
