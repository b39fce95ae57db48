# SPDX-License-Identifier: Apache-2.0
"""Long clips through the video tokenizer a few latent frames at a time: the same result in a fraction of the memory.

The tokenizer is strictly causal and normalises every frame by itself, so a clip may be cut in time wherever latent
frames begin, provided that what looks back still sees what went before: convolutions over time their last frames,
samplers in time their last frame, and the temporal attention of the middle all frames. This is exact up to the rounding
of sums; cutting in space would not be, because normalisation and spatial attention see whole frames.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from diffusers.models.autoencoders.autoencoder_kl_cosmos import (
    AutoencoderKLCosmos,
    CosmosCausalAttention,
    CosmosCausalConv3d,
    CosmosDownsample3d,
    CosmosPatchEmbed3d,
    CosmosTemporalAttentionProcessor2_0,
    CosmosUnpatcher3d,
    CosmosUpsample3d,
)
from torch import Tensor, nn

from lyra_core.teacher.tokenizer_factored import BlockAnalysis, BlockSynthesis

_EVERYTHING = sys.maxsize
_FIRST_FRAME_APART = (CosmosPatchEmbed3d, CosmosUnpatcher3d, BlockAnalysis, BlockSynthesis)


def encode_in_tiles(network: AutoencoderKLCosmos, clip: Tensor, frames: int, factor: int) -> Iterator[Tensor]:
    """Latents `[B, C, t, h, w]` of consecutive tiles of a clip `[B, 3, 1 + factor k, H, W]`.

    Args:
        network: of the tokenizer, `accelerate`d or not.
        clip: in the precision of the network.
        frames: latent frames per tile.
        factor: frames per latent frame after the first.
    """
    with _remembering(network.encoder):
        start = 0
        for stop in range(1 + factor * (frames - 1), clip.shape[2] + factor * frames, factor * frames):
            yield network.encode(clip[:, :, start:stop]).latent_dist.mode()
            start = stop


def decode_in_tiles(network: AutoencoderKLCosmos, latents: Tensor, frames: int) -> Iterator[Tensor]:
    """Video `[B, 3, f, H, W]` of consecutive tiles of `frames` latent frames; latents `[B, C, T, h, w]`."""
    with _remembering(network.decoder):
        for tile in latents.split(frames, dim=2):
            yield network.decode(tile).sample


@contextmanager
def _remembering(network: nn.Module) -> Iterator[None]:
    """Within, every part of `network` that looks back in time goes on where its last call ended."""
    parts = list(_looking_back(network))
    for part, frames in parts:
        part.forward = _Memory(part.forward, frames)
    try:
        yield
    finally:
        for part, _ in parts:
            del part.forward  # of the instance; the one of its class shows again


class _Memory:
    """Shows a causal module its last input frames again before the new ones, and drops what it says about them.

    Every such module answers the first frame it sees with exactly one frame, as if nothing but that frame had been
    before; from the frame on that it has enough of the past for, its answers are those of the whole clip.
    """

    def __init__(self, forward: Callable[..., Tensor], frames: int) -> None:
        """frames: how far the module looks back."""
        self.forward = forward
        self.frames = frames
        self.past: Tensor | None = None

    def __call__(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """The module's output for new frames `[B, C, t, h, w]`; `mask` `[t, t]` is what an attention is given."""
        known = 0 if self.past is None else self.past.shape[2]
        seen = hidden if self.past is None else torch.cat((self.past, hidden), dim=2)
        self.past = seen[:, :, -self.frames :].clone() if self.frames < seen.shape[2] else seen
        if mask is None:
            return self.forward(seen)[:, :, known:]
        return self.forward(seen, mask.new_ones(2 * seen.shape[2:3]).tril())[:, :, known:]


def _looking_back(module: nn.Module) -> Iterator[tuple[nn.Module, int]]:
    """Parts of a network that look back in time, and how many of their input frames."""
    for child in module.children():
        frames = _reach(child)
        if frames is None:
            yield from _looking_back(child)
        elif frames:
            yield child, frames


def _reach(module: nn.Module) -> int | None:
    """Frames that a module looks back; None where only its parts can tell."""
    if isinstance(module, CosmosCausalConv3d):
        return module.kernel_size[0] - 1
    if isinstance(module, CosmosCausalAttention):
        return _EVERYTHING if isinstance(module.processor, CosmosTemporalAttentionProcessor2_0) else 0
    if isinstance(module, CosmosDownsample3d):
        return 1 if module.temporal_downsample else 0
    if isinstance(module, CosmosUpsample3d):
        return 1 if module.temporal_upsample else 0
    return 1 if isinstance(module, _FIRST_FRAME_APART) else None
