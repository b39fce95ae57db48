# SPDX-License-Identifier: Apache-2.0
"""What the diffusion transformer is shown of the 3D cache: encoded warps and encoded masks, slot by slot."""

from __future__ import annotations

import torch
from torch import Tensor

from lyra_core.teacher.sampler import SIGMA_DATA
from lyra_core.teacher.tokenizer import Tokenizer


def to_diffusion(tokenizer: Tokenizer, latents: Tensor) -> Tensor:
    """Tokenizer latents [B, C, T, h, w] to diffusion space: 0.5 (z - mean) / std."""
    return SIGMA_DATA * tokenizer.normalize(latents)


def from_diffusion(tokenizer: Tokenizer, latents: Tensor) -> Tensor:
    """Inverse of `to_diffusion`."""
    return tokenizer.denormalize(latents / SIGMA_DATA)


def guidance_latents(tokenizer: Tokenizer, warps: Tensor, masks: Tensor, slots: int) -> Tensor:
    """Guidance [B, 2 * slots * C, T, h, w] in diffusion space: warp and mask of the newest slot first.

    Slots that the cache does not fill are zero latents, not the encoding of black.

    Args:
        tokenizer: of the teacher.
        warps: [B, N, 3, F, H, W] in [-1, 1], -1 where nothing is seen; N <= slots.
        masks: [B, N, F, H, W] bool.
        slots: source views the transformer takes.
    """
    count = warps.shape[1]
    if count > slots:
        raise ValueError(f"{count} source views, but the transformer takes {slots}")
    encoded = []
    for slot in range(count):
        for video in (warps[:, slot], _mask_video(masks[:, slot], warps)):
            encoded.append(to_diffusion(tokenizer, tokenizer.encode(video)))
    missing = [torch.zeros_like(encoded[0])] * (2 * (slots - count))
    return torch.cat((*encoded, *missing), dim=1)


def condition_latents(tokenizer: Tokenizer, image: Tensor, frames: int) -> Tensor:
    """The input image [B, 3, H, W] in [-1, 1] as latent frame 0 of [B, C, frames, h, w], zero after it.

    The tokenizer is causal, so encoding the one frame equals the first latent frame of a whole clip; it is normalised
    with that frame's statistics of videos.
    """
    first = to_diffusion(tokenizer, tokenizer.encode(image[:, :, None]))
    return torch.cat((first, first.new_zeros(*first.shape[:2], frames - 1, *first.shape[3:])), dim=2)


def _mask_video(masks: Tensor, like: Tensor) -> Tensor:
    """Masks [B, F, H, W] as three-channel videos [B, 3, F, H, W] of -1 and 1, with the dtype of `like`."""
    return (2.0 * masks.to(like) - 1.0)[:, None].expand(-1, 3, -1, -1, -1)
