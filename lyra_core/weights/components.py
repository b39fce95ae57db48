# SPDX-License-Identifier: Apache-2.0
"""From a preset's YAML to the parts of the corridor."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from lyra_core.conditioning.depth import DepthEstimator, EmbeddedDepth
from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.errors import LyraError
from lyra_core.teacher.diffusion import GuidedDiffusion
from lyra_core.teacher.image import NoTextToImage, TextToImage
from lyra_core.teacher.pixel_blocks import PixelBlocks
from lyra_core.teacher.sampler import SamplerConfig
from lyra_core.teacher.teacher import Teacher
from lyra_core.teacher.text import TextEmbeddings
from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.teacher.transformer import TransformerConfig, VideoTransformer
from lyra_core.weights.manifest import verified
from lyra_core.weights.official.fitting import require_fit
from lyra_core.weights.presets import Component, Preset, one_line
from lyra_core.weights.quantized import load_weights


class DiffusionConfig(BaseModel):
    """The `config` of a `gen3c` teacher."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transformer: TransformerConfig = TransformerConfig()
    sampler: SamplerConfig = SamplerConfig()
    text: str | None = None
    """File of the text embeddings; None for zeros, the published mode without a text encoder."""


def build_images(preset: Preset) -> TextToImage:
    """The text-to-image stage."""
    kind, config = preset.image.kind, preset.image.config
    if kind == "none":
        return NoTextToImage()
    if kind == "procedural-grammar":
        from lyra_core.teacher.procedural import ProceduralImages

        return ProceduralImages(**config)
    if kind == "diffusers":
        from lyra_core.teacher.text_to_image import DiffusersImages

        return DiffusersImages(**config)
    raise _unknown(preset, "image", preset.image, "procedural-grammar, diffusers, none")


def build_depth(preset: Preset) -> DepthEstimator:
    """The depth estimator."""
    kind, config = preset.depth.kind, preset.depth.config
    if kind == "embedded":
        return EmbeddedDepth.load(_path(preset, preset.depth), preset.assumed_intrinsics)
    if kind == "moge":
        from lyra_core.conditioning.depth_adapters import MogeDepth

        return MogeDepth(**config)
    if kind == "transformers":
        from lyra_core.conditioning.depth_adapters import TransformersDepth

        return TransformersDepth(preset.assumed_intrinsics, **config)
    raise _unknown(preset, "depth", preset.depth, "embedded, moge, transformers")


def build_tokenizer(preset: Preset) -> Tokenizer:
    """The video tokenizer, from a compact file or a diffusers folder; `pixels` takes blocks of pixels for latents."""
    if preset.tokenizer.kind == "pixels":
        return PixelBlocks()
    if preset.tokenizer.kind != "cosmos":
        raise _unknown(preset, "tokenizer", preset.tokenizer, "cosmos, pixels")
    path = _path(preset, preset.tokenizer)
    return Tokenizer.load(path)


def build_teacher(preset: Preset) -> Teacher:
    """The teacher: the tokenizer, and for `gen3c` the diffusion model."""
    if preset.teacher.kind == "guidance":
        return Teacher(build_tokenizer(preset), start_strength=preset.start_strength)
    if preset.teacher.kind == "gen3c":
        return Teacher(build_tokenizer(preset), build_diffusion(preset), preset.start_strength)
    raise _unknown(preset, "teacher", preset.teacher, "gen3c, guidance")


def diffusion_config(preset: Preset) -> DiffusionConfig:
    """The checked `config` of a `gen3c` teacher. Raises LyraError naming the field that is wrong."""
    try:
        return DiffusionConfig.model_validate(preset.teacher.config)
    except ValidationError as error:
        raise LyraError(f"preset {preset.name!r} has a wrong teacher config: {one_line(error)}") from error


def build_diffusion(preset: Preset) -> GuidedDiffusion:
    """The teacher's diffusion model; `config` may hold `transformer`, `sampler` and the file of `text` embeddings."""
    config, path = diffusion_config(preset), _path(preset, preset.teacher)
    with torch.device("meta"):
        transformer = VideoTransformer(config.transformer)
    state = load_weights(path, keep_bfloat16=True)
    require_fit(state, transformer.network.state_dict(), str(path), f"the teacher of preset {preset.name!r}")
    transformer.network.load_state_dict(state, assign=True)
    if config.text is None:
        text = TextEmbeddings.zeros(config.transformer.text_dim)
    else:
        text = TextEmbeddings.load(verified(preset.weights_folder, config.text))
    return GuidedDiffusion(transformer, text, config.sampler)


def build_decoder(preset: Preset) -> GaussianDecoder:
    """The 3DGS decoder with its weights."""
    if preset.decoder.kind != "lyra":
        raise _unknown(preset, "decoder", preset.decoder, "lyra")
    decoder = GaussianDecoder(DecoderConfig.from_dict(preset.decoder.config))
    path = _path(preset, preset.decoder)
    state = load_weights(path)
    require_fit(state, decoder.state_dict(), str(path), f"the decoder of preset {preset.name!r}")
    decoder.load_state_dict(state)
    return decoder.eval()


def _path(preset: Preset, part: Component) -> Path:
    if part.file is None:
        raise LyraError(f"preset {preset.name!r} names no file for its {part.kind} part. Add `file:`.")
    return verified(preset.weights_folder, part.file)


def _unknown(preset: Preset, role: str, part: Component, known: str) -> LyraError:
    return LyraError(f"preset {preset.name!r} asks for {role} kind {part.kind!r}, which is not available ({known}).")
