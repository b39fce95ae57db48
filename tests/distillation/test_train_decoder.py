# SPDX-License-Identifier: Apache-2.0
"""The decoder's data and its training, on worlds of a few pixels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lyra_core.distillation.dataset import load_conditioning, load_input, load_keys, load_targets, save_conditioning
from lyra_core.distillation.smoke import write_world
from lyra_core.distillation.train_decoder import DecoderTraining, hole_loss, train_decoder
from lyra_core.errors import LyraError
from lyra_core.pipeline import LyraPipeline
from lyra_core.weights.presets import load_preset
from lyra_core.weights.quantized import load_weights


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    root = tmp_path_factory.mktemp("worlds")
    preset = load_preset(str(tiny_model))
    write_world(root, 3, preset)
    for seed in (1_000_000, 1_000_001):
        write_world(root / "heldout", seed, preset)
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


def test_key_frames_are_what_the_paths_really_show(data: Path, pipeline: LyraPipeline) -> None:
    """Where the warp knows a surface, the truth is the same surface."""
    scene = data / "scenes" / "0000003.npz"
    conditioning = pipeline.condition(*load_input(scene))
    keys = load_keys(data / "keys" / scene.name, scene, conditioning.cameras)
    assert conditioning.anchors is not None
    known, distance = (getattr(conditioning.anchors, name)[0, :, 1:] for name in ("known", "distance"))
    error = (distance / keys.distance - 1).abs()[known & keys.free[..., None, None]]
    assert error.median() < 0.01
    with pytest.raises(LyraError, match="other camera paths"):
        load_keys(data / "keys" / scene.name, scene, conditioning.cameras[[1, 0, 2, 3]])


def test_the_hole_loss_sees_holes_alone(data: Path, pipeline: LyraPipeline) -> None:
    """Moved or recoloured Gaussians count in holes and nowhere else; the truth itself costs nothing."""
    scene, settings = data / "scenes" / "0000003.npz", DecoderTraining()
    conditioning = pipeline.condition(*load_input(scene))
    assert conditioning.anchors is not None
    keys = load_keys(data / "keys" / scene.name, scene, conditioning.cameras)
    with torch.no_grad():
        rows = pipeline.decode_rows(conditioning)
    config, holes = pipeline.decoder.config, ~conditioning.anchors.known[0, :, 1:, ::2, ::2]
    assert 0 < holes.sum() < holes.numel()
    centers = conditioning.cameras.c2w[:, 8::8, None, None, :3, 3]
    video = rows[0, -holes.numel() :].unflatten(0, holes.shape)
    rays = torch.nn.functional.normalize(video[..., :3] - centers, dim=-1)
    video[..., :3] = centers + rays * keys.distance[..., ::2, ::2, None]
    video[..., 11:] = keys.rgb.unflatten(-3, (-1, 2)).unflatten(-2, (-1, 2)).mean(dim=(-4, -2))
    assert hole_loss(rows, conditioning, keys, config, settings) < 1e-6
    video[..., 11:][~holes] += 0.5
    assert hole_loss(rows, conditioning, keys, config, settings) < 1e-6
    video[..., 11:][holes] += 0.5
    assert hole_loss(rows, conditioning, keys, config, settings) == pytest.approx(5 * 0.25 + 0.3 * 0.5, rel=1e-3)


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
