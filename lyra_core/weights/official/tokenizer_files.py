# SPDX-License-Identifier: Apache-2.0
"""The released tokenizer and its statistics, as a folder in diffusers' layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_cosmos import AutoencoderKLCosmos
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.weights.official.checkpoints import read_pickle, read_state
from lyra_core.weights.official.fitting import require_fit
from lyra_core.weights.official.names import tokenizer_names

WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
CONFIG_NAME = "config.json"

_FIXED = "patch_embed."
"""Haar filters of both ends; the class computes them itself."""


def tokenizer_state(files: Sequence[Path], config: Mapping[str, Any], target: str) -> dict[str, Tensor]:
    """Weights of `AutoencoderKLCosmos` from one `model.pt`, or from `encoder.jit` and `decoder.jit`.

    Args:
        files: what to read; names must not repeat.
        config: constructor options where they differ from the class's defaults, which are the published tokenizer.
        target: what it is for, for the message.

    Raises LyraError for files that do not hold exactly the weights of that network.
    """
    state: dict[str, Tensor] = {}
    for file in files:
        state |= tokenizer_names(read_state(file))
    expected = empty_tokenizer(config).state_dict()
    weights = {name: value for name, value in expected.items() if _FIXED not in name}
    require_fit(state, weights, " + ".join(map(str, files)), target)
    return state


def empty_tokenizer(config: Mapping[str, Any]) -> AutoencoderKLCosmos:
    """The class without weights, on the meta device."""
    with torch.device("meta"):
        return AutoencoderKLCosmos(**config)


def read_statistics(path: Path, channels: int, frames: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the latents, flat and channel-major, for the tokenizer's config.

    Args:
        path: `mean_std.pt`, a pair (mean, std) of `channels` x n values each, n >= frames.
        channels: of the latents.
        frames: latent frames that are kept.

    Raises LyraError for anything else, e.g. the statistics of single images.
    """
    content = read_pickle(path)
    if not isinstance(content, tuple | list) or len(content) != 2 or not all(isinstance(t, Tensor) for t in content):
        raise LyraError(f"{path} is no pair (mean, std) of tensors. Give the tokenizer's mean_std.pt.")
    mean, std = (tensor.double().flatten() for tensor in content)
    if mean.shape != std.shape or mean.numel() % channels or mean.numel() < channels * frames:
        image = " This looks like image_mean_std.pt." if mean.numel() == channels else ""
        raise LyraError(
            f"{path} has {mean.numel()} means and {std.numel()} deviations, but {channels} channels x at least "
            f"{frames} latent frames are needed.{image} Give the tokenizer's mean_std.pt."
        )
    if not (mean.isfinite().all() and std.isfinite().all() and (std > 0).all()):
        raise LyraError(f"{path} holds statistics that are not finite or not positive. Fetch it again.")
    return _kept(mean, channels, frames), _kept(std, channels, frames)


def _kept(statistic: Tensor, channels: int, frames: int) -> list[float]:
    return statistic.view(channels, -1)[:, :frames].flatten().tolist()
