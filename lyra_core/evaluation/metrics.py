# SPDX-License-Identifier: Apache-2.0
"""Image metrics as published: PSNR and SSIM per frame, and how a reference is fitted to a prediction."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError

_WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(prediction: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio per image `[...]` [dB] of images `[..., H, W, 3]`, clipped to [0, 1]."""
    error = (prediction.clamp(0.0, 1.0) - reference.clamp(0.0, 1.0)).square().mean(dim=(-3, -2, -1))
    return -10.0 * error.log10()


def ssim(prediction: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity per image `[...]` of images `[..., H, W, 3]` in [0, 1]; differentiable.

    Wang et al. 2004 with a Gaussian window of 11 pixels (sigma 1.5), sample covariances and only windows that lie
    inside the image: the numbers of scikit-image with `gaussian_weights=True`.

    Raises:
        LyraError: the images are smaller than the window.
    """
    height, width = prediction.shape[-3:-1]
    if min(height, width) < _WINDOW:
        raise LyraError(f"SSIM needs images of at least {_WINDOW} x {_WINDOW} pixels; got {width} x {height}.")
    x, y = (image.movedim(-1, -3).reshape(-1, 1, height, width) for image in (prediction, reference))
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _blurred(torch.cat((x, y, x * x, y * y, x * y))).chunk(5)
    samples = _WINDOW**2
    unbiased = samples / (samples - 1.0)
    var_x, var_y = unbiased * (mean_xx - mean_x**2), unbiased * (mean_yy - mean_y**2)
    covariance = unbiased * (mean_xy - mean_x * mean_y)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (var_x + var_y + _C2)
    per_channel = (luminance * structure).mean(dim=(-2, -1)).squeeze(1)
    return per_channel.unflatten(0, (*prediction.shape[:-3], 3)).mean(dim=-1)


def resize_crop(images: Tensor, height: int, width: int, *, mode: str = "bilinear", antialias: bool = False) -> Tensor:
    """Fit images `[..., H, W, C]` to another size: scale until both sides cover it, then crop the centre.

    Args:
        images: any number of channels.
        height: wanted [px].
        width: wanted [px].
        mode: of `torch.nn.functional.interpolate`; bilinear is published.
        antialias: averages where it scales down; the published script does not (its pictures have the size already).
    """
    flat = images.movedim(-1, -3).reshape(-1, images.shape[-1], *images.shape[-3:-1])
    size, top, left = covering(flat.shape[-2], flat.shape[-1], height, width)
    corners = False if mode == "bilinear" else None
    resized = functional.interpolate(flat, size=size, mode=mode, align_corners=corners, antialias=antialias)
    cropped = resized[..., top : top + height, left : left + width]
    return cropped.reshape(*images.shape[:-3], images.shape[-1], height, width).movedim(-3, -1)


def resize_crop_camera(camera: Cameras, height: int, width: int) -> Cameras:
    """The camera of pictures that went through `resize_crop`."""
    size, top, left = covering(camera.height, camera.width, height, width)
    resized = camera.resized(*size)
    offset = resized.intrinsics.new_tensor((0.0, 0.0, left, top))
    return replace(resized, intrinsics=resized.intrinsics - offset, width=width, height=height)


def covering(height: int, width: int, to_height: int, to_width: int) -> tuple[tuple[int, int], int, int]:
    """How `resize_crop` fits: (height, width) after scaling, and the first row and column that stay."""
    scale = max(to_height / height, to_width / width)
    size = (round(height * scale), round(width * scale))
    return size, (size[0] - to_height) // 2, (size[1] - to_width) // 2


def _blurred(images: Tensor) -> Tensor:
    """Gaussian means over whole windows of images `[N, 1, H, W]`."""
    offsets = torch.arange(_WINDOW, dtype=images.dtype, device=images.device) - _WINDOW // 2
    weights = (-0.5 * (offsets / _SIGMA) ** 2).exp()
    weights = weights / weights.sum()
    rows = functional.conv2d(images, weights[None, None, :, None])
    return functional.conv2d(rows, weights[None, None, None, :])
