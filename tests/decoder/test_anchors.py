# SPDX-License-Identifier: Apache-2.0
"""Anchored decoders: what raw outputs of zero mean, and how far the network may move things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from lyra_core.cameras import Cameras, intrinsics_from_fov
from lyra_core.decoder import Anchors, DecoderConfig, GaussianDecoder, rows_to_gaussians
from lyra_core.decoder.anchors import (
    OPACITY_SHIFT_FRESH,
    OPACITY_SHIFT_REPEATED,
    SIGMA_PER_SPACING,
    anchor_surface,
    anchored_rows,
)
from lyra_core.rotations import quaternion_to_matrix

CELLS = 16 * 24
INPUT_PIXELS = 64 * 96


def fresh_rows(config: DecoderConfig, cameras: Cameras, inputs: dict[str, Tensor], anchors: Anchors) -> Tensor:
    """What an untrained anchored decoder gives: its last layer is zero."""
    with torch.no_grad():
        return GaussianDecoder(config)(cameras=cameras, anchors=anchors, **inputs)


def test_untrained_gaussians_tile_the_anchor_surface(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor], anchors: Anchors, normal: Tensor
) -> None:
    gaussians = rows_to_gaussians(fresh_rows(config(), cameras, inputs, anchors)[0])
    assert len(gaussians) == INPUT_PIXELS + 2 * 2 * CELLS
    assert ((gaussians.means - torch.tensor((0.0, 0.0, 2.0))) @ normal).abs().max() < 2e-3
    axes = quaternion_to_matrix(gaussians.quats)
    assert ((axes[..., 2] @ normal).abs() > 0.999).float().mean() > 0.99
    assert (gaussians.scales[:, 2] < 0.5 * gaussians.scales[:, :2].amin(-1)).all()
    assert (gaussians.quats.norm(dim=-1) - 1).abs().max() < 1e-5


def test_order_is_input_pixels_then_views_without_their_first_key_frame(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor], anchors: Anchors
) -> None:
    rows = fresh_rows(config(), cameras, inputs, anchors)[0]
    torch.testing.assert_close(rows[:INPUT_PIXELS, 11:], anchors.input_rgb.reshape(-1, 3))
    last = rows[-CELLS:].reshape(16, 24, 14)
    camera = cameras[0, 1, 16]
    projected = (camera.w2c[:3, :3] @ last[2, 5, :3] + camera.w2c[:3, 3]) @ torch.eye(3)
    pixel = projected[:2] / projected[2] * camera.intrinsics[:2] + camera.intrinsics[2:]
    torch.testing.assert_close(pixel, torch.tensor((11.0, 5.0)), atol=1.1, rtol=0)


def test_all_key_frames_stay_without_input_view_gaussians(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor], anchors: Anchors
) -> None:
    rows = fresh_rows(config(input_view_gaussians=False), cameras, inputs, anchors)[0]
    opacity = rows[:, 3].reshape(2, 3, 16, 24)
    fresh, repeated = (torch.tensor(shift).sigmoid() for shift in (OPACITY_SHIFT_FRESH, OPACITY_SHIFT_REPEATED))
    torch.testing.assert_close(opacity[0, 0], fresh.expand(16, 24))
    torch.testing.assert_close(opacity[1, 0], repeated.expand(16, 24))
    torch.testing.assert_close(opacity[1, 2, 8:], fresh.expand(8, 24))
    torch.testing.assert_close(opacity[1, 2, :8], repeated.expand(8, 24))


def test_spacing_sets_the_size() -> None:
    """On a wall that faces the camera, sigma is a fixed share of the distance between neighbours."""
    intrinsics = intrinsics_from_fov(1.0, 40, 32)
    camera = Cameras(torch.eye(4), intrinsics, 40, 32)
    _, directions = camera.rays()
    distance = 3.0 / directions[..., 2]
    surface = anchor_surface(torch.zeros(32, 40, 3), distance, torch.ones(32, 40, dtype=torch.bool), camera, (2, 2))
    spacing = 2 * 3.0 / intrinsics[0]
    assert (surface.sigmas[..., :2] / spacing - SIGMA_PER_SPACING).abs().max() < 0.02
    assert (surface.sigmas[..., 2] / spacing - 0.15).abs().max() < 0.01


def test_cells_do_not_mix_surfaces() -> None:
    """A depth edge through the middle of cells: colour and distance both come from the upper left pixel's side."""
    camera = Cameras(torch.eye(4), intrinsics_from_fov(1.0, 16, 16), 16, 16)
    near = (torch.arange(16) % 4 < 1).expand(16, 16)
    rgb = torch.where(near[..., None], torch.tensor((1.0, 0.0, 0.0)), torch.tensor((0.0, 0.0, 1.0)))
    distance = torch.where(near, 1.0, 3.0)
    surface = anchor_surface(rgb, distance, torch.ones(16, 16, dtype=torch.bool), camera, (2, 2))
    torch.testing.assert_close(surface.distance[:, ::2], torch.ones(8, 4), atol=1e-4, rtol=0)
    torch.testing.assert_close(surface.distance[:, 1::2], torch.full((8, 4), 3.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(surface.colors[:, ::2, 0], torch.ones(8, 4), atol=1e-4, rtol=0)


def test_a_thin_post_faces_the_camera() -> None:
    """Both neighbours of a one-cell post lie far behind it: its Gaussians must not turn edge-on."""
    camera = Cameras(torch.eye(4), intrinsics_from_fov(1.0, 33, 32), 33, 32)
    distance = torch.full((32, 33), 4.0)
    distance[:, 16] = 1.0
    surface = anchor_surface(torch.zeros(32, 33, 3), distance, torch.ones(32, 33, dtype=torch.bool), camera, (1, 1))
    normals = quaternion_to_matrix(surface.quats[16, 16])[:, 2]
    assert normals[2].abs() > 0.95
    footprint = 1.0 / camera.intrinsics[0]
    assert surface.sigmas[16, 16, :2].amin() > 0.4 * footprint


def test_reach_of_raw_outputs() -> None:
    camera = Cameras(torch.eye(4), intrinsics_from_fov(1.0, 4, 4), 4, 4)
    known = torch.tensor([[True] * 4, [False] * 4] * 2)
    surface = anchor_surface(torch.full((4, 4, 3), 0.9), torch.full((4, 4), 2.0), known, camera, (1, 1))
    raw = torch.zeros(4, 4, 12)
    raw[..., 0], raw[..., 1:4], raw[..., 4:7] = 1.0, 100.0, 100.0
    rows = anchored_rows(raw, surface, ~known)
    expected = 2.0 * torch.tensor((0.15, 0.5)).exp().repeat(2)[:, None].expand(4, 4)
    torch.testing.assert_close(rows[..., :3].norm(dim=-1), expected)
    torch.testing.assert_close(rows[..., 11:], torch.ones(4, 4, 3))
    torch.testing.assert_close(rows[..., 4:7], surface.sigmas * torch.tensor(1.6).exp())


def test_colours_of_holes_owe_nothing_to_the_pixels() -> None:
    """What was generated reaches the decoder through the latents alone: mid-grey for raw values of zero."""
    camera = Cameras(torch.eye(4), intrinsics_from_fov(1.0, 4, 4), 4, 4)
    known = torch.tensor([[True] * 4, [False] * 4] * 2)
    surface = anchor_surface(torch.full((4, 4, 3), 0.9), torch.full((4, 4), 2.0), known, camera, (1, 1))
    colors = anchored_rows(torch.zeros(4, 4, 12), surface, ~known)[..., 11:]
    torch.testing.assert_close(colors[known], torch.full((8, 3), 0.9))
    torch.testing.assert_close(colors[~known], torch.full((8, 3), 0.5))


def test_every_input_reaches_the_gradient(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor], anchors: Anchors
) -> None:
    """Once the last layer has left zero, all weights but the unused time embeddings learn."""
    decoder = GaussianDecoder(config())
    with torch.no_grad():
        decoder.deconv.weight.normal_(std=0.1, generator=torch.Generator().manual_seed(2))
    rows = decoder(cameras=cameras, anchors=anchors, **inputs)
    rows.square().mean().backward()
    silent = [name for name, p in decoder.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert all(name.startswith("patch_time") for name in silent), silent


def test_depth_hint_is_heard(
    config: Callable[..., DecoderConfig], cameras: Cameras, inputs: dict[str, Tensor], anchors: Anchors
) -> None:
    decoder = GaussianDecoder(config())
    hint = replace(anchors, known=~anchors.known)
    tokens = [decoder._tokens(inputs["latents"], inputs["plucker_latents"], None, each) for each in (anchors, hint)]
    assert (tokens[0] - tokens[1]).abs().max() > 0.1
