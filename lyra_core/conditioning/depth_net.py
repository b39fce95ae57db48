# SPDX-License-Identifier: Apache-2.0
"""The embedded monocular depth network: a U-Net with attention at its coarsest level, for any image size.

It sees where a pixel lies (coordinates in units of half the longer side), because floors and walls are told by that as
much as by colour. What it predicts is log z up to a constant: scale is not observable in one image.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (32, 64, 96, 144)
"""Channels per level; the first works at half resolution, every further one halves it again."""

TRAINED_LONG_SIDE = 320
"""Longer side of the training images [px]."""

_INPUT_CHANNELS = 5
_GROUPS = 8
_HEADS = 4
_BOTTLENECK_LAYERS = 2


class DepthNet(nn.Module):
    """Image `[B, 3, H, W]` in [0, 1] to log depth `[B, H, W]`, up to a constant per image."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stride = 2 ** len(widths)
        self.stem = nn.Conv2d(4 * _INPUT_CHANNELS, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_Down(*pair) for pair in pairwise(widths))
        self.bottleneck = nn.ModuleList(_Attention(widths[-1]) for _ in range(_BOTTLENECK_LAYERS))
        levels = range(len(widths) - 1, 0, -1)
        self.up = nn.ModuleList(_Up(widths[level], widths[level - 1]) for level in levels)
        self.head = nn.Sequential(nn.GroupNorm(_GROUPS, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 4, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        height, width = image.shape[-2:]
        inputs = torch.cat((2.0 * image - 1.0, _coordinates(image)), dim=1)
        padding = (0, -width % self.stride, 0, -height % self.stride)
        inputs = functional.pad(inputs, padding, mode="replicate") if any(padding) else inputs
        features = self.stem(functional.pixel_unshuffle(inputs, 2))
        skips = []
        for down in self.down:
            skips.append(features)
            features = down(features)
        for layer in self.bottleneck:
            features = layer(features)
        for up in self.up:
            features = up(features, skips.pop())
        depth = functional.pixel_shuffle(self.head(features), 2)
        return depth[:, 0, :height, :width].float()


class _Residual(nn.Module):
    """Two normalised convolutions beside the identity; starts as the identity, so that depth adds no scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.layers = nn.Sequential(
            nn.GroupNorm(_GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(_GROUPS, width),
            nn.SiLU(),
            last,
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


class _Down(nn.Module):
    """Halves the resolution."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, width_in)
        self.convolution = nn.Conv2d(width_in, width_out, 3, stride=2, padding=1)
        self.residual = _Residual(width_out)

    def forward(self, features: Tensor) -> Tensor:
        return self.residual(self.convolution(self.norm(features)))


class _Up(nn.Module):
    """Doubles the resolution and joins the features of that level."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width_in, width_out, 1)
        self.norm = nn.GroupNorm(_GROUPS, 2 * width_out)
        self.join = nn.Conv2d(2 * width_out, width_out, 3, padding=1)
        self.residual = _Residual(width_out)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        features = functional.interpolate(self.reduce(features), scale_factor=2, mode="bilinear")
        return self.residual(self.join(self.norm(torch.cat((features, skip), dim=1))))


class _Attention(nn.Module):
    """Transformer layer over all pixels of the coarsest level, followed by a residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, _HEADS, batch_first=True)
        self.position = nn.Linear(2, width)
        self.residual = _Residual(width)

    def forward(self, features: Tensor) -> Tensor:
        position = self.position(_coordinates(features)[0].flatten(1).T)
        tokens = self.norm(features.flatten(2).transpose(1, 2)) + position
        mixed = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return self.residual(features + mixed.transpose(1, 2).unflatten(2, features.shape[-2:]))


def _coordinates(maps: Tensor) -> Tensor:
    """Pixel-centre x, y `[B, 2, H, W]` from the middle, in units of half the longer side."""
    height, width = maps.shape[-2:]
    half = 0.5 * max(height, width)
    x = (torch.arange(width, device=maps.device) + 0.5 - 0.5 * width) / half
    y = (torch.arange(height, device=maps.device) + 0.5 - 0.5 * height) / half
    grid = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
    return grid.to(maps.dtype).expand(len(maps), -1, -1, -1)
