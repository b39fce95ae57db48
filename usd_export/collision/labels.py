# SPDX-License-Identifier: Apache-2.0
"""What each triangle of a collider belongs to, told by geometry alone: floor, wall, ceiling or obstacle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

Array = NDArray[np.float64]
Triangles = NDArray[np.int32]

WALL_HEIGHT = 1.2
"""Height [m] that the top of a wall reaches at least: all that a camera which looks down may see of it."""

_UP = 0.8  # |z| of the normal of level surfaces
_UPRIGHT = 0.35  # |z| of the normal of walls
_FLOOR_BAND = 0.05  # metres: rugs and thresholds belong to the floor
_MIN_CEILING_HEIGHT = 1.8  # metres
_MIN_CEILING_AREA = 1.0  # m^2 of level surface within the band
_CEILING_BAND = 0.12  # metres
_CEILING_SHARE = 0.4  # of all that faces down overhead: a ceiling lies at one height, the crown of a tree does not
_AZIMUTH_STEP = np.radians(4.0)
_OFFSET_STEP = 0.08  # metres
_SAME_DIRECTION = np.cos(np.radians(12.0))
_WALL_FRONT = 0.08  # metres before the plane of a wall that still are the wall: pictures, skirting boards, depth noise
_WALL_BACK = 0.3  # metres behind it: the shell of matter
_MIN_WALL_AREA = 0.8  # m^2
_MIN_WALL_LENGTH = 0.7  # metres
_MIN_FILLED = 0.2  # part of the rectangle around it: the leaves of a hedge lie in one plane by chance only
_MAX_WALLS = 24
_BEHIND = (0.15, 1.2)  # metres: furniture has the wall this far behind it,
_BESIDE = 1.0  # seen at most this far beside it,
_SHARE_BEHIND = 0.15  # with at least this part of its own area


class SurfaceLabel(IntEnum):
    """Kinds of surface, as they are stored per triangle."""

    FLOOR = 0
    WALL = 1
    CEILING = 2
    OBSTACLE = 3


@dataclass(frozen=True)
class _Faces:
    """Triangles as oriented pieces of area."""

    centers: Array  # [T, 3] metres
    normals: Array  # [T, 3] unit, 0 where there is no area
    areas: Array  # [T] m^2

    def some(self, chosen: NDArray[np.bool_]) -> _Faces:
        return _Faces(self.centers[chosen], self.normals[chosen], self.areas[chosen])


@dataclass(frozen=True)
class _Wall:
    """A vertical plane normal . p = offset between two ends along it."""

    normal: Array  # [3], horizontal
    offset: float
    ends: tuple[float, float]  # metres along `along`

    @property
    def along(self) -> Array:
        return np.array([-self.normal[1], self.normal[0], 0.0])

    def near(self, faces: _Faces, before: float, behind: float, beside: float) -> NDArray[np.bool_]:
        """Faces [T] within some metres before, behind and beside the wall."""
        depth, along = faces.centers @ self.normal - self.offset, faces.centers @ self.along
        within = (along > self.ends[0] - beside) & (along < self.ends[1] + beside)
        return (depth < before) & (depth > -behind) & within


def label_triangles(
    vertices: Array, triangles: Triangles, viewpoints: Array, *, wall_height: float = WALL_HEIGHT
) -> NDArray[np.uint8]:
    """Label every triangle of a closed collider.

    Floor is what lies at z = 0 or below, and whatever can be reached from there over gentle slopes. The ceiling is the
    lowest large level surface overhead, with all level surfaces above it. Walls are large upright planes that face a
    viewpoint and have no parallel surface close behind them, as the front of a wardrobe has. The rest are obstacles.

    Args:
        vertices: [V, 3] world metres, Z up, floor at z = 0.
        triangles: [T, 3], counter-clockwise seen from free space.
        viewpoints: Points [K, 3] in the free space that the surfaces were seen from, world metres.
        wall_height: Height that the top of a wall reaches at least, metres; infinite for no walls.

    Returns:
        `SurfaceLabel` per triangle [T].
    """
    faces = _faces(vertices, triangles)
    labels = np.full(len(triangles), SurfaceLabel.OBSTACLE, np.uint8)
    for wall in _walls(faces, viewpoints, wall_height):
        labels[wall.near(faces, _WALL_FRONT, _WALL_BACK, beside=0.1)] = SurfaceLabel.WALL
    labels[_ceiling(faces)] = SurfaceLabel.CEILING
    labels[_floor(faces, triangles)] = SurfaceLabel.FLOOR
    return labels


def _faces(vertices: Array, triangles: Triangles) -> _Faces:
    a, b, c = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    return _Faces((a + b + c) / 3, normals / np.maximum(lengths, 1e-30)[:, None], 0.5 * lengths)


def _floor(faces: _Faces, triangles: Triangles) -> NDArray[np.bool_]:
    """Triangles [T] of the slab under the floor, and level or gently sloping ones connected to its top."""
    height = faces.centers[:, 2]
    level = faces.normals[:, 2] > _UP
    start = level & (np.abs(height) < _FLOOR_BAND)
    regions = _regions(triangles, level)
    reached = np.zeros(len(triangles) + 1, bool)
    reached[regions[start]] = True
    return (level & reached[regions]) | (height < 0.2 * _FLOOR_BAND)


def _regions(triangles: Triangles, members: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number of the edge-connected region [T] of member triangles; regions of one for all others."""
    edges = np.sort(np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    keys = edges[:, 0].astype(np.int64) * (int(triangles.max(initial=0)) + 1) + edges[:, 1]
    order = np.argsort(keys, kind="stable")
    first, second = order[:-1], order[1:]
    shared = keys[first] == keys[second]
    a, b = first[shared] // 3, second[shared] // 3
    inside = members[a] & members[b]
    graph = csr_matrix((np.ones(int(inside.sum()), bool), (a[inside], b[inside])), shape=(len(triangles),) * 2)
    return connected_components(graph, directed=False)[1]


def _ceiling(faces: _Faces) -> NDArray[np.bool_]:
    """Level triangles [T] at or above the lowest large surface that faces down, well over the floor."""
    height, none = faces.centers[:, 2], np.zeros(len(faces.areas), bool)
    overhead = (faces.normals[:, 2] < -_UP) & (height > _MIN_CEILING_HEIGHT)
    if not overhead.any():
        return none
    bins = ((height[overhead] - _MIN_CEILING_HEIGHT) / _CEILING_BAND).astype(np.int64)
    areas = np.bincount(bins, faces.areas[overhead])
    if areas.max() < max(_MIN_CEILING_AREA, _CEILING_SHARE * areas.sum()):
        return none
    lowest = _MIN_CEILING_HEIGHT + _CEILING_BAND * int(areas.argmax())
    return (np.abs(faces.normals[:, 2]) > _UPRIGHT) & (height > lowest - 0.5 * _CEILING_BAND)


def _walls(faces: _Faces, viewpoints: Array, wall_height: float) -> Iterator[_Wall]:
    """Planes that pass every test of a wall, the largest first."""
    upright = faces.some((np.abs(faces.normals[:, 2]) < _UPRIGHT) & (faces.centers[:, 2] > _FLOOR_BAND))
    fronts = upright.some(_facing(upright, viewpoints))
    left = fronts
    for _ in range(_MAX_WALLS):
        normal, offset = _strongest_plane(left)
        if normal is None:
            return
        on_plane = (left.normals @ normal > _SAME_DIRECTION) & (np.abs(left.centers @ normal - offset) < _WALL_FRONT)
        members = left.some(on_plane)
        if members.areas.sum() < _MIN_WALL_AREA:
            return
        wall = _wall(members, normal, offset)
        if _is_wall(wall, members, fronts, wall_height):
            yield wall
        left = left.some(~on_plane)


def _facing(faces: _Faces, viewpoints: Array) -> NDArray[np.bool_]:
    """Faces [T] whose front some viewpoint lies before."""
    front = np.zeros(len(faces.areas), bool)
    for viewpoint in np.unique(np.round(viewpoints, 1), axis=0):
        front |= np.einsum("ij,ij->i", faces.normals, viewpoint - faces.centers) > 0
    return front


def _strongest_plane(faces: _Faces) -> tuple[Array | None, float]:
    """Horizontal normal and offset of the vertical plane with the most area, by vote and one refinement."""
    if len(faces.areas) == 0:
        return None, 0.0
    steps = round(2 * np.pi / _AZIMUTH_STEP)
    azimuth = np.arctan2(faces.normals[:, 1], faces.normals[:, 0])
    turn = np.rint(azimuth / _AZIMUTH_STEP).astype(np.int64) % steps
    normals = np.stack([np.cos(turn * _AZIMUTH_STEP), np.sin(turn * _AZIMUTH_STEP)], axis=1)
    slot = np.floor(np.einsum("ij,ij->i", normals, faces.centers[:, :2]) / _OFFSET_STEP).astype(np.int64)
    _, votes = np.unique(turn * (1 << 32) + slot, return_inverse=True)
    winner = votes == np.bincount(votes, faces.areas).argmax()
    normal = np.append(faces.areas[winner] @ faces.normals[winner, :2], 0.0)
    normal /= np.linalg.norm(normal)
    offsets = faces.centers[winner] @ normal
    return normal, float(np.average(offsets, weights=faces.areas[winner]))


def _wall(members: _Faces, normal: Array, offset: float) -> _Wall:
    """The plane with its ends, which leave out the outermost hundredth of the area."""
    along = members.centers @ np.array([-normal[1], normal[0], 0.0])
    order = np.argsort(along, kind="stable")
    share = np.cumsum(members.areas[order]) / members.areas.sum()
    low, high = along[order[np.searchsorted(share, [0.01, 0.99])]]
    return _Wall(normal, offset, (float(low), float(high)))


def _is_wall(wall: _Wall, members: _Faces, fronts: _Faces, wall_height: float) -> bool:
    area, height, length = float(members.areas.sum()), members.centers[:, 2], wall.ends[1] - wall.ends[0]
    tall = float(members.areas[height > wall_height - 0.1].sum()) > 0.02 * area
    filled = area > _MIN_FILLED * length * float(np.ptp(height))
    parallel = fronts.normals @ wall.normal > _SAME_DIRECTION
    near = wall.near(fronts, -_BEHIND[0], _BEHIND[1], _BESIDE)
    behind = float(fronts.areas[parallel & near].sum())
    return tall and filled and length >= _MIN_WALL_LENGTH and behind < _SHARE_BEHIND * area
