# SPDX-License-Identifier: Apache-2.0
"""Monocular depth: what an estimate is, and the embedded network that makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.faults import is_out_of_memory

from .depth_edges import sharpen_edges
from .depth_net import DepthNet, predict

Intrinsics = Callable[[int, int], tuple[float, float, float, float]]
"""(height, width) to the fx, fy, cx, cy [pixels] that are assumed for an image of that size."""


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

    @property
    def guessed(self) -> bool:
        """Whether a network made it up from the picture alone."""
        return not self.source.startswith(("exact", "user"))


class DepthEstimator(Protocol):
    """Anything that turns an image `[H, W, 3]` into a depth estimate."""

    def __call__(self, image: Tensor) -> DepthEstimate: ...


class EmbeddedDepth:
    """The embedded network: relative depth with crisp silhouettes, median 1, field of view assumed.

    Args:
        network: trained weights.
        assumed_intrinsics: of an image whose camera is unknown.
        source: name of the weights in provenance.
    """

    def __init__(self, network: DepthNet, assumed_intrinsics: Intrinsics, source: str = "mini") -> None:
        self.network = network.eval()
        self.assumed_intrinsics = assumed_intrinsics
        self.source = source

    @classmethod
    def load(cls, path: Path, assumed_intrinsics: Intrinsics) -> EmbeddedDepth:
        """From a weights file of `lyra train depth`. Raises LyraError when it is missing or of another network."""
        from lyra_core.weights.quantized import load_weights

        network = DepthNet()
        try:
            network.load_state_dict(load_weights(path))
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            message = f"weights {path} do not fit the depth network. Train or fetch them again."
            raise LyraError(message) from error
        return cls(network, assumed_intrinsics)

    @torch.no_grad()
    def __call__(self, image: Tensor) -> DepthEstimate:
        """Depth at the size of the image `[H, W, 3]`; the network sees it at the size it was trained at."""
        batch = image.movedim(-1, 0)[None]
        log_depth = 0.5 * (predict(self.network, batch) + predict(self.network, batch.flip(-1)).flip(-1))
        z = sharpen_edges(log_depth[0].exp(), image)
        intrinsics = torch.tensor(self.assumed_intrinsics(*image.shape[:2]))
        return DepthEstimate(z / z.median(), torch.ones_like(z, dtype=torch.bool), intrinsics, self.source)
