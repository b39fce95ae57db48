# SPDX-License-Identifier: Apache-2.0
"""The published order bug: poses of motion-reversed views that run against their frames.

For views 6 to 11 the input video is reversed, the camera walks its path, and the result is reversed back: at the LAST
frame of the content all six cameras stand where they started, in the same place, and at the first they have gone apart.
The published script writes the poses as they were before the result is reversed back, so the places are exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from lyra_core.synthesis.sample import REVERSED_OFFSET

Order = Literal["right", "reversed", "unclear"]

_TOGETHER = 0.1
"""Cameras are together where their spread is below this share of the spread at the other end."""


def pose_order(poses: Mapping[int, np.ndarray]) -> Order:
    """Whether the poses of the motion-reversed views run with their frames.

    Args:
        poses: c2w `[F, 4, 4]` by number of view; those from 6 on are judged. One alone is judged where its normal view
            is there too and the input camera stood still, otherwise the answer is "unclear".
    """
    flipped = [c2w for number, c2w in sorted(poses.items()) if number >= REVERSED_OFFSET]
    if len(flipped) > 1:
        first, last = (_spread([c2w[end, :3, 3] for c2w in flipped]) for end in (0, -1))
    else:
        starts = [c2w[0, :3, 3] for number, c2w in poses.items() if number < REVERSED_OFFSET]
        if not flipped or not starts:
            return "unclear"
        first, last = (_spread([starts[0], flipped[0][end, :3, 3]]) for end in (0, -1))
    if last <= _TOGETHER * first and first > 0:
        return "right"
    return "reversed" if first <= _TOGETHER * last and last > 0 else "unclear"


def _spread(centers: list[np.ndarray]) -> float:
    """Largest distance of camera centres `[3]` from the first of them [scene units]."""
    return float(np.linalg.norm(np.stack(centers) - centers[0], axis=-1).max())
