# SPDX-License-Identifier: Apache-2.0
"""Filling holes from the background."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lyra_core.conditioning import fill
from lyra_core.conditioning.cache3d import Cache3D
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.conditioning.fill import fill_holes, grow, grow_compiled
from lyra_core.conditioning.warp import Warp
from lyra_core.errors import LyraError

from .conftest import BOX_COLOR, BOX_Z, WALL_Z, cameras

MOVES = [(0.15, 0.0, 0.0), (-0.12, 0.08, -0.2)]


@pytest.fixture
def warp(box_view: tuple[Tensor, DepthEstimate]) -> Warp:
    return Cache3D(*box_view, "adaptive").render(cameras(MOVES))


def test_none_is_the_published_behaviour(warp: Warp) -> None:
    kept = fill_holes(warp)
    assert torch.equal(kept.rgb, warp.rgb) and torch.equal(kept.z, warp.z)
    assert (warp.rgb[~warp.mask] == 0).all() and (warp.z[~warp.mask] == 0).all()


def test_known_pixels_stay_bit_equal(warp: Warp) -> None:
    filled = fill_holes(warp, "background")
    assert torch.equal(filled.rgb[warp.mask], warp.rgb[warp.mask])
    assert torch.equal(filled.z[warp.mask], warp.z[warp.mask])
    assert torch.equal(filled.mask, warp.mask)


def test_holes_take_the_background(warp: Warp) -> None:
    hole = ~warp.mask
    assert hole.sum() > 100
    filled = fill_holes(warp, "background")
    assert (filled.z[hole] > 0.98 * WALL_Z).all(), "the box must not grow"
    assert (filled.rgb[hole][:, 0] < 0.5).all(), "no red bleeds out of the box"
    assert (filled.rgb[hole].sum(-1) > 0.3).all(), "no black specks"


def test_without_silhouettes_the_far_side_still_wins_where_both_meet(warp: Warp) -> None:
    filled = fill_holes(warp._replace(silhouette=None), "background")
    hole = ~warp.mask
    assert filled.z[hole].isfinite().all() and (filled.z[hole] > 0.9 * BOX_Z).all()


def test_a_hole_inside_a_silhouette_is_filled_from_it() -> None:
    mask = torch.ones(9, 9, dtype=torch.bool)
    mask[4, 4] = False
    red = torch.tensor(BOX_COLOR).expand(9, 9, 3) * mask[..., None]
    warp = Warp(red, torch.full((9, 9), BOX_Z) * mask, mask, mask)
    filled = fill_holes(warp, "background")
    torch.testing.assert_close(filled.rgb[4, 4], torch.tensor(BOX_COLOR))
    torch.testing.assert_close(filled.z[4, 4], torch.tensor(BOX_Z))


def test_an_empty_frame_stays_finite() -> None:
    empty = Warp(torch.zeros(8, 8, 3), torch.zeros(8, 8), torch.zeros(8, 8, dtype=torch.bool))
    filled = fill_holes(empty, "background")
    assert filled.rgb.isfinite().all() and filled.z.isfinite().all() and (filled.z > 0).all()


def test_compiled_kernel_agrees_with_torch() -> None:
    generator = torch.Generator().manual_seed(3)
    values = torch.rand(3, 30, 40, 4, generator=generator) + 0.2
    states = torch.full((3, 30, 40), fill.SOURCE, dtype=torch.uint8)
    states[torch.rand(3, 30, 40, generator=generator) < 0.2] = fill.WALL
    states[:, 5:25, 10:33] = fill.HOLE
    states[1, :, :20] = fill.HOLE
    states[2, 6:9, 12:15] = fill.WALL
    values = torch.where((states == fill.HOLE)[..., None], 0.0, values)
    torch.testing.assert_close(grow_compiled(values, states), grow(values, states), rtol=1e-5, atol=1e-5)


def test_unknown_mode(warp: Warp) -> None:
    with pytest.raises(LyraError, match="Unknown hole fill"):
        fill_holes(warp, "magic")
