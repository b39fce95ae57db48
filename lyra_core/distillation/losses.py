# SPDX-License-Identifier: Apache-2.0
"""The published training losses apart from plain image differences."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.evaluation.metrics import ssim

_SPREAD_LIMITS = (1e-3, 1e3)


def normalized_depth(depth: Tensor, mask: Tensor) -> Tensor:
    """Depth maps `[..., H, W]` with the median removed and unit mean absolute deviation; 0 outside the mask.

    As published, the lower median runs over all pixels, masked ones counting as zeros.
    """
    count = mask.sum(dim=(-2, -1), keepdim=True).clamp_min(1)
    depth = torch.where(mask, depth, 0.0)
    median = depth.flatten(-2).median(dim=-1).values[..., None, None]
    centred = torch.where(mask, depth - median, 0.0)
    spread = centred.abs().sum(dim=(-2, -1), keepdim=True) / count
    return centred / spread.clamp(*_SPREAD_LIMITS)


def depth_loss(prediction: Tensor, reference: Tensor) -> Tensor:
    """Scale- and shift-invariant depth loss, a scalar.

    Args:
        prediction: rendered depth `[..., H, W]`.
        reference: reference depth `[..., H, W]`; values that are not positive and finite are ignored.
    """
    mask = (reference > 0) & reference.isfinite()
    return functional.smooth_l1_loss(normalized_depth(prediction, mask), normalized_depth(reference, mask))


def opacity_loss(opacities: Tensor) -> Tensor:
    """Pressure towards few Gaussians, a scalar: the mean sigmoid of the opacities, which already went through one."""
    return opacities.sigmoid().mean()


def ssim_loss(prediction: Tensor, reference: Tensor) -> Tensor:
    """1 - SSIM, a scalar, of images `[..., H, W, 3]`."""
    return 1.0 - ssim(prediction, reference).mean()
