# SPDX-License-Identifier: Apache-2.0
"""Cameras: conventions, indexing, refusals."""

from __future__ import annotations

import math

import pytest
import torch

from lyra_core.cameras import Cameras, intrinsics_from_fov, look_at, plucker
from lyra_core.errors import LyraError
from lyra_core.trajectories import DISTANCE_RANGES, PUBLISHED_VIEW_ORDER, lyra_cameras, trajectory


@pytest.fixture
def cameras() -> Cameras:
    """Cameras `[2, 3]` that share their intrinsics."""
    eyes = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    return Cameras(look_at(eyes, (0.0, 0.0, 5.0), (0.0, 0.0, 1.0)), intrinsics_from_fov(1.1, 20, 12), 20, 12)


def test_rays_project_back_to_pixel_centres(cameras: Cameras) -> None:
    origins, directions = cameras.rays()
    points = origins + 2.5 * directions
    w2c = cameras.w2c[..., None, None, :3, :]
    local = (w2c[..., :3] @ points[..., None])[..., 0] + w2c[..., 3]
    pixels = local[..., :2] / local[..., 2:] * cameras.intrinsics[..., None, None, :2]
    pixels = pixels + cameras.intrinsics[..., None, None, 2:]
    grid = torch.stack(torch.meshgrid(torch.arange(20) + 0.5, torch.arange(12) + 0.5, indexing="xy"), dim=-1)
    torch.testing.assert_close(pixels, grid.expand_as(pixels), atol=2e-4, rtol=0)
    torch.testing.assert_close(points.sub(origins).norm(dim=-1), torch.full((2, 3, 12, 20), 2.5))


def test_plucker_moments_are_orthogonal_to_directions(cameras: Cameras) -> None:
    moment, direction = plucker(cameras).split(3, dim=-3)
    assert moment.shape == (2, 3, 3, 12, 20)
    assert (moment * direction).sum(-3).abs().max() < 1e-5


def test_look_at_follows_the_opencv_axes() -> None:
    pose = look_at((0.0, -4.0, 1.0), (0.0, 0.0, 1.0), (0.0, 0.0, 1.0))
    torch.testing.assert_close(pose[:3, 0], torch.tensor((1.0, 0.0, 0.0)))
    torch.testing.assert_close(pose[:3, 1], torch.tensor((0.0, 0.0, -1.0)))
    torch.testing.assert_close(pose[:3, 2], torch.tensor((0.0, 1.0, 0.0)))
    assert torch.linalg.det(pose) == pytest.approx(1.0)


def test_resizing_keeps_the_field_of_view(cameras: Cameras) -> None:
    small = cameras.resized(6, 10)
    assert (small.width, small.height) == (10, 6)
    _, coarse = small.rays()
    _, fine = cameras.rays()
    middle = torch.nn.functional.normalize(fine[..., 0:2, 0:2, :].mean(dim=(-3, -2)), dim=-1)
    torch.testing.assert_close(coarse[..., 0, 0, :], middle, atol=1e-3, rtol=0)


def test_batch_dimensions_index_like_a_tensor(cameras: Cameras) -> None:
    assert len(cameras) == 2
    assert cameras[1].shape == (3,)
    assert cameras[..., ::2].shape == (2, 2)
    assert cameras[:, None].shape == (2, 1, 3)
    assert torch.equal(cameras[0, 2].c2w, cameras.c2w[0, 2])
    assert cameras.reshape(6).shape == (6,)
    assert Cameras.stack([cameras[0], cameras[1]], dim=1).shape == (3, 2)
    assert Cameras.cat([cameras, cameras], dim=1).shape == (2, 6)
    moved = cameras.transformed(cameras.w2c)
    torch.testing.assert_close(moved.c2w, torch.eye(4).expand(2, 3, 4, 4), atol=1e-5, rtol=0)


def test_refusals(cameras: Cameras) -> None:
    with pytest.raises(LyraError, match=r"\[\.\.\., 4, 4\]"):
        Cameras(torch.eye(3), torch.ones(4), 4, 4)
    with pytest.raises(LyraError, match="image size"):
        Cameras(torch.eye(4), torch.ones(4), 0, 4)
    with pytest.raises(LyraError, match="one image size"):
        Cameras.cat([cameras, cameras.resized(6, 10)])
    with pytest.raises(LyraError, match="no length"):
        len(cameras[0, 0])
    with pytest.raises(LyraError, match="field of view"):
        intrinsics_from_fov(math.pi, 4, 4)
    with pytest.raises(LyraError, match="sideways"):
        trajectory("sideways", 5, distance=0.2)
    with pytest.raises(LyraError, match="rotation"):
        trajectory("left", 5, distance=0.2, rotation="upwards")


def test_paths_start_at_the_input_camera_and_draw_from_the_generator() -> None:
    intrinsics = intrinsics_from_fov(1.2, 32, 16)
    middle = lyra_cameras(intrinsics, 32, 16, frames=9)
    assert middle.shape == (6, 9)
    torch.testing.assert_close(middle.c2w[:, 0], torch.eye(4).expand(6, 4, 4))
    drawn = [lyra_cameras(intrinsics, 32, 16, generator=torch.Generator().manual_seed(s)).c2w for s in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_movement_scales_each_path() -> None:
    intrinsics = intrinsics_from_fov(1.2, 32, 16)
    cameras = lyra_cameras(intrinsics, 32, 16, frames=4, movement={"zoom_in": 2.0})
    ends = dict(zip(PUBLISHED_VIEW_ORDER, cameras.c2w[:, -1, :3, 3], strict=True))
    assert ends["zoom_in"][2] == pytest.approx(2 * sum(DISTANCE_RANGES["zoom_in"]) / 2 * 3 / 4)
    assert ends["zoom_out"][2] == pytest.approx(-sum(DISTANCE_RANGES["zoom_out"]) / 2 * 3 / 4)
