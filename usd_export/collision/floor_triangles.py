# SPDX-License-Identifier: Apache-2.0
"""The triangles of the floor, made as compact as its corners allow.

Decimation leaves needles across a flat floor, metres long and millimetres wide. Contacts with them are so inexact that
boxes on a perfectly level floor spin for ever (Newton's XPBD). Long edges are therefore split, and edges are flipped
until the triangulation is Delaunay's, which has the largest smallest angle (Lawson 1977).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vertices = NDArray[np.float64]  # [V, 3] world metres
Triangles = NDArray[np.int32]  # [T, 3], counter-clockwise seen from free space
Point = list[float]
Edge = tuple[int, int]

_LONGEST = 0.5  # metres
_LEAST_AREA = 1e-12  # square metres; flatter quadrangles are not flipped
_LEAST_GAIN = 1e-12  # metres^4 by which a corner must lie inside of the circle through the others


def compact_floor(vertices: Vertices, triangles: Triangles, max_triangles: int) -> tuple[Vertices, Triangles]:
    """Flip edges inside of the plane z = 0 and split all that lie in it; what was closed stays closed.

    Args:
        vertices: [V, 3] world metres.
        triangles: [T, 3].
        max_triangles: Most triangles to end with; splitting stops there.
    """
    floor = _Floor(vertices, triangles)
    floor.flip()
    while floor.split(max_triangles):
        floor.flip()
    return floor.mesh()


class _Floor:
    """A mesh whose edges in the plane z = 0 are known."""

    def __init__(self, vertices: Vertices, triangles: Triangles) -> None:
        self._points: list[Point] = vertices.tolist()
        self._corners: list[list[int]] = triangles.tolist()
        self._left: dict[Edge, int] = {}  # number of the triangle on the left of a level edge
        level = (vertices[:, 2] == 0)[triangles]
        for number in np.flatnonzero(level.sum(axis=1) > 1).tolist():
            self._put(number, *self._corners[number])

    def mesh(self) -> tuple[Vertices, Triangles]:
        """Vertices and triangles of the whole mesh."""
        return np.array(self._points, np.float64), np.array(self._corners, np.int32)

    def flip(self) -> None:
        """Make the floor's triangulation Delaunay's."""
        waiting = self._edges()
        while waiting:
            a, b = waiting.pop()
            tips = self._tips(a, b)
            if tips is None or not self._is_level(*tips) or tips in self._left or tips[::-1] in self._left:
                continue
            c, d = tips
            if _gains(*(self._points[corner] for corner in (a, b, c, d))):
                left, right = self._left.pop((a, b)), self._left.pop((b, a))
                self._put(left, c, a, d)
                self._put(right, d, b, c)
                waiting += [(c, a), (a, d), (d, b), (b, c)]

    def split(self, max_triangles: int) -> bool:
        """Halve level edges that are long, and the longest of their triangles' level ones; returns whether any was."""
        before = len(self._points)
        for a, b in self._edges():
            tips = self._tips(a, b) if self._length(a, b) > _LONGEST else None
            if tips is None or len(self._corners) + 2 > max_triangles:
                continue
            sides = [self._length(end, tip) for tip in tips if self._is_level(tip) for end in (a, b)]
            if max(sides, default=0.0) <= self._length(a, b):
                self._halve(a, b, *tips)
        return len(self._points) > before

    def _halve(self, a: int, b: int, c: int, d: int) -> None:
        """Put a point in the middle of the edge a b, whose triangles have the tips c and d."""
        middle, first = len(self._points), len(self._corners)
        self._points.append([(p + q) / 2 for p, q in zip(self._points[a], self._points[b], strict=True)])
        self._corners += [[], []]
        left, right = self._left.pop((a, b)), self._left.pop((b, a))
        self._put(left, a, middle, c)
        self._put(first, middle, b, c)
        self._put(right, b, middle, d)
        self._put(first + 1, middle, a, d)

    def _put(self, number: int, a: int, b: int, c: int) -> None:
        self._corners[number] = [a, b, c]
        for edge in ((a, b), (b, c), (c, a)):
            if self._is_level(*edge):
                self._left[edge] = number

    def _edges(self) -> list[Edge]:
        return [edge for edge in self._left if edge[0] < edge[1]]

    def _tips(self, a: int, b: int) -> Edge | None:
        """The corners opposite to an edge, on its left and on its right; None if it is open."""
        left, right = self._left.get((a, b)), self._left.get((b, a))
        if left is None or right is None:
            return None
        c, d = (next(corner for corner in self._corners[side] if corner not in (a, b)) for side in (left, right))
        return c, d

    def _is_level(self, *corners: int) -> bool:
        return all(self._points[corner][2] == 0 for corner in corners)

    def _length(self, a: int, b: int) -> float:
        return math.dist(self._points[a], self._points[b])


def _gains(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the diagonal c d of the quadrangle a d b c is better than a b."""
    if min(_area(c, d, b), _area(d, c, a)) <= _LEAST_AREA:
        return False
    (ax, ay), (bx, by), (cx, cy) = ((point[0] - d[0], point[1] - d[1]) for point in (a, b, c))
    inside = (
        (ax * ax + ay * ay) * (bx * cy - cx * by)
        - (bx * bx + by * by) * (ax * cy - cx * ay)
        + (cx * cx + cy * cy) * (ax * by - bx * ay)
    )
    return inside > _LEAST_GAIN


def _area(a: Point, b: Point, c: Point) -> float:
    """Twice the signed area of a triangle, positive if it runs counter-clockwise seen from above."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
