# SPDX-License-Identifier: Apache-2.0
"""A bounding volume hierarchy over triangles: first hits of rays and nearest points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from usd_export.report_card.jit import compiled

Array = NDArray[np.float64]

_LEAF = 4  # triangles
_DEPTH = 64  # nodes that wait during a walk: halving 2^31 triangles needs 30 levels, two nodes each


class TriangleTree(NamedTuple):
    """Triangles sorted into a binary tree of boxes; node 0 is the root.

    Attributes:
        corners: [T, 3, 3] in the order of the leaves, metres.
        order: [T] index of each in the mesh.
        boxes: [K, 2, 3] lowest and highest corner.
        children: [K] first of the two children; -1 for a leaf.
        spans: [K, 2] first triangle and one past the last.
    """

    corners: Array
    order: NDArray[np.int64]
    boxes: Array
    children: NDArray[np.int64]
    spans: NDArray[np.int64]

    def first_hits(self, origins: Array, directions: Array) -> tuple[Array, NDArray[np.int64]]:
        """Where rays [R, 3] first meet a triangle, from either side.

        Returns:
            Parameter [R] along the direction (inf = nowhere) and index [R] of the triangle in the mesh (-1 = none).
        """
        starts, rays = np.broadcast_arrays(np.asarray(origins, np.float64), np.asarray(directions, np.float64))
        return _first_hits(*self, np.ascontiguousarray(starts), np.ascontiguousarray(rays))

    def distances(self, points: Array, limit: float) -> Array:
        """Distance [P] of points [P, 3] to the nearest triangle, at most `limit`."""
        return _distances(*self, np.ascontiguousarray(points, np.float64), limit)


def triangle_tree(vertices: Array, triangles: NDArray[np.integer]) -> TriangleTree:
    """Build the tree of a mesh with vertices [V, 3] and triangles [T, 3], T > 0."""
    corners = np.asarray(vertices, np.float64)[np.asarray(triangles)]
    order, boxes, children, spans = _build(corners)
    return TriangleTree(np.ascontiguousarray(corners[order]), order, boxes, children, spans)


@compiled
def _build(corners):
    """Halve the longest side of the boxes of the centroids until the leaves are small."""
    count = len(corners)
    centers = (corners[:, 0] + corners[:, 1] + corners[:, 2]) / 3.0
    order = np.arange(count)
    boxes, children = np.empty((2 * count, 2, 3)), np.full(2 * count, -1)
    spans = np.empty((2 * count, 2), np.int64)
    spans[0, 0], spans[0, 1] = 0, count
    made, node = 1, 0
    while node < made:
        first, last = spans[node]
        members = order[first:last]
        for axis in range(3):
            boxes[node, 0, axis] = corners[members][:, :, axis].min()
            boxes[node, 1, axis] = corners[members][:, :, axis].max()
        if last - first > _LEAF:
            sides = np.empty(3)
            for axis in range(3):
                sides[axis] = centers[members, axis].max() - centers[members, axis].min()
            order[first:last] = members[np.argsort(centers[members, np.argmax(sides)], kind="mergesort")]
            middle = (first + last) // 2
            children[node] = made
            spans[made, 0], spans[made, 1] = first, middle
            spans[made + 1, 0], spans[made + 1, 1] = middle, last
            made += 2
        node += 1
    return order, boxes[:made].copy(), children[:made].copy(), spans[:made].copy()


@compiled
def _entry(box, origin, inverse, limit):
    """Parameter at which a ray enters a box; inf if it does not before `limit`."""
    near, far = 0.0, limit
    for axis in range(3):
        a, b = (box[0, axis] - origin[axis]) * inverse[axis], (box[1, axis] - origin[axis]) * inverse[axis]
        if a > b:
            a, b = b, a
        # A ray inside a box's plane gives 0 * inf = NaN, which no comparison lets through.
        if a > near:
            near = a
        if b < far:
            far = b
    return near if near <= far * (1 + 1e-12) else np.inf


@compiled
def _hit(corners, origin, ray):
    """Parameter of a ray at a triangle [3, 3]; inf if it misses."""
    e1, e2, to = corners[1] - corners[0], corners[2] - corners[0], origin - corners[0]
    px, py, pz = ray[1] * e2[2] - ray[2] * e2[1], ray[2] * e2[0] - ray[0] * e2[2], ray[0] * e2[1] - ray[1] * e2[0]
    determinant = e1[0] * px + e1[1] * py + e1[2] * pz
    if determinant == 0.0:
        return np.inf
    u = (to[0] * px + to[1] * py + to[2] * pz) / determinant
    qx, qy, qz = to[1] * e1[2] - to[2] * e1[1], to[2] * e1[0] - to[0] * e1[2], to[0] * e1[1] - to[1] * e1[0]
    v = (ray[0] * qx + ray[1] * qy + ray[2] * qz) / determinant
    t = (e2[0] * qx + e2[1] * qy + e2[2] * qz) / determinant
    slack = 1e-9  # lest a ray slip through between two triangles
    return t if u >= -slack and v >= -slack and u + v <= 1.0 + slack and t > 0.0 else np.inf


@compiled
def _first_hits(corners, order, boxes, children, spans, origins, rays):
    best, winner = np.full(len(rays), np.inf), np.full(len(rays), -1)
    waiting = np.empty(_DEPTH, np.int64)
    for r in range(len(rays)):
        inverse = 1.0 / rays[r]
        waiting[0], depth = 0, 1
        while depth > 0:
            depth -= 1
            node = waiting[depth]
            if _entry(boxes[node], origins[r], inverse, best[r]) == np.inf:
                continue
            if children[node] < 0:
                for k in range(spans[node, 0], spans[node, 1]):
                    t = _hit(corners[k], origins[r], rays[r])
                    if t < best[r]:
                        best[r], winner[r] = t, order[k]
                continue
            near, far = children[node], children[node] + 1
            if _entry(boxes[far], origins[r], inverse, np.inf) < _entry(boxes[near], origins[r], inverse, np.inf):
                near, far = far, near
            waiting[depth], waiting[depth + 1] = far, near
            depth += 2
    return best, winner


@compiled
def _box_distance(box, point):
    """Squared distance of a point to a box."""
    total = 0.0
    for axis in range(3):
        outside = max(box[0, axis] - point[axis], point[axis] - box[1, axis], 0.0)
        total += outside * outside
    return total


@compiled
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@compiled
def _triangle_distance(corners, point):
    """Squared distance of a point to a triangle [3, 3]: the nearest of its face, edges and corners."""
    e1, e2, to = corners[1] - corners[0], corners[2] - corners[0], point - corners[0]
    g11, g12, g22, b1, b2 = _dot(e1, e1), _dot(e1, e2), _dot(e2, e2), _dot(e1, to), _dot(e2, to)
    determinant = g11 * g22 - g12 * g12
    if determinant > 0.0:
        u, v = (g22 * b1 - g12 * b2) / determinant, (g11 * b2 - g12 * b1) / determinant
        if u >= 0.0 and v >= 0.0 and u + v <= 1.0:
            off = to - u * e1 - v * e2
            return _dot(off, off)
    best = np.inf
    for k in range(3):
        start, edge = corners[k], corners[(k + 1) % 3] - corners[k]
        length = _dot(edge, edge)
        share = min(max(_dot(point - start, edge) / length, 0.0), 1.0) if length > 0.0 else 0.0
        off = point - start - share * edge
        best = min(best, _dot(off, off))
    return best


@compiled
def _distances(corners, order, boxes, children, spans, points, limit):
    best = np.full(len(points), limit * limit)
    waiting = np.empty(_DEPTH, np.int64)
    for p in range(len(points)):
        waiting[0], depth = 0, 1
        while depth > 0:
            depth -= 1
            node = waiting[depth]
            if _box_distance(boxes[node], points[p]) >= best[p]:
                continue
            if children[node] < 0:
                for k in range(spans[node, 0], spans[node, 1]):
                    best[p] = min(best[p], _triangle_distance(corners[k], points[p]))
                continue
            near, far = children[node], children[node] + 1
            if _box_distance(boxes[far], points[p]) < _box_distance(boxes[near], points[p]):
                near, far = far, near
            waiting[depth], waiting[depth + 1] = far, near
            depth += 2
    return np.sqrt(best)
