# SPDX-License-Identifier: Apache-2.0
"""The decoder's data and its training, on worlds of a few pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_core.cameras import Cameras
from lyra_core.distillation.dataset import load_conditioning, load_input, load_targets, save_conditioning
from lyra_core.distillation.generate import base_camera, to_uint8, write_arrays
from lyra_core.distillation.train_decoder import DecoderTraining, train_decoder
from lyra_core.errors import LyraError
from lyra_core.evaluation.views import to_scene_units, unseen_cameras
from lyra_core.pipeline import LyraPipeline
from lyra_core.synthetic.grammar import make_world, render_world
from lyra_core.weights.quantized import load_weights


def write_world(path: Path, seed: int) -> None:
    """The arrays of `generate`, at the size of the tiny model."""
    world = make_world(seed)
    view = render_world(world, base_camera(world, 64, 128), supersample=1)
    unit = float(view.z.median())
    unseen = unseen_cameras(world, unit, np.random.default_rng(seed)).resized(32, 64)
    cameras = Cameras.cat([base_camera(world, 32, 64), unseen])
    views = render_world(world, cameras, supersample=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(path, {
        "input_rgb": to_uint8(view.rgb[0]), "input_z": view.z[0].half().numpy(), "rgb": to_uint8(views.rgb),
        "z": views.z.half().numpy(), "c2w": to_scene_units(cameras, world.camera, unit).c2w.numpy(),
    })  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("worlds")
    write_world(root / "scenes" / "0000003.npz", 3)
    for seed in (1_000_000, 1_000_001):
        write_world(root / "heldout" / "scenes" / f"{seed}.npz", seed)
    return root


@pytest.fixture
def pipeline(tiny_model: Path) -> LyraPipeline:
    return LyraPipeline.from_pretrained(str(tiny_model))


def test_the_base_view_is_the_input_camera(data: Path) -> None:
    targets = load_targets(data / "scenes" / "0000003.npz")
    image, depth = load_input(data / "scenes" / "0000003.npz")
    assert torch.allclose(targets.cameras.c2w[0], torch.eye(4), atol=1e-4)
    assert image.shape == (64, 128, 3)
    assert float(targets.z[0].median() * depth.z.median()) == pytest.approx(float(depth.z.median()), rel=0.1)


def test_cached_conditioning_decodes_like_the_corridor(data: Path, pipeline: LyraPipeline, tmp_path: Path) -> None:
    conditioning = pipeline.condition(*load_input(data / "scenes" / "0000003.npz"))
    save_conditioning(tmp_path / "c.npz", conditioning)
    with torch.no_grad():
        direct, cached = (pipeline.decode(c) for c in (conditioning, load_conditioning(tmp_path / "c.npz")))
    assert (direct.means - cached.means).norm(dim=-1).median() < 2e-3
    assert (direct.colors - cached.colors).abs().max() < 5e-3
    few = load_conditioning(tmp_path / "c.npz", torch.tensor([2, 0]))
    assert torch.equal(few.cameras.c2w, conditioning.cameras.c2w[[2, 0]])


def test_a_leg_trains_writes_and_resumes(data: Path, pipeline: LyraPipeline, tmp_path: Path) -> None:
    settings = DecoderTraining(views=2, crops=1, crop=(32, 24), heldout_views=(1,))
    before = pipeline.decoder.deconv.weight.detach().clone()
    first = train_decoder(pipeline, data, tmp_path, minutes=0.03, settings=settings)
    assert not torch.equal(pipeline.decoder.deconv.weight, before)
    stored = load_weights(tmp_path / "decoder.safetensors")["deconv.weight"]
    assert (stored - pipeline.decoder.deconv.weight).abs().max() < 1e-3
    assert 5 < first["psnr"] < 50
    second = train_decoder(pipeline, data, tmp_path, minutes=0.01, settings=settings)
    assert second["steps"] > first["steps"]


def test_missing_worlds_are_reported(pipeline: LyraPipeline, tmp_path: Path) -> None:
    with pytest.raises(LyraError, match="lyra train worlds"):
        train_decoder(pipeline, tmp_path, tmp_path / "out", minutes=0.01)
