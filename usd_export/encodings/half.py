# SPDX-License-Identifier: Apache-2.0
"""float16, with a refusal instead of infinities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usd_export.errors import UsdExportError


def to_half(name: str, values: NDArray[np.floating]) -> NDArray[np.float16]:
    """Finite values [N, ...] rounded to float16.

    Raises:
        UsdExportError: If some are too large.
    """
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    if not np.isfinite(halves).all():
        bad = np.flatnonzero(~np.isfinite(halves).reshape(len(halves), -1).all(axis=1))
        raise UsdExportError(
            f"{len(bad)} of {len(halves)} rows of {name} (the first is number {bad[0]}) exceed 65504, the largest "
            "float16; crop the cloud or write a particle field in full precision"
        )
    return halves
