# SPDX-License-Identifier: Apache-2.0
"""Monocular depth: what an estimate is, and the adapters that make one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class DepthEstimate:
    """Depth of one image.

    Attributes:
        z: depth along the optical axis `[H, W]`.
        mask: bool `[H, W]`, False where z is unknown.
        intrinsics: fx, fy, cx, cy `[4]` in pixels of z.
        source: where it comes from, e.g. "exact:procedural", "user", "mini".
        metric: whether z is in metres.
    """

    z: Tensor
    mask: Tensor
    intrinsics: Tensor
    source: str
    metric: bool = False


class DepthEstimator(Protocol):
    """Anything that turns an image `[H, W, 3]` into a depth estimate."""

    def __call__(self, image: Tensor) -> DepthEstimate: ...
