# SPDX-License-Identifier: Apache-2.0
"""Particle fields against the files of NVIDIA's converters, and the known faults of those files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd

from usd_export.cloud import GaussianCloud
from usd_export.formats.ply import read_ply
from usd_export.frame import Frame
from usd_export.layout import GAUSSIANS
from usd_export.rules.validation import check
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene

FindGolden = Callable[[str], Path]
ARRAYS = {
    "positions": 0.0,
    "orientations": 1e-6,
    "scales": 1e-6,
    "opacities": 1e-6,
    "radiance:sphericalHarmonicsCoefficients": 0.0,
}


def particle_field(stage: Usd.Stage) -> Usd.Prim:
    return next(prim for prim in stage.Traverse() if prim.GetTypeName() == "ParticleField3DGaussianSplat")


@pytest.mark.parametrize(
    ("ply", "published"),
    [
        ("nurec_tiny.ply", "particlefield_tiny.usdz"),
        ("nurec_tiny.ply", "particlefield_tiny.usda"),
        ("nurec_tiny.ply", "particlefield_tiny_usdconvertgsplat.usdc"),
        ("nurec_tiny_sh0.ply", "particlefield_tiny_sh0.usdz"),
    ],
)
def test_arrays_equal_the_published_ones(golden_path: FindGolden, tmp_path: Path, ply: str, published: str) -> None:
    write_scene(tmp_path / "scene.usdz", read_ply(golden_path(ply)), Frame.identity())
    our_stage, their_stage = (Usd.Stage.Open(str(path)) for path in (tmp_path / "scene.usdz", golden_path(published)))
    ours, theirs = our_stage.GetPrimAtPath(GAUSSIANS), particle_field(their_stage)
    for name, tolerance in ARRAYS.items():
        expected, found = theirs.GetAttribute(name), ours.GetAttribute(name)
        assert found.GetTypeName() == expected.GetTypeName()
        values = (np.array(attribute.Get()) for attribute in (found, expected))
        np.testing.assert_allclose(*values, rtol=0, atol=tolerance, err_msg=name)
    degree = "radiance:sphericalHarmonicsDegree"
    assert ours.GetAttribute(degree).Get() == theirs.GetAttribute(degree).Get()


def largest_difference(first: GaussianCloud, second: GaussianCloud) -> float:
    names = ("positions", "scales", "rotations", "opacities", "sh")
    return max(float(np.abs(getattr(first, name) - getattr(second, name)).max()) for name in names)


def test_published_files_can_be_read(golden_path: FindGolden) -> None:
    expected = read_ply(golden_path("nurec_tiny.ply"))
    assert largest_difference(open_scene(golden_path("particlefield_tiny.usdz"))[0], expected) < 1e-6


def test_half_precision_is_read(golden_path: FindGolden) -> None:
    expected = read_ply(golden_path("nurec_tiny.ply"))
    cloud, _, _ = open_scene(golden_path("particlefield_tiny_half.usdz"))
    np.testing.assert_allclose(cloud.positions, expected.positions, rtol=2**-11, atol=1e-7)
    np.testing.assert_allclose(cloud.sh, expected.sh, rtol=2**-11, atol=1e-7)


def test_partitions_are_merged(golden_path: FindGolden) -> None:
    expected = read_ply(golden_path("nurec_tiny.ply")).positions
    merged = open_scene(golden_path("particlefield_tiny_parts.usdz"))[0].positions
    np.testing.assert_array_equal(np.sort(merged[:, 0]), np.sort(expected[:, 0]))


def test_y_up_becomes_z_up(golden_path: FindGolden) -> None:
    cloud, record, _ = open_scene(golden_path("particlefield_tiny.usdz"))
    x, y, z = cloud.positions.T
    np.testing.assert_allclose(record.frame.apply(cloud.positions), np.stack([x, -z, y], axis=1), atol=1e-7)


def rules(path: Path) -> set[str]:
    return {finding.rule for finding in check(path) if finding.severity == "error"}


def test_known_faults_are_found(golden_path: FindGolden) -> None:
    assert rules(golden_path("particlefield_tiny.usdz")) == {"nvidia:GaussianSplatSchemaChecker"}
    half = rules(golden_path("particlefield_tiny_half.usdz"))
    assert half == {"nvidia:GaussianSplatSchemaChecker", "lyra:precision"}
    misaligned = rules(golden_path("nurec_tiny_mesh.usdz"))
    assert {"usd:ByteMisalignment", "usd:UnsupportedFileExtensionInPackage", "lyra:collider"} <= misaligned
    for name in ("nurec_tiny_sh0.usdz", "nurec_two_volumes.usdz"):
        assert "lyra:nurec-harmonics" in rules(golden_path(name))
    for name in ("nurec_tiny.usdz", "nurec_tiny_coordtf.usdz"):
        assert check(golden_path(name)) == []
    assert rules(golden_path("particlefield_tiny_usdconvertgsplat.usdc")) == set()
