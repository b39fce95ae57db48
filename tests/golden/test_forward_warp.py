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
from lyra_core.conditioning.depth_alignment import align_non_rigid, align_rigid
from lyra_core.conditioning.point_cache import PointCache
from lyra_core.conditioning.rubber_sheets import rasterize, rubber_sheets
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


def rendered(file: Golden, path: str, *, foreground: bool) -> tuple[Warp, list[int]]:
    """The selected poses of a path, and which of them are the identity."""
    image, depth = view(file)
    selected = file["cam.clockwise.selected"].tolist() if path == "clockwise" else [0, 2, 4]
    cache = Cache3D(image, depth, foreground=foreground)
    return cache.render(cameras_of(file, path, selected)), [n for n, pose in enumerate(selected) if pose == 0]


def cameras_of(file: Golden, path: str, selected: list[int]) -> Cameras:
    _, depth = view(file)
    poses = file[f"cam.{path}.w2cs"][selected]
    return Cameras(torch.linalg.inv(poses), depth.intrinsics, *reversed(depth.z.shape))


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
    warp, identity = rendered(file, path, foreground=False)
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


@pytest.mark.parametrize("path", ["left", "up", "zoom_out", "clockwise"])
def test_frames_without_what_the_foreground_may_have_hidden(file: Golden, path: str) -> None:
    warp, identity = rendered(file, path, foreground=True)
    expected_image = file[f"out.{path}.refined.image"].movedim(1, -1)
    expected_mask = file[f"out.{path}.refined.mask"].reshape(warp.mask.shape) > 0
    plain = file[f"out.{path}.plain.mask"].reshape(warp.mask.shape) > 0
    assert (plain & ~expected_mask).any()
    for n in range(len(warp.mask)):
        limit = IDENTITY_SHARE if n in identity else 0.0
        assert (warp.mask[n] != expected_mask[n]).float().mean() <= limit
        assert ((2 * warp.rgb[n] - 1 - expected_image[n]).abs() > 2e-3).float().mean() <= limit
    assert not warp.z[~warp.mask].any()


def test_rubber_sheets(file: Golden) -> None:
    """The mesh is exact; its depth too, but for triangles that are seen edge-on, where rounding decides."""
    _, depth = view(file)
    pose = file["cam.left.w2cs"][4]
    points = file["mid.points"] @ pose[:3, :3].T + pose[:3, 3]
    vertices, faces = rubber_sheets(points, file["mid.boundary_mask"] > 0)
    assert torch.equal(vertices[faces.unique()], file["mid.left4.mesh_vertices"])
    assert len(faces) == len(file["mid.left4.mesh_faces"])
    found, expected = rasterize(vertices, faces, depth.intrinsics, *depth.z.shape), file["mid.left4.mesh_z"]
    assert torch.equal(found > 0, expected > 0)
    assert ((found - expected).abs() > 1e-4).float().mean() < 0.005
    torch.testing.assert_close(found, expected, rtol=3e-3, atol=0)


def test_depth_alignment(file: Golden) -> None:
    _, depth = view(file)
    target, visible = file["in.align.target_depth"], file["in.align.target_mask"] > 0
    rigid = align_rigid(file["in.align.source_depth"], target, visible)
    torch.testing.assert_close(rigid, file["out.align.rigid"], rtol=1e-4, atol=0)
    off = (align_non_rigid(rigid, target, visible, depth.intrinsics) - file["out.align.non_rigid"]).abs()
    assert off.max() < 2e-2
    assert off.mean() < 1e-3


def test_a_second_view_joins_the_cache(file: Golden) -> None:
    image, depth = view(file)
    cache = PointCache(image, bounded_depth(depth, PUBLISHED_MAX_DEPTH), depth.intrinsics, foreground=False)
    camera = Cameras(torch.linalg.inv(file["in.align.w2c"][0]), depth.intrinsics, *reversed(depth.z.shape))
    cache.update(file["in.update.image"][0].movedim(0, -1) * 0.5 + 0.5, file["in.align.source_depth"], camera)
    warps = cache.render(cameras_of(file, "up", [2]))
    for slot, warp in enumerate(warps):
        expected = file["out.update.up2.mask"][slot].reshape(warp.mask.shape) > 0
        assert (warp.mask != expected).float().mean() <= 0.01
        shown = file["out.update.up2.image"][slot].movedim(0, -1)
        assert ((2 * warp.rgb[0] - 1 - shown).abs() > 1e-2).float().mean() <= 0.01
    assert len(warps) == 2


def test_a_full_cache_keeps_its_first_view(file: Golden) -> None:
    image, depth = view(file)
    z = bounded_depth(depth, PUBLISHED_MAX_DEPTH)
    cache = PointCache(image, z, depth.intrinsics, foreground=False)
    camera = cameras_of(file, "left", [1])[0]
    for shade in (0.25, 0.75):
        cache.update(torch.full_like(image, shade), cache.render(camera)[-1].z.clamp_min(0.5), camera)
    assert [float(source.image.max()) for source in cache.views] == [0.75, float(image.max())]
