# SPDX-License-Identifier: Apache-2.0
"""The rigid motion that comes nearest to that of a cluster of Gaussians."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud

Array = NDArray[np.float64]

_TIE = 1e-6  # weight of the rotation before, relative to the size of the cluster: decides where the points do not


@dataclass(frozen=True)
class RigidFit:
    """Motion of C clusters over T instants, in scene units.

    Attributes:
        members: Indices of the Gaussians of each cluster.
        centers: Mean position [T, C, 3].
        rotations: Unit quaternions [T, C, 4], w first, from the first instant; signs follow the instant before.
        rms: Root mean square distance [C] of the rigid from the true positions, over all Gaussians and instants.
        largest: Largest such distance [C].
    """

    members: tuple[NDArray[np.int64], ...]
    centers: Array
    rotations: Array
    rms: Array
    largest: Array


def fit_rigid(instants: Iterable[GaussianCloud], clusters: NDArray[np.integer]) -> RigidFit:
    """Fit a rotation and a translation per cluster and instant by least squares over the positions.

    The problem is Kabsch's (1976); Horn's solution (1987), the dominant eigenvector of a symmetric matrix [4, 4], gives
    the quaternion itself and never a mirror image. Where points leave a rotation open, as those of a line do, it stays
    what it was at the instant before.

    Args:
        instants: Clouds of N Gaussians, one after the other.
        clusters: Cluster [N] of each; negative for none.
    """
    members = tuple(np.flatnonzero(clusters == number) for number in np.unique(clusters[clusters >= 0]))
    centers, rotations = [], []
    start: list[Array] = []
    squares, largest = np.zeros(len(members)), np.zeros(len(members))
    turn = np.tile([1.0, 0, 0, 0], (len(members), 1))
    for cloud in instants:
        points = [cloud.positions[rows].astype(np.float64) for rows in members]
        middle = np.array([part.mean(axis=0) for part in points]).reshape(-1, 3)
        offsets = [part - center for part, center in zip(points, middle, strict=True)]
        start = start or offsets
        turn = np.array(list(map(_best_rotation, start, offsets, turn))).reshape(-1, 4)
        for number, (before, now) in enumerate(zip(start, offsets, strict=True)):
            errors = ((before @ rotation_matrices(turn[number]).T - now) ** 2).sum(axis=1)
            squares[number] += errors.sum()
            largest[number] = max(largest[number], np.sqrt(errors.max()))
        centers.append(middle)
        rotations.append(turn)
    counts = np.array([len(rows) for rows in members]) * max(len(centers), 1)
    return RigidFit(members, np.array(centers), np.array(rotations), np.sqrt(squares / counts), largest)


def rotation_matrices(quaternions: Array) -> Array:
    """Matrices [..., 3, 3] of unit quaternions [..., 4], w first."""
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _best_rotation(before: Array, now: Array, previous: Array) -> Array:
    """Quaternion [4] that turns points [M, 3] about their mean to where they are now; in doubt that of `previous`."""
    s = before.T @ now + max(_TIE * np.square(before).sum(), np.finfo(float).tiny) * rotation_matrices(previous).T
    symmetric = np.array(
        [
            [s[0, 0] + s[1, 1] + s[2, 2], s[1, 2] - s[2, 1], s[2, 0] - s[0, 2], s[0, 1] - s[1, 0]],
            [0, s[0, 0] - s[1, 1] - s[2, 2], s[0, 1] + s[1, 0], s[2, 0] + s[0, 2]],
            [0, 0, s[1, 1] - s[0, 0] - s[2, 2], s[1, 2] + s[2, 1]],
            [0, 0, 0, s[2, 2] - s[0, 0] - s[1, 1]],
        ]
    )
    scale = np.abs(symmetric).max()
    best = np.linalg.eigh(symmetric / scale, UPLO="U")[1][:, -1]
    return best if best @ previous >= 0 else -best
