# SPDX-License-Identifier: Apache-2.0
"""Which Gaussians move together, where nobody says so."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud

MIN_SIZE = 30
"""Gaussians of a cluster; what moves with fewer is in none."""
MAX_CLUSTERS = 64

_NEIGHBOURS = 8
_REACH = 3.0  # of the median distance to the eighth neighbour: farther ones are no neighbours
_STRETCH = 0.1  # of that reach, by which the distance of neighbours in a rigid part may change


def find_clusters(clouds: Iterable[GaussianCloud]) -> NDArray[np.int64]:
    """Rigid clusters by the neighbours that keep their distance at every instant.

    The parts that such neighbours connect are clusters; the largest come first. Parts that touch and move alike are
    one, and a bend that is no sharper than the tolerance does not part them: `RigidFit` says how rigid they are.

    Args:
        clouds: The same N valid Gaussians at one instant after the other.

    Returns:
        Cluster [N] of each Gaussian, -1 for none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    clouds = iter(clouds)
    start = next(clouds).positions.astype(np.float64)
    count = len(start)
    nearest = min(_NEIGHBOURS, count - 1)
    if nearest < 1:
        return np.full(count, -1)
    distances, others = cKDTree(start).query(start, nearest + 1)
    reach = _REACH * float(np.median(distances[:, -1]))
    first, second = np.repeat(np.arange(count), nearest), others[:, 1:].ravel()
    kept = distances[:, 1:].ravel() <= reach
    first, second, length = first[kept], second[kept], distances[:, 1:].ravel()[kept]
    for cloud in clouds:
        steps = cloud.positions[first].astype(np.float64) - cloud.positions[second]
        kept = np.abs(np.sqrt((steps**2).sum(axis=1)) - length) <= _STRETCH * reach
        first, second, length = first[kept], second[kept], length[kept]
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    sizes = np.bincount(labels)
    ranked = np.argsort(-sizes, kind="stable")[:MAX_CLUSTERS]
    numbers = np.full(len(sizes), -1)
    large = ranked[sizes[ranked] >= MIN_SIZE]
    numbers[large] = np.arange(len(large))
    return numbers[labels]
