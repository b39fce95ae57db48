# SPDX-License-Identifier: Apache-2.0
"""The magnification-adaptive warp."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.conditioning.cache3d import Cache3D
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.conditioning.surface import BEHIND, FRONT, build_surface, splat_compiled, splat_surface
from lyra_core.conditioning.warp import PUBLISHED_MAX_DEPTH
from lyra_core.errors import LyraError

from .conftest import BOX, BOX_COLOR, BOX_Z, HEIGHT, WALL_Z, WIDTH, cameras, estimate

MOVES = [(0.0, 0.0, 0.0), (0.15, 0.0, 0.0), (0.0, -0.1, 0.25), (-0.1, 0.05, -0.3)]


def test_compiled_kernel_agrees_with_torch(box_view: tuple[Tensor, DepthEstimate]) -> None:
    image, depth = box_view
    slanted = depth.z * torch.linspace(0.8, 1.3, WIDTH)
    surface = build_surface(image, slanted, depth.intrinsics)
    views = cameras(MOVES, 30, 54)
    arguments = (surface, views.w2c, views.intrinsics.contiguous(), views.height, views.width)
    torch.testing.assert_close(splat_compiled(*arguments), splat_surface(*arguments), rtol=1e-4, atol=1e-4)


def test_identity_returns_the_image(box_view: tuple[Tensor, DepthEstimate]) -> None:
    image, depth = box_view
    warp = Cache3D(image, depth, "adaptive").render(cameras([(0, 0, 0)])[0])
    assert warp.mask.all()
    torch.testing.assert_close(warp.rgb, image, rtol=0, atol=1e-5)
    torch.testing.assert_close(warp.z, depth.z, rtol=0, atol=1e-6)


def test_identity_at_half_size_is_the_box_filtered_image() -> None:
    image = torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(1))
    z = torch.linspace(1.2, 0.8, HEIGHT)[:, None].expand(HEIGHT, WIDTH)
    warp = Cache3D(image, estimate(z), "adaptive").render(cameras([(0, 0, 0)], HEIGHT // 2, WIDTH // 2)[0])
    expected = functional.avg_pool2d(image.movedim(-1, 0), 2).movedim(0, -1)
    torch.testing.assert_close(warp.rgb, expected, rtol=0, atol=1e-4)


def test_zooming_in_leaves_no_cracks() -> None:
    z = torch.linspace(1.2, 0.8, HEIGHT)[:, None] * torch.linspace(0.9, 1.1, WIDTH)
    image = torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(2))
    warp = Cache3D(image, estimate(z), "adaptive").render(cameras([(0.02, 0.0, 0.45)])[0])
    assert warp.mask.all()


def test_near_surface_hides_the_far_one(box_view: tuple[Tensor, DepthEstimate]) -> None:
    image, depth = box_view
    warp = Cache3D(image, depth, "adaptive").render(cameras([(0.1, 0.0, 0.0)])[0])
    red = (warp.rgb - torch.tensor(BOX_COLOR)).abs().amax(-1) < 1e-4
    assert torch.equal(red, (warp.z - BOX_Z).abs() < 1e-4), "colour and depth must come from one surface"
    assert abs(int(red.sum()) - depth.z[BOX].numel()) <= 2 * (BOX[0].stop - BOX[0].start)
    assert (~warp.mask).any(), "what the box hid is unknown"
    assert ((warp.z - WALL_Z).abs() < 1e-4)[warp.mask & ~red].all()


def test_rims_of_a_depth_edge(box_view: tuple[Tensor, DepthEstimate]) -> None:
    image, depth = box_view
    rim = build_surface(image, depth.z, depth.intrinsics).rim.reshape(HEIGHT, WIDTH)
    assert rim[20, 30] == FRONT and rim[20, 29] == BEHIND and rim[20, 24] == 0 and rim[2, 2] == 0
    assert not (rim[depth.z == BOX_Z] == BEHIND).any() and not (rim[depth.z == WALL_Z] == FRONT).any()


def test_unknown_depth_is_far_background(box_view: tuple[Tensor, DepthEstimate]) -> None:
    image, depth = box_view
    z = depth.z.clone()
    z[:10] = torch.inf
    z[10:12] = torch.nan
    mask = torch.ones_like(z, dtype=torch.bool)
    mask[12:13] = False
    warp = Cache3D(image, estimate(z, mask), "adaptive").render(cameras([(0, 0, 0)])[0])
    assert warp.z[:13].allclose(torch.tensor(PUBLISHED_MAX_DEPTH)) and warp.z.isfinite().all()


def test_batch_shape_and_repeatability(box_view: tuple[Tensor, DepthEstimate]) -> None:
    image, depth = box_view
    cache, views = Cache3D(image, depth, "adaptive"), cameras(MOVES)
    grid = cache.render(views.reshape(2, 2))
    assert grid.rgb.shape == (2, 2, HEIGHT, WIDTH, 3) and grid.mask.shape == grid.z.shape == (2, 2, HEIGHT, WIDTH)
    again = cache.render(views)
    assert torch.equal(grid.rgb.flatten(0, 1), again.rgb) and torch.equal(grid.z.flatten(0, 1), again.z)


def test_loud_errors(box_view: tuple[Tensor, DepthEstimate]) -> None:
    image, depth = box_view
    with pytest.raises(LyraError, match="Unknown warp footprint"):
        Cache3D(image, depth, "round")
    with pytest.raises(LyraError, match="differ in size"):
        Cache3D(image[:10], depth)
    with pytest.raises(LyraError, match="source's size"):
        Cache3D(image, depth).render(cameras([(0, 0, 0)], 22, 40))
