# SPDX-License-Identifier: Apache-2.0
"""The PLY that the published exporter writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from plyfile import PlyData

from lyra_core.decoder import rows_to_gaussians
from usd_export.cloud import GaussianCloud
from usd_export.formats.ply import read_ply, write_ply

ACTIVATED = {"positions": 1e-6, "scales": 1e-6, "rotations": 1e-6, "opacities": 2e-6, "sh": 4e-6}


def expected_cloud(golden: Callable[[str], Any]) -> GaussianCloud:
    return rows_to_gaussians(golden("ply_tiny_input")["in.gaussians"][0]).to_cloud()


def test_read(golden: Callable[[str], Any], golden_path: Callable[[str], Path]) -> None:
    cloud, expected = read_ply(golden_path("ply_tiny.ply")), expected_cloud(golden)
    for name, tolerance in ACTIVATED.items():
        np.testing.assert_allclose(getattr(cloud, name), getattr(expected, name), atol=tolerance, err_msg=name)


def test_write(golden: Callable[[str], Any], golden_path: Callable[[str], Path], tmp_path: Path) -> None:
    """Every property of the published file, value by value."""
    published = PlyData.read(golden_path("ply_tiny.ply"))["vertex"]
    write_ply(tmp_path / "scene.ply", expected_cloud(golden))
    written = PlyData.read(tmp_path / "scene.ply")["vertex"]
    for name in published.data.dtype.names:
        np.testing.assert_allclose(written[name], published[name], atol=1e-6, err_msg=name)
