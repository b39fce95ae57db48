# SPDX-License-Identifier: Apache-2.0
"""From latents, rays and times to token embeddings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lyra_core.cameras import Cameras, plucker
from lyra_core.decoder.config import PATCH

Encode = Callable[[Tensor], Tensor]
"""The tokenizer: videos `[N, 3, F, H, W]` to latents `[N, C, T, h, w]`."""


class PatchEmbed(nn.Module):
    """Non-overlapping patches, one linear map, LayerNorm."""

    def __init__(self, channels: int, width: int) -> None:
        """Create the map from `channels` latent channels to `width`."""
        super().__init__()
        self.proj = nn.Conv3d(channels, width, PATCH, PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents `[B, C, T, h, w]` to tokens `[B, T * h/2 * w/2, D]` in (time, row, column) order.

        Latents are cast to the precision of the weights.
        """
        return self.norm(self.proj(latents.to(self.proj.weight.dtype)).flatten(2).transpose(1, 2))


def encode_plucker(encode: Encode, cameras: Cameras, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Pluecker latents `[B, V, 2 C, T, h, w]` of cameras `[B, V, F]`.

    Moment and direction go through the tokenizer as two separate three-channel videos, unscaled, one view at a time;
    the moment's latents come first. `dtype` is the precision of the rays (published: bfloat16).
    """
    flat = cameras.reshape(-1, cameras.shape[-1])
    views = [_encode_view(encode, flat[view], dtype) for view in range(len(flat))]
    return torch.stack(views).unflatten(0, tuple(cameras.shape[:-1]))


def _encode_view(encode: Encode, cameras: Cameras, dtype: torch.dtype) -> Tensor:
    moments, directions = plucker(cameras, dtype).transpose(0, 1).split(3)
    return encode(torch.stack((moments, directions))).flatten(0, 1)


def time_vectors(time: Tensor) -> Tensor:
    """(t, cos t, sin t) `[N, 3]` of times `[N]` in [0, 1]."""
    return torch.stack((time, time.cos(), time.sin()), dim=-1)


def encode_time(encode: Encode, source: Tensor, target: Tensor, height: int, width: int) -> Tensor:
    """Time latents `[1, C, T + 1, h, w]`: the source frames' T latent frames, then the target's one.

    Times run from 0 to 1 over the set of all frame numbers. Each becomes a constant three-channel image.

    Args:
        encode: the tokenizer.
        source: frame numbers of the input video `[F]`.
        target: the frame number the Gaussians shall represent, a scalar tensor.
        height: image height [pixels].
        width: image width [pixels].
    """
    indices = torch.cat((source, target.reshape(1))).float()
    first, last = indices.min(), indices.max()
    vectors = time_vectors((indices - first) / (last - first).clamp_min(1))
    video = (2 * vectors - 1).T[None, :, :, None, None].expand(-1, -1, -1, height, width)
    return torch.cat((encode(video[:, :, :-1]), encode(video[:, :, -1:])), dim=2)


def denormalize_latents(stored: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Raw tokenizer latents from latents as the published diffusion model writes them: stored / 0.5 * std + mean.

    Args:
        stored: `[..., C, T, h, w]`.
        mean: per channel and latent frame `[C, T]`.
        std: likewise `[C, T]`.
    """
    return stored / 0.5 * std[..., None, None] + mean[..., None, None]
