# SPDX-License-Identifier: Apache-2.0
"""What a cloud refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from usd_export.cloud import SH_C0, GaussianCloud
from usd_export.errors import UsdExportError

MakeCloud = Callable[..., GaussianCloud]


@pytest.mark.parametrize("degree", range(4))
def test_valid_clouds_pass(make_cloud: MakeCloud, degree: int) -> None:
    cloud = make_cloud(degree=degree)
    assert cloud.validate() is cloud
    assert cloud.sh_degree == degree


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("positions", np.nan, "positions with NaN"),
        ("positions", np.inf, "positions with NaN or infinite"),
        ("scales", 0.0, "not greater than 0"),
        ("scales", -1.0, "not greater than 0"),
        ("rotations", 0.0, "zero quaternions"),
        ("rotations", 1.0, "not unit"),
        ("opacities", 1.001, "outside 0..1"),
        ("opacities", -0.1, "outside 0..1"),
        ("sh", np.nan, "sh with NaN"),
    ],
)
def test_invalid_values_are_named(make_cloud: MakeCloud, name: str, value: float, message: str) -> None:
    cloud = make_cloud()
    getattr(cloud, name)[7] = value
    with pytest.raises(UsdExportError, match=rf"1 of 20 Gaussians have .*{message}.*number 7"):
        cloud.validate()


@pytest.mark.parametrize("name", ["scales", "rotations", "opacities", "sh"])
def test_counts_must_agree(make_cloud: MakeCloud, name: str) -> None:
    cloud = make_cloud()
    with pytest.raises(UsdExportError, match="20"):
        replace(cloud, **{name: getattr(cloud, name)[:-1]}).validate()


def test_an_empty_cloud_is_refused(make_cloud: MakeCloud) -> None:
    with pytest.raises(UsdExportError, match="no Gaussians"):
        make_cloud(0).validate()


def test_odd_numbers_of_harmonics_are_refused(make_cloud: MakeCloud) -> None:
    with pytest.raises(UsdExportError, match="degree 0 to 3"):
        replace(make_cloud(), sh=np.zeros((20, 5, 3), np.float32)).validate()


def test_colors_round_trip(make_cloud: MakeCloud) -> None:
    cloud = make_cloud()
    colors = np.linspace(0, 1, 60, dtype=np.float32).reshape(20, 3)
    built = GaussianCloud.from_colors(cloud.positions, cloud.scales, cloud.rotations, cloud.opacities, colors)
    np.testing.assert_allclose(built.base_colors, colors, atol=1e-6)
    np.testing.assert_allclose(built.sh[0, 0, 0], (colors[0, 0] - 0.5) / SH_C0, rtol=1e-6)
