# SPDX-License-Identifier: Apache-2.0
"""Images and gradients of every CPU backend against the dense reference in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import RenderOutput, render

NAMES = ("means", "scales", "quats", "opacities", "colors", "background")


def leaves(gaussians: Gaussians, dtype: torch.dtype) -> list[Tensor]:
    """The Gaussians' tensors and a background as leaves of a new graph."""
    background = torch.tensor((0.2, 0.7, 0.4))
    return [getattr(gaussians, name).to(dtype).requires_grad_() for name in NAMES[:5]] + [
        background.to(dtype).requires_grad_()
    ]


def gradients(output: RenderOutput, parts: list[Tensor]) -> list[Tensor]:
    """Gradients of a fixed random functional of all three images."""
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(image.shape, generator=generator) for image in output]
    return torch.autograd.grad(sum((image * w).sum() for image, w in zip(output, weights, strict=True)), parts)


def error(value: Tensor, reference: Tensor) -> float:
    return ((value - reference).norm() / reference.norm()).item()


@pytest.mark.parametrize("projection", ["ewa", "ut"])
@pytest.mark.parametrize(("backend", "dtype"), [("numba", torch.float32), ("torch", torch.float64)])
@pytest.mark.parametrize("size", [0.02, 0.05])
def test_images_and_gradients(make_scene, camera, dense_render, projection, backend, dtype, size) -> None:
    gaussians = make_scene(size=size)
    parts, exact = leaves(gaussians, dtype), leaves(gaussians, torch.float64)
    output = render(Gaussians(*parts[:5]), camera, projection=projection, background=parts[5], backend=backend)
    reference = dense_render(Gaussians(*exact[:5]), camera.to(torch.float64), projection, exact[5])
    tolerance = 1e-6 if dtype == torch.float64 else 1e-3
    assert reference.alpha.max() > 0.5
    for image, expected in zip(output, reference, strict=True):
        assert image.dtype == dtype
        assert error(image, expected) < tolerance
    for name, value, expected in zip(NAMES, gradients(output, parts), gradients(reference, exact), strict=True):
        assert error(value, expected) < tolerance, name


def test_the_unscented_response_has_no_blur() -> None:
    """A sheet seen edge-on covers one row of pixels; the low-pass filter of "ewa" spreads it over three."""
    sheet = Gaussians(
        means=torch.tensor(((0.0, 0.0, 2.0),)),
        scales=torch.tensor(((0.3, 1e-4, 0.3),)),
        quats=torch.tensor(((1.0, 0.0, 0.0, 0.0),)),
        opacities=torch.tensor((0.9,)),
        colors=torch.ones(1, 3),
    )
    camera = Cameras(torch.eye(4), torch.tensor((40.0, 40.0, 20.0, 16.5)), 40, 34)
    exact = render(sheet, camera, projection="ut").alpha
    blurred = render(sheet, camera, projection="ewa").alpha
    assert exact.sum(0).count_nonzero() > 20
    assert exact.sum(1).count_nonzero() == 1
    assert blurred.sum(1).count_nonzero() == 3


@pytest.mark.parametrize("projection", ["ewa", "ut"])
def test_backends_agree_on_a_difficult_scene(make_scene, camera, projection) -> None:
    """Huge, tiny, opaque, needle-like Gaussians and many layers, where float32 twins still have to meet."""
    gaussians = Gaussians.cat([make_scene(200, size=size, seed=k) for k, size in enumerate((0.002, 0.05, 0.5))])
    gaussians.scales[::7, 0] *= 1e-3
    gaussians.opacities[::5] = 1.0
    both = []
    for backend in ("numba", "torch"):
        parts = leaves(gaussians, torch.float32)
        output = render(Gaussians(*parts[:5]), camera, projection=projection, background=parts[5], backend=backend)
        both.append((output, gradients(output, parts)))
    (images, slopes), (expected_images, expected_slopes) = both
    for image, expected in zip(images, expected_images, strict=True):
        assert error(image, expected) < 1e-3
    for name, value, expected in zip(NAMES, slopes, expected_slopes, strict=True):
        assert value.isfinite().all()
        assert error(value, expected) < 1e-2, name
