# SPDX-License-Identifier: Apache-2.0
"""Tiny scenes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh, ColliderReport
from usd_export.errors import UsdExportError
from usd_export.frame import Frame

MakeCloud = Callable[..., GaussianCloud]


@pytest.fixture(scope="session")
def make_cloud() -> MakeCloud:
    """Random valid Gaussians by count, degree and seed."""

    def make(count: int = 20, degree: int = 0, seed: int = 0) -> GaussianCloud:
        random = np.random.default_rng(seed)
        rotations = random.normal(size=(count, 4))
        arrays = (
            random.normal(size=(count, 3)),
            np.exp(random.uniform(-5, -1, size=(count, 3))),
            rotations / np.linalg.norm(rotations, axis=1, keepdims=True),
            random.uniform(0, 1, size=count),
            random.normal(size=(count, (degree + 1) ** 2, 3)),
        )
        return GaussianCloud(*(array.astype(np.float32) for array in arrays))

    return make


@pytest.fixture(scope="session")
def frame() -> Frame:
    """A frame whose rotation is not symmetric, so that a transposed matrix shows."""
    a, b = 0.7, -0.4
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = 2.5 * about_z @ about_x
    matrix[:3, 3] = [0.3, -1.2, 1.6]
    return Frame(matrix, "measured", "floor", "plane", metric=True)


@pytest.fixture(scope="session")
def collider() -> ColliderMesh:
    """A tetrahedron around the origin."""
    vertices = np.array([[-1, -1, -1], [2, -1, -1], [-1, 2, -1], [-1, -1, 2]], np.float32)
    triangles = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
    return ColliderMesh(vertices, triangles, ColliderReport(1.5, 0.5, 4, True, 0.05, ("a note",)))


@pytest.fixture
def peak_bytes() -> Callable[[Callable[[], object]], int]:
    """Most memory that a call holds at once, as Python and NumPy ask for it; its errors are left aside."""

    def measure(call: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            call()
        except UsdExportError:
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak

    return measure
