# SPDX-License-Identifier: Apache-2.0
"""What the browser gets: shapes of the Gaussians, levels of detail, points under the mouse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lyra_core.app.viewer.content import Content
from lyra_core.app.viewer.detail import DetailLevels
from lyra_core.app.viewer.splats import browser_splats, depth_colors, pick
from usd_export.cloud import GaussianCloud


@pytest.fixture(scope="module")
def cloud(content: Content) -> GaussianCloud:
    return content.world_cloud


def test_covariances_have_the_scales_as_axes_turned_by_the_rotations(cloud: GaussianCloud) -> None:
    covariances = browser_splats(cloud)["covariances"]
    turns = Rotation.from_quat(cloud.rotations[:, [1, 2, 3, 0]]).as_matrix()
    expected = np.einsum("nij,nj,nkj->nik", turns, cloud.scales.astype(np.float64) ** 2, turns)
    np.testing.assert_allclose(covariances, expected, rtol=1e-4, atol=1e-6 * float(cloud.scales.max()) ** 2)


def test_near_is_warm_and_far_is_cold() -> None:
    colors = depth_colors(np.array([[0, 0, z] for z in (1.0, 2.0, 4.0, 8.0)]), np.zeros(3))
    assert colors[0].argmax() == 0
    assert colors[-1].argmax() == 2
    assert len(np.unique(colors, axis=0)) == 4


def test_a_scene_within_the_budget_is_sent_as_it_is(cloud: GaussianCloud) -> None:
    levels = DetailLevels(cloud, len(cloud))
    assert levels.complete
    assert len(levels) == 1
    assert len(levels.thinned[0]) == len(cloud)
    assert levels.near(np.zeros(3)) == set()


def test_a_larger_scene_stays_within_the_budget_wherever_the_camera_is(cloud: GaussianCloud) -> None:
    budget = len(cloud) // 4
    levels = DetailLevels(cloud, budget)
    assert sum(len(levels.full(box)) for box in range(len(levels))) == len(cloud)
    for eye in (cloud.positions.min(0), cloud.positions.mean(0), cloud.positions.max(0)):
        near = levels.near(eye)
        sent = sum(len(levels.full(box) if box in near else levels.thinned[box]) for box in range(len(levels)))
        assert 0 < len(near) < len(levels)
        assert sent <= budget + len(levels)  # every box keeps one Gaussian at least


def test_the_boxes_around_the_camera_are_in_full(cloud: GaussianCloud) -> None:
    levels = DetailLevels(cloud, len(cloud) // 4)
    middles = np.stack([levels.full(box).positions.mean(0) for box in range(len(levels))])
    for box in (0, len(levels) - 1):
        assert box in levels.near(middles[box])


def _ball(z: float, opacity: float) -> GaussianCloud:
    return GaussianCloud(
        positions=np.array([[0, 0, z]], np.float32), scales=np.full((1, 3), 0.1, np.float32),
        rotations=np.array([[1, 0, 0, 0]], np.float32), opacities=np.array([opacity], np.float32),
        sh=np.zeros((1, 1, 3), np.float32),
    )  # fmt: skip


def _together(*clouds: GaussianCloud) -> GaussianCloud:
    return GaussianCloud(
        **{name: np.concatenate([getattr(cloud, name) for cloud in clouds]) for name in vars(clouds[0])}
    )


def test_the_mouse_hits_the_nearest_solid_gaussian() -> None:
    cloud = _together(_ball(5.0, 0.9), _ball(3.0, 0.9), _ball(1.0, 0.05), _ball(-2.0, 0.9))
    point = pick(cloud, np.array([0.05, 0, 0]), np.array([0, 0, 2.0]))
    assert point is not None
    np.testing.assert_allclose(point, [0.05, 0, 3.0], atol=1e-6)
    assert pick(cloud, np.array([1.0, 0, 0]), np.array([0, 0, 1.0])) is None
