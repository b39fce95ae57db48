# SPDX-License-Identifier: Apache-2.0
"""The published forward warp of the camera-controlled teacher."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.conditioning.cache3d import Cache3D, bounded_depth
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.conditioning.warp import (
    PUBLISHED_MAX_DEPTH,
    Warp,
    project,
    reliable_mask,
    splat_bilinear,
    unproject_grid,
)

from .conftest import Golden

IDENTITY_SHARE = 0.01
"""Share of pixels that may differ where rounding decides (the identity view)."""


@pytest.fixture(scope="module")
def file(golden: Callable[[str], Golden]) -> Golden:
    return golden("teacher_forward_warp")


def view(file: Golden) -> tuple[Tensor, DepthEstimate]:
    """Image in [0, 1] and depth of the source."""
    matrix, z = file["in.intrinsics"][0], file["in.depth"][0, 0]
    intrinsics = torch.stack((matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]))
    image = file["in.image"][0].movedim(0, -1) * 0.5 + 0.5
    return image, DepthEstimate(z, torch.ones_like(z, dtype=torch.bool), intrinsics, "golden")


def rendered(file: Golden, path: str) -> tuple[Warp, list[int]]:
    """The selected poses of a path, and which of them are the identity."""
    image, depth = view(file)
    poses = file[f"cam.{path}.w2cs"]
    selected = file["cam.clockwise.selected"].tolist() if path == "clockwise" else [0, 2, 4]
    cameras = Cameras(torch.linalg.inv(poses[selected]), depth.intrinsics, *reversed(depth.z.shape))
    return Cache3D(image, depth).render(cameras), [n for n, pose in enumerate(selected) if pose == 0]


def test_points_and_filter(file: Golden) -> None:
    _, depth = view(file)
    z = bounded_depth(depth, PUBLISHED_MAX_DEPTH)
    points = unproject_grid(z, depth.intrinsics, pixel_center=0.0)
    torch.testing.assert_close(points, file["mid.points"], rtol=1e-6, atol=1e-5)
    reliable = reliable_mask(z, float(file.metadata["filter_points_threshold"]))
    assert torch.equal(reliable, file["mid.reliable_mask"] > 0)
    assert torch.equal(~reliable, file["mid.boundary_mask"] > 0)


@pytest.mark.parametrize("path", ["left", "up", "zoom_out", "clockwise"])
def test_frames(file: Golden, path: str) -> None:
    warp, identity = rendered(file, path)
    expected_image = file[f"out.{path}.plain.image"].movedim(1, -1)
    expected_depth = file[f"out.{path}.plain.depth"].reshape(warp.z.shape)
    expected_mask = file[f"out.{path}.plain.mask"].reshape(warp.mask.shape) > 0
    for n in range(len(warp.mask)):
        off_mask = (warp.mask[n] != expected_mask[n]).float().mean()
        off_image = ((2 * warp.rgb[n] - 1 - expected_image[n]).abs() > 2e-3).float().mean()
        off_depth = ((warp.z[n] - expected_depth[n]).abs() > 2e-3).float().mean()
        limit = IDENTITY_SHARE if n in identity else 0.0
        assert off_mask <= limit and off_image <= limit, f"pose {n}: {off_mask=} {off_image=}"
        assert off_depth <= 2 * limit, f"pose {n}: {off_depth=}"


def test_splat_of_stored_coordinates(file: Golden) -> None:
    image, depth = view(file)
    height, width = depth.z.shape
    points = unproject_grid(depth.z, depth.intrinsics, pixel_center=0.0).reshape(-1, 3)
    w2c, intrinsics = file["cam.right.w2cs"][4:5], depth.intrinsics[None]
    pixels, z = project(points, w2c, intrinsics)
    grid = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy"), dim=-1).reshape(-1, 2)
    flow = file["out.right_nofilter.flow"].movedim(0, -1).reshape(1, -1, 2)
    assert (pixels - grid - flow).abs().max() < 1e-4
    values = (2 * image - 1).reshape(1, -1, 3)
    splat = splat_bilinear(grid + flow, z, values, torch.ones_like(z, dtype=torch.bool), height, width)
    assert torch.equal(splat.mask[0], file["out.right_nofilter.mask"][0] > 0)
    expected = file["out.right_nofilter.image"].movedim(0, -1)
    shown = torch.where(splat.mask[0][..., None], splat.values[0], -1.0)
    torch.testing.assert_close(shown, expected, rtol=0, atol=1e-4)
