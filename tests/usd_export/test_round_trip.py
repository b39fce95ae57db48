# SPDX-License-Identifier: Apache-2.0
"""PLY to another format and back to PLY, to the precision that the format states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from usd_export.cloud import GaussianCloud
from usd_export.formats.compressed_ply import chunk_order, write_compressed_ply
from usd_export.formats.ply import read_ply, write_ply
from usd_export.formats.spz import write_spz
from usd_export.frame import Frame
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]
Write = Callable[[Path, GaussianCloud, Frame], object]


@dataclass(frozen=True)
class Format:
    """A format, and how far values may move: absolutely; logarithms of scales; angles of rotations."""

    name: str
    write: Write
    positions: float = 0.0
    log_scales: float = 2e-6
    rotations: float = 1e-6
    opacities: float = 2e-6
    base: float = 0.0
    harmonics: float = 0.0
    order: Callable[[GaussianCloud], object] = lambda cloud: slice(None)


# Opacities and scales pass through logit and logarithm in float32 on the way to PLY: 2e-6; rotations are normalised.
# Everything else of a float format is exact.
FORMATS = [
    Format("s.ply", lambda path, cloud, frame: write_ply(path, cloud)),
    Format("s.usdz", write_scene),
    Format("folder", write_scene),
    Format(
        "nurec.usdz",
        lambda path, cloud, frame: write_scene(path, cloud, frame, encoding="nurec"),
        positions=2**-10 / 2.5,  # half a step of float16 from 2 to 4 m; a unit of `frame` is 2.5 m
        log_scales=2**-10 + 2e-6,
        rotations=4 * 2**-12,
        opacities=2**-12,
        base=2**-12,
        harmonics=2**-12,
    ),
    Format(
        "s.spz",
        lambda path, cloud, frame: write_spz(path, cloud),
        positions=0.5001 / 4096,
        log_scales=0.5001 / 16,
        rotations=5e-3,
        opacities=0.5001 / 255,
        base=0.5001 / 255 / 0.15,
        harmonics=1 / 16 + 1e-6,
    ),
    Format(
        "s.compressed.ply",
        lambda path, cloud, frame: write_compressed_ply(path, cloud),
        positions=0.5001 * 2 / 1023,  # all ranges are 2 and there is one chunk
        log_scales=0.5001 * 2 / 1023,
        rotations=8e-3,
        opacities=0.5001 / 255,
        base=0.5001 * 2 / 255,
        harmonics=1 / 64 + 1e-6,
        order=chunk_order,
    ),
]


def bounded(cloud: GaussianCloud) -> GaussianCloud:
    """Values within what every format can hold, with ranges of at most 2."""
    cloud.positions[:] = np.clip(cloud.positions, -1, 1)
    cloud.scales[:] = np.exp(np.clip(np.log(cloud.scales), -3.5, -1.5))
    cloud.sh[:] = np.clip(cloud.sh, -1, 1)
    return cloud


@pytest.mark.parametrize("target", FORMATS, ids=lambda target: target.name)
@pytest.mark.parametrize("degree", range(4))
def test_ply_survives(make_cloud: MakeCloud, frame: Frame, tmp_path: Path, degree: int, target: Format) -> None:
    write_ply(tmp_path / "before.ply", bounded(make_cloud(200, degree, seed=degree)))
    before = read_ply(tmp_path / "before.ply")
    target.write(tmp_path / target.name, before, frame)
    write_ply(tmp_path / "after.ply", open_scene(tmp_path / target.name)[0])
    after, order = read_ply(tmp_path / "after.ply"), target.order(before)
    np.testing.assert_allclose(after.positions, before.positions[order], rtol=0, atol=target.positions)
    logs = np.log(before.scales[order].astype(np.float64))
    np.testing.assert_allclose(np.log(after.scales.astype(np.float64)), logs, rtol=0, atol=target.log_scales)
    np.testing.assert_allclose(after.opacities, before.opacities[order], rtol=0, atol=target.opacities)
    np.testing.assert_allclose(after.sh[:, 0], before.sh[order, 0], rtol=0, atol=target.base)
    higher = np.zeros_like(after.sh[:, 1:])  # NuRec always has degree 3
    higher[:, : before.sh.shape[1] - 1] = before.sh[order, 1:]
    np.testing.assert_allclose(after.sh[:, 1:], higher, rtol=0, atol=target.harmonics)
    assert angles(after.rotations, before.rotations[order]).max() <= target.rotations


def angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Small angles [N] between rotations as quaternions [N, 4] of either sign."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return 2 * np.minimum(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1))
