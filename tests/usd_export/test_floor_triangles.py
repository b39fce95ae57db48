# SPDX-License-Identifier: Apache-2.0
"""Needles across a level floor become compact triangles; everything else stays."""

from __future__ import annotations

import numpy as np

from usd_export.collision.floor_triangles import compact_floor
from usd_export.collision.meshing import is_watertight

from .furnished_room import box_mesh


def slab() -> tuple[np.ndarray, np.ndarray]:
    """A closed slab whose top, at z = 0, has many corners along one side, all joined with one corner opposite."""
    count = 40
    near = np.column_stack([np.linspace(0, 4, count), np.zeros(count), np.zeros(count)])
    far = np.column_stack([np.linspace(0, 4, 9), np.full(9, 0.5), np.zeros(9)])
    rim = np.concatenate([near, far[::-1]])
    vertices = np.concatenate([rim, rim - [0, 0, 0.2]])
    size, apex = len(rim), count
    edges = [(i, (i + 1) % size) for i in range(size)]
    top = [(a, b, apex) for a, b in edges if apex not in (a, b)]
    bottom = [(b + size, a + size, apex + size) for a, b in edges if apex not in (a, b)]
    sides = [triangle for a, b in edges for triangle in ((a, a + size, b), (b, a + size, b + size))]
    return vertices, np.array(top + bottom + sides, np.int32)


def angles(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The smallest angle [T] of each triangle, degrees."""
    corners = vertices[triangles]
    ahead, back = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    cosines = (ahead * back).sum(axis=2) / np.linalg.norm(ahead, axis=2) / np.linalg.norm(back, axis=2)
    return np.degrees(np.arccos(np.clip(cosines, -1, 1))).min(axis=1)


def area(vertices: np.ndarray, triangles: np.ndarray) -> float:
    a, b, c = np.moveaxis(vertices[triangles], 1, 0)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def test_needles_become_compact_and_the_slab_stays_closed() -> None:
    vertices, triangles = slab()
    points, compact = compact_floor(vertices, triangles, 1000)
    level, still = ((mesh[0][mesh[1]][:, :, 2] == 0).all(axis=1) for mesh in ((vertices, triangles), (points, compact)))
    assert is_watertight(triangles) and is_watertight(compact)
    np.testing.assert_array_equal(points[: len(vertices)], vertices)
    np.testing.assert_allclose(area(points, compact[~still]), area(vertices, triangles[~level]))
    before, after = angles(vertices, triangles[level]), angles(points, compact[still])
    assert np.median(before) < 1.0 and np.median(after) > 5.0 and after.min() >= before.min()
    corners = points[compact[still]]
    assert np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max() <= 0.5
    normals = np.cross(*(corners[:, k] - corners[:, 0] for k in (1, 2)))
    assert (normals[:, 2] > 0).all()
    np.testing.assert_allclose(normals[:, 2].sum() / 2, 4 * 0.5)


def test_no_more_triangles_than_allowed() -> None:
    vertices, triangles = slab()
    assert len(compact_floor(vertices, triangles, len(triangles) + 3)[1]) == len(triangles) + 2
    assert len(compact_floor(vertices, triangles, len(triangles))[1]) == len(triangles)


def test_what_is_compact_stays_as_it_is() -> None:
    vertices, triangles = box_mesh([(np.array([-0.2, -0.2, -1]), np.array([0.1, 0.1, 0]))])
    for before, after in zip((vertices, triangles), compact_floor(vertices, triangles, 100), strict=True):
        np.testing.assert_array_equal(after, before)
