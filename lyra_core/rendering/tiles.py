# SPDX-License-Identifier: Apache-2.0
"""Which footprints each tile of the window must draw, front to back, in plain torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .projection import Footprints


@dataclass(frozen=True)
class Tiles:
    """Footprint lists of all tiles, row by row.

    Attributes:
        ids: rows of the footprints `[I]`, tile after tile, nearest first within a tile.
        starts: where the list of each tile starts in `ids` `[lines * columns + 1]`.
        columns: number of tiles side by side.
        lines: number of tiles on top of each other.
    """

    ids: Tensor
    starts: Tensor
    columns: int
    lines: int


@torch.no_grad()
def bin_tiles(footprints: Footprints, window: tuple[int, int, int, int], tile: int) -> Tiles:
    """Sort the footprints into tiles of `tile` pixels that cover the window; equal depths keep their order."""
    x0, y0, width, height = window
    columns, lines = -(-width // tile), -(-height // tile)
    order = footprints.depth.argsort(stable=True)
    left, right, top, bottom = footprints.bounds[order].unbind(-1)
    left, right = (left - x0) // tile, (right - 1 - x0) // tile + 1
    top, bottom = (top - y0) // tile, (bottom - 1 - y0) // tile + 1
    across = right - left
    counts = across * (bottom - top)
    owner = torch.repeat_interleave(counts)
    nth = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[owner]
    number = (top[owner] + nth // across[owner]) * columns + left[owner] + nth % across[owner]
    starts = torch.nn.functional.pad(torch.bincount(number, minlength=columns * lines).cumsum(0), (1, 0))
    return Tiles(order[owner[number.argsort(stable=True)]], starts, columns, lines)
