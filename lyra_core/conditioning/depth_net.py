# SPDX-License-Identifier: Apache-2.0
"""The embedded monocular depth network: a U-Net with transformer blocks at its coarsest level, for any image size.

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

TRAINED_LONG_SIDE = 112
"""Longer side of the training images [px]. True depth brought to this size and back, edges sharpened, is off by 1 %."""

BLOCKS = 4
"""Transformer blocks at the coarsest level: a room's shape is a question to the whole picture, and cheap there."""

_INPUT_CHANNELS = 5
_GROUPS = 8
_HEADS = 4


class DepthNet(nn.Module):
    """Image `[B, 3, H, W]` in [0, 1] to log depth `[B, H, W]`, up to a constant per image."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.stride = 2 ** len(widths)
        self.stem = _Convolution(4 * _INPUT_CHANNELS, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(_Convolution(fine, coarse, stride=2), _Residual(coarse)) for fine, coarse in pairwise(widths)
        )
        self.bottleneck = _Attention(widths[-1])
        self.blocks = nn.Sequential(*(_Block(widths[-1]) for _ in range(blocks)))
        self.up = nn.ModuleList(
            nn.Sequential(_Convolution(coarse + fine, fine), _Residual(fine)) for coarse, fine in pairwise(widths[::-1])
        )
        self.head = nn.Conv2d(widths[0], 4, 3, padding=1)
        nn.init.zeros_(self.head.weight)

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
        features = self.bottleneck(features)
        tokens = self.blocks(features.flatten(2).transpose(1, 2))
        features = tokens.transpose(1, 2).unflatten(2, features.shape[-2:])
        features = features.contiguous(memory_format=torch.channels_last)
        for up in self.up:
            features = functional.interpolate(features, scale_factor=2, mode="nearest")
            features = up(torch.cat((features, skips.pop()), dim=1))
        depth = functional.pixel_shuffle(self.head(features), 2)
        return depth[:, 0, :height, :width].float()


def predict(network: DepthNet, images: Tensor) -> Tensor:
    """Log depth `[B, H, W]` of images `[B, 3, H, W]`; the network sees them at the size it was trained at."""
    size = images.shape[-2:]
    scale = TRAINED_LONG_SIDE / max(size)
    small = (round(size[0] * scale), round(size[1] * scale))
    log_depth = network(functional.interpolate(images, small, mode="bilinear", antialias=True))
    return functional.interpolate(log_depth[:, None], size, mode="bilinear")[:, 0]


class _Convolution(nn.Sequential):
    """3 x 3 convolution, norm, activation: this order trains twice as fast as norm before convolution."""

    def __init__(self, width_in: int, width_out: int, stride: int = 1) -> None:
        convolution = nn.Conv2d(width_in, width_out, 3, stride=stride, padding=1)
        super().__init__(convolution, nn.GroupNorm(_GROUPS, width_out), nn.SiLU())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(_GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(_GROUPS, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


class _Attention(nn.Module):
    """Attention over all pixels of the coarsest level, followed by a residual block."""

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


class _Block(nn.Module):
    """Attention and two linear layers over tokens `[B, N, C]`; the identity before training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        for parameter in (*self.out.parameters(), *self.mlp[-1].parameters()):
            nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        heads = self.qkv(self.norm(tokens)).unflatten(2, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = heads  # plain products: the fused kernel's backward pass is slower for so few tokens
        attention = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(dim=-1)
        tokens = tokens + self.out((attention @ value).transpose(1, 2).flatten(2))
        return tokens + self.mlp(tokens)


def _coordinates(maps: Tensor) -> Tensor:
    """Pixel-centre x, y `[B, 2, H, W]` from the middle, in units of half the longer side."""
    height, width = maps.shape[-2:]
    half = 0.5 * max(height, width)
    x = (torch.arange(width, device=maps.device) + 0.5 - 0.5 * width) / half
    y = (torch.arange(height, device=maps.device) + 0.5 - 0.5 * height) / half
    grid = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
    return grid.to(maps.dtype).expand(len(maps), -1, -1, -1)
