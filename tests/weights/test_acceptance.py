# SPDX-License-Identifier: Apache-2.0
"""A network replaces a shipped one only when its held-out figure is better."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lyra_core.errors import LyraError
from lyra_core.weights.acceptance import accept_weights
from lyra_core.weights.manifest import Manifest
from lyra_core.weights.presets import load_preset
from lyra_core.weights.quantized import save_weights


@pytest.fixture
def preset(tmp_path: Path) -> str:
    """A copy of the embedded preset whose weights folder is empty."""
    text = (Path(load_preset.__code__.co_filename).with_name("presets") / "mini.yaml").read_text()
    path = tmp_path / "own.yaml"
    path.write_text(text.replace("weights: ../mini", "weights: shipped"))
    return str(path)


def trained(folder: Path, error: float) -> Path:
    folder.mkdir(exist_ok=True)
    save_weights(folder / "depth.safetensors", {"weight": torch.full((2, 2), error)})
    (folder / "depth.json").write_text(json.dumps({"seed": 3, "stored": {"abs_rel": error}}))
    return folder / "depth.safetensors"


def accept(weights: Path, preset: str, metric: str = "-stored.abs_rel") -> str:
    return accept_weights(weights, command="lyra train depth", metric=metric, data_seeds="0..9", model=preset)


def test_only_a_better_file_is_shipped(tmp_path: Path, preset: str) -> None:
    assert "before: none" in accept(trained(tmp_path / "a", 0.3), preset)
    with pytest.raises(LyraError, match="not better"):
        accept(trained(tmp_path / "b", 0.3), preset)
    assert "before: 0.300" in accept(trained(tmp_path / "c", 0.2), preset)
    entry = Manifest.load(tmp_path / "shipped").files["depth.safetensors"]
    assert entry.trained
    assert entry.metrics == {"stored.abs_rel": 0.2}
    assert entry.seeds == {"run": "3", "data": "0..9"}


def test_a_file_without_figures_is_refused(tmp_path: Path, preset: str) -> None:
    weights = trained(tmp_path / "a", 0.3)
    with pytest.raises(LyraError, match="no figure 'psnr'"):
        accept(weights, preset, "psnr")
    weights.with_suffix(".json").unlink()
    with pytest.raises(LyraError, match="without its held-out figures"):
        accept(weights, preset)
