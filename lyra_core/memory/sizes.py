# SPDX-License-Identifier: Apache-2.0
"""The numbers of a model that memory depends on, read off its networks without weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lyra_core.weights.presets import Preset


@dataclass(frozen=True)
class TokenizerSizes:
    """The video tokenizer.

    Attributes:
        parameters: weights.
        patch: pixels and frames per cell of its finest grid, along each axis.
        space: pixels per latent.
        time: frames per latent frame.
        encoder_width: channels of the widest maps on the finest grid of the encoder.
        decoder_widths: the same of the decoder: before its last block, and within it.
        middle_width: channels on the grid of the latents.
    """

    parameters: int
    patch: int
    space: int
    time: int
    encoder_width: int
    decoder_widths: tuple[int, int]
    middle_width: int


@dataclass(frozen=True)
class TransformerSizes:
    """The diffusion transformer.

    Attributes:
        parameters: weights of the whole.
        block_parameters: weights of one block.
        blocks: number of blocks.
        castable: weights of one block that may be stored in 8 bits.
        largest: weights of the largest single matrix in a block.
        width: channels of a token.
        head_dim: channels per head.
        inputs: numbers per token at the input.
    """

    parameters: int
    block_parameters: int
    blocks: int
    castable: int
    largest: int
    width: int
    head_dim: int
    inputs: int


@dataclass(frozen=True)
class DecoderSizes:
    """The 3DGS decoder; names as in `DecoderConfig`."""

    parameters: int
    width: int
    inner: int
    state_dim: int
    heads: int
    gaussians: int
    kept: int


@dataclass(frozen=True)
class ModelSizes:
    """Everything that memory depends on.

    Attributes:
        model: name of the preset.
        word: bytes per number on the device.
        height: of the videos [px].
        width: of the videos [px].
        frames: per video.
        views: number of videos.
        tokenizer: see there.
        transformer: see there; None for a teacher without one.
        decoder: see there.
    """

    model: str
    word: int
    height: int
    width: int
    frames: int
    views: int
    tokenizer: TokenizerSizes
    transformer: TransformerSizes | None
    decoder: DecoderSizes

    @property
    def latent_frames(self) -> int:
        """Latent frames of one video."""
        return 1 + (self.frames - 1) // self.tokenizer.time

    @property
    def latent_cells(self) -> int:
        """Latents of one frame."""
        return (self.height // self.tokenizer.space) * (self.width // self.tokenizer.space)


def model_sizes(preset: Preset, *, word: int | None = None) -> ModelSizes:
    """Builds the networks on the meta device and counts; no weights are needed, and none are read.

    Args:
        preset: the model.
        word: bytes per number; default: those of the preset's precision on a GPU.

    Raises LyraError for a preset whose networks cannot be built.
    """
    from lyra_core.weights import components

    config = components.diffusion_config(preset) if preset.samples else None
    height, width = preset.video_size
    return ModelSizes(
        model=preset.name,
        word=word or (2 if preset.precision == "bfloat16" else 4),
        height=height,
        width=width,
        frames=preset.frames,
        views=len(preset.paths),
        tokenizer=_tokenizer(preset),
        transformer=_transformer(config.transformer) if config else None,
        decoder=_decoder(preset),
    )


def _tokenizer(preset: Preset) -> TokenizerSizes:
    import torch
    from diffusers.models.autoencoders.autoencoder_kl_cosmos import AutoencoderKLCosmos

    with torch.device("meta"):
        network = AutoencoderKLCosmos.from_config(dict(tokenizer_config(preset)))
    encoder, decoder = (network.config[f"{part}_block_out_channels"] for part in ("encoder", "decode"))
    return TokenizerSizes(
        parameters=_count(network),
        patch=network.config["patch_size"],
        space=network.config["spatial_compression_ratio"],
        time=network.config["temporal_compression_ratio"],
        encoder_width=encoder[1],
        decoder_widths=(decoder[1], decoder[0]),
        middle_width=max(encoder[-1], decoder[-1]),
    )


def tokenizer_config(preset: Preset) -> Mapping[str, Any]:
    """Constructor options in the tokenizer's files; the published ones where the files are not there yet."""
    from lyra_core.weights.quantized import read_metadata

    path = preset.weights_folder / (preset.tokenizer.file or "")
    if path.is_file():
        return read_metadata(path).get("config", {})
    if (path / "config.json").is_file():
        return json.loads((path / "config.json").read_text(encoding="utf-8"))
    return {}


def _transformer(config: Any) -> TransformerSizes:
    import torch

    from lyra_core.memory.storage import castable

    with torch.device("meta"):
        network = config.network()
    block = network.transformer_blocks[0]
    matrices = [weight.numel() for weight in castable(block)]
    return TransformerSizes(
        parameters=_count(network),
        block_parameters=_count(block),
        blocks=config.layers,
        castable=sum(matrices),
        largest=max(matrices),
        width=config.heads * config.head_dim,
        head_dim=config.head_dim,
        inputs=network.patch_embed.proj.in_features,
    )


def _decoder(preset: Preset) -> DecoderSizes:
    import torch

    from lyra_core.decoder import DecoderConfig, GaussianDecoder
    from lyra_core.gaussians import kept_count

    config = DecoderConfig.from_dict(preset.decoder.config)
    with torch.device("meta"):
        network = GaussianDecoder(config)
    frames, rows, columns = config.gaussian_stride
    cells = (preset.video_size[0] // rows) * (preset.video_size[1] // columns)
    gaussians = len(preset.paths) * (1 + (preset.frames - 1) // frames) * cells
    return DecoderSizes(
        parameters=_count(network),
        width=config.width,
        inner=config.expand * config.width,
        state_dim=config.state_dim,
        heads=config.expand * config.width // config.head_dim,
        gaussians=gaussians,
        kept=kept_count(gaussians, config.prune_ratio),
    )


def _count(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
