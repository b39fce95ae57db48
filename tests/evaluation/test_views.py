# SPDX-License-Identifier: Apache-2.0
"""The scored views: reproducible, level, inside the free space, and in the decoder's units."""

from __future__ import annotations

import numpy as np
import torch

from lyra_core.cameras import Cameras, intrinsics_from_fov
from lyra_core.evaluation.lift import lifted
from lyra_core.evaluation.views import free_distance, to_scene_units, unseen_cameras
from lyra_core.rendering import render
from lyra_core.synthetic.grammar import make_world


def test_unseen_cameras_are_reproducible_level_and_free() -> None:
    world = make_world(2_000_003)
    cameras = unseen_cameras(world, 3.0, np.random.default_rng(1))
    again = unseen_cameras(world, 3.0, np.random.default_rng(1))
    assert torch.equal(cameras.c2w, again.c2w)
    assert cameras.c2w[:, 2, 0].abs().max() < 1e-5  # the x axis of a level camera is horizontal
    eye = world.camera[:3, 3]
    for centre in cameras.c2w[:, :3, 3]:
        offset = (centre - eye).numpy()
        length = float(np.linalg.norm(offset))
        assert length <= 0.76 * free_distance(world, offset / length)


def test_scene_units_put_the_base_camera_at_the_origin() -> None:
    world = make_world(2_000_000)
    base = Cameras(world.camera[None], intrinsics_from_fov(world.fov_x, 32, 18)[None], 32, 18)
    assert torch.allclose(to_scene_units(base, world.camera, 2.0).c2w[0], torch.eye(4), atol=1e-5)


def test_lifted_pixels_render_back_to_the_image() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(18, 32, 3, generator=generator).mul(0.2).add(0.4)
    camera = Cameras(torch.eye(4), intrinsics_from_fov(1.2, 32, 18), 32, 18)
    distance = torch.full((18, 32), 2.0)
    gaussians = lifted(image, distance, camera, torch.ones(18, 32, dtype=torch.bool))
    view = render(gaussians, camera, backend="torch")
    assert view.alpha[4:-4, 4:-4].min() > 0.7
    assert (view.color / view.alpha[..., None] - image)[4:-4, 4:-4].abs().mean() < 0.05
