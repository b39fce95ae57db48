# SPDX-License-Identifier: Apache-2.0
"""Image metrics against scikit-image, and their gradients."""

from __future__ import annotations

import pytest
import torch
from skimage.metrics import structural_similarity

from lyra_core.distillation.losses import depth_loss, ssim_loss
from lyra_core.errors import LyraError
from lyra_core.evaluation.metrics import psnr, resize_crop, ssim


def test_ssim_is_scikit_image_s() -> None:
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(2, 24, 31, 3, generator=generator)
    prediction = (reference + 0.2 * torch.randn(reference.shape, generator=generator)).clamp(0, 1)
    expected = [
        structural_similarity(p.numpy(), r.numpy(), win_size=11, gaussian_weights=True, data_range=1.0, channel_axis=-1)
        for p, r in zip(prediction, reference, strict=True)
    ]
    torch.testing.assert_close(
        ssim(prediction, reference), torch.tensor(expected), atol=2e-5, rtol=0, check_dtype=False
    )
    assert ssim(reference[0], reference[0]) == pytest.approx(1.0)
    with pytest.raises(LyraError, match="11 x 11"):
        ssim(reference[:, :8], reference[:, :8])


def test_psnr_of_a_known_error() -> None:
    reference = torch.full((4, 4, 3), 0.5)
    assert psnr(reference + 0.1, reference) == pytest.approx(20.0, abs=1e-4)
    assert psnr(reference + 7.0, reference) == pytest.approx(6.0206, abs=1e-4)


def test_ssim_loss_pulls_towards_the_reference() -> None:
    reference = torch.rand(16, 16, 3, generator=torch.Generator().manual_seed(1))
    prediction = (0.5 * reference).requires_grad_()
    ssim_loss(prediction, reference).backward()
    better = (prediction - 0.5 * prediction.grad / prediction.grad.norm()).detach()
    assert ssim(better, reference) > ssim(prediction, reference)


def test_resize_crop_covers_and_centres() -> None:
    image = torch.linspace(0, 1, 64)[None, :, None].expand(16, 64, 3)
    fitted = resize_crop(image, 8, 8)
    assert fitted.shape == (8, 8, 3)
    assert fitted.mean() == pytest.approx(0.5, abs=1e-3)


def test_depth_loss_ignores_scale_shift_and_invalid_pixels() -> None:
    reference = torch.rand(2, 12, 10, generator=torch.Generator().manual_seed(2)) + 1.0
    assert depth_loss(3.0 * reference + 2.0, reference) == pytest.approx(0.0, abs=1e-6)
    broken = reference.clone()
    broken[:, 0, 0] = torch.inf
    broken[:, 1, 1] = -1.0
    prediction = reference.clone().requires_grad_()
    depth_loss(prediction, broken).backward()
    assert prediction.grad.isfinite().all()
    assert prediction.grad[:, 1, 1].abs().max() == 0.0
