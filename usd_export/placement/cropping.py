# SPDX-License-Identifier: Apache-2.0
"""Cutting a scene down to a box in world metres: its Gaussians and its collider."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.frame import Frame

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Box:
    """Axis-aligned box in world metres between two opposite corners [3], in any order."""

    first: tuple[float, float, float]
    second: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low).all() and np.isfinite(self.high).all() and (self.low < self.high).all()):
            raise UsdExportError(f"the box from {self.first} to {self.second} is empty; give two opposite corners")

    def __str__(self) -> str:
        low, high = (", ".join(f"{value:g}" for value in corner) for corner in (self.low, self.high))
        return f"{low} .. {high} m"

    @property
    def low(self) -> Array:
        """Smallest corner [3]."""
        return np.minimum(self.first, self.second).astype(np.float64)

    @property
    def high(self) -> Array:
        """Largest corner [3]."""
        return np.maximum(self.first, self.second).astype(np.float64)


def select(cloud: GaussianCloud, rows: NDArray[np.integer]) -> GaussianCloud:
    """The Gaussians of the given indices, in that order."""
    return GaussianCloud(
        cloud.positions[rows], cloud.scales[rows], cloud.rotations[rows], cloud.opacities[rows], cloud.sh[rows]
    )


def most_opaque(cloud: GaussianCloud, count: int) -> GaussianCloud:
    """The `count` most opaque Gaussians, in their own order."""
    return cloud if count >= len(cloud) else select(cloud, np.sort(np.argsort(-cloud.opacities, kind="stable")[:count]))


def crop_cloud(cloud: GaussianCloud, frame: Frame, box: Box) -> GaussianCloud:
    """Keep the Gaussians whose centres lie in the box.

    Raises:
        UsdExportError: If none do; the message says where they are.
    """
    world = frame.apply(cloud.positions)
    inside = np.flatnonzero(((world >= box.low) & (world <= box.high)).all(axis=1))
    if len(inside) == 0:
        low, high = (", ".join(f"{value:.2f}" for value in corner) for corner in (world.min(0), world.max(0)))
        raise UsdExportError(f"no Gaussian lies in the box to crop to; the scene spans {low} to {high} m")
    return select(cloud, inside)


def crop_collider(collider: ColliderMesh, frame: Frame, box: Box) -> ColliderMesh | None:
    """Cut a collider along the faces of the box; the cuts stay open. None if nothing is left."""
    colors = np.empty((len(collider.vertices), 0)) if collider.colors is None else collider.colors.astype(np.float64)
    vertices: Array = np.hstack([frame.apply(collider.vertices), colors])
    triangles: Indices = collider.triangles.astype(np.int64)
    origin = np.arange(len(triangles))
    for axis in range(3):
        for side, limit in ((1, box.low[axis]), (-1, box.high[axis])):
            vertices, triangles, kept = _clip(vertices, triangles, side * (vertices[:, axis] - limit))
            origin = origin[kept]
    if len(triangles) == 0:
        return None
    used, compact = np.unique(triangles, return_inverse=True)
    local = (vertices[used, :3] - frame.matrix[:3, 3]) @ np.linalg.inv(frame.matrix[:3, :3]).T
    notes = (*collider.report.notes, "cropped to a box: the cuts are open, the floor areas are those before")
    return replace(
        collider,
        vertices=local.astype(np.float32),
        triangles=compact.reshape(-1, 3).astype(np.int32),
        labels=None if collider.labels is None else collider.labels[origin],
        colors=None if collider.colors is None else vertices[used, 3:].round().astype(np.uint8),
        report=replace(collider.report, triangles=len(triangles), watertight=False, notes=notes),
    )


def _clip(vertices: Array, triangles: Indices, depth: Array) -> tuple[Array, Indices, Indices]:
    """Cut triangles [T, 3] to the side where the depth [V] of their vertices is not negative.

    Returns:
        Vertices [V, C], position first and then whatever else blends along an edge, with the cut points appended; the
        new triangles; and which old triangle each comes from.
    """
    inside = depth[triangles] >= 0
    count = inside.sum(axis=1)
    cut = np.flatnonzero((count == 1) | (count == 2))
    lone_is_inside = count[cut] == 1
    first = np.argmax(inside[cut] == lone_is_inside[:, None], axis=1)  # the corner on its own side of the plane
    a, b, c = triangles[cut[:, None], (first[:, None] + np.arange(3)) % 3].T
    edges, cut_points = np.unique(np.sort(np.stack([np.r_[a, a], np.r_[b, c]], axis=1), axis=1), axis=0,
                                  return_inverse=True)  # fmt: skip
    weight = (depth[edges[:, 0]] / (depth[edges[:, 0]] - depth[edges[:, 1]]))[:, None]
    points = (1 - weight) * vertices[edges[:, 0]] + weight * vertices[edges[:, 1]]
    p, q = len(vertices) + cut_points.reshape(2, -1)
    tip, rest = lone_is_inside, ~lone_is_inside
    whole = np.flatnonzero(count == 3)
    parts = [
        triangles[whole],
        np.stack([a, p, q], axis=1)[tip],
        np.stack([p, b, c], axis=1)[rest],
        np.stack([p, c, q], axis=1)[rest],
    ]
    origin = np.concatenate([whole, cut[tip], cut[rest], cut[rest]])
    return np.concatenate([vertices, points]), np.concatenate(parts), origin
