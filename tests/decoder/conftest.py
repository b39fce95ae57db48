# SPDX-License-Identifier: Apache-2.0
"""A small scene for decoders: two views, three key frames, a slanted plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras, intrinsics_from_fov
from lyra_core.decoder import Anchors, DecoderConfig
from lyra_core.trajectories import lyra_cameras

VIEWS, FRAMES, HEIGHT, WIDTH = 2, 17, 32, 48
NORMAL = functional.normalize(torch.tensor((0.3, -0.4, -1.0)), dim=0)
"""Normal of the plane n x = n (0, 0, 2) that every camera looks at."""


@pytest.fixture
def config() -> Callable[..., DecoderConfig]:
    """Makes small configs; anchored unless told otherwise."""

    def build(**changes: Any) -> DecoderConfig:
        values = {
            "width": 32, "depth": 2, "heads": 2, "attention_every": 2, "state_dim": 16, "head_dim": 16,
            "ray_dtype": "float32", "gaussian_stride": (8, 2, 2), "distance_range": (0.12, 40.0), "prune_ratio": 0.0,
            "color_anchor": True, "depth_anchor": True, "input_view_gaussians": True,
        }  # fmt: skip
        return DecoderConfig(**{**values, **changes})

    return build


@pytest.fixture
def cameras() -> Cameras:
    """Cameras `[1, V, F]`."""
    intrinsics = intrinsics_from_fov(1.2, WIDTH, HEIGHT)
    paths = lyra_cameras(intrinsics, WIDTH, HEIGHT, frames=FRAMES, paths=("left", "zoom_in"))
    return paths.reshape(1, VIEWS, FRAMES)


@pytest.fixture
def inputs(cameras: Cameras) -> dict[str, Tensor]:
    """Random latents and encoded rays."""
    generator = torch.Generator().manual_seed(0)
    shape = (3, HEIGHT // 8, WIDTH // 8)
    return {
        "latents": torch.randn(1, VIEWS, 16, *shape, generator=generator),
        "plucker_latents": torch.randn(1, VIEWS, 32, *shape, generator=generator),
    }


@pytest.fixture
def anchors(cameras: Cameras) -> Anchors:
    """The slanted plane in random colours; the lower half of view 1's last key frame is a hole."""
    generator = torch.Generator().manual_seed(1)
    keys = cameras[..., ::8]
    known = torch.ones(1, VIEWS, 3, HEIGHT, WIDTH, dtype=torch.bool)
    known[:, 1, 2, HEIGHT // 2 :] = False
    intrinsics = intrinsics_from_fov(1.2, 2 * WIDTH, 2 * HEIGHT)
    camera = Cameras(torch.eye(4)[None], intrinsics, 2 * WIDTH, 2 * HEIGHT)
    return Anchors(
        rgb=torch.rand(1, VIEWS, 3, HEIGHT, WIDTH, 3, generator=generator),
        distance=plane_distance(keys),
        known=known,
        input_rgb=torch.rand(1, 2 * HEIGHT, 2 * WIDTH, 3, generator=generator),
        input_distance=plane_distance(camera),
        input_camera=camera,
    )


def plane_distance(cameras: Cameras) -> Tensor:
    origins, directions = cameras.rays()
    return (2 * NORMAL[2] - origins @ NORMAL) / (directions @ NORMAL)


@pytest.fixture
def normal() -> Tensor:
    """The plane's normal."""
    return NORMAL
