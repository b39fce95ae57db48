# SPDX-License-Identifier: Apache-2.0
"""The published corridor - drawn path lengths, a diffusion teacher - through the same data engine, on tiny parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lyra_core.checkpoints import Checkpoints
from lyra_core.errors import LyraError
from lyra_core.images import write_image
from lyra_core.pipeline import LyraPipeline
from lyra_core.synthesis.engine import make_sample
from lyra_core.synthesis.items import Item
from lyra_core.synthesis.sample import target_depth
from lyra_core.teacher.guidance import from_diffusion
from lyra_core.trajectories import DISTANCE_RANGES

from ..pipeline.test_gen3c import build, published  # noqa: F401 - a fixture


@pytest.fixture
def pipeline(published: dict[str, Any], tmp_path: Path) -> LyraPipeline:  # noqa: F811
    return build(published, tmp_path)


def an_item(folder: Path, seed: int = 3) -> Item:
    path = folder / "picture.png"
    write_image(path, torch.rand(32, 64, 3, generator=torch.Generator().manual_seed(0)))
    return Item(name="000000_picture", seed=seed, image=str(path))


def test_paths_have_drawn_lengths_and_videos_are_the_teachers(pipeline: LyraPipeline, tmp_path: Path) -> None:
    sample = make_sample(pipeline, an_item(tmp_path))
    assert [view.number for view in sample.views] == [0, 1, 4, 5]
    for view in sample.views[:3]:
        low, high = DISTANCE_RANGES[view.path]
        reached = np.linalg.norm(view.c2w[-1, :3, 3]) * 9 / 8  # linear paths stop one of nine steps short
        assert low - 1e-5 <= reached <= high + 1e-5
        assert abs(reached - (low + high) / 2) > 1e-4
    view = sample.views[0]
    assert view.latents is not None
    tokenizer = pipeline.teacher.tokenizer
    frames = tokenizer.decode(from_diffusion(tokenizer, torch.from_numpy(view.latents)[None]))
    shown = ((frames[0] + 1) / 2).clamp(0, 1).permute(1, 2, 3, 0).numpy()
    np.testing.assert_allclose(view.frames / 255, shown, atol=0.6 / 255)
    assert sample.about["depth_holds"] == "known"
    assert not view.known.all()
    np.testing.assert_array_equal(target_depth(sample, view) > 0, view.known & (view.depth > 0))
    other = make_sample(pipeline, an_item(tmp_path, seed=4))
    assert not np.array_equal(other.views[0].c2w, view.c2w)


def test_a_killed_sample_keeps_its_finished_videos(pipeline: LyraPipeline, tmp_path: Path) -> None:
    item = an_item(tmp_path)
    whole = make_sample(pipeline, item)

    def killed(phase: str, step: int, total: int) -> None:
        if (phase, step) == ("latents", 7):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_sample(pipeline, item, progress=killed, recall=Checkpoints(tmp_path / "stages"))
    stages = Checkpoints(tmp_path / "stages")
    again = make_sample(pipeline, item, recall=stages)
    assert stages.recalled == ["video_0", "video_1"]
    for ours, theirs in zip(again.views, whole.views, strict=True):
        np.testing.assert_array_equal(ours.frames, theirs.frames)
        assert ours.latents is not None and theirs.latents is not None
        np.testing.assert_array_equal(ours.latents, theirs.latents)


def test_a_teacher_that_breaks_is_reported_not_stored(pipeline: LyraPipeline, tmp_path: Path) -> None:
    assert pipeline.teacher.diffusion is not None
    with torch.no_grad():
        next(iter(pipeline.teacher.diffusion.transformer.parameters())).fill_(float("nan"))
    with pytest.raises(LyraError, match="unusable sample of 000000_picture: view 0: latents hold NaN"):
        make_sample(pipeline, an_item(tmp_path))
