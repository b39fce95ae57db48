# SPDX-License-Identifier: Apache-2.0
"""Closed-form colour correction: rendering is linear in colour once the geometry is fixed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import render
from lyra_core.rendering.render import Projection

FAINT = 0.3
"""A Gaussian that paints less than this many pixels hardly follows: what hides it would stain it."""


def refine_colors(
    gaussians: Gaussians, images: Tensor, cameras: Cameras, *, iterations: int, projection: Projection
) -> Gaussians:
    """Back-projects the residual of the rendered images onto the Gaussians, `iterations` times.

    With rendering colour = W c, one step is the SIRT update c += W^T (image - W c) / (W^T 1 + FAINT), clamped to
    [0, 1]; both back-projections are one gradient of the renderer with respect to colour. A Gaussian that no camera
    sees keeps its colour.

    Args:
        gaussians: with plain RGB colours `[N, 3]`.
        images: what the cameras should see `[V, H, W, 3]`.
        cameras: `[V]`, of that size.
        iterations: number of steps; 0 returns the Gaussians as they are.
        projection: how to render.
    """
    colors = gaussians.colors
    share = None
    for _ in range(iterations):
        with torch.enable_grad():
            variable = colors.detach().requires_grad_()
            rendered = render(replace(gaussians.detach(), colors=variable), cameras, projection=projection).color
            if share is None:
                share = torch.autograd.grad(rendered.sum(), variable, retain_graph=True)[0]
            step = torch.autograd.grad(rendered, variable, images.to(rendered) - rendered.detach())[0]
        colors = (colors + step / (share + FAINT)).clamp(0.0, 1.0)
    return replace(gaussians, colors=colors)
