# SPDX-License-Identifier: Apache-2.0
"""The ceiling of a diffusion teacher: what is measured in the holes, and what the verdict follows from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from lyra_core.evaluation.ceiling import LEAST_GAIN, clips_of_world, evaluate_ceiling, through_tokenizer
from lyra_core.evaluation.synthetic import FIRST_SEED
from lyra_core.evaluation.tables import ceiling_table
from lyra_core.pipeline import LyraPipeline
from lyra_core.teacher.pixel_blocks import PixelBlocks


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> LyraPipeline:
    return LyraPipeline.from_pretrained(str(tiny_model))


def test_the_figures_are_those_of_the_holes(pipeline: LyraPipeline, tmp_path: Path) -> None:
    report = evaluate_ceiling(pipeline, worlds=1, sheets=tmp_path)
    clips = list(clips_of_world(pipeline, FIRST_SEED))
    assert len(clips) == len(pipeline.preset.paths)
    holes = torch.cat([clip.holes.flatten() for clip in clips])
    assert report["hole_share"] == pytest.approx(float(holes.float().mean()))
    for row in ("fill", "tokenizer"):
        error = torch.cat([(clip.rows[row].clamp(0, 1) - clip.truth)[clip.holes].flatten() for clip in clips])
        assert report[f"hole_psnr_{row}"] == pytest.approx(float(-10 * error.square().mean().log10()), abs=1e-3)
        assert report[f"feature_{row}"] > 0
    assert report["gain"] == report["hole_psnr_tokenizer"] - report["hole_psnr_fill"]
    assert report["worth_training"] == (report["gain"] >= LEAST_GAIN)
    with Image.open(tmp_path / f"{FIRST_SEED}.png") as picture:
        assert picture.size == (4 * 64, 2 * 32 + 2)
    known = clips[1]
    filled, truth = known.rows["fill"][~known.holes], known.truth[~known.holes]
    assert (filled - truth).abs().median() < 0.05  # the truth is seen by the cameras of the guidance


def test_a_tokenizer_without_loss_is_worth_a_teacher(pipeline: LyraPipeline) -> None:
    """Pixel blocks give every true pixel back: nothing is left to gain, and the verdict says so."""
    tokenizer, pipeline.teacher.tokenizer = pipeline.teacher.tokenizer, PixelBlocks()
    try:
        clip = next(clips_of_world(pipeline, FIRST_SEED))
        assert torch.allclose(through_tokenizer(pipeline, clip.truth), clip.truth, atol=1e-6)
        report = evaluate_ceiling(pipeline, worlds=1)
    finally:
        pipeline.teacher.tokenizer = tokenizer
    assert report["hole_psnr_tokenizer"] > 60 and report["worth_training"]
    assert "worth training" in ceiling_table(report)
