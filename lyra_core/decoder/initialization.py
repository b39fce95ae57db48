# SPDX-License-Identifier: Apache-2.0
"""Weights to start training from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lyra_core.decoder.blocks import MambaScan
from lyra_core.decoder.embeddings import PatchEmbed

if TYPE_CHECKING:
    from lyra_core.decoder.model import GaussianDecoder

_LINEAR_STD = 0.02
_STEP_RANGE = (1e-3, 1e-1)
_STEP_FLOOR = 1e-4
_RATE_RANGE = (1.0, 16.0)


@torch.no_grad()
def initialize(decoder: GaussianDecoder, generator: torch.Generator | None) -> None:
    """Draw all weights as the published model does; None means a fresh generator with seed 0.

    An anchored model starts as its pure anchor (last layer zero) and hears rays and hints from the first step on (their
    embeddings are drawn by fan-in instead of zero).
    """
    if decoder.deconv.weight.is_meta:
        return
    if generator is None:
        generator = torch.Generator(decoder.deconv.weight.device).manual_seed(0)
    for module in decoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=_LINEAR_STD, generator=generator)
            _zero(module.bias)
        elif isinstance(module, MambaScan):
            _initialize_scan(module, generator)
    _initialize_embeddings(decoder, generator)
    _default_convolution(decoder.deconv, generator)
    if decoder.config.anchored:
        _zero(decoder.deconv.weight)
        _zero(decoder.deconv.bias)


def _initialize_embeddings(decoder: GaussianDecoder, generator: torch.Generator) -> None:
    for name, embed in decoder.named_children():
        if not isinstance(embed, PatchEmbed):
            continue
        weight = embed.proj.weight
        fan_in, fan_out = weight[0].numel(), weight.shape[0] * weight[0, 0].numel()
        std = 0.0
        if name == "patch_embed":
            std = math.sqrt(2.0 / fan_out)
        elif decoder.config.anchored and "time" not in name:
            std = math.sqrt(1.0 / fan_in)
        nn.init.normal_(weight, std=std, generator=generator)
        _zero(embed.proj.bias)


def _initialize_scan(scan: MambaScan, generator: torch.Generator) -> None:
    """Mamba-2's defaults: steps log-uniform, decay rates uniform."""
    _default_convolution(scan.conv1d, generator)
    low, high = (math.log(limit) for limit in _STEP_RANGE)
    steps = _uniform(scan.dt_bias, low, high, generator).exp().clamp_min(_STEP_FLOOR)
    scan.dt_bias.copy_(steps + torch.log(-torch.expm1(-steps)))
    scan.A_log.copy_(_uniform(scan.A_log, *_RATE_RANGE, generator).log())


def _default_convolution(convolution: nn.Conv1d | nn.ConvTranspose3d, generator: torch.Generator) -> None:
    """PyTorch's default, from the given generator: uniform within 1 / sqrt(weights per slice)."""
    bound = 1.0 / math.sqrt(convolution.weight[0].numel())
    for parameter in convolution.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)


def _uniform(like: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.empty_like(like).uniform_(low, high, generator=generator)


def _zero(parameter: Tensor | None) -> None:
    if parameter is not None:
        nn.init.zeros_(parameter)
