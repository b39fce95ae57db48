# SPDX-License-Identifier: Apache-2.0
"""Signed distance to a small closed triangle mesh."""

from __future__ import annotations

import fast_simplification
import manifold3d
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from usd_export.collision.floor_triangles import compact_floor
from usd_export.collision.fusion import Volume
from usd_export.errors import UsdExportError

Vertices = NDArray[np.float64]  # [V, 3] metres
Triangles = NDArray[np.int32]  # [T, 3], counter-clockwise seen from free space

_FIRST_TOLERANCE = 0.1  # voxels that decimation may move the surface, raised until the mesh is small enough
_TOLERANCE_STEP = 1.5
_TAUBIN = (0.5, -0.53)
_SMOOTHING_ROUNDS = 4
_FLOOR_PLANE = 1e-6  # metres
_FLAT_FLOOR = 1e-3  # metres: rounding of the quadrics
_UPWARD = 0.9  # z of the normal of a triangle that may be floor
_MIN_COMPONENT = 6.0  # voxels: pieces with a smaller bounding-box diagonal are floaters
_MIN_ALTITUDE = 1e-5  # metres
_PARTING = 5e-4  # metres
_NUDGE = 1e-4  # voxels: keeps the surface off the grid points, where marching cubes makes slivers


def extract(volume: Volume, max_triangles: int, *, watertight: bool = True) -> tuple[Vertices, Triangles]:
    """Mesh the zero level, drop floating specks, decimate to at most `max_triangles`. World metres.

    The mesh stays closed if `watertight`; otherwise it is decimated faster, and edges may come open.

    Raises:
        UsdExportError: If the volume holds no matter.
    """
    vertices, triangles = _zero_level(volume)
    vertices, triangles = _without_specks(vertices, triangles, _MIN_COMPONENT * volume.grid.voxel)
    vertices = _smoothed(vertices, triangles)
    if watertight:
        vertices, triangles = _decimated(vertices, triangles, volume.grid.voxel, max_triangles)
    else:
        vertices, triangles = _collapsed(vertices, triangles, max_triangles)
    return compact_floor(vertices, triangles, max_triangles)


def is_watertight(triangles: Triangles) -> bool:
    """Whether every edge is shared by exactly two triangles that run along it in opposite directions."""
    start, end = triangles.astype(np.int64), np.roll(triangles, -1, axis=1).astype(np.int64)
    count = int(triangles.max(initial=-1)) + 1
    forward, backward = (np.sort((a * count + b).ravel()) for a, b in ((start, end), (end, start)))
    return bool((np.diff(forward) > 0).all()) and np.array_equal(forward, backward)


def _zero_level(volume: Volume) -> tuple[Vertices, Triangles]:
    distance, nudge = volume.distance, np.float32(_NUDGE * volume.grid.voxel)
    distance[np.abs(distance) < nudge] = nudge
    for axis in range(3):  # an open surface at the grid's border would not be a solid
        border = np.moveaxis(distance, axis, 0)
        border[0] = border[-1] = volume.truncation
    if not (distance < 0).any():
        raise UsdExportError("there is no solid surface in the scene to build a collider from; export without one")
    vertices, triangles, _, _ = marching_cubes(distance, 0.0, gradient_direction="descent")
    return vertices[:, [1, 2, 0]] * volume.grid.voxel + volume.grid.origin, triangles


def _neighbours(vertices: Vertices, triangles: Triangles) -> csr_matrix:
    """Symmetric adjacency [V, V] of a closed mesh, whose triangles run along every edge both ways."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return csr_matrix((np.ones(len(edges), np.float64), edges.T), shape=(len(vertices), len(vertices)))


def _without_specks(vertices: Vertices, triangles: Triangles, smallest: float) -> tuple[Vertices, Triangles]:
    """Keep connected pieces whose bounding box has at least the diagonal `smallest`."""
    count, piece = connected_components(_neighbours(vertices, triangles), directed=False)
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, piece, vertices)
    np.maximum.at(high, piece, vertices)
    keep = np.linalg.norm(high - low, axis=1) >= smallest
    if not keep.any():
        raise UsdExportError("the scene holds only specks too small for a collider; export without one")
    return _compact(vertices, triangles[keep[piece[triangles[:, 0]]]])


def _smoothed(vertices: Vertices, triangles: Triangles) -> Vertices:
    """Taubin's lambda | mu smoothing (1995), which does not shrink: removes the steps of the grid and depth noise.

    The floor keeps its exact height.
    """
    adjacency = _neighbours(vertices, triangles)
    weights = 1.0 / np.asarray(adjacency.sum(axis=1))
    floor = np.abs(vertices[:, 2]) < _FLOOR_PLANE
    smooth = vertices.copy()
    for factor in _TAUBIN * _SMOOTHING_ROUNDS:
        smooth += factor * (weights * (adjacency @ smooth) - smooth)
        smooth[floor, 2] = 0.0
    return smooth


def _decimated(
    vertices: Vertices, triangles: Triangles, voxel: float, max_triangles: int
) -> tuple[Vertices, Triangles]:
    """Collapse edges; the result stays a closed manifold, and the floor stays exactly flat."""
    center = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    center[2] = 0.0  # the floor must stay exactly at 0 in single precision
    mesh = manifold3d.Mesh((vertices - center).astype(np.float32), triangles.astype(np.uint32))
    solid = manifold3d.Manifold(mesh)
    if solid.status() != manifold3d.Error.NoError:
        raise UsdExportError(f"the collider surface is not a closed manifold ({solid.status()}); report this scene")
    tolerance = _FIRST_TOLERANCE * voxel
    reduced = solid.simplify(tolerance)
    while reduced.num_tri() > max_triangles:
        tolerance *= _TOLERANCE_STEP
        reduced = reduced.simplify(tolerance)
    mesh = reduced.to_mesh()
    triangles = mesh.tri_verts.astype(np.int32)
    vertices = _with_level_floor(mesh.vert_properties[:, :3].astype(np.float64) + center, triangles, tolerance)
    triangles = collapse_short_edges(vertices, triangles)
    vertices = part_short_edges(vertices, triangles)
    return _compact(vertices, _without_slivers(vertices, triangles))


def _with_level_floor(vertices: Vertices, triangles: Triangles, tolerance: float) -> Vertices:
    """Put corners of upward triangles back on z = 0 where decimation may have tilted the floor.

    It joins the floor with the foot of a wall if that moves neither by more than its tolerance in metres. On the ridges
    that remain boxes never come to rest.
    """
    corners = vertices[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    upward = normals[:, 2] > _UPWARD * np.linalg.norm(normals, axis=1)
    floor = np.zeros(len(vertices), bool)
    floor[triangles[upward]] = True
    levelled = vertices.copy()
    levelled[floor & (np.abs(vertices[:, 2]) < tolerance), 2] = 0.0
    return levelled


def _collapsed(vertices: Vertices, triangles: Triangles, max_triangles: int) -> tuple[Vertices, Triangles]:
    """Collapse edges by quadric error (Garland and Heckbert 1997); triangles without area are dropped."""
    points = vertices.astype(np.float32)
    if len(triangles) > max_triangles:
        points, triangles = fast_simplification.simplify(points, triangles, target_count=max_triangles)
    points[np.abs(points[:, 2]) < _FLAT_FLOOR, 2] = 0.0
    reduced = points.astype(np.float64)
    flat = _altitudes(reduced, triangles) < _MIN_ALTITUDE
    return _compact(reduced, triangles[~flat].astype(np.int32))


def collapse_short_edges(vertices: Vertices, triangles: Triangles) -> Triangles:
    """Merge the ends of edges that single precision hardly resolves, where the mesh stays a closed manifold.

    That is the case if the ends have exactly the two tips of the edge's triangles as common neighbours (link
    condition; Dey, Edelsbrunner, Guha and Nekhayev 1999).
    """
    short = _short_edges(vertices, triangles)
    while short:
        kept, merged = short.pop()
        near, far = (np.unique(triangles[(triangles == vertex).any(axis=1)]) for vertex in (kept, merged))
        if len(np.setdiff1d(np.intersect1d(near, far), (kept, merged))) == 2:
            triangles = np.where(triangles == merged, kept, triangles)
            triangles = triangles[(triangles != np.roll(triangles, -1, axis=1)).all(axis=1)]
            short = _short_edges(vertices, triangles)  # the merged vertex had others of its own, maybe
    return triangles


def part_short_edges(vertices: Vertices, triangles: Triangles) -> Vertices:
    """Pull the ends of such edges apart where they cannot be merged: one moves a little towards its neighbours.

    A corner of the floor stays on it.
    """
    parted = vertices.copy()
    for _, moved in _short_edges(vertices, triangles):
        around = np.unique(triangles[(triangles == moved).any(axis=1)])
        step = vertices[around].mean(axis=0) - vertices[moved]
        length = np.linalg.norm(step)
        parted[moved] += step * min(_PARTING / length, 1.0) if length else 0.0
    parted[vertices[:, 2] == 0.0, 2] = 0.0
    return parted


def _short_edges(vertices: Vertices, triangles: Triangles) -> list[tuple[int, int]]:
    """Edges, the smaller vertex first, whose ends lie closer together than single precision resolves."""
    starts, ends = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    short = (np.linalg.norm(vertices[starts] - vertices[ends], axis=1) < _MIN_ALTITUDE) & (starts < ends)
    return list(zip(starts[short].tolist(), ends[short].tolist(), strict=True))


def _without_slivers(vertices: Vertices, triangles: Triangles) -> Triangles:
    """Flip the longest edge of every triangle that is flatter than single precision resolves; stays closed."""
    triangles = triangles.copy()
    for sliver in np.flatnonzero(_altitudes(vertices, triangles) < _MIN_ALTITUDE):
        corners = triangles[sliver]
        lengths = np.linalg.norm(vertices[corners] - vertices[np.roll(corners, -1)], axis=1)
        a, b, tip = np.roll(corners, -int(lengths.argmax()))
        neighbour = next(t for t in _triangles_at(triangles, a, b) if t != sliver)
        opposite = next(v for v in triangles[neighbour] if v not in (a, b))
        if len(_triangles_at(triangles, tip, opposite)) == 0:
            triangles[sliver], triangles[neighbour] = (tip, a, opposite), (opposite, b, tip)
    return triangles


def _altitudes(vertices: Vertices, triangles: Triangles) -> NDArray[np.float64]:
    """Smallest altitude of each triangle [T]."""
    corners = vertices[triangles]
    doubled_area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return doubled_area / np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2).max(axis=1)


def _triangles_at(triangles: Triangles, v: int, w: int) -> NDArray[np.intp]:
    """Triangles that share the edge between two vertices."""
    return np.flatnonzero((triangles == v).any(axis=1) & (triangles == w).any(axis=1))


def _compact(vertices: Vertices, triangles: Triangles) -> tuple[Vertices, Triangles]:
    """Drop vertices that no triangle uses."""
    used = np.zeros(len(vertices), bool)
    used[triangles] = True
    return vertices[used], (np.cumsum(used, dtype=np.int32) - 1)[triangles]
