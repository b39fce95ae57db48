# SPDX-License-Identifier: Apache-2.0
"""The one public function that turns Gaussians into pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..cameras import Cameras
from ..devices import HOME
from ..errors import LyraError
from ..gaussians import Gaussians
from . import compositing_torch, gsplat_backend
from .projection import View

Projection = Literal["ewa", "ut"]
Backend = Literal["auto", "numba", "torch", "gsplat"]
Rasterizer = Callable[[Gaussians, Tensor, View, str], tuple[Tensor, Tensor]]

_log = logging.getLogger(__name__)


class RenderOutput(NamedTuple):
    """Pictures of one batch of cameras; the leading dimensions are those of the cameras."""

    color: Tensor  # [..., H, W, 3] display-referred RGB, not clamped
    depth: Tensor  # [..., H, W] expected z-depth [scene units], 0 where nothing was hit
    alpha: Tensor  # [..., H, W] in [0, 1)


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    projection: Projection = "ewa",
    background: Tensor | None = None,
    near: float = 0.01,
    far: float = 1e6,
    backend: Backend = "auto",
    crop: tuple[int, int, int, int] | None = None,
) -> RenderOutput:
    """Draw the Gaussians from every camera; differentiable in all their tensors and in the background.

    Args:
        gaussians: what to draw.
        cameras: from where; gradients do not reach them.
        projection: "ewa" linearises the camera and blurs by 0.3 pixel^2 (classic splatting); "ut" evaluates each
            Gaussian along the pixel's ray (3DGUT, what the published decoder was trained with).
        background: RGB `[3]` or one per camera `[..., 3]` behind everything; black when absent.
        near: closest z-depth of a Gaussian's centre [scene units].
        far: farthest z-depth of a Gaussian's centre [scene units].
        backend: "numba" (compiled, CPU), "torch" (any device, slow, the reference) or "gsplat" (CUDA). "auto" takes
            gsplat for CUDA tensors if it works, else torch; numba for CPU tensors. The choice is logged.
            numba and gsplat compute in float32; torch keeps float64.
        crop: x begin, y begin, width, height [pixels]: draw only this window. Exactly the same pixels as in the whole
            picture, at a fraction of the cost.

    Raises:
        LyraError: an unknown projection or backend, one that cannot run here, or a window that leaves the image.
    """
    if projection not in ("ewa", "ut"):
        raise LyraError(f'The projection must be "ewa" or "ut"; got {projection!r}.')
    window = _window(cameras, crop)
    rasterize = _rasterizer(backend, gaussians.means)
    gaussians = gaussians.to(torch.promote_types(gaussians.means.dtype, torch.float32))
    flat = cameras.reshape(-1).to(gaussians.means)
    w2c, centers = flat.w2c, flat.c2w[:, :3, 3]
    images = []
    for k in range(len(flat)):
        view = View(w2c[k], flat.intrinsics[k], cameras.width, cameras.height, window, near, far)
        images.append(rasterize(gaussians, gaussians.view_colors(centers[k]), view, projection))
    shape = (*cameras.shape, window[3], window[2])
    if not images:
        return RenderOutput(*(gaussians.means.new_zeros(*shape, *tail) for tail in ((3,), (), ())))
    features = torch.stack([image[0] for image in images]).reshape(*shape, 4)
    transmittance = torch.stack([image[1] for image in images]).reshape(shape)
    return _finish(features, transmittance, background)


def _finish(features: Tensor, transmittance: Tensor, background: Tensor | None) -> RenderOutput:
    alpha = 1.0 - transmittance
    empty = alpha <= 0.0
    depth = torch.where(empty, 0.0, features[..., 3] / torch.where(empty, 1.0, alpha))
    color = features[..., :3]
    if background is not None:
        color = color + transmittance[..., None] * background[..., None, None, :].to(color)
    return RenderOutput(color, depth, alpha)


def _window(cameras: Cameras, crop: tuple[int, int, int, int] | None) -> tuple[int, int, int, int]:
    if crop is None:
        return 0, 0, cameras.width, cameras.height
    x, y, width, height = crop
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > cameras.width or y + height > cameras.height:
        raise LyraError(
            f"The crop (x {x}, y {y}, {width} x {height}) must lie within the image of "
            f"{cameras.width} x {cameras.height} pixels."
        )
    return x, y, width, height


def _rasterizer(backend: str, like: Tensor) -> Rasterizer:
    """The function of the wanted backend, checked against where the Gaussians live."""
    if backend == "auto":
        backend = automatic_backend(like.device)
    if backend not in ("numba", "torch", "gsplat"):
        raise LyraError(f'The backend must be "auto", "numba", "torch" or "gsplat"; got {backend!r}.')
    if backend == "numba" and like.device.type != "cpu":
        raise LyraError('The numba backend draws on the CPU: move the Gaussians there or choose backend="auto".')
    if backend == "gsplat":
        reason = gsplat_backend.unusable() or (None if like.is_cuda else "the Gaussians are not on a CUDA device")
        if reason:
            raise LyraError(f'The gsplat backend cannot draw here, because {reason}: choose backend="auto".')
    _log.info("rendering with the %s backend", backend)
    if backend == "numba":
        from . import numba_backend  # numba takes a moment to load

        return numba_backend.rasterize
    return gsplat_backend.rasterize if backend == "gsplat" else compositing_torch.rasterize


def automatic_backend(device: torch.device) -> str:
    """gsplat for CUDA tensors where it works, numba for those of the CPU, else torch."""
    if device.type != "cuda":
        return "numba" if device.type == "cpu" else "torch"
    reason = gsplat_backend.unusable()
    if reason:
        _log.info("gsplat is not used, because %s", reason)
    return "torch" if reason else "gsplat"


def drawing_device(device: torch.device) -> torch.device:
    """`device`, or the CPU where its compiled renderer beats the slow one that `device` would be left with."""
    return HOME if device.type == "cuda" and gsplat_backend.unusable() else device
