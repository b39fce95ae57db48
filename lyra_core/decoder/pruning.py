# SPDX-License-Identifier: Apache-2.0
"""Which of the decoder's Gaussians stay, and rows as `Gaussians`."""

from __future__ import annotations

import torch
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.gaussians import Gaussians

ROW_CHANNELS = 14
"""Activated values per Gaussian: xyz 3, opacity 1, scale 3, quaternion wxyz 4, rgb 3."""


def prune(rows: Tensor, ratio: float, *, random_share: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
    """Keep the most opaque rows, in descending order of opacity.

    Counts are truncated in double arithmetic as published: 10,222,080 rows at ratio 0.8 leave 2,044,415. Ties keep
    their order. Ratio 0 returns the rows untouched.

    Args:
        rows: Gaussians `[B, N, 14]`.
        ratio: share to drop, in [0, 1).
        random_share: share of the kept ones drawn at random from the rest.
        generator: source of the random draw; needed when `random_share` is not 0.
    """
    if not 0.0 <= ratio < 1.0 or not 0.0 <= random_share <= 1.0:
        raise LyraError(f"Pruning needs a ratio in [0, 1) and a share in [0, 1]; got {ratio} and {random_share}.")
    if ratio == 0.0:
        return rows
    if random_share > 0.0 and generator is None:
        raise LyraError("A random share of Gaussians needs a generator.")
    count, keep = rows.shape[1], 1.0 - ratio
    top = int(count * (keep - keep * random_share))
    order = rows[..., 3].argsort(dim=1, descending=True, stable=True)
    kept = [order[:, :top]]
    if random_share > 0.0:
        drawn = torch.randperm(count - top, generator=generator)[: int(count * keep * random_share)]
        kept.append(order[:, top:][:, drawn.to(order.device)])
    index = torch.cat(kept, dim=1)
    return rows.gather(1, index[..., None].expand(-1, -1, rows.shape[-1]))


def rows_to_gaussians(rows: Tensor) -> Gaussians:
    """The float32 `Gaussians` of rows `[N, 14]`."""
    if rows.ndim != 2 or rows.shape[1] != ROW_CHANNELS:
        raise LyraError(f"Gaussian rows must be [N, {ROW_CHANNELS}] (one batch element); got {list(rows.shape)}.")
    means, opacities, scales, quats, colors = rows.float().split((3, 1, 3, 4, 3), dim=1)
    return Gaussians(means, scales, quats, opacities[:, 0], colors)
