# SPDX-License-Identifier: Apache-2.0
"""The shipped weights, once, at real size: the scene shows its input, and holds up from a view it never saw."""

from __future__ import annotations

import pytest
import torch

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.distillation.dataset import exact_depth
from lyra_core.evaluation.metrics import psnr
from lyra_core.evaluation.synthetic import FIRST_SEED, Targets, world_views
from lyra_core.gaussians import Gaussians
from lyra_core.pipeline import LyraPipeline, camera_paths
from lyra_core.rendering import render

World = tuple[torch.Tensor, DepthEstimate, Targets]


@pytest.fixture(scope="module")
def pipeline() -> LyraPipeline:
    return LyraPipeline.from_pretrained("mini")


@pytest.fixture(scope="module")
def world(pipeline: LyraPipeline) -> World:
    image, z, targets = world_views(FIRST_SEED, *pipeline.preset.image_size)
    return image, exact_depth(z), targets


@pytest.fixture(scope="module")
def gaussians(pipeline: LyraPipeline, world: World) -> Gaussians:
    with torch.no_grad():
        return pipeline.reconstruct(pipeline.condition(world[0], world[1]))


def test_the_main_view_is_the_input(pipeline: LyraPipeline, world: World, gaussians: Gaussians) -> None:
    image, depth, _ = world
    height, width = depth.z.shape
    camera = camera_paths(depth, pipeline.preset)[0, 0].resized(height, width)
    view = render(gaussians, camera, projection=pipeline.preset.projection)
    assert psnr(view.color, image) > 30
    assert view.alpha.min() > 0.5


def test_unseen_views_hold_up(pipeline: LyraPipeline, world: World, gaussians: Gaussians) -> None:
    targets = world[2]
    view = render(gaussians, targets.cameras, projection=pipeline.preset.projection)
    assert psnr(view.color, targets.rgb).mean() > 22
    assert ((view.depth - targets.z).abs() / targets.z).median() < 0.02


def test_a_photo_gets_a_depth_with_a_floor(pipeline: LyraPipeline, world: World) -> None:
    """The network knows that the lower image is nearer; it has never seen this world."""
    guess = pipeline.depth_estimator(world[0])
    assert guess.z.isfinite().all()
    assert guess.z[-40:].median() < guess.z[100:200].median()
    assert not guess.metric
