# SPDX-License-Identifier: Apache-2.0
"""Blocks of pixels in the tokenizer's place: what a decoder without latents reads (the paper's ablation)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lyra_core.teacher.tokenizer import Tokenizer

BLOCK = 8
"""Side of a block [px]."""

CHANNELS = 3 * BLOCK**2
"""Numbers per block; every frame has its own."""


class PixelBlocks(Tokenizer):
    """8 x 8 pixels x 1 frame to 192 numbers and back, without loss; `latent_channels: 192, latent_period: 1`."""

    def __init__(self) -> None:
        """No weights but a scalar that says where the module is."""
        nn.Module.__init__(self)
        self.network = nn.ParameterList([nn.Parameter(torch.zeros(()), requires_grad=False)])  # type: ignore[assignment]
        self.tile_frames = None

    @property
    def config(self) -> Mapping[str, Any]:
        """What `Tokenizer` asks of its class."""
        return {
            "latent_channels": CHANNELS, "spatial_compression_ratio": BLOCK, "temporal_compression_ratio": 1,
            "latents_mean": None, "latents_std": None,
        }  # fmt: skip

    def encode(self, video: Tensor) -> Tensor:
        """Video `[B, 3, F, H, W]` to blocks `[B, 192, F, H/8, W/8]`."""
        return functional.pixel_unshuffle(video.movedim(2, 1), BLOCK).movedim(1, 2)

    def decode(self, latents: Tensor) -> Tensor:
        """Inverse of `encode`."""
        return functional.pixel_shuffle(latents.movedim(2, 1), BLOCK).movedim(1, 2)
