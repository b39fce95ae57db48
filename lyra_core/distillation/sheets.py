# SPDX-License-Identifier: Apache-2.0
"""Sample sheets: what held-out scenes look like while a network learns, one row per picture."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_GAP = 2


def comparison_row(truth: Tensor, rendered: Tensor, depth: Tensor) -> Tensor:
    """Truth, rendering, absolute error (times three) and depth, side by side `[H, 4 W + gaps, 3]`.

    Args:
        truth: `[H, W, 3]` in [0, 1].
        rendered: `[H, W, 3]`.
        depth: rendered z-depth `[H, W]`; shown as the inverse, near is bright.
    """
    near = 1.0 / depth.clamp_min(1e-3)
    shown = torch.where(depth > 0, near / torch.quantile(near.flatten()[::7], 0.98).clamp_min(1e-6), 0.0)
    error = (3 * (rendered - truth)).abs()
    tiles = (truth, rendered, error, shown[..., None].expand_as(truth))
    gap = truth.new_ones(truth.shape[0], _GAP, 3)
    parts = [part.clamp(0, 1) for tile in tiles for part in (tile, gap)][:-1]
    return torch.cat(parts, dim=1)


def sheet(rows: Iterable[Tensor]) -> Tensor:
    """Rows of one width under each other."""
    parts = [part for row in rows for part in (row, row.new_ones(_GAP, row.shape[1], 3))][:-1]
    return torch.cat(parts, dim=0)
