# SPDX-License-Identifier: Apache-2.0
"""Deferred back-propagation through the renderer (Zhang et al., ARF, 2022; as in the published training).

A picture's graph holds every Gaussian that a tile may see; the graphs of all target pictures of a step together do not
fit on a GPU. So the forward pass draws all pictures without a graph, and the backward pass draws each again with one,
pushes that picture's gradient into the Gaussians and forgets it: memory is that of one view, gradients are the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import RenderOutput, render


def render_deferred(gaussians: Gaussians, cameras: Cameras, **options: Any) -> RenderOutput:
    """As `render`, in the memory of one view.

    Args:
        gaussians: what to draw; gradients reach all its tensors.
        cameras: `[V]`.
        options: of `render`; gradients do not reach them.

    Returns:
        colour `[V, H, W, 3]`, depth `[V, H, W]` [scene units] and alpha `[V, H, W]`.
    """
    parts = (gaussians.means, gaussians.scales, gaussians.quats, gaussians.opacities, gaussians.colors)
    return RenderOutput(*_Deferred.apply(cameras, options, *parts))


class _Deferred(torch.autograd.Function):
    """Draws without a graph; backward draws again, one view at a time."""

    @staticmethod
    def forward(ctx: Any, cameras: Cameras, options: dict[str, Any], *parts: Tensor) -> tuple[Tensor, ...]:
        ctx.cameras, ctx.options = cameras, options
        ctx.save_for_backward(*parts)
        return tuple(render(Gaussians(*parts), cameras, **options))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        leaves = [part.detach().requires_grad_(part.is_floating_point()) for part in ctx.saved_tensors]
        for view in range(len(ctx.cameras)):
            with torch.enable_grad():
                drawn = render(Gaussians(*leaves), ctx.cameras[view], **ctx.options)
            if any(image.requires_grad for image in drawn):
                torch.autograd.backward(tuple(drawn), tuple(gradient[view] for gradient in gradients))
        return None, None, *(leaf.grad for leaf in leaves)
