# SPDX-License-Identifier: Apache-2.0
"""Shortened camera paths keep clear of what was seen."""

from __future__ import annotations

import torch

from lyra_core.conditioning.movement import CLEARANCE, REMAINING_SHARE, clearance_factors
from lyra_core.conditioning.warp import unproject_grid
from lyra_core.trajectories import PUBLISHED_PATHS, lyra_cameras

from .conftest import HEIGHT, WIDTH, estimate


def scene_with_pole() -> torch.Tensor:
    """A wall at 1, and a pole at 0.11 beside the path to the right."""
    z = torch.full((HEIGHT, WIDTH), 1.0)
    z[:, 76:80] = 0.11
    return z


def test_free_space_keeps_the_published_paths() -> None:
    factors = clearance_factors(estimate(torch.full((HEIGHT, WIDTH), 1.0)), PUBLISHED_PATHS)
    assert factors == dict.fromkeys(PUBLISHED_PATHS, 1.0)


def test_paths_keep_clear_of_what_is_near() -> None:
    depth = estimate(scene_with_pole())
    factors = clearance_factors(depth, PUBLISHED_PATHS)
    assert factors["right"] < 1.0 and factors["left"] == 1.0
    points = unproject_grid(depth.z, depth.intrinsics).reshape(-1, 3)
    views = lyra_cameras(depth.intrinsics, WIDTH, HEIGHT, paths=PUBLISHED_PATHS, movement=factors)
    nearest = torch.cdist(views.c2w[..., :3, 3].reshape(-1, 3), points).min()
    assert nearest > 0.95 * CLEARANCE


def test_zooming_in_leaves_a_share_of_the_distance() -> None:
    z = torch.full((HEIGHT, WIDTH), 1.0)
    z[18:26, 36:44] = 0.4
    depth = estimate(z)
    factor = clearance_factors(depth, ["zoom_in"])["zoom_in"]
    views = lyra_cameras(depth.intrinsics, WIDTH, HEIGHT, paths=("zoom_in",), movement=factor)
    assert 0.4 - views.c2w[0, -1, 2, 3] >= REMAINING_SHARE * 0.4
    assert factor < 1.0


def test_a_view_without_depth_restricts_nothing() -> None:
    z = torch.full((HEIGHT, WIDTH), 0.05)
    depth = estimate(z, torch.zeros_like(z, dtype=torch.bool))
    assert clearance_factors(depth, ["left"]) == {"left": 1.0}
