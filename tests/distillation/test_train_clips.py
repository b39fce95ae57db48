# SPDX-License-Identifier: Apache-2.0
"""A published stage from end to end, on clips that a tiny teacher really made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lyra_core.decoder import GaussianDecoder
from lyra_core.distillation.clips import open_clips
from lyra_core.distillation.stages import Stage, load_stage
from lyra_core.distillation.train_clips import ClipTraining, train_on_clips
from lyra_core.errors import LyraError
from lyra_core.pipeline import LyraPipeline
from lyra_core.synthesis.engine import make_sample
from lyra_core.synthesis.items import Item
from lyra_core.synthesis.shards import seal, write_staged
from lyra_core.weights.quantized import load_weights

PUBLISHED_HEAD = {"color_anchor": False, "depth_anchor": False, "input_view_gaussians": False}
CLIPS = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    root = tmp_path_factory.mktemp("clips")
    pipeline = LyraPipeline.from_pretrained(str(tiny_model))
    staged = {}
    for number in range(CLIPS):
        item = Item(name=f"{number:06d}", seed=number, prompt="a small kitchen with a red fridge")
        staged[item.name] = root / f"{item.name}.part"
        write_staged(staged[item.name], make_sample(pipeline, item), "png")
    seal(root / "shard-00000.tar", staged, {})
    return root


def stage_of(folder: Path, model: Path, **changes: Any) -> Stage:
    """A stage with published losses, small enough for a test."""
    values = {
        "name": "tiny", "summary": "for tests", "model": str(model), "decoder": PUBLISHED_HEAD, "size": [32, 64],
        "frames": 9, "targets": 2, "views": 3, "drawn_views": True, "late_targets": True, "steps": 4, "processes": 1,
        "heldout": 1, "warmup_steps": 1, "learning_rate": 1e-3, "evaluate_every_steps": 2, "perceptual_chunk": 2,
        **changes,
    }  # fmt: skip
    path = folder / f"{values['name']}.yaml"
    path.write_text(yaml.safe_dump(values))
    return load_stage(str(path))


def test_a_stage_trains_and_the_next_one_goes_on(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    first = train_on_clips(stage_of(tmp_path, tiny_model), data, tmp_path / "tiny")
    assert first["steps"] == 4 and first["clips"] == CLIPS - 1 and first["heldout_clips"] == 1
    assert 0 < first["psnr"] < 60 and "LPIPS" in first["perceptual"]
    assert ("f_lpips" in first) == first["perceptual"].startswith("F-LPIPS")
    sheets = sorted(path.name for path in (tmp_path / "tiny" / "sheets").iterdir())
    assert sheets == ["step-0000002.png", "step-0000004.png"]
    with Image.open(tmp_path / "tiny" / "sheets" / sheets[0]) as picture:
        assert picture.size == (4 * 64 + 3 * 2, 32)
    pruned = stage_of(
        tmp_path, tiny_model, name="pruned", steps=6, decoder={**PUBLISHED_HEAD, "prune_ratio": 0.8},
        losses={"opacity": 0.1},
    )  # fmt: skip
    second = train_on_clips(pruned, data, tmp_path / "pruned", start=tmp_path / "tiny" / "decoder.safetensors")
    assert second["steps"] == 6
    stored = load_weights(tmp_path / "pruned" / "decoder.safetensors")
    start = load_weights(tmp_path / "tiny" / "decoder.safetensors")
    assert stored.keys() == start.keys()
    assert 0 < (stored["deconv.weight"] - start["deconv.weight"]).abs().max() < 0.05


def test_a_decoder_learns_its_clips(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    """More steps on the same clips lower the training loss."""
    stage = stage_of(tmp_path, tiny_model, steps=40, views=1, learning_rate=3e-3, evaluate_every_steps=0)
    train_on_clips(stage, data, tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.9 * losses[0]


def test_samples_stand_in_the_frame_of_their_first_view(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The targets are the teacher's own frames, and their cameras those of the frames."""
    stage = stage_of(tmp_path, tiny_model)
    train, heldout = open_clips(data, stage, LyraPipeline.from_pretrained(str(tiny_model)).teacher.tokenizer)
    assert not set(train.names) & set(heldout.names)
    assert len(train.names) + len(heldout.names) == CLIPS
    counts = set()
    for seed in range(12):
        sample = train.draw(np.random.default_rng(seed))
        counts.add(len(sample.latents))
        torch.testing.assert_close(sample.cameras.c2w[0, 0], torch.eye(4), atol=1e-5, rtol=0)
        assert len(sample.rgb) == len(sample.depth) == len(sample.targets) == 2 * len(sample.latents)
        whole = train.data.load(sample.name.split()[1].rstrip(","))
        frames = torch.from_numpy(np.stack([view.frames for view in whole.views])).float() / 255
        assert (frames - sample.rgb[0]).abs().amax(dim=(2, 3, 4)).min() < 1e-6
    assert counts == {1, 2, 3}


def test_stored_latents_are_the_encoded_frames(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The tiny teacher shows its guidance, so encoding its frames again gives nearly the stored latents."""
    tokenizer = LyraPipeline.from_pretrained(str(tiny_model)).teacher.tokenizer
    stored, encoded = (
        open_clips(data, stage_of(tmp_path, tiny_model, stored_latents=flag), tokenizer)[0] for flag in (True, False)
    )
    one, other = (clips.draw(np.random.default_rng(0)) for clips in (stored, encoded))
    assert one.latents.shape == other.latents.shape
    assert (one.latents - other.latents).abs().median() < 0.2 * one.latents.abs().median()


def test_a_dynamic_stage_shows_one_instant(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    stage = stage_of(tmp_path, tiny_model, decoder={**PUBLISHED_HEAD, "use_time_embedding": True}, views=1, targets=3)
    training = ClipTraining(stage, data, seed=0, device=torch.device("cpu"))
    sample = training.train.draw(np.random.default_rng(0))
    assert sample.instant is not None and len(sample.rgb) == 3
    loss, _ = training.loss(np.random.default_rng(0))
    loss.backward()
    assert training.decoder.patch_time_embed_tgt.proj.weight.grad.abs().max() > 0


def test_an_anchored_decoder_gets_its_anchors(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Self-distillation of the embedded family: before any step, the anchors alone already show the clip."""
    stage = stage_of(tmp_path, tiny_model, decoder={}, views=2, drawn_views=False)
    training = ClipTraining(stage, data, seed=0, device=torch.device("cpu"))
    plain = ClipTraining(stage_of(tmp_path, tiny_model, name="plain"), data, seed=0, device=torch.device("cpu"))
    assert isinstance(training.decoder, GaussianDecoder)
    assert training.measure()["psnr"] > plain.measure()["psnr"] + 3


def test_bad_data_is_named(data: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(LyraError, match="holds 3 clips, and stage 'tiny' holds 3 of them out"):
        train_on_clips(stage_of(tmp_path, tiny_model, heldout=3), data, tmp_path / "a")
    with pytest.raises(LyraError, match=r"has latents \[2, 4, 8\], but stage 'tiny' takes \[3, 4, 8\]"):
        train_on_clips(stage_of(tmp_path, tiny_model, frames=17), data, tmp_path / "b")
    with pytest.raises(LyraError, match=r"got a clip with 4\. A view is missing"):
        train_on_clips(stage_of(tmp_path, tiny_model, views=6), data, tmp_path / "c")
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in data.glob("shard-00000.*"):
        (broken / path.name).write_bytes(path.read_bytes())
    content = bytearray((broken / "shard-00000.tar").read_bytes())
    content[len(content) // 8 : 7 * len(content) // 8] = bytes(6 * len(content) // 8)
    (broken / "shard-00000.tar").write_bytes(content)
    with pytest.raises(LyraError, match=r"shard .*shard-00000.tar is damaged at sample 0"):
        train_on_clips(stage_of(tmp_path, tiny_model), broken, tmp_path / "d")
