# SPDX-License-Identifier: Apache-2.0
"""The decoder with a clock learns from instants of moving worlds, seen forwards and backwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lyra_core.decoder import GaussianDecoder
from lyra_core.distillation.generate import HELDOUT_SEED
from lyra_core.distillation.moving_worlds import INSTANTS, MovingWorlds, write_moving_worlds
from lyra_core.distillation.stages import Stage, load_stage
from lyra_core.distillation.train_dynamic import decoded, measure, pictures, train_dynamic
from lyra_core.errors import LyraError
from lyra_core.pipeline import LyraPipeline
from lyra_core.rendering import render


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Path:
    """The tiny model with a clock."""
    config = yaml.safe_load(tiny_model.read_text())
    config["decoder"]["config"]["use_time_embedding"] = True
    path = tiny_model.with_name("clock.yaml")
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def worlds(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("worlds")
    write_moving_worlds(LyraPipeline.from_pretrained(str(model)), root, [3, HELDOUT_SEED])
    return root


@pytest.fixture(scope="module")
def stage(model: Path) -> Stage:
    small = {
        "model": str(model), "size": (32, 64), "frames": 9, "views": 3, "steps": 3, "minutes": None,
        "worlds": {"crops": 2, "crop": (32, 24), "heldout_views": (0, 1)}, "warmup_steps": 1, "ema_decay": 0.0,
    }  # fmt: skip
    return Stage.model_validate({**load_stage("mini-dynamic").model_dump(), **small})


def test_the_stage_has_a_clock_and_starts_from_the_static_decoder() -> None:
    stage = load_stage("mini-dynamic")
    assert stage.dynamic and stage.motion_reversal and stage.follows == "mini-decoder"


def test_a_sample_is_what_the_decoder_takes(model: Path, worlds: Path) -> None:
    samples = MovingWorlds(worlds)
    assert len(samples) == INSTANTS and len(MovingWorlds(worlds / "heldout")) == INSTANTS
    sample = samples[1]
    assert sample.latents.shape == (1, 4, 16, 2, 4, 8) and sample.time_latents.shape == (1, 16, 3, 4, 8)
    assert sample.played.rgb.shape == (4, 32, 64, 3) and sample.unseen.rgb.shape == (2, 32, 64, 3)
    pipeline = LyraPipeline.from_pretrained(str(model))
    with torch.no_grad():
        gaussians = decoded(pipeline.decoder, sample)
        view = render(gaussians, sample.played.cameras, projection="ut")
    error = -10 * (view.color.clamp(0, 1) - sample.played.rgb).square().mean().log10()
    assert float(error) > 18  # the anchors alone show the scene at its instant
    swapped = -10 * (view.color.clamp(0, 1) - samples[0].played.rgb).square().mean().log10()
    assert float(swapped) < float(error)


def test_the_reversed_clip_is_as_far_from_the_end_as_the_other_from_the_start(worlds: Path) -> None:
    """Camera centres relative to the instant's own: progress t forwards, 1 - t backwards."""
    samples = MovingWorlds(worlds)
    for index in range(INSTANTS):
        sample = samples[index]
        own = sample.anchors.input_camera.c2w[0, :3, 3]
        forth, back = ((part.cameras.c2w[:, :3, 3] - own).norm(dim=-1) for part in (sample.played, sample.mirrored))
        left = 1  # a straight path: its length is the sum of both
        ends = sample.cameras.c2w[0, left, :, :3, 3]
        steps = ends.shape[0]
        rest = float(forth[left] + back[left])
        assert rest > 0 and steps == 9
        number = round(float(forth[left]) / rest * (steps - 1))
        assert float(forth[left]) / rest == pytest.approx(number / (steps - 1), abs=0.03)


def test_motion_reversal_doubles_the_pictures(worlds: Path) -> None:
    sample = MovingWorlds(worlds)[0]
    assert len(pictures(sample, reversal=True).rgb) == 2 * len(pictures(sample, reversal=False).rgb)


def test_training_reaches_the_time_embeddings(stage: Stage, worlds: Path, model: Path, tmp_path: Path) -> None:
    start = model.parent / "decoder.safetensors"
    report = train_dynamic(stage, worlds, tmp_path / "run", start=start)
    assert report["steps"] == 3 and report["motion_reversal"] and np.isfinite(report["psnr"])
    assert 0.0 <= report["missing"] <= 1.0
    from lyra_core.weights.quantized import load_weights

    before, after = load_weights(start), load_weights(tmp_path / "run" / "decoder.safetensors")
    for name in ("patch_time_embed.proj.weight", "patch_time_embed_tgt.norm.bias", "deconv.weight"):
        assert float((before[name] - after[name]).abs().max()) > 0, name
    decoder = GaussianDecoder(stage.decoder_config())
    decoder.load_state_dict(after)
    again = measure(decoder, MovingWorlds(worlds / "heldout"), "ut")
    assert again["psnr"] == pytest.approx(report["psnr"], abs=0.05)


def test_a_run_without_reversal_is_another_run(stage: Stage, worlds: Path, model: Path, tmp_path: Path) -> None:
    start = model.parent / "decoder.safetensors"
    train_dynamic(stage.model_copy(update={"steps": 1}), worlds, tmp_path / "run", start=start)
    other = stage.model_copy(update={"motion_reversal": False})
    with pytest.raises(LyraError):
        train_dynamic(other, worlds, tmp_path / "run", start=start)


def test_missing_worlds_are_named(tmp_path: Path) -> None:
    with pytest.raises(LyraError, match="--moving"):
        MovingWorlds(tmp_path)
