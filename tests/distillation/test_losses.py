# SPDX-License-Identifier: Apache-2.0
"""The losses of a step: their sum, both opacity forms, and the perceptual distance that is at hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lyra_core.distillation.losses import LossWeights, depth_loss, image_losses, log_depth_loss, opacity_loss
from lyra_core.distillation.perceptual import DepthFeatures, PublishedLpips, load_perceptual, perceptual_loss
from lyra_core.errors import LyraError
from lyra_core.evaluation.lpips import Lpips
from lyra_core.rendering import RenderOutput


def pictures(seed: int, count: int = 3) -> Tensor:
    return torch.rand(count, 24, 40, 3, generator=torch.Generator().manual_seed(seed))


def output(color: Tensor) -> RenderOutput:
    return RenderOutput(color, 1.0 + color.mean(dim=-1), torch.ones(color.shape[:-1]))


def test_the_sum_has_the_published_weights() -> None:
    distance, rgb, depth = load_perceptual(), pictures(0), 1.0 + pictures(1)[..., 0]
    view = output(pictures(2))
    total, figures = image_losses(view, rgb, depth, LossWeights(), distance, chunk=2)
    squared = (view.color - rgb).square().mean()
    expected = squared + 0.5 * distance(view.color, rgb).mean() + 0.05 * depth_loss(view.depth, depth)
    torch.testing.assert_close(total, expected)
    assert set(figures) == {"squared", "perceptual", "depth", "train_psnr"}
    with pytest.raises(LyraError, match="no network"):
        image_losses(view, rgb, depth, LossWeights())


def test_a_perfect_rendering_costs_nothing() -> None:
    rgb = pictures(0)
    view = output(rgb)
    weights = LossWeights(absolute=1.0, structure=1.0)
    assert image_losses(view, rgb, view.depth, weights, load_perceptual())[0].abs() < 1e-6


def test_both_opacity_forms() -> None:
    """The published one is a second sigmoid: between 0.5 and 0.73, with at most a quarter of the L1 gradient."""
    opacities = torch.linspace(0.0, 1.0, 11, requires_grad=True)
    double, plain = opacity_loss(opacities), opacity_loss(opacities, "l1")
    assert 0.5 < double.item() < 0.74 and plain.item() == pytest.approx(0.5)
    (one,) = torch.autograd.grad(double, opacities)
    (other,) = torch.autograd.grad(plain, opacities)
    assert (one > 0).all() and (one <= 0.2501 * other).all()


def test_log_depth_ignores_what_is_unknown() -> None:
    reference = torch.tensor([[1.0, 2.0], [0.0, float("nan")]])
    prediction = torch.tensor([[2.0, 2.0], [5.0, 5.0]], requires_grad=True)
    loss = log_depth_loss(prediction, reference)
    assert loss.item() == pytest.approx(math.log(2.0) / 4)
    loss.backward()
    assert prediction.grad.isfinite().all()
    assert not prediction.grad[1].any()


def test_chunks_change_neither_value_nor_gradient() -> None:
    distance, rgb = load_perceptual(), pictures(0, 5)
    values, gradients = [], []
    for chunk in (1, 2, 32):
        prediction = pictures(3, 5).requires_grad_()
        value = perceptual_loss(distance, prediction, rgb, chunk)
        value.backward()
        values.append(value.detach())
        gradients.append(prediction.grad)
    for value, gradient in zip(values, gradients, strict=True):
        torch.testing.assert_close(value, values[0])
        torch.testing.assert_close(gradient, gradients[0], atol=1e-7, rtol=1e-4)


def test_the_stand_in_sees_blur_more_than_a_small_shift_of_brightness() -> None:
    """At equal squared error, as a perceptual distance must."""
    features = load_perceptual()
    sharp = torch.nn.functional.interpolate(pictures(0)[:1].movedim(-1, 1), scale_factor=4).movedim(1, -1)
    blurred = torch.nn.functional.avg_pool2d(sharp.movedim(-1, 1), 9, 1, 4, count_include_pad=False).movedim(1, -1)
    brighter = sharp + (blurred - sharp).square().mean().sqrt()
    assert features(blurred, sharp) > 1.5 * features(brighter, sharp)


def test_the_distance_says_which_one_it_is() -> None:
    distance = load_perceptual()
    assert isinstance(distance, DepthFeatures | PublishedLpips)
    assert ("F-LPIPS" in distance.name) == isinstance(distance, DepthFeatures)
    state = {
        f"features.{number}.{part}": torch.randn(*((out, inner, 3, 3) if part == "weight" else (out,))) * 0.05
        for number, inner, out in VGG
        for part in ("weight", "bias")
    }
    heads = {f"lin{k}.model.1.weight": torch.rand(1, width, 1, 1) for k, width in enumerate((64, 128, 256, 512, 512))}
    lpips = PublishedLpips(Lpips(state, heads))
    assert lpips.name == "LPIPS (VGG16, v0.1)"
    assert lpips(pictures(0), pictures(1)).shape == (3,)
    assert lpips(pictures(0), pictures(0)).abs().max() < 1e-6


VGG = (
    (0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256),
    (17, 256, 512), (19, 512, 512), (21, 512, 512), (24, 512, 512), (26, 512, 512), (28, 512, 512),
)  # fmt: skip
"""Number, inputs and outputs of VGG16's convolutions."""
