# SPDX-License-Identifier: Apache-2.0
"""Pictures from diffusers: a real pipeline, tiny and random, saved to disk by the test itself."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from lyra_core.errors import LyraError
from lyra_core.teacher.text_to_image import DEFAULT_MODEL, DiffusersImages
from lyra_core.weights.components import build_images
from lyra_core.weights.presets import Component, load_preset

OPTIONS = {"num_inference_steps": 2, "guidance_scale": 2.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A latent diffusion pipeline with all its parts, each of a few thousand weights."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    import diffusers

    folder = tmp_path_factory.mktemp("pipeline") / "tiny-pictures"
    torch.manual_seed(0)
    pipeline = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(
            block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        unet=diffusers.UNet2DConditionModel(
            sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16,
            attention_head_dim=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        text_encoder=transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
                bos_token_id=0, eos_token_id=1, pad_token_id=1,
            )
        ),
        tokenizer=_tokenizer(transformers, tmp_path_factory.mktemp("words")),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def _tokenizer(transformers: Any, folder: Path) -> Any:
    """Of single letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def test_a_sentence_becomes_a_picture(folder: Path) -> None:
    """Of the size that was asked for, though the pipeline only knows multiples of 16; the seed decides."""
    images = DiffusersImages(str(folder), OPTIONS)
    view = images("a red room", 40, 52, seed=3)
    assert view.image.shape == (40, 52, 3)
    assert view.depth is None
    assert view.source == "diffusers:tiny-pictures", "the place on this machine is nobody's business"
    assert view.notes == {"prompt": "a red room", "image_options": OPTIONS}
    assert view.image.std() > 0.01
    assert torch.equal(view.image, (view.image * 255).round() / 255)
    assert torch.equal(images("a red room", 40, 52, seed=3).image, view.image)
    assert not torch.equal(images("a red room", 40, 52, seed=4).image, view.image)
    assert not torch.equal(images("cubes", 40, 52, seed=3).image, view.image)


def test_an_empty_prompt_is_refused(folder: Path) -> None:
    with pytest.raises(LyraError, match="the prompt is empty"):
        DiffusersImages(str(folder))(" ", 32, 32, seed=0)


def test_a_preset_can_ask_for_it(folder: Path) -> None:
    part = Component(kind="diffusers", config={"model": str(folder), "options": OPTIONS})
    images = build_images(load_preset("mini").model_copy(update={"image": part}))
    assert images("a room", 32, 32, seed=0).image.shape == (32, 32, 3)


def test_a_model_that_is_not_there_is_not_downloaded(folder: Path) -> None:
    with pytest.raises(LyraError, match="`hf download nobody/nothing`"):
        DiffusersImages("nobody/nothing")


def test_the_default_is_free_to_use() -> None:
    assert DEFAULT_MODEL.licence == "Apache-2.0"
    assert DEFAULT_MODEL.options["num_inference_steps"] == 4


@pytest.mark.skipif(find_spec("transformers") is not None, reason="transformers is installed")
def test_transformers_missing() -> None:
    with pytest.raises(LyraError, match="needs the package transformers"):
        DiffusersImages()
