# SPDX-License-Identifier: Apache-2.0
"""Front-to-back compositing in plain torch: the oracle of the compiled kernels, on any device and in any precision.

Gradients come from autograd alone. Tiles are drawn in blocks of similar list lengths, and each block is drawn again in
the backward pass, so that memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ..gaussians import Gaussians
from .projection import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN, View, project
from .tiles import Tiles, bin_tiles

TILE = 8
BLOCK = 200_000
"""Pairs of footprint and pixel that are drawn at once: what fits the cache of a core."""


def rasterize(gaussians: Gaussians, colors: Tensor, view: View, projection: str) -> tuple[Tensor, Tensor]:
    """Sums of colour and depth `[h, w, 4]` and the remaining transmittance `[h, w]`."""
    visible, footprints = project(gaussians, colors, view, projection)
    tiles = bin_tiles(footprints, view.window, TILE)
    columns = (
        footprints.center,
        footprints.factor,
        footprints.tilt,
        footprints.nearness[:, None],
        gaussians.opacities[visible, None],
        colors[visible],
        footprints.depth[:, None],
    )
    # the last row, all zeros, is invisible and fills up short lists
    rows = functional.pad(torch.cat(columns, dim=-1), (0, 0, 0, 1))
    bounds = functional.pad(footprints.bounds, (0, 0, 0, 1))
    corner = bounds.new_tensor(view.window[:2])
    numbers, drawn = [], []
    for number, ids in _blocks(tiles, len(visible)):
        origin = corner + TILE * torch.stack((number % tiles.columns, number // tiles.columns), dim=-1)
        drawn.append(checkpoint(_draw, rows[ids], bounds[ids], origin, use_reentrant=False))
        numbers.append(number)
    pixels = torch.cat(drawn)[torch.cat(numbers).argsort()]
    image = pixels.unflatten(0, (tiles.lines, tiles.columns)).transpose(1, 2).flatten(2, 3).flatten(0, 1)
    image = image[: view.window[3], : view.window[2]]
    return image[..., :4], image[..., 4]


def _blocks(tiles: Tiles, filler: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Tile numbers `[B]` and their lists `[B, K]`, filled up with `filler`, shortest lists first."""
    counts = tiles.starts.diff()
    order = counts.argsort(stable=True)
    lengths = counts[order].clamp_min(1).tolist()
    ids = functional.pad(tiles.ids, (0, 1), value=filler)
    begin = 0
    while begin < len(lengths):
        end = begin + 1
        while end < len(lengths) and (end + 1 - begin) * lengths[end] * TILE * TILE <= BLOCK:
            end += 1
        number = order[begin:end]
        slot = torch.arange(lengths[end - 1], device=number.device)
        place = torch.where(slot < counts[number, None], tiles.starts[number, None] + slot, len(ids) - 1)
        yield number, ids[place]
        begin = end


def _draw(rows: Tensor, bounds: Tensor, origin: Tensor) -> Tensor:
    """Colour, depth and transmittance `[B, TILE, TILE, 5]` of B tiles with K footprints each.

    Args:
        rows: center 2, factor 3, tilt 2, nearness 1, opacity 1, colour 3, depth 1 `[B, K, 13]`.
        bounds: pixels of each footprint `[B, K, 4]`.
        origin: first pixel of each tile `[B, 2]`.
    """
    x, y, q, s, t, tilt_x, tilt_y, nearness, opacity = rows[..., :9, None, None].unbind(2)
    left, right, top, bottom = bounds[..., None, None].unbind(2)
    grid = torch.arange(TILE, device=rows.device)
    u, v = origin[:, None, None, :1] + grid, origin[:, None, 1:, None] + grid[:, None]
    dx, dy = u + 0.5 - x, v + 0.5 - y
    num = (q * dx + s * dy).square() + (t * dy).square()
    ell = 1.0 + tilt_x * dx + tilt_y * dy
    alpha = (opacity * torch.exp(-0.5 * num / (ell.square() + nearness * num))).clamp_max(ALPHA_MAX)
    seen = (u >= left) & (u < right) & (v >= top) & (v < bottom) & (alpha >= ALPHA_MIN)
    alpha = torch.where(seen, alpha, 0.0)
    alpha = torch.where((1.0 - alpha).cumprod(1) > TRANSMITTANCE_MIN, alpha, 0.0)
    transmittance = (1.0 - alpha).cumprod(1)
    before = torch.cat((torch.ones_like(alpha[:, :1]), transmittance[:, :-1]), dim=1)
    features = torch.einsum("bkyx,bkc->byxc", alpha * before, rows[..., 9:])
    return torch.cat((features, transmittance[:, -1, :, :, None]), dim=-1)
