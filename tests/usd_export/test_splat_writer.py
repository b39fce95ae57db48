# SPDX-License-Identifier: Apache-2.0
"""Splat formats by suffix: world coordinates, the record, and the axes of each format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from usd_export.cloud import GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.formats.compressed_ply import chunk_order
from usd_export.formats.splat_writer import splat_format, write_splats
from usd_export.formats.spz import read_spz
from usd_export.frame import Frame
from usd_export.provenance import SceneRecord
from usd_export.scene_reader import open_scene
from usd_export.spherical_harmonics import sh_basis

MakeCloud = Callable[..., GaussianCloud]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.ply", "ply"),
        ("a.b.PLY", "ply"),
        ("a.compressed.ply", "compressed ply"),
        ("A.Compressed.Ply", "compressed ply"),
        ("a.spz", "spz"),
        ("compressed.ply", "ply"),
        ("a.usdz", None),
        ("folder/ply", None),
    ],
)
def test_formats_by_name(name: str, kind: str | None) -> None:
    assert splat_format(name) == kind


@pytest.mark.parametrize("name", ["s.ply", "s.compressed.ply"])
def test_plys_are_in_the_world_and_say_so(make_cloud: MakeCloud, frame: Frame, tmp_path: Path, name: str) -> None:
    cloud = make_cloud(30)
    write_splats(tmp_path / name, cloud, SceneRecord(frame, {"seed": 7}))
    again, record, _ = open_scene(tmp_path / name)
    world = frame.apply(cloud.positions)
    order = slice(None) if name == "s.ply" else chunk_order(GaussianCloud(world.astype(np.float32), *[cloud.sh] * 4))
    np.testing.assert_allclose(again.positions, world[order], atol=1e-2)
    np.testing.assert_array_equal(record.frame.matrix, np.eye(4))
    assert record.frame.metric
    assert record.provenance == {"seed": 7}


def test_spz_is_upright_in_its_own_axes(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    """World x, y, z (Z-up) becomes x, z, -y in the file (right, up, back); read_spz gives OpenCV axes x, -z, y."""
    cloud = make_cloud(30, degree=3)
    cloud.sh[:, 1:] *= 0.3
    write_splats(tmp_path / "s.spz", cloud, SceneRecord(frame))
    again = read_spz(tmp_path / "s.spz")
    x, y, z = frame.apply(cloud.positions).T
    np.testing.assert_allclose(again.positions, np.stack([x, -z, y], axis=1), atol=2e-4)
    np.testing.assert_allclose(np.log(again.scales), np.log(cloud.scales * frame.scale), atol=0.51 / 16)
    directions = np.random.default_rng(0).normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    before = sh_basis(directions, 3)[:, 1:] @ cloud.sh[:, 1:].astype(np.float64)
    x, y, z = frame.rotation @ directions.T
    after = sh_basis(np.stack([x, -z, y], axis=1), 3)[:, 1:] @ again.sh[:, 1:].astype(np.float64)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.98  # steps of 1/16 and 1/8


def test_other_suffixes_are_refused(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    with pytest.raises(UsdExportError, match=r"names no splat format; use \.compressed\.ply, \.ply, \.spz"):
        write_splats(tmp_path / "s.usdz", make_cloud(), SceneRecord(frame))
