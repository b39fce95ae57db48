# SPDX-License-Identifier: Apache-2.0
"""Cutting a cloud into parts: by number for file sizes, by size for float16 positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usd_export.bounds import bounds

Indices = NDArray[np.intp]

_MOST_CELLS = 1 << 20  # along an axis, so that the number of a cell fits into 64 bits


def kd_partitions(positions: NDArray[np.floating], limit: int) -> list[Indices]:
    """Cut by medians across the longest side until no part has more than `limit` points.

    Args:
        positions: Points [N, 3], N at least 1.
        limit: Largest number of points in a part, at least 1.

    Returns:
        Indices of each part in ascending order; every point is in exactly one part. Deterministic.
    """
    pending: list[Indices] = [np.arange(len(positions))]
    if len(positions) <= limit:
        return pending
    parts = []
    while pending:
        indices = pending.pop()
        if len(indices) <= limit:
            parts.append(np.sort(indices))
            continue
        points = positions[indices]
        axis = int(np.argmax(np.diff(bounds(points), axis=0)))
        middle = len(indices) // 2
        order = np.argpartition(points[:, axis], middle)
        pending += [indices[order[middle:]], indices[order[:middle]]]
    return parts


def cell_partitions(positions: NDArray[np.floating], side: float, most: int) -> list[Indices]:
    """Cut along a regular grid into cells no longer than `side` (a millionth of the extent at least).

    Args:
        positions: Points [N, 3], N at least 1.
        side: Longest side of a cell.
        most: Largest number of parts. Beyond it the emptiest cells become one part, the last, of any size.

    Returns:
        Indices of each part in ascending order; every point is in exactly one part.
    """
    low, high = bounds(positions)
    extent = high - low
    cells = np.clip(np.ceil(extent / side), 1, _MOST_CELLS).astype(np.int64)
    if cells.max() == 1:
        return [np.arange(len(positions))]
    part = np.zeros(len(positions), np.int64)
    for axis in range(3):
        along = (positions[:, axis] - low[axis]) * (cells[axis] / max(extent[axis], side))
        part = part * cells[axis] + np.minimum(along.astype(np.int64), cells[axis] - 1)
    _, part, counts = np.unique(part, return_inverse=True, return_counts=True)
    if len(counts) > most:
        rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
        part = np.minimum(rank, most - 1)[part]
    order = np.argsort(part, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(part[order])) + 1)
