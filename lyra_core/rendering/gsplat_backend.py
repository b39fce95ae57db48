# SPDX-License-Identifier: Apache-2.0
"""gsplat's CUDA renderer behind the same interface."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from ..gaussians import Gaussians
from .projection import EPS2D, View


@cache
def unusable() -> str | None:
    """Why gsplat cannot draw here; None when it can. The first call may build its CUDA code."""
    if not torch.cuda.is_available():
        return "there is no CUDA device"
    try:
        from gsplat.cuda import _backend
    except (ImportError, OSError, RuntimeError) as error:
        return f"gsplat does not load ({error})"
    return None if _backend._C is not None else "gsplat has no compiled CUDA code"


def rasterize(gaussians: Gaussians, colors: Tensor, view: View, projection: str) -> tuple[Tensor, Tensor]:
    """Sums of colour and depth `[h, w, 4]` and the remaining transmittance `[h, w]`, float32.

    The whole picture is drawn even when only a window is wanted: gsplat culls by the size of the image it is given.
    """
    from gsplat import rasterization

    fx, fy, cx, cy = view.intrinsics.float().unbind()
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    matrix = torch.stack((fx, zero, cx, zero, fy, cy, zero, zero, one)).reshape(1, 3, 3)
    unscented = projection == "ut"
    features, alphas, _ = rasterization(
        gaussians.means.float(),
        gaussians.quats.float(),
        gaussians.scales.float(),
        gaussians.opacities.float(),
        colors.float(),
        view.w2c.float()[None],
        matrix,
        view.width,
        view.height,
        near_plane=view.near,
        far_plane=view.far,
        eps2d=EPS2D,
        packed=False,
        render_mode="RGB+D",
        with_ut=unscented,
        with_eval3d=unscented,
    )
    x, y, width, height = view.window
    window = (0, slice(y, y + height), slice(x, x + width))
    return features[window], 1.0 - alphas[window][..., 0]
