# SPDX-License-Identifier: Apache-2.0
"""Unit quaternions without their largest component, as compressed splat formats hold them.

The sign of a quaternion is free, so that the largest component can be made positive and follows from the others, none
of which exceeds sqrt(1/2). The order of the components is that of the caller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_KEPT = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def without_largest(quaternions: Array) -> tuple[NDArray[np.intp], Array]:
    """Index [N] of the largest component of quaternions [N, 4], and the three others [N, 3] at unit length."""
    largest = np.abs(quaternions).argmax(axis=1)
    peaks = np.take_along_axis(quaternions, largest[:, None], axis=1)
    kept = np.take_along_axis(quaternions, _KEPT[largest], axis=1)
    return largest, kept * np.sign(peaks) / np.linalg.norm(quaternions, axis=1, keepdims=True)


def with_largest(largest: NDArray[np.integer], kept: Array) -> Array:
    """Unit quaternions [N, 4] from the index [N] of the missing component and the others [N, 3]."""
    quaternions = np.empty((len(kept), 4))
    missing = np.sqrt(np.maximum(0, 1 - np.square(kept).sum(axis=1)))
    np.put_along_axis(quaternions, largest[:, None].astype(np.intp), missing[:, None], axis=1)
    np.put_along_axis(quaternions, _KEPT[largest], kept, axis=1)
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
