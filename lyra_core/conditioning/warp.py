# SPDX-License-Identifier: Apache-2.0
"""Warped frames, and the published soft z-buffer splat of the camera-controlled teacher.

The published splat (spec: GEN3C forward warp) puts pixel centres at integer coordinates, spreads every source pixel
over the four pixels around its projection and lets near points win by an exponential weight.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

PUBLISHED_MAX_DEPTH = 100.0
"""Depth clamp of the published cache [scene units]; unknown and infinite depth ends here."""

PUBLISHED_EDGE_THRESHOLD = 0.05
"""Relative depth range of a 5 x 5 window above which the published cache drops a source pixel."""

PUBLISHED_CHUNK = 2
"""Frames per splat call: the soft z-buffer is scaled by the largest depth of the call."""

_DEPTH_SHARPNESS = 50.0
_MAX_EXPONENT = 80.0
_EPSILON = 1e-7


class Warp(NamedTuple):
    """Frames seen by other cameras than the source's; unseen pixels are black with z = 0 until they are filled."""

    rgb: Tensor  # [..., H, W, 3] in [0, 1]
    z: Tensor  # [..., H, W] depth along the optical axis [scene units]
    mask: Tensor  # [..., H, W] bool, True where the source shows the pixel
    silhouette: Tensor | None = None  # [..., H, W] bool, the near side of a depth edge: fills must not grow from it


class Splat(NamedTuple):
    """Result of one splat call."""

    values: Tensor  # [F, H, W, C], 0 where nothing lands
    mask: Tensor  # [F, H, W] bool


def reliable_mask(z: Tensor, threshold: float = PUBLISHED_EDGE_THRESHOLD) -> Tensor:
    """Pixels away from depth edges, bool `[..., H, W]`: (max - min) / mean of the 5 x 5 window below `threshold`.

    The mean counts the zero padding, so the image border is judged more strictly, as published.
    """
    flat = z.reshape(-1, 1, *z.shape[-2:])
    highest = functional.max_pool2d(flat, 5, stride=1, padding=2)
    lowest = -functional.max_pool2d(-flat, 5, stride=1, padding=2)
    mean = functional.avg_pool2d(flat, 5, stride=1, padding=2)
    reliable = ((highest - lowest) / (mean + 1e-6) < threshold) & (flat > 0)
    return reliable.reshape(z.shape)


def unproject_grid(z: Tensor, intrinsics: Tensor, pixel_center: float = 0.5) -> Tensor:
    """Points `[..., H, W, 3]` of a depth map `[..., H, W]` in its camera's frame; `intrinsics` `[4]` in pixels."""
    height, width = z.shape[-2:]
    fx, fy, cx, cy = intrinsics.to(z).unbind(-1)
    x = (torch.arange(width, device=z.device, dtype=z.dtype) + pixel_center - cx) / fx
    y = (torch.arange(height, device=z.device, dtype=z.dtype) + pixel_center - cy) / fy
    return torch.stack((x * z, y[:, None] * z, z), dim=-1)


def project(points: Tensor, w2c: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel coordinates `[F, N, 2]` and depth `[F, N]` of world points `[N, 3]` in cameras `[F, 4, 4]`, `[F, 4]`."""
    local = points @ w2c[:, :3, :3].transpose(-1, -2) + w2c[:, None, :3, 3]
    z = local[..., 2]
    homogeneous = local[..., :2] * intrinsics[:, None, :2] + intrinsics[:, None, 2:] * z[..., None]
    return homogeneous / (z[..., None] + _EPSILON), z


def splat_bilinear(
    pixels: Tensor,  # [F, N, 2]
    z: Tensor,  # [F, N]
    values: Tensor,  # [N, C] or [F, N, C]
    keep: Tensor,  # [N] or [F, N]
    height: int,
    width: int,
) -> Splat:
    """Published forward splat of N points into F frames; first pixel centre at 0.

    Weights are bilinear, divided by exp(50 log1p(z) / max log1p(z)) so that near points win; the maximum runs over the
    whole call. A coordinate that is exactly an integer counts twice, as published.
    """
    frames = pixels.shape[0]
    weight = _depth_weight(z) * (keep & (z > 0))
    payload = torch.cat((values.expand(frames, -1, -1), torch.ones_like(z)[..., None]), dim=-1)
    channels = payload.shape[-1]
    canvas = payload.new_zeros(frames, (height + 2) * (width + 2), channels)
    for corner, share in _corners(pixels + 1.0, height, width):
        index = (corner[..., 1] * (width + 2) + corner[..., 0])[..., None].expand(-1, -1, channels)
        canvas.scatter_add_(1, index, payload * (weight * share)[..., None])
    canvas = canvas.reshape(frames, height + 2, width + 2, channels)[:, 1:-1, 1:-1]
    total = canvas[..., -1:]
    mask = total > 0
    return Splat(torch.where(mask, canvas[..., :-1] / torch.where(mask, total, 1.0), 0.0), mask[..., 0])


def _depth_weight(z: Tensor) -> Tensor:
    """Inverse of the soft z-buffer denominator `[F, N]`."""
    logarithm = z.clamp_min(0).log1p()
    exponent = _DEPTH_SHARPNESS * logarithm / (logarithm.max() + _EPSILON)
    return 1.0 / (exponent.clamp_max(_MAX_EXPONENT).exp() + _EPSILON)


def _corners(pixels: Tensor, height: int, width: int) -> list[tuple[Tensor, Tensor]]:
    """The four pixels around each point of the padded canvas, and the bilinear share of each."""
    limit = pixels.new_tensor((width + 1, height + 1))
    floor, ceil = pixels.floor(), pixels.ceil()
    pixels, floor, ceil = (torch.minimum(value.clamp_min(0), limit) for value in (pixels, floor, ceil))
    corners = []
    for x in (floor, ceil):
        for y in (floor, ceil):
            corner = torch.stack((x[..., 0], y[..., 1]), dim=-1)
            corners.append((corner.long(), (1.0 - (pixels - corner).abs()).prod(dim=-1)))
    return corners
