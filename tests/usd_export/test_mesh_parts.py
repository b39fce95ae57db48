# SPDX-License-Identifier: Apache-2.0
"""Parts of a mesh as meshes of their own."""

from __future__ import annotations

import numpy as np
import trimesh

from usd_export.prims.mesh_parts import mesh_part


def test_a_whole_closed_mesh_keeps_its_vertices() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=2)
    vertices, triangles = mesh_part(np.asarray(sphere.faces, np.int32))
    assert sorted(vertices) == list(range(len(sphere.vertices)))
    np.testing.assert_array_equal(vertices[triangles], sphere.faces)


def test_fans_that_touch_in_one_vertex_are_separated() -> None:
    """Two triangles share vertex 0 and no edge: a bow tie becomes two loose triangles."""
    bow_tie = np.array([[0, 1, 2], [0, 3, 4]], np.int32)
    vertices, triangles = mesh_part(bow_tie)
    np.testing.assert_array_equal(vertices[triangles], bow_tie)
    assert len(vertices) == 6 and (vertices == 0).sum() == 2


def test_only_used_vertices_remain() -> None:
    strip = np.array([[7, 8, 9], [9, 8, 3]], np.int32)
    vertices, triangles = mesh_part(strip)
    assert sorted(vertices) == [3, 7, 8, 9]
    np.testing.assert_array_equal(vertices[triangles], strip)
