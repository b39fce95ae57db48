# SPDX-License-Identifier: Apache-2.0
"""The teacher's diffusion transformer: diffusers' `CosmosTransformer3DModel` with GEN3C's input order and numerics.

Channels of its input: noisy latent, condition mask, guidance of each cache slot (warp, then mask), padding mask. The
library appends the padding mask with torchvision; here it is one more input channel, which is the same weights.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from diffusers.models.transformers.transformer_cosmos import CosmosRotaryPosEmbed, CosmosTransformer3DModel
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

FRAMES_PER_SECOND = 24.0
"""Rate of the videos the published model was trained for; the time axis of its position code is in frames of it."""

_NORM_EPSILON = 1e-6


class TransformerConfig(BaseModel):
    """Numbers that define one transformer; every default is the published model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slots: int = Field(default=2, ge=1)
    """Source views of the 3D cache whose warps it sees at once."""
    latent_channels: int = 16
    """Channels of the tokenizer's latents."""
    heads: int = 32
    """Attention heads."""
    head_dim: int = 128
    """Channels per head."""
    layers: int = 28
    """Blocks."""
    mlp_ratio: float = 4.0
    """Hidden width of the MLPs, in units of heads x head_dim."""
    text_dim: int = 1024
    """Channels of the text embedding."""
    adaln_lora_dim: int = 256
    """Rank of the modulation by the noise level."""
    max_size: tuple[int, int, int] = (128, 240, 240)
    """Latent frames, rows and columns of the learned position code."""
    rope_scale: tuple[float, float, float] = (2.0, 1.0, 1.0)
    """Extrapolation of the rotary position code along time, rows, columns."""
    rope_dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the rotary angles; bfloat16 repeats what the reference does (up to 0.15 rad off)."""

    @property
    def guidance_channels(self) -> int:
        """Channels of the encoded warps and masks of all slots."""
        return 2 * self.slots * self.latent_channels

    def network(self) -> CosmosTransformer3DModel:
        """The network without weights of its own."""
        network = CosmosTransformer3DModel(
            in_channels=self.latent_channels + 1 + self.guidance_channels + 1,
            out_channels=self.latent_channels,
            num_attention_heads=self.heads,
            attention_head_dim=self.head_dim,
            num_layers=self.layers,
            mlp_ratio=self.mlp_ratio,
            text_embed_dim=self.text_dim,
            adaln_lora_dim=self.adaln_lora_dim,
            max_size=self.max_size,
            rope_scale=self.rope_scale,
            concat_padding_mask=False,
        )
        for block in network.transformer_blocks:
            for attention in (block.attn1, block.attn2):
                attention.norm_q.eps = attention.norm_k.eps = _NORM_EPSILON
        if self.rope_dtype == "bfloat16":
            network.rope.__class__ = _Bfloat16RotaryPosEmbed
        return network


class VideoTransformer(nn.Module):
    """One evaluation of the denoising network F (see `sampler`)."""

    def __init__(self, config: TransformerConfig) -> None:
        """Weights are whatever torch initialises; load real ones with `network.load_state_dict`."""
        super().__init__()
        self.config = config
        self.network = config.network().eval()

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.network.patch_embed.proj.weight.dtype

    def forward(
        self,
        latents: Tensor,
        noise_code: Tensor,
        condition_mask: Tensor,
        guidance: Tensor,
        text: Tensor,
        *,
        padding_mask: Tensor | None = None,
        fps: float = FRAMES_PER_SECOND,
    ) -> Tensor:
        """Raw output [B, C, T, h, w] for a scaled noisy latent.

        Args:
            latents: [B, C, T, h, w], already multiplied by c_in.
            noise_code: c_noise [B] = log(sigma) / 4.
            condition_mask: [B, 1, T, h, w], 1 on latent frames that are given.
            guidance: [B, 2 * slots * C, T, h, w].
            text: [B, L, D] embedding.
            padding_mask: [1, 1, H, W] of any size, 1 where the video is padded; None for nowhere.
            fps: rate of the video, for the position code [1/s].
        """
        if padding_mask is None:
            padding = latents.new_zeros(1, 1, *latents.shape[-2:])
        else:
            padding = functional.interpolate(padding_mask, latents.shape[-2:], mode="nearest")
        padding = padding[:, :, None].expand(len(latents), -1, latents.shape[2], -1, -1)
        parts: list[Any] = [latents, condition_mask, guidance, padding]
        inputs = torch.cat([part.to(self.dtype) for part in parts], dim=1)
        output = self.network(inputs, noise_code.to(self.dtype), text.to(self.dtype), fps=fps, return_dict=False)
        return output[0].to(latents.dtype)


class _Bfloat16RotaryPosEmbed(CosmosRotaryPosEmbed):
    """Angles as the reference computes them: every buffer, and the frame rate, rounded to bfloat16."""

    def forward(self, hidden_states: Tensor, fps: float | None = None) -> tuple[Tensor, Tensor]:
        frames, rows, columns = (
            size // patch for size, patch in zip(hidden_states.shape[-3:], self.patch_size, strict=True)
        )
        time = _angles(frames, self.dim_t, self.t_ntk_factor, hidden_states.device, self.base_fps, fps)
        row = _angles(rows, self.dim_h, self.h_ntk_factor, hidden_states.device)
        column = _angles(columns, self.dim_w, self.w_ntk_factor, hidden_states.device)
        grid = (frames, rows, columns, -1)
        axes = (time[:, None, None], row[None, :, None], column[None, None])
        angles = torch.cat([axis.expand(grid) for axis in axes] * 2, dim=-1).flatten(0, 2).float()
        return angles.cos(), angles.sin()


def _angles(
    count: int, channels: int, factor: float, device: torch.device, base_fps: int = 1, fps: float | None = None
) -> Tensor:
    """Rotary angles [count, channels / 2] of positions 0, 1, ... in bfloat16."""
    position = torch.arange(count, device=device, dtype=torch.float32).bfloat16()
    if fps is not None:
        position = position / torch.tensor(fps, dtype=torch.bfloat16, device=device) * base_fps
    exponent = (torch.arange(0, channels, 2, device=device, dtype=torch.float32) / channels).bfloat16()
    return torch.outer(position, 1.0 / ((10000.0 * factor) ** exponent))
