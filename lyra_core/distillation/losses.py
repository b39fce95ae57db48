# SPDX-License-Identifier: Apache-2.0
"""The training losses, each with its weight, and their sum over the target pictures of a sample."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional

from lyra_core.distillation.perceptual import Perceptual, perceptual_loss
from lyra_core.errors import LyraError
from lyra_core.evaluation.metrics import psnr, ssim
from lyra_core.rendering import RenderOutput

_SPREAD_LIMITS = (1e-3, 1e3)
_NEAREST = 0.02
"""Rendered depths below this count as this in a logarithm [scene units]."""


OpacityForm = Literal["double_sigmoid", "l1"]


class LossWeights(BaseModel):
    """Weights of the losses; every default is the published value, and 0 turns a loss off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    squared: float = 1.0
    """Squared colour error."""
    absolute: float = 0.0
    """Absolute colour error."""
    structure: float = 0.0
    """1 - SSIM."""
    perceptual: float = 0.5
    """LPIPS, or the stand-in where its weights are missing."""
    depth: float = 0.05
    """Depth error."""
    depth_form: Literal["scale_shift_invariant", "log"] = "scale_shift_invariant"
    """Published, or the absolute error of log depth where something was hit."""
    opacity: float = 0.0
    """Pressure towards few Gaussians (published: 0.1 in the pruning stages)."""
    opacity_form: OpacityForm = "double_sigmoid"
    """What really runs in the published code, or the L1 norm that the paper names."""
    holes: float = 0.0
    """Direct comparison of the Gaussians of holes with the truth (embedded recipe)."""


def image_losses(
    view: RenderOutput,
    rgb: Tensor,
    depth: Tensor,
    weights: LossWeights,
    distance: Perceptual | None = None,
    *,
    chunk: int = 32,
) -> tuple[Tensor, dict[str, float]]:
    """Weighted sum of all losses between renderings and target pictures, and its parts unweighted.

    Args:
        view: renderings of N pictures.
        rgb: the targets `[N, H, W, 3]` in [0, 1].
        depth: their z-depth `[N, H, W]`; not positive or not finite where unknown.
        weights: of the sum; the weight of opacity and holes is used elsewhere.
        distance: perceptual distance; needed when its weight is not 0.
        chunk: pictures per perceptual chunk.

    Raises LyraError when the perceptual distance is missing.
    """
    difference = view.color - rgb
    parts = {"squared": difference.square().mean()}
    if weights.absolute:
        parts["absolute"] = difference.abs().mean()
    if weights.structure:
        parts["structure"] = ssim_loss(view.color, rgb)
    if weights.perceptual:
        if distance is None:
            raise LyraError("the perceptual loss has a weight but no network; load one with `load_perceptual`.")
        parts["perceptual"] = perceptual_loss(distance, view.color, rgb, chunk)
    if weights.depth:
        form = depth_loss if weights.depth_form == "scale_shift_invariant" else log_depth_loss
        parts["depth"] = form(view.depth, depth)
    total = torch.stack([getattr(weights, name) * value for name, value in parts.items()]).sum()
    figures = {name: float(value.detach()) for name, value in parts.items()}
    return total, figures | {"train_psnr": float(psnr(view.color.detach(), rgb).mean())}


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


def log_depth_loss(prediction: Tensor, reference: Tensor) -> Tensor:
    """Absolute error of log depth where both are known, a scalar; maps `[..., H, W]` of one scale."""
    known = (reference > 0) & reference.isfinite() & (prediction.detach() > 0)
    error = prediction.clamp_min(_NEAREST).log() - torch.where(known, reference, 1.0).log()
    return torch.where(known, error.abs(), 0.0).mean()


def opacity_loss(opacities: Tensor, form: OpacityForm = "double_sigmoid") -> Tensor:
    """Pressure towards few Gaussians, a scalar.

    Args:
        opacities: activated, in [0, 1].
        form: "double_sigmoid" is the mean sigmoid of the opacities, which already went through one (published code: the
            gradient is weak); "l1" their mean, the L1 norm of what is never negative (published paper).
    """
    return opacities.sigmoid().mean() if form == "double_sigmoid" else opacities.mean()


def ssim_loss(prediction: Tensor, reference: Tensor) -> Tensor:
    """1 - SSIM, a scalar, of images `[..., H, W, 3]`."""
    return 1.0 - ssim(prediction, reference).mean()
