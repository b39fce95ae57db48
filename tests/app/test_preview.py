# SPDX-License-Identifier: Apache-2.0
"""The mesh rasteriser behind the collider picture, and the colours of depth."""

from __future__ import annotations

import numpy as np

from lyra_core.app.mesh_view import view_mesh
from lyra_core.app.preview import depth_colors

INTRINSICS = np.array([20.0, 20.0, 16.0, 12.0])


def square(z: float, size: float) -> np.ndarray:
    return np.array([[-size, -size, z], [size, -size, z], [size, size, z], [-size, size, z]])


def test_near_triangles_hide_far_ones() -> None:
    vertices = np.concatenate([square(4.0, 9.0), square(2.0, 0.3)])
    triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    view = view_mesh(vertices, triangles, np.eye(4), INTRINSICS, (24, 32))
    assert (view.triangle >= 0).all()
    near = view.triangle >= 2
    assert near[9:15, 13:19].all() and near.sum() == 36  # 2 * 0.3 / 2 * 20 = 6 pixels a side
    assert np.allclose(view.depth[near], 2) and np.allclose(view.depth[~near], 4)


def test_depth_is_perspectively_correct_on_a_floor_that_passes_under_the_camera() -> None:
    """The plane y = 1 reaches behind the camera; below the horizon every pixel must see it at z = f / (v - cy)."""
    floor = np.array([[-50.0, 1, -5], [50, 1, -5], [50, 1, 400], [-50, 1, 400]])
    view = view_mesh(floor, np.array([[0, 1, 2], [0, 2, 3]]), np.eye(4), INTRINSICS, (24, 32))
    rows = np.arange(13, 24)
    assert (view.triangle[:12] == -1).all() and (view.triangle[13:] >= 0).all()
    assert np.allclose(view.depth[13:, 7], 20 / (rows + 0.5 - 12), rtol=1e-9)


def test_edges_are_found_where_triangles_end() -> None:
    view = view_mesh(square(2.0, 1.0), np.array([[0, 1, 2], [0, 2, 3]]), np.eye(4), INTRINSICS, (24, 32))
    assert view.edge[12, 6] < 1 and view.edge[12, 9] > 1
    assert np.isinf(view.edge[0, 0])


def test_near_is_bright_and_nothing_is_black() -> None:
    colors = depth_colors(np.array([[1.0, 2.0, 4.0, 0.0]], np.float32)).sum(-1)[0]
    assert colors[0] > colors[1] > colors[2] >= colors[3] == 0
