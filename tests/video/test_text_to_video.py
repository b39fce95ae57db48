# SPDX-License-Identifier: Apache-2.0
"""Videos from diffusers: a real pipeline, tiny and random, saved to disk by the test itself."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_core.errors import LyraError
from lyra_core.synthesis.filming import film
from lyra_core.synthesis.items import Item, from_prompts
from lyra_core.video.reading import read_video
from lyra_core.video.text_to_video import DiffusersVideos

OPTIONS = {"num_inference_steps": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A latent video diffusion pipeline with all its parts, each of a few thousand weights."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    import diffusers

    words, folder = tmp_path_factory.mktemp("words"), tmp_path_factory.mktemp("pipeline") / "tiny-videos"
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (words / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(vocabulary)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    torch.manual_seed(0)
    diffusers.TextToVideoSDPipeline(
        vae=diffusers.AutoencoderKL(
            block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        unet=diffusers.UNet3DConditionModel(
            sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16,
            attention_head_dim=4, down_block_types=("DownBlock3D", "CrossAttnDownBlock3D"),
            up_block_types=("CrossAttnUpBlock3D", "UpBlock3D"),
        ),
        text_encoder=transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
                bos_token_id=0, eos_token_id=1, pad_token_id=1,
            )
        ),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(words, model_max_length=77),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def test_a_sentence_becomes_a_video(folder: Path) -> None:
    """As many frames as were asked for, sides rounded up; the seed decides."""
    videos = DiffusersVideos(str(folder), OPTIONS)
    frames = videos("a red ball rolls", 9, 40, 64, seed=3)
    assert frames.shape == (9, 48, 64, 3)
    assert frames.dtype == np.uint8
    assert frames.std() > 2
    assert videos.source == "diffusers:tiny-videos", "the place on this machine is nobody's business"
    assert np.array_equal(videos("a red ball rolls", 9, 40, 64, seed=3), frames)
    assert not np.array_equal(videos("a red ball rolls", 9, 40, 64, seed=4), frames)
    with pytest.raises(LyraError, match="the prompt is empty"):
        videos(" ", 9, 40, 64, seed=3)


def test_prompts_become_files_for_vipe(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Resumable: what is there stays; other prompts need another folder."""
    items = from_prompts(["a ball rolls", "a door opens"])
    output = tmp_path / "videos"
    assert film(items, str(folder), str(tiny_model), output) == 2
    first = (output / "000000.mp4").read_bytes()
    (output / "000001.mp4").unlink()
    assert film(items, str(folder), str(tiny_model), output) == 1
    assert (output / "000000.mp4").read_bytes() == first
    clip = read_video(output / "000001.mp4", 9, lambda height, width: (height, width))
    assert clip.frames.shape == (9, 32, 64, 3)
    rows = [json.loads(line) for line in (output / "videos.jsonl").read_text().splitlines()]
    assert [row["prompt"] for row in rows] == ["a ball rolls", "a door opens"]
    with pytest.raises(LyraError, match="lists other videos"):
        film(items[:1], str(folder), str(tiny_model), output)


def test_pictures_are_no_prompts(tmp_path: Path) -> None:
    item = Item(name="000000_a", seed=0, image="a.png")
    with pytest.raises(LyraError, match="give --prompts, --worlds or --llm"):
        film([item], "nobody/nothing", "mini", tmp_path)


@pytest.mark.skipif(find_spec("transformers") is not None, reason="transformers is installed")
def test_transformers_missing(tmp_path: Path) -> None:
    with pytest.raises(LyraError, match="text-to-video needs the package transformers"):
        film(from_prompts(["a ball rolls"]), "nobody/nothing", "mini", tmp_path)
    assert not list(tmp_path.glob("*.mp4"))
