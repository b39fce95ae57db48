# SPDX-License-Identifier: Apache-2.0
"""Cutting some triangles out of a mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def mesh_part(triangles: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Triangles [T, 3] of a larger mesh as a mesh of their own.

    Where parts of the selection touch in one vertex only, each gets a copy of it: a vertex whose triangles do not form
    one fan is not manifold.

    Returns:
        The old index of each new vertex [V], and the triangles [T, 3] in new indices.
    """
    corners = np.arange(triangles.size).reshape(-1, 3)
    starts, ends = corners, np.roll(corners, -1, axis=1)
    first, second = triangles.ravel()[starts.ravel()], triangles.ravel()[ends.ravel()]
    swapped = first > second
    low, high = (np.where(swapped, *pair) for pair in ((ends.ravel(), starts.ravel()), (starts.ravel(), ends.ravel())))
    edges = np.stack((np.minimum(first, second), np.maximum(first, second)))
    order = np.lexsort(edges)
    shared = (edges[:, order[1:]] == edges[:, order[:-1]]).all(axis=0)
    one, other = order[1:][shared], order[:-1][shared]
    rows, columns = np.concatenate((low[one], high[one])), np.concatenate((low[other], high[other]))
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(triangles.size,) * 2)
    count, fans = connected_components(graph, directed=False)
    vertices = np.empty(count, np.int64)
    vertices[fans] = triangles.ravel()
    return vertices, fans.reshape(-1, 3).astype(np.int32)
