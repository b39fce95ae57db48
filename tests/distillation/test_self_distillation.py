# SPDX-License-Identifier: Apache-2.0
"""Self-distillation sees one picture of a scene: whatever else a renderer could show stays out of its data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_core.pipeline import LyraPipeline
from lyra_core.synthesis.engine import sample_from_view
from lyra_core.synthesis.items import Item
from lyra_core.teacher.image import BaseView

PROMPT = "a small kitchen with a red fridge"


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> LyraPipeline:
    return LyraPipeline.from_pretrained(str(tiny_model))


def test_composited_pixels_come_from_warps_of_the_one_picture(pipeline: LyraPipeline) -> None:
    """The picture is painted over with two colours, the geometry stays: nothing but these two can be seen from
    anywhere, though prompt and seed name a whole colourful world."""
    item = Item(name="one", seed=3, prompt=PROMPT)
    base = pipeline.base_view(PROMPT, None, seed=3)
    assert base.depth is not None
    ends = torch.tensor([[0.2, 0.4, 0.6], [0.6, 0.2, 0.4]])
    left = torch.arange(base.image.shape[1]) < base.image.shape[1] // 2
    painted = torch.where(left[:, None], ends[0], ends[1]).expand_as(base.image)
    sample = sample_from_view(pipeline, item, BaseView(painted, base.depth, base.source))
    holes = 0
    for view in sample.views:
        frames = view.frames.astype(np.float64) / 255
        share = (frames[..., 0] - 0.2) / 0.4  # every mixture of the two colours lies on the line between them
        on_the_line = np.stack([0.2 + 0.4 * share, 0.4 - 0.2 * share, 0.6 - 0.2 * share], axis=-1)
        assert np.abs(frames - on_the_line).max() < 2.1 / 255
        assert share.min() > -0.01 and share.max() < 1.01
        holes += int((~view.known).sum())
    assert holes > 100


def test_no_renderer_of_worlds_is_loaded_with_the_writer_and_the_reader() -> None:
    """Whatever they import, however deep: the ray tracer is not among it."""
    modules = "lyra_core.synthesis.engine, lyra_core.synthesis.store, lyra_core.distillation.clips"
    code = f"import sys, {modules}; print([name for name in sys.modules if name.startswith('lyra_core.synthetic')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
