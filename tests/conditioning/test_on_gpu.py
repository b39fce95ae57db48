# SPDX-License-Identifier: Apache-2.0
"""The 3D cache with CUDA tensors: nothing stays behind on the CPU, and the frames come to where the cameras are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.conditioning.cache3d import Cache3D
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.conditioning.fill import grow, grow_compiled
from lyra_core.conditioning.point_cache import PointCache
from lyra_core.conditioning.warp import Warp

from .conftest import WIDTH, cameras
from .pretended_gpu import GPU, HOME, PretendedGpu

MOVES = [(0.0, 0.0, 0.0), (0.15, 0.0, 0.0), (0.0, -0.1, 0.25)]


@pytest.fixture
def gpu() -> Iterator[PretendedGpu]:
    with PretendedGpu() as mode:
        yield mode


def test_the_stand_in_behaves_like_a_gpu(gpu: PretendedGpu) -> None:
    there = gpu.put(torch.ones(3))
    assert there.device == GPU and (2 * there + torch.ones(())).device == GPU and there.cpu().device == HOME
    assert torch.ones(3, device=there.device).device == GPU and torch.ones(3).to(there).device == GPU
    assert there[torch.tensor([0, 2])].device == GPU
    for mistake in (lambda: there + torch.ones(3), lambda: torch.stack((there, torch.ones(3))), lambda: there.numpy()):
        with pytest.raises((RuntimeError, TypeError), match="cuda"):
            mistake()


def rendered(view: tuple[Tensor, DepthEstimate], footprint: str, device: torch.device | None) -> Warp:
    image, depth = view
    cache = Cache3D(image, depth, footprint, foreground=footprint == "bilinear", device=device)
    return cache.render(cameras(MOVES))


def test_published_footprint(gpu: PretendedGpu, box_view: tuple[Tensor, DepthEstimate]) -> None:
    here, there = (rendered(box_view, "bilinear", device) for device in (HOME, GPU))
    assert not here.mask.all(), "something is hidden"
    for one, other in zip(here[:3], there[:3], strict=True):
        assert isinstance(one, Tensor) and isinstance(other, Tensor)
        assert other.device == HOME
        assert one.equal(other)


def test_adaptive_footprint(gpu: PretendedGpu, box_view: tuple[Tensor, DepthEstimate]) -> None:
    """On a GPU by the torch twin of the compiled kernel."""
    here, there = (rendered(box_view, "adaptive", device) for device in (HOME, GPU))
    assert there.rgb.device == HOME
    assert here.mask.equal(there.mask)
    torch.testing.assert_close(here.rgb, there.rgb, rtol=0, atol=1e-4)


def test_fill(gpu: PretendedGpu) -> None:
    generator = torch.Generator().manual_seed(0)
    values = 0.5 + torch.rand(2, 16, 24, 4, generator=generator)
    states = (torch.rand(2, 16, 24, generator=generator) > 0.4).to(torch.uint8)
    filled = grow(gpu.put(values), gpu.put(states))
    assert filled.device == GPU
    torch.testing.assert_close(filled.cpu(), grow_compiled(values, states), rtol=0, atol=1e-4)


def test_a_second_view_joins(gpu: PretendedGpu, box_view: tuple[Tensor, DepthEstimate]) -> None:
    image, depth = box_view
    z = depth.z * torch.linspace(0.8, 1.3, WIDTH)
    camera: Cameras = cameras([(0.02, 0.0, 0.0)])[0]
    caches = [PointCache(put(image), put(z), put(depth.intrinsics), foreground=False) for put in (copy, gpu.put)]
    for cache, put in zip(caches, (copy, gpu.put), strict=True):
        cache.update(put(image), put(1.1 * z), camera)
    here, there = (cache.views[0].points for cache in caches)
    assert (here.device, there.device) == (HOME, GPU)
    torch.testing.assert_close(here, there.cpu())


def copy(value: Tensor) -> Tensor:
    return value.clone()
