# SPDX-License-Identifier: Apache-2.0
"""Options of the latent 3DGS decoder; every default is the published model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from lyra_core.errors import LyraError

COMPRESSION = 8
"""Frames per latent frame and pixels per latent cell of the tokenizer."""

PATCH = (1, 2, 2)
"""Latent frames, rows and columns per token."""

OUTPUT_CHANNELS = 12
"""Raw channels per Gaussian: distance 1, colour 3, scale 3, rotation 4, opacity 1."""

_CHOICES = {"ray_dtype": ("bfloat16", "float32"), "distance_map": ("linear", "log")}


@dataclass(frozen=True)
class DecoderConfig:
    """Numbers that define one decoder.

    Attributes:
        width: channels of a token.
        depth: number of blocks.
        heads: attention heads.
        attention_every: every n-th block is full attention, the others are bidirectional Mamba-2.
        fuse_views: let the tokens of all views see each other (published); else every view is decoded by itself.
        mlp_ratio: hidden width of the attention blocks' MLP, in units of `width`.
        latent_channels: channels of the tokenizer's latents.
        latent_period: frames per latent frame after the first; 1 for pixel blocks, which stand in for latents.
        state_dim: Mamba-2 state size per head channel.
        head_dim: Mamba-2 channels per head.
        expand: Mamba-2 inner width, in units of `width`.
        conv_width: taps of the causal depthwise convolution.
        ray_dtype: precision in which rays are computed, "bfloat16" (published) or "float32".
        use_time_embedding: add the time embeddings to the tokens (dynamic model).
        gaussian_stride: frames, rows and columns of the video per Gaussian.
        distance_range: nearest and farthest distance along a ray without depth anchor [scene units].
        distance_map: how a raw value spreads over the range, "linear" (published) or "log".
        prune_ratio: share of the Gaussians dropped by opacity.
        color_anchor: predict colours relative to the video's own pixels (with `depth_anchor`: where these are known).
        depth_anchor: predict distances and shapes relative to a given distance map, which is also an input.
        input_view_gaussians: replace key frame 0 of all views by one Gaussian per pixel of the input image.
    """

    width: int = 512
    depth: int = 16
    heads: int = 8
    attention_every: int = 8
    fuse_views: bool = True
    mlp_ratio: int = 4
    latent_channels: int = 16
    latent_period: int = COMPRESSION
    state_dim: int = 256
    head_dim: int = 64
    expand: int = 2
    conv_width: int = 4
    ray_dtype: str = "bfloat16"
    use_time_embedding: bool = False
    gaussian_stride: tuple[int, int, int] = (1, 8, 8)
    distance_range: tuple[float, float] = (0.1, 500.0)
    distance_map: str = "linear"
    prune_ratio: float = 0.8
    color_anchor: bool = False
    depth_anchor: bool = False
    input_view_gaussians: bool = False

    def __post_init__(self) -> None:
        """Check every field; sequences become tuples, so that a config read from a file equals one written in code."""
        object.__setattr__(self, "gaussian_stride", _numbers(self, "gaussian_stride", 3, int))
        object.__setattr__(self, "distance_range", _numbers(self, "distance_range", 2, float))
        for name in _POSITIVE:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise LyraError(f"Decoder config: {name} must be a positive integer, not {value!r}.")
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise LyraError(f"Decoder config: {name} must be true or false, not {getattr(self, name)!r}.")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise LyraError(f"Decoder config: {name} must be one of {allowed}, not {getattr(self, name)!r}.")
        self._check_relations()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DecoderConfig:
        """Build from plain data (YAML, JSON); unknown names are refused."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise LyraError(f"Decoder config: unknown field {', '.join(unknown)}; known are {', '.join(known)}.")
        return cls(**values)

    @property
    def anchored(self) -> bool:
        """Whether any output is predicted relative to an anchor."""
        return self.color_anchor or self.depth_anchor

    @property
    def ray_torch_dtype(self) -> torch.dtype:
        """`ray_dtype` as torch knows it."""
        return torch.bfloat16 if self.ray_dtype == "bfloat16" else torch.float32

    def _check_relations(self) -> None:
        near, far = self.distance_range
        for broken, message in (
            (self.width % self.heads, "width must be a multiple of heads"),
            (self.width * self.expand % self.head_dim, "width * expand must be a multiple of head_dim"),
            (COMPRESSION % self.gaussian_stride[0], f"gaussian_stride[0] must divide {COMPRESSION}"),
            (any(2 * COMPRESSION % s for s in self.gaussian_stride[1:]), "gaussian_stride[1:] must divide 16"),
            (self.latent_period not in (1, COMPRESSION), f"latent_period must be 1 or {COMPRESSION}"),
            (self.anchored and self.latent_period != COMPRESSION, f"anchors need latent_period {COMPRESSION}"),
            (not 0.0 < near < far, "distance_range must be 0 < near < far"),
            (not 0.0 <= self.prune_ratio < 1.0, "prune_ratio must lie in [0, 1)"),
            (
                self.anchored and self.gaussian_stride[0] != COMPRESSION,
                f"anchors need gaussian_stride[0] {COMPRESSION}",
            ),
            (
                self.input_view_gaussians and not (self.color_anchor and self.depth_anchor),
                "input_view_gaussians needs color_anchor and depth_anchor",
            ),
        ):
            if broken:
                raise LyraError(f"Decoder config: {message}.")


_FLAGS = tuple(field.name for field in fields(DecoderConfig) if field.type == "bool")
_POSITIVE = tuple(field.name for field in fields(DecoderConfig) if field.type == "int")


def _numbers(config: DecoderConfig, name: str, count: int, kind: type) -> tuple[Any, ...]:
    value = getattr(config, name)
    try:
        numbers = tuple(kind(item) for item in value)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or any(number <= 0 or number != item for number, item in zip(numbers, value, strict=True)):
        raise LyraError(f"Decoder config: {name} must be {count} positive numbers, not {value!r}.")
    return numbers
