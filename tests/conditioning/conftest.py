# SPDX-License-Identifier: Apache-2.0
"""A small view with a near box in front of a wall."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lyra_core.cameras import Cameras, intrinsics_from_fov
from lyra_core.conditioning.depth import DepthEstimate

HEIGHT, WIDTH = 44, 80
BOX = (slice(14, 30), slice(30, 46))
BOX_Z, WALL_Z = 0.5, 1.0
BOX_COLOR = (0.9, 0.1, 0.1)


def estimate(z: Tensor, mask: Tensor | None = None) -> DepthEstimate:
    height, width = z.shape
    intrinsics = intrinsics_from_fov(math.radians(70), width, height)
    return DepthEstimate(z, torch.ones_like(z, dtype=torch.bool) if mask is None else mask, intrinsics, "test")


def cameras(centers: list[tuple[float, float, float]], height: int = HEIGHT, width: int = WIDTH) -> Cameras:
    """Cameras `[F]` at `centers` that look along +z."""
    c2w = torch.eye(4).repeat(len(centers), 1, 1)
    c2w[:, :3, 3] = torch.tensor(centers)
    return Cameras(c2w, intrinsics_from_fov(math.radians(70), width, height), width, height)


@pytest.fixture
def box_view() -> tuple[Tensor, DepthEstimate]:
    """Red box before a textured green-blue wall."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(HEIGHT, WIDTH, 3, generator=generator) * torch.tensor((0.1, 0.6, 0.6)) + 0.2
    z = torch.full((HEIGHT, WIDTH), WALL_Z)
    image[BOX], z[BOX] = torch.tensor(BOX_COLOR), BOX_Z
    return image, estimate(z)
