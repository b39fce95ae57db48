# SPDX-License-Identifier: Apache-2.0
"""Smallest and largest coordinates, column by column: many times faster than numpy's reduction of short rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def bounds(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Lowest and highest corner [2, K] of points [N, K], N at least 1."""
    columns = points.T
    return np.array([[column.min() for column in columns], [column.max() for column in columns]], np.float64)


def row_max(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Largest value [N] of each row [N, K]."""
    largest = values[:, 0].copy()
    for column in values.T[1:]:
        np.maximum(largest, column, out=largest)
    return largest
