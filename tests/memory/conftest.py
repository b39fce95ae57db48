# SPDX-License-Identifier: Apache-2.0
"""A tiny model with every stage that plans are about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.pipeline import LyraPipeline
from lyra_core.teacher.diffusion import GuidedDiffusion
from lyra_core.teacher.sampler import SamplerConfig
from lyra_core.teacher.teacher import Teacher
from lyra_core.teacher.text import TextEmbeddings
from lyra_core.teacher.transformer import TransformerConfig, VideoTransformer
from lyra_core.weights.presets import Component, load_preset

TRANSFORMER = {
    "heads": 2, "head_dim": 24, "layers": 3, "text_dim": 8, "adaln_lora_dim": 4, "max_size": (4, 16, 16),
}  # fmt: skip
DECODER = {
    "width": 64, "depth": 2, "heads": 2, "attention_every": 2, "state_dim": 16, "prune_ratio": 0.0,
    "ray_dtype": "float32",
}  # fmt: skip
PUBLISHED = {
    "teacher": Component(kind="gen3c", config={"transformer": TRANSFORMER}),
    "decoder": Component(kind="lyra", config=DECODER),
    "image_size": (32, 64),
    "video_size": (32, 64),
    "frames": 17,
    "movement": "published",
    "warp_footprint": "bilinear",
    "hole_fill": "none",
    "start_strength": 1.0,
    "refine_iterations": 0,
}


@pytest.fixture
def pipeline(tiny_model: Path) -> Callable[[], LyraPipeline]:
    """Builds the corridor as published with small networks; always with the same random weights."""

    def build() -> LyraPipeline:
        embedded = LyraPipeline.from_pretrained(str(tiny_model))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            transformer = VideoTransformer(TransformerConfig(**TRANSFORMER))
        diffusion = GuidedDiffusion(transformer, TextEmbeddings.zeros(8), SamplerConfig(steps=3))
        return LyraPipeline(
            load_preset(str(tiny_model)).model_copy(update=PUBLISHED),
            embedded.images,
            embedded.depth_estimator,
            Teacher(embedded.teacher.tokenizer, diffusion),
            GaussianDecoder(DecoderConfig.from_dict(DECODER)),
        )

    return build
