# SPDX-License-Identifier: Apache-2.0
"""The gsplat backend against the torch twin, on a CUDA device."""

from __future__ import annotations

import pytest
import torch

from lyra_core.gaussians import Gaussians
from lyra_core.rendering import gsplat_backend, render

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("projection", ["ewa", "ut"])
@pytest.mark.parametrize("crop", [None, (7, 3, 19, 26)])
def test_gsplat_and_torch_agree(make_scene, camera, projection, crop) -> None:
    if reason := gsplat_backend.unusable():
        pytest.skip(reason)
    scene = make_scene(size=0.05).to("cuda")
    results = []
    for backend in ("gsplat", "torch"):
        parts = [part.clone().requires_grad_() for part in (scene.means, scene.scales, scene.quats)]
        gaussians = Gaussians(*parts, scene.opacities, scene.colors)
        output = render(gaussians, camera, projection=projection, backend=backend, crop=crop, background=torch.ones(3))
        (output.color.square().sum() + output.depth.sum() + output.alpha.sum()).backward()
        results.append([*output, *(part.grad for part in parts)])
    for value, expected in zip(*results, strict=True):
        assert (value - expected).norm() < 2e-2 * expected.norm()
