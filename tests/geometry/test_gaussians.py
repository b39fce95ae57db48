# SPDX-License-Identifier: Apache-2.0
"""Gaussians: selection, similarity transforms, conversion."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lyra_core.errors import LyraError
from lyra_core.gaussians import Gaussians
from lyra_core.rotations import matrix_to_quaternion, quaternion_multiply, quaternion_to_matrix


def random_gaussians(count: int = 40, coefficients: int | None = None) -> Gaussians:
    generator = torch.Generator().manual_seed(count)
    shape = (count, 3) if coefficients is None else (count, coefficients, 3)
    return Gaussians(
        means=torch.randn(count, 3, generator=generator),
        scales=torch.rand(count, 3, generator=generator) + 0.01,
        quats=functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
        opacities=torch.rand(count, generator=generator),
        colors=torch.rand(shape, generator=generator) * 0.3,
    )


def similarity() -> torch.Tensor:
    matrix = torch.eye(4)
    matrix[:3, :3] = 1.7 * quaternion_to_matrix(functional.normalize(torch.tensor((0.3, -0.5, 0.2, 0.7)), dim=0))
    matrix[:3, 3] = torch.tensor((0.5, -2.0, 1.0))
    return matrix


def covariances(gaussians: Gaussians) -> torch.Tensor:
    axes = quaternion_to_matrix(gaussians.quats) * gaussians.scales[:, None]
    return axes @ axes.mT


def test_quaternions_and_matrices_agree() -> None:
    a, b = random_gaussians(50).quats, random_gaussians(50).quats.flip(0)
    torch.testing.assert_close(
        quaternion_to_matrix(quaternion_multiply(a, b)), quaternion_to_matrix(a) @ quaternion_to_matrix(b)
    )
    back = matrix_to_quaternion(quaternion_to_matrix(a))
    torch.testing.assert_close(back * (back * a).sum(-1, keepdim=True).sign(), a, atol=1e-5, rtol=0)
    half_turns = torch.diag_embed(torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1]]))
    torch.testing.assert_close(quaternion_to_matrix(matrix_to_quaternion(half_turns)), half_turns)


def test_transform_moves_points_and_covariances() -> None:
    gaussians, matrix = random_gaussians(), similarity()
    moved = gaussians.transformed(matrix)
    torch.testing.assert_close(moved.means, gaussians.means @ matrix[:3, :3].T + matrix[:3, 3])
    turn = matrix[:3, :3]
    torch.testing.assert_close(covariances(moved), turn @ covariances(gaussians) @ turn.T, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_harmonics_turn_with_the_scene(coefficients: int) -> None:
    gaussians, matrix = random_gaussians(coefficients=coefficients), similarity()
    eye = torch.tensor((0.1, 0.2, -3.0))
    moved_eye = matrix[:3, :3] @ eye + matrix[:3, 3]
    colors = gaussians.transformed(matrix).view_colors(moved_eye)
    torch.testing.assert_close(colors, gaussians.view_colors(eye), atol=1e-5, rtol=0)


def test_shear_and_mirror_are_refused() -> None:
    for diagonal in ((1.0, 1.0, 2.0), (1.0, 1.0, -1.0)):
        with pytest.raises(LyraError, match="uniformly"):
            random_gaussians().transformed(torch.diag(torch.tensor((*diagonal, 1.0))))


def test_pruning_keeps_the_most_opaque() -> None:
    gaussians = random_gaussians(100)
    kept = gaussians.prune(0.8)
    assert len(kept) == 19
    torch.testing.assert_close(kept.opacities, gaussians.opacities.sort(descending=True).values[:19])
    assert len(gaussians.prune(0.5, max_count=7)) == 7
    assert torch.equal(gaussians.prune(max_count=100).means, gaussians.means)


def test_crop_and_selection() -> None:
    gaussians = random_gaussians(100)
    low, high = torch.tensor((-0.5, -1.0, 0.0)), torch.tensor((0.5, 1.0, 2.0))
    cropped = gaussians.crop(low, high)
    assert 0 < len(cropped) < 100
    assert ((cropped.means >= low) & (cropped.means <= high)).all()
    assert len(Gaussians.cat([gaussians[:3], gaussians[gaussians.opacities > 2]])) == 3


@pytest.mark.parametrize("coefficients", [None, 4, 16])
def test_cloud_round_trip(coefficients: int | None) -> None:
    gaussians = random_gaussians(coefficients=coefficients)
    cloud = gaussians.to_cloud()
    assert cloud.sh.shape == (40, coefficients or 1, 3)
    back = Gaussians.from_cloud(cloud)
    for name in ("means", "scales", "quats", "opacities", "colors"):
        torch.testing.assert_close(getattr(back, name), getattr(gaussians, name), atol=1e-6, rtol=0)


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LyraError, match="Gaussians need"):
        Gaussians(torch.zeros(3, 3), torch.ones(2, 3), torch.ones(3, 4), torch.ones(3), torch.ones(3, 3))
    with pytest.raises(LyraError, match="coefficients"):
        Gaussians(torch.zeros(3, 3), torch.ones(3, 3), torch.ones(3, 4), torch.ones(3), torch.ones(3, 5, 3))
