# SPDX-License-Identifier: Apache-2.0
"""Filling the holes of warped frames from the background.

Holes are filled ring by ring from the pixels around them. A ring takes the mean of its filled 5 x 5 neighbours, in
which far ones count more. The near side of a depth edge (`Warp.silhouette`) does not count, because what a moving
camera uncovers lies behind the foreground; only holes without any other neighbour take from it. A few diffusion steps
inside the holes then remove the streaks.
Depth is averaged as inverse depth, in which planes are linear.

`fill_numba` is the compiled twin for CPU tensors; the functions here are its oracle and serve CUDA tensors.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.errors import LyraError
from lyra_core.rendering.jit import spread

from .fill_numba import FAR_BIAS, HOLE, RADIUS, SMOOTHING_STEPS, SOURCE, WALL, fill_frame
from .warp import PUBLISHED_MAX_DEPTH, Warp

MODES = ("none", "background")


def fill_holes(warp: Warp, mode: str = "none") -> Warp:
    """Give every hole a colour and a depth; known pixels and the mask stay as they are, bit for bit.

    Args:
        warp: frames `[..., H, W]`.
        mode: "none" leaves holes black with z = 0, as published; "background" fills them.

    Raises:
        LyraError: unknown mode.
    """
    if mode not in MODES:
        raise LyraError(f"Unknown hole fill {mode!r}; choose one of {', '.join(MODES)}.")
    if mode == "none":
        return warp
    size = warp.mask.shape[-2:]
    mask = warp.mask.reshape(-1, *size)
    values = torch.cat((warp.rgb, 1.0 / warp.z[..., None]), dim=-1).reshape(-1, *size, 4)
    values = torch.where(mask[..., None], values, 0.0)
    filler = grow_compiled if values.device.type == "cpu" else grow
    values = filler(values, _states(warp).reshape(-1, *size)).reshape(*warp.rgb.shape[:-1], 4)
    depth = 1.0 / values[..., 3].clamp_min(1.0 / PUBLISHED_MAX_DEPTH)
    hole = ~warp.mask
    rgb = torch.where(hole[..., None], values[..., :3], warp.rgb)
    return warp._replace(rgb=rgb, z=torch.where(hole, depth, warp.z))


def grow(values: Tensor, states: Tensor) -> Tensor:
    """Fill the channels (colour..., inverse depth last) `[F, H, W, C]` where `states` `[F, H, W]` is `HOLE`; torch."""
    hole, source, wall = (states[:, None] == state for state in (HOLE, SOURCE, WALL))
    values, filled = _grow_from(values.movedim(-1, 1), source, hole)
    values, rest = _grow_from(values, source | filled | wall, hole & ~filled)
    source = source | filled | rest
    for _ in range(SMOOTHING_STEPS):
        values = torch.where(hole, _mean(values, source, 1, 0.0), values)
    return values.movedim(1, -1)


def _states(warp: Warp) -> Tensor:
    """uint8 `[..., H, W]`."""
    states = warp.mask.byte() * SOURCE
    return states if warp.silhouette is None else torch.where(warp.mask & warp.silhouette, WALL, states)


def _grow_from(values: Tensor, source: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
    """Fill `hole` ring by ring from `source` (both `[F, 1, H, W]`); returns the values and what was filled."""
    filled = torch.zeros_like(hole)
    while True:
        ring = hole & ~filled & _any_neighbour(source | filled)
        if not ring.any():
            return values, filled
        values = torch.where(ring, _mean(values, source | filled, RADIUS, FAR_BIAS), values)
        filled = filled | ring


def grow_compiled(values: Tensor, states: Tensor) -> Tensor:
    """`grow` by the compiled kernel, frames spread over torch's thread count."""
    values = values.contiguous().clone()

    def fill(begin: int, end: int) -> None:
        for frame in range(begin, end):
            fill_frame(values[frame].numpy(), states[frame].numpy())

    spread(fill, len(values))
    return values


def _mean(values: Tensor, source: Tensor, radius: int, bias: float) -> Tensor:
    """Mean of the source pixels in a window `[F, C, H, W]`, weighted to the far and close ones; itself without any."""
    farthest = torch.where(source, values[:, -1:], torch.inf)
    farthest = -functional.max_pool2d(-farthest, 2 * radius + 1, stride=1, padding=radius)
    total, weights = torch.zeros_like(values), torch.zeros_like(farthest)
    for square, (near, known) in _shifted((values, source.to(values)), radius):
        ratio = farthest / torch.where(known > 0, near[:, -1:], 1.0)
        weight = torch.where(known > 0, torch.exp(bias * (ratio - 1.0)) / square, 0.0)
        total, weights = total + weight * near, weights + weight
    return torch.where(weights > 0, total / torch.where(weights > 0, weights, 1.0), values)


def _shifted(maps: tuple[Tensor, ...], radius: int) -> Iterator[tuple[int, list[Tensor]]]:
    """(squared distance, maps moved so that a neighbour lies at the pixel), zeros outside, row by row."""
    height, width = maps[0].shape[-2:]
    padded = [functional.pad(part, (radius,) * 4) for part in maps]
    for dy in range(2 * radius + 1):
        for dx in range(2 * radius + 1):
            square = (dy - radius) ** 2 + (dx - radius) ** 2
            if square:
                yield square, [part[..., dy : dy + height, dx : dx + width] for part in padded]


def _any_neighbour(mask: Tensor) -> Tensor:
    return functional.max_pool2d(mask.float(), 3, stride=1, padding=1) > 0
