# SPDX-License-Identifier: Apache-2.0
"""Training of the depth network on a handful of tiny images."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_core.conditioning.depth_net import DepthNet
from lyra_core.distillation.train_depth import (
    METRICS_NAME,
    WEIGHTS_NAME,
    DepthShards,
    DepthTraining,
    depth_loss,
    train_depth,
)
from lyra_core.errors import LyraError
from lyra_core.weights.quantized import load_weights

SETTINGS = DepthTraining(batch=2, sizes=((32, 48), (48, 32)), size_shares=(0.5, 0.5), gradient_scales=2)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slopes that get darker with distance, in the layout of `generate`."""
    root = tmp_path_factory.mktemp("worlds")
    rng = np.random.default_rng(0)
    for name, count in (("scenes", 2), ("heldout/scenes", 1)):
        (root / name).mkdir(parents=True)
        for seed in range(count):
            tilt = rng.uniform(0.5, 2.0, (3, 1, 1))
            z = 1.0 + tilt * np.linspace(1, 0, 36)[None, :, None] + np.zeros((3, 36, 64))
            rgb = (255 / z)[..., None] * np.array((1.0, 0.8, 0.6))
            np.savez(root / name / f"{seed:07d}.npz", rgb=rgb.astype(np.uint8), z=z.astype(np.float16))
    return root


def test_batches_repeat_and_depth_has_median_zero(shards: Path) -> None:
    data = DepthShards(shards / "scenes")
    assert data.rgb.shape == (6, 36, 64, 3)
    first, again = (data.draw(np.random.default_rng(7), SETTINGS) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    images, depth = first
    assert images.shape[0] == 2 and images.shape[2:] == depth.shape[1:] and 0 <= images.min() <= images.max() <= 1
    assert depth.flatten(1).median(dim=1).values.abs().max() < 1e-5


def test_stills_are_trained_on_too(shards: Path, tmp_path: Path) -> None:
    for seed, shade in ((5, 50), (6, 60)):
        np.savez(tmp_path / f"{seed:07d}.npz", rgb=np.full((1, 36, 64, 3), shade, np.uint8), z=np.ones((1, 36, 64)))
    data = DepthShards(shards / "scenes", tmp_path, tmp_path / "missing")
    assert len(data.rgb) == len(data.z) == 8 and data.rgb[6:, 0, 0, 0].tolist() == [50, 60]


def test_whole_images_keep_their_field_of_view(shards: Path) -> None:
    data = DepthShards(shards / "scenes")
    plain = dataclasses.replace(SETTINGS, sizes=((36, 64),), size_shares=(1.0,), batch=6)
    slopes = np.unique([np.ptp(z[:, 0].astype(np.float32)) for z in data.z])

    def spans(whole: float) -> np.ndarray:
        _, depth = data.draw(np.random.default_rng(3), dataclasses.replace(plain, whole=whole))
        z = depth.exp()
        return np.array([float(one[0, 0] / one[-1, 0]) for one in z])

    assert all(np.abs(slopes + 1.0 - span).min() < 0.01 for span in spans(1.0))
    assert all(np.abs(slopes + 1.0 - span).min() > 0.01 for span in spans(0.0))


def test_loss_ignores_scale_and_sees_shape() -> None:
    reference = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0))
    assert depth_loss(reference + 3.0, reference, SETTINGS)[0] < 1e-6
    assert depth_loss(reference.flip(1), reference, SETTINGS)[0] > 0.1


def test_a_leg_writes_weights_and_metrics_and_the_next_goes_on(shards: Path, tmp_path: Path) -> None:
    first = train_depth(shards, tmp_path, minutes=0.02, seed=1, settings=SETTINGS)
    assert json.loads((tmp_path / METRICS_NAME).read_text()) == first
    DepthNet().load_state_dict(load_weights(tmp_path / WEIGHTS_NAME))
    assert first["stored"]["abs_rel"] == pytest.approx(first["trained"]["abs_rel"], abs=0.01)
    assert 0 <= first["baseline"]["delta1"] <= 1
    second = train_depth(shards, tmp_path, minutes=0.02, seed=1, settings=SETTINGS)
    assert second["trained"]["steps"] > first["trained"]["steps"]


def test_missing_data(tmp_path: Path) -> None:
    with pytest.raises(LyraError, match="no training data"):
        train_depth(tmp_path, tmp_path / "out", minutes=0.01)
