# SPDX-License-Identifier: Apache-2.0
"""Self-distillation sees one picture of a scene: whatever else a renderer could show stays out of its data."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

import lyra_core
from lyra_core.pipeline import LyraPipeline
from lyra_core.synthesis.engine import sample_from_view
from lyra_core.synthesis.items import Item
from lyra_core.teacher.image import BaseView

ROOT = Path(lyra_core.__file__).parents[1]
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


def loaded_with(module: str) -> set[str]:
    """The modules of the package that are loaded when `module` is: imports outside functions, however deep."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = ROOT.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in found or not name.startswith("lyra_core") or not path.is_file():
            continue
        found.add(name)
        waiting.append(name.rpartition(".")[0])
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                waiting += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return found


@pytest.mark.parametrize("module", ["synthesis.engine", "synthesis.run", "synthesis.store", "distillation.clips"])
def test_no_renderer_of_worlds_is_loaded_with_the_writer_and_the_reader(module: str) -> None:
    """Whatever they import: neither the ray tracer is among it, nor anything that writes its pictures."""
    loaded = loaded_with(f"lyra_core.{module}")
    assert "lyra_core.synthesis.sample" in loaded
    reaching = ("lyra_core.synthetic", "lyra_core.distillation.generate", "lyra_core.evaluation.synthetic")
    assert not [name for name in loaded if name.startswith(reaching)]
    assert "lyra_core.synthetic" in loaded_with("lyra_core.distillation.generate")  # the walk would find it
