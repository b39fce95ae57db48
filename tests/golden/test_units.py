# SPDX-License-Identifier: Apache-2.0
"""Single formulas of the published method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lyra_core.cameras import Cameras, plucker
from lyra_core.decoder import DecoderConfig, denormalize_latents, prune
from lyra_core.decoder.embeddings import time_vectors
from lyra_core.decoder.heads import gaussian_rows
from lyra_core.distillation.losses import depth_loss, normalized_depth, opacity_loss
from lyra_core.evaluation.metrics import psnr, resize_crop, ssim
from lyra_core.gaussians import kept_count

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


@pytest.fixture(scope="module")
def units(golden: Callable[[str], Any]) -> Any:
    return golden("units")


@pytest.mark.parametrize("name", DTYPES)
def test_rays(units: Any, name: str) -> None:
    height, width = units.json("rays.img_size")
    cameras = Cameras(units["in.rays.c2w"], units["in.rays.intrinsics_fxfycxcy"], width, height)
    tolerance = {"atol": 1e-6 if name == "f32" else 0.0, "rtol": 0.0}
    maps = plucker(cameras, DTYPES[name]).float()
    torch.testing.assert_close(maps, units[f"out.rays.plucker_{name}"], **tolerance)
    stored = [units[f"out.rays.rays_{part}_{name}"] for part in "od"]
    rays = cameras.resized(*stored[0].shape[-2:]).rays(DTYPES[name])
    for value, expected in zip(rays, stored, strict=True):
        torch.testing.assert_close(value.movedim(-1, -3).float(), expected, **tolerance)


def test_bfloat16_pixel_grid(units: Any) -> None:
    """A camera with unit focal length and its centre at 0 shows the grid in the slopes of its rays before rounding."""
    grids = units.named("out.grid_bf16.")
    assert grids
    for name, expected in grids.items():
        count = int(name.split("_")[1])
        size = (count, 1) if name.startswith("x") else (1, count)
        intrinsics = torch.tensor((1.0, 1.0, 0.0, 0.0))
        _, directions = Cameras(torch.eye(4), intrinsics, *size).rays(torch.bfloat16)
        exact = torch.stack((expected, torch.full_like(expected, 0.5), torch.ones_like(expected)), dim=-1).bfloat16()
        if name.startswith("y"):
            exact = exact[:, [1, 0, 2]]
        torch.testing.assert_close(directions.reshape(-1, 3), exact / exact.norm(dim=-1, keepdim=True), atol=0, rtol=0)


@pytest.mark.parametrize("name", DTYPES)
def test_activations(units: Any, name: str) -> None:
    inputs = (units[f"in.gp.{part}"].to(DTYPES[name]) for part in ("x", "rays_o", "rays_d"))
    rows, expected = gaussian_rows(*inputs, DecoderConfig()).float(), units[f"out.gp.gaussians_{name}"]
    torch.testing.assert_close(rows[..., :3], expected[..., :3], atol=5e-5, rtol=0)
    torch.testing.assert_close(rows[..., 3:], expected[..., 3:], atol=1e-6, rtol=0)


def test_pruning(units: Any) -> None:
    cases = units.named("out.prune.kept_")
    assert cases
    for ratio, expected in cases.items():
        torch.testing.assert_close(prune(units["in.prune.gaussians"], float(ratio)), expected, atol=0, rtol=0)


def test_kept_counts(units: Any) -> None:
    for key, expected in units.json("prune.kept_count").items():
        count, ratio = key.split(",")
        assert kept_count(int(count), float(ratio)) == expected


def test_depth_loss(units: Any) -> None:
    prediction = units["in.depth.pred"].squeeze(2).requires_grad_()
    reference = units["in.depth.gt"].squeeze(2)
    loss = depth_loss(prediction, reference)
    loss.backward()
    torch.testing.assert_close(loss.detach(), units["out.depth.loss"][0], atol=1e-8, rtol=1e-5)
    gradient = units["out.depth.grad_pred"].squeeze(2)
    torch.testing.assert_close(prediction.grad, gradient, atol=1e-5 * gradient.abs().max().item(), rtol=1e-5)
    mask = reference > 0
    for value, name in ((prediction.detach(), "pred"), (reference, "gt")):
        normalized = normalized_depth(value, mask).flatten(-2)
        torch.testing.assert_close(normalized, units[f"out.depth.{name}_normalised"], atol=1e-5, rtol=1e-5)


def test_opacity_loss(units: Any) -> None:
    value = opacity_loss(units["in.opacity_loss.opacity"])
    torch.testing.assert_close(value, units["out.opacity_loss.value"][0], atol=1e-6, rtol=0)


def test_time_vectors(units: Any) -> None:
    torch.testing.assert_close(time_vectors(units["in.time.t"]), units["out.time.emb"], atol=1e-6, rtol=0)


def test_latent_denormalisation(units: Any) -> None:
    """Stored latents have the channels first, `[V * C, T, h, w]`, raw ones the frames, `[V * T, C, h, w]`."""
    mean, std = (units[f"in.latent.{name}"][0, :, :, 0, 0] for name in ("mean", "std"))
    stored = units["in.latent.stored"].unflatten(0, (-1, mean.shape[0]))
    raw = denormalize_latents(stored, mean, std).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(raw, units["out.latent.denorm"], atol=1e-6, rtol=1e-6)


def test_metrics(units: Any) -> None:
    prediction, reference = (units[f"in.metrics.{name}"].movedim(1, -1) for name in ("pred", "gt"))
    torch.testing.assert_close(psnr(prediction, reference), units["out.metrics.psnr"], atol=1e-4, rtol=0)
    torch.testing.assert_close(ssim(prediction, reference), units["out.metrics.ssim"], atol=1e-4, rtol=0)
    fits = units.named("out.metrics.resize_crop_")
    assert fits
    for size, expected in fits.items():
        height, width = (int(number) for number in size.split("x"))
        fitted = resize_crop(reference, height, width).movedim(-1, 1)
        torch.testing.assert_close(fitted, expected, atol=1e-5, rtol=0)
