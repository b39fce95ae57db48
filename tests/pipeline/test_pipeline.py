# SPDX-License-Identifier: Apache-2.0
"""The corridor, stage by stage, on a tiny model of real parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_core.cameras import Cameras
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError
from lyra_core.pipeline import Cancelled, LyraPipeline, distance_from_z, input_camera, normalize
from lyra_core.refinement import refine_colors
from lyra_core.rendering import render


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> LyraPipeline:
    return LyraPipeline.from_pretrained(str(tiny_model))


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """RGB [64, 128, 3] with detail, as an 8-bit file holds it."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(128.0), indexing="ij")
    rgb = torch.stack((0.5 + 0.4 * (x / 5).sin(), 0.5 + 0.4 * (y / 7).cos(), 0.5 + 0.4 * ((x + y) / 9).sin()), -1)
    return (rgb * 255).round() / 255


@pytest.fixture(scope="module")
def wall() -> DepthEstimate:
    """A wall 3 m away with a pillar in front of it."""
    z = torch.full((64, 128), 3.0)
    z[:, 60:70] = 2.0
    return DepthEstimate(z, torch.ones_like(z, dtype=torch.bool), torch.tensor([91.0, 91.0, 64.0, 32.0]), "user", True)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * (a.clamp(0, 1) - b).square().mean().log10())


def test_conditioning_has_the_published_layout(
    pipeline: LyraPipeline, picture: torch.Tensor, wall: DepthEstimate
) -> None:
    told = pipeline.condition(picture, wall)
    assert told.cameras.shape == (4, 9) and (told.cameras.height, told.cameras.width) == (32, 64)
    assert told.video.latents.shape == (4, 16, 2, 4, 8)
    assert told.plucker_latents.shape == (1, 4, 32, 2, 4, 8)
    assert told.anchors is not None and told.anchors.rgb.shape == (1, 4, 2, 32, 64, 3)
    assert float(told.depth.z.median()) == 1.0
    assert torch.equal(told.anchors.input_rgb[0], picture)
    # the first frame of every path is the input view: nothing is hidden there
    assert told.video.known[:, 0].float().mean() > 0.98


def test_anchors_lie_on_the_surfaces(pipeline: LyraPipeline, picture: torch.Tensor, wall: DepthEstimate) -> None:
    """Seen from any path, known anchor points fall back onto the wall or the pillar."""
    told = pipeline.condition(picture, wall)
    assert told.anchors is not None
    origins, directions = told.cameras[:, ::8].rays(torch.float32)
    points = origins + directions * told.anchors.distance[0, ..., None]
    z = points[told.anchors.known[0]][:, 2]
    nearest = torch.minimum((z - 1.0).abs(), (z - 2 / 3).abs())
    assert float((nearest < 0.02).float().mean()) > 0.97


def test_the_call_is_the_stages_in_order(pipeline: LyraPipeline, picture: torch.Tensor, wall: DepthEstimate) -> None:
    scene = pipeline(image=picture, depth=wall)
    with torch.no_grad():
        told = pipeline.condition(picture, wall)
        expected = pipeline.reconstruct(told)
    for name in ("means", "scales", "quats", "opacities", "colors"):
        assert torch.equal(getattr(scene.gaussians, name), getattr(expected, name)), name


def test_decoding_is_differentiable(pipeline: LyraPipeline, picture: torch.Tensor, wall: DepthEstimate) -> None:
    gaussians = pipeline.decode(pipeline.condition(picture, wall))
    gaussians.colors.sum().backward()
    weight = pipeline.decoder.deconv.weight
    assert weight.grad is not None and float(weight.grad.abs().sum()) > 0
    pipeline.decoder.zero_grad(set_to_none=True)


def test_the_main_view_looks_like_the_input(pipeline: LyraPipeline, picture: torch.Tensor, wall: DepthEstimate) -> None:
    scene = pipeline(image=picture, depth=wall)
    seen = render(scene.gaussians, scene.input_camera.reshape(1), projection=scene.projection)
    assert psnr(seen.color[0], scene.image) > 30
    assert float(seen.alpha.min()) > 0.8  # no holes


def test_refinement_only_changes_colours_and_only_for_the_better(
    pipeline: LyraPipeline, picture: torch.Tensor, wall: DepthEstimate
) -> None:
    with torch.no_grad():
        told = pipeline.condition(picture, wall)
        start = pipeline.decode(told)
    scores = []
    for iterations in (0, 1, 3):
        refined = refine_colors(start, picture[None], told.input_camera, iterations=iterations, projection="ut")
        assert torch.equal(refined.means, start.means) and torch.equal(refined.opacities, start.opacities)
        scores.append(psnr(render(refined, told.input_camera, projection="ut").color[0], picture))
    assert scores[0] + 1 < scores[1] < scores[2]
    unrefined = refine_colors(start, picture[None], told.input_camera, iterations=0, projection="ut")
    assert torch.equal(unrefined.colors, start.colors)


def test_scale_follows_metric_depth_and_is_assumed_otherwise(
    pipeline: LyraPipeline, picture: torch.Tensor, wall: DepthEstimate
) -> None:
    measured = pipeline(image=picture, depth=wall)
    assert measured.metres_per_unit == 3.0 and measured.frame.metric
    assert measured.provenance["warnings"] == []
    unitless = pipeline(image=picture, depth=replace(wall, z=wall.z * 7, metric=False))
    assert unitless.metres_per_unit == pipeline.preset.assumed_median_depth and not unitless.frame.metric
    assert any("assumed" in warning for warning in unitless.provenance["warnings"])
    assert torch.allclose(unitless.gaussians.means, measured.gaussians.means, atol=1e-4)


def test_a_guessed_depth_is_trusted_half_as_far(
    pipeline: LyraPipeline, picture: torch.Tensor, wall: DepthEstimate
) -> None:
    measured, guessed = (
        pipeline(image=picture, depth=replace(wall, source=source)).trusted_viewpoints for source in ("user", "mini")
    )
    np.testing.assert_allclose(guessed, 0.5 * measured, atol=1e-6)


def test_the_trusted_viewpoints_start_at_the_input_camera(
    pipeline: LyraPipeline, picture: torch.Tensor, wall: DepthEstimate
) -> None:
    hull = pipeline(image=picture, depth=wall).trusted_viewpoints
    assert hull.shape == (36, 3)
    assert np.allclose(hull.reshape(4, 9, 3)[:, 0], 0, atol=1e-6)


def test_the_net_guesses_a_depth_for_a_portrait(pipeline: LyraPipeline, picture: torch.Tensor) -> None:
    scene = pipeline(image=picture.transpose(0, 1))
    assert scene.image.shape == (128, 64, 3) and scene.path_cameras.height == 64
    assert scene.provenance["depth_source"] == "mini"
    assert any("guess" in warning for warning in scene.provenance["warnings"])


def test_cancelling_stops_before_the_next_phase(pipeline: LyraPipeline, picture: torch.Tensor) -> None:
    phases: list[str] = []
    with pytest.raises(Cancelled, match="warp"):
        pipeline(
            image=picture,
            progress=lambda phase, step, total: phases.append(phase),
            cancelled=lambda: "paths" in phases,
        )
    assert phases == ["image", "depth", "paths"]


def test_one_of_prompt_and_image_is_needed(pipeline: LyraPipeline, picture: torch.Tensor) -> None:
    for arguments in ({}, {"prompt": "a kitchen", "image": picture}):
        with pytest.raises(LyraError, match="either a prompt or an image"):
            pipeline(**arguments)


def test_weights_of_another_shape_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    import yaml

    config = yaml.safe_load(tiny_model.read_text())
    config["decoder"]["config"]["width"] = 128
    config["weights"] = str(tiny_model.parent)
    other = tmp_path / "wide.yaml"
    other.write_text(yaml.safe_dump(config))
    with pytest.raises(LyraError, match="do not fit the decoder"):
        LyraPipeline.from_pretrained(str(other))


def test_normalising_ignores_invalid_pixels() -> None:
    z = torch.tensor([[1.0, 2.0, 4.0, 900.0]])
    depth = DepthEstimate(z, torch.tensor([[True, True, True, False]]), torch.ones(4), "user", True)
    normalized, unit = normalize(depth)
    assert unit == 2.0 and torch.equal(normalized.z, z / 2)
    with pytest.raises(LyraError, match="no valid pixel"):
        normalize(replace(depth, mask=torch.zeros(1, 4, dtype=torch.bool)))


def test_distance_is_measured_along_the_ray() -> None:
    depth = DepthEstimate(torch.full((2, 2), 3.0), torch.ones(2, 2, dtype=torch.bool), torch.ones(4), "user", True)
    camera: Cameras = input_camera(depth)
    # pixel centres at 0.5 and 1.5 with f = c = 1: offsets of half a focal length
    assert torch.allclose(distance_from_z(depth.z[None], camera), torch.tensor(3.0 * 1.5**0.5))
