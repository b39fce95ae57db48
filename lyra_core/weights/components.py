# SPDX-License-Identifier: Apache-2.0
"""From a preset's YAML to the parts of the corridor."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from lyra_core.conditioning.depth import DepthEstimator, EmbeddedDepth, MogeDepth, TransformersDepth
from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.errors import LyraError
from lyra_core.teacher.diffusion import GuidedDiffusion
from lyra_core.teacher.image import NoTextToImage, TextToImage
from lyra_core.teacher.sampler import SamplerConfig
from lyra_core.teacher.teacher import Teacher
from lyra_core.teacher.text import TextEmbeddings
from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.teacher.transformer import TransformerConfig, VideoTransformer
from lyra_core.weights.manifest import verified
from lyra_core.weights.presets import Component, Preset, one_line
from lyra_core.weights.quantized import load_weights


class _DiffusionConfig(BaseModel):
    """The `config` of a `gen3c` teacher."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    transformer: TransformerConfig = TransformerConfig()
    sampler: SamplerConfig = SamplerConfig()
    text: str | None = None
    """File of the text embeddings; None for zeros, the published mode without a text encoder."""


def build_images(preset: Preset) -> TextToImage:
    """The text-to-image stage."""
    if preset.image.kind == "none":
        return NoTextToImage()
    if preset.image.kind == "procedural-grammar":
        from lyra_core.teacher.procedural import ProceduralImages

        return ProceduralImages(**preset.image.config)
    raise _unknown(preset, "image", preset.image, "procedural-grammar, none")


def build_depth(preset: Preset) -> DepthEstimator:
    """The depth estimator."""
    kind, config = preset.depth.kind, preset.depth.config
    if kind == "embedded":
        return EmbeddedDepth.load(_path(preset, preset.depth), preset.assumed_intrinsics)
    if kind == "moge":
        return MogeDepth(**config)
    if kind == "transformers":
        return TransformersDepth(assumed_intrinsics=preset.assumed_intrinsics, **config)
    raise _unknown(preset, "depth", preset.depth, "embedded, moge, transformers")


def build_tokenizer(preset: Preset) -> Tokenizer:
    """The video tokenizer, from a compact file or a diffusers folder."""
    if preset.tokenizer.kind != "cosmos":
        raise _unknown(preset, "tokenizer", preset.tokenizer, "cosmos")
    path = _path(preset, preset.tokenizer)
    return Tokenizer.load(path)


def build_teacher(preset: Preset) -> Teacher:
    """The teacher: the tokenizer, and for `gen3c` the diffusion model."""
    if preset.teacher.kind == "guidance":
        return Teacher(build_tokenizer(preset), start_strength=preset.start_strength)
    if preset.teacher.kind == "gen3c":
        return Teacher(build_tokenizer(preset), build_diffusion(preset), preset.start_strength)
    raise _unknown(preset, "teacher", preset.teacher, "gen3c, guidance")


def build_diffusion(preset: Preset) -> GuidedDiffusion:
    """The teacher's diffusion model; `config` may hold `transformer`, `sampler` and the file of `text` embeddings."""
    try:
        config = _DiffusionConfig.model_validate(preset.teacher.config)
    except ValidationError as error:
        raise LyraError(f"preset {preset.name!r} has a wrong teacher config: {one_line(error)}") from error
    path = _path(preset, preset.teacher)
    with torch.device("meta"):
        transformer = VideoTransformer(config.transformer)
    try:
        transformer.network.load_state_dict(_state(path), assign=True)
    except RuntimeError as error:
        raise LyraError(f"weights {path} do not fit the teacher of preset {preset.name!r}.") from error
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
    try:
        decoder.load_state_dict(_state(path))
    except RuntimeError as error:
        raise LyraError(f"weights {path} do not fit the decoder of preset {preset.name!r}.") from error
    return decoder.eval()


def _path(preset: Preset, part: Component) -> Path:
    if part.file is None:
        raise LyraError(f"preset {preset.name!r} names no file for its {part.kind} part. Add `file:`.")
    path = preset.weights_folder / part.file
    return path if path.is_dir() else verified(preset.weights_folder, part.file)


def _state(path: Path) -> dict[str, Tensor]:
    """Weights of a safetensors file, or the "module" entry of a released DeepSpeed file."""
    if path.suffix == ".pt":
        return torch.load(path, map_location="cpu", weights_only=True)["module"]
    return load_weights(path)


def _unknown(preset: Preset, role: str, part: Component, known: str) -> LyraError:
    return LyraError(f"preset {preset.name!r} asks for {role} kind {part.kind!r}, which is not available ({known}).")
