# SPDX-License-Identifier: Apache-2.0
"""Opening and closing of grid columns with round structuring elements of any radius, in linear time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

Cells = NDArray[np.bool_]  # [x, y]


def dilated(cells: Cells, radius: float) -> Cells:
    """Cells at most `radius` cells away from a set one."""
    return np.asarray(distance_transform_edt(~cells)) <= radius if cells.any() else cells.copy()


def closed(cells: Cells, radius: float) -> Cells:
    """Fill what a disc of `radius` cells outside of the set cannot enter."""
    border = int(radius) + 2
    padded = np.pad(cells, border)
    return ~dilated(~dilated(padded, radius), radius)[border:-border, border:-border]


def opened(cells: Cells, radius: float) -> Cells:
    """Remove what a disc of `radius` cells inside of the set cannot enter; beyond the array counts as set."""
    return ~closed(~cells, radius)
