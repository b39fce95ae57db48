# SPDX-License-Identifier: Apache-2.0
"""Deferred back-propagation: the same pictures and gradients as the plain way, in the memory of one view."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lyra_core.cameras import Cameras, intrinsics_from_fov
from lyra_core.distillation.deferred import render_deferred
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import render


def leaves(count: int, *, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(count, 3, generator=generator, dtype=torch.float64) * 0.4 + torch.tensor((0.0, 0.0, 2.0))
    scales = 0.05 + 0.1 * torch.rand(count, 3, generator=generator, dtype=torch.float64)
    quats = torch.nn.functional.normalize(torch.randn(count, 4, generator=generator, dtype=torch.float64), dim=-1)
    opacities = 0.2 + 0.6 * torch.rand(count, generator=generator, dtype=torch.float64)
    colors = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    return tuple(part.requires_grad_() for part in (means, scales, quats, opacities, colors))


def cameras(views: int) -> Cameras:
    c2w = torch.eye(4, dtype=torch.float64).repeat(views, 1, 1)
    c2w[:, 0, 3] = torch.linspace(-0.3, 0.3, views)
    return Cameras(c2w, intrinsics_from_fov(1.0, 20, 16).double(), 20, 16)


def weighted(view: tuple[Tensor, ...]) -> Tensor:
    """A scalar in which every pixel of every picture counts differently."""
    total = view[0].new_zeros(())
    for image in view:
        weights = torch.linspace(-1, 2, image.numel(), dtype=image.dtype).reshape(image.shape)
        total = total + (image * weights).mean()
    return total


@pytest.mark.parametrize("projection", ["ewa", "ut"])
def test_pictures_and_gradients_equal_the_plain_way(projection: str) -> None:
    options = {"projection": projection, "background": torch.ones(3, dtype=torch.float64), "backend": "torch"}
    plain, deferred = leaves(30), leaves(30)
    expected = render(Gaussians(*plain), cameras(3), **options)
    found = render_deferred(Gaussians(*deferred), cameras(3), **options)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    weighted(expected).backward()
    weighted(found).backward()
    for one, other in zip(deferred, plain, strict=True):
        assert other.grad.abs().max() > 0
        torch.testing.assert_close(one.grad, other.grad, atol=1e-12, rtol=1e-9)


def test_memory_is_that_of_one_view() -> None:
    """What waits for the backward pass does not grow with the number of views; the plain way's does."""

    def kept(views: int, draw) -> int:  # type: ignore[no-untyped-def]
        sizes: list[int] = []

        def keep(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        gaussians = Gaussians(*leaves(30))
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            draw(gaussians, cameras(views), backend="torch")
        return sum(sizes)

    assert kept(6, render) > 4 * kept(1, render)
    assert kept(6, render_deferred) == kept(1, render_deferred) < 0.1 * kept(1, render)


def test_a_view_without_gaussians_gives_zero_gradients() -> None:
    parts = leaves(5)
    behind = cameras(2)
    behind.c2w[:, :3, :3] = torch.diag(torch.tensor((1.0, -1.0, -1.0), dtype=torch.float64))
    weighted(render_deferred(Gaussians(*parts), behind, backend="torch")).backward()
    assert all(part.grad is None or not part.grad.any() for part in parts)
