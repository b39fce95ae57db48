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
"""A Gaussian that paints fewer pixels than this hardly follows: what hides it would stain it."""

REACH = 0.25
"""How far the colour of a fully visible Gaussian may move; halos grow without a bound (measured on unseen views)."""


def refine_colors(
    gaussians: Gaussians, images: Tensor, cameras: Cameras, *, iterations: int, projection: Projection
) -> Gaussians:
    """Back-projects the residual of the rendered images onto the Gaussians, `iterations` times.

    With rendering colour = W c, one step is the SIRT update c += W^T (image - W c) / (W^T 1 + FAINT); both
    back-projections are one gradient of the renderer with respect to colour. Colours stay in [0, 1] and within
    REACH * W^T 1 / (W^T 1 + FAINT) of where they were, so that one no camera sees keeps its own.

    Args:
        gaussians: with plain RGB colours `[N, 3]`.
        images: what the cameras should see `[V, H, W, 3]`.
        cameras: `[V]`, of that size.
        iterations: number of steps; 0 returns the Gaussians as they are.
        projection: how to render.
    """
    start = colors = gaussians.colors.detach()
    painted, lowest, highest = None, colors, colors
    for _ in range(iterations):
        with torch.enable_grad():
            variable = colors.detach().requires_grad_()
            rendered = render(replace(gaussians.detach(), colors=variable), cameras, projection=projection).color
            if painted is None:
                painted = torch.autograd.grad(rendered.sum(), variable, retain_graph=True)[0]
                reach = REACH * painted / (painted + FAINT)
                lowest, highest = (start - reach).clamp_min(0.0), (start + reach).clamp_max(1.0)
            residual = images.to(rendered) - rendered.detach()
            step = torch.autograd.grad(rendered, variable, residual)[0]
        colors = torch.clamp(colors + step / (painted + FAINT), lowest, highest)
    return replace(gaussians, colors=colors) if iterations else gaussians
