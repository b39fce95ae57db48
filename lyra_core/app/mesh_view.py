# SPDX-License-Identifier: Apache-2.0
"""A small rasteriser for triangle meshes (numpy): which triangle each pixel shows, how deep, how near its edge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEAR = 0.02
"""Triangles are cut off at this depth [scene units]."""

_PIXELS_PER_STEP = 4_000_000

Array = NDArray[np.float64]


class MeshView(NamedTuple):
    """What a pinhole camera sees of a mesh; all `[H, W]`."""

    triangle: NDArray[np.int64]
    """Index of the visible triangle, -1 where there is none."""
    depth: Array
    """z-depth of the surface, infinite where there is none [scene units]."""
    edge: Array
    """Distance to the nearest edge of the triangle [px]."""


def view_mesh(
    vertices: Array, triangles: NDArray[np.integer], w2c: Array, intrinsics: Array, size: tuple[int, int]
) -> MeshView:
    """Projects and z-buffers a mesh.

    Args:
        vertices: `[V, 3]` world points.
        triangles: `[T, 3]` indices.
        w2c: world to camera `[4, 4]`, OpenCV axes.
        intrinsics: fx, fy, cx, cy `[4]` [px].
        size: height and width of the picture.
    """
    height, width = size
    local = np.asarray(vertices, np.float64) @ w2c[:3, :3].T + w2c[:3, 3]
    corners, owner = _clipped(local[np.asarray(triangles)])
    pixels = corners[..., :2] / corners[..., 2:] * intrinsics[:2] + intrinsics[2:]
    view = MeshView(np.full(height * width, -1), np.full(height * width, np.inf), np.full(height * width, np.inf))
    for chunk in _chunks(pixels, height, width):
        _draw(view, pixels[chunk], corners[chunk, :, 2], owner[chunk], height, width)
    return MeshView(view.triangle.reshape(size), view.depth.reshape(size), view.edge.reshape(size))


def _clipped(corners: Array) -> tuple[Array, NDArray[np.int64]]:
    """Triangles `[T, 3, 3]` cut at the near plane, and the index of the triangle each piece comes from."""
    owner = np.arange(len(corners))
    front = corners[..., 2] > NEAR
    count = front.sum(1)
    pieces, owners = [corners[count == 3]], [owner[count == 3]]
    for visible in (1, 2):
        chosen = count == visible
        # The corner that is alone on its side comes first; winding does not matter here.
        alone = np.argmax(front[chosen] == (visible == 1), axis=1)
        a, b, c = (corners[chosen][np.arange(chosen.sum()), (alone + shift) % 3] for shift in range(3))
        ab, ac = _on_near_plane(a, b), _on_near_plane(a, c)
        if visible == 1:
            pieces.append(np.stack((a, ab, ac), 1))
            owners.append(owner[chosen])
        else:
            pieces += [np.stack((ab, b, c), 1), np.stack((ab, c, ac), 1)]
            owners += [owner[chosen], owner[chosen]]
    return np.concatenate(pieces), np.concatenate(owners)


def _on_near_plane(a: Array, b: Array) -> Array:
    share = (NEAR - a[:, 2]) / (b[:, 2] - a[:, 2])
    point = a + share[:, None] * (b - a)
    point[:, 2] = NEAR
    return point


def _boxes(pixels: Array, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First pixel (x, y) and number of pixels (x, y) of the bounding boxes inside the picture."""
    limit = np.array([width, height])
    first = np.clip(np.ceil(pixels.min(1) - 0.5), 0, limit).astype(np.int64)
    last = np.clip(np.floor(pixels.max(1) - 0.5), -1, limit - 1).astype(np.int64)
    return first, np.maximum(last - first + 1, 0)


def _chunks(pixels: Array, height: int, width: int) -> list[NDArray[np.int64]]:
    """Triangles in groups whose bounding boxes fit into memory; those without a pixel are left out."""
    areas = _boxes(pixels, height, width)[1].prod(1)
    order = np.flatnonzero(areas)
    groups = np.cumsum(areas[order]) // _PIXELS_PER_STEP
    return [chunk for chunk in np.split(order, np.flatnonzero(np.diff(groups)) + 1) if len(chunk)]


def _draw(view: MeshView, pixels: Array, z: Array, owner: NDArray[np.int64], height: int, width: int) -> None:
    first, span = _boxes(pixels, height, width)
    areas = span.prod(1)
    index = np.repeat(np.arange(len(pixels)), areas)
    offset = np.arange(len(index)) - np.repeat(np.cumsum(areas) - areas, areas)
    x, y = first[index, 0] + offset % span[index, 0], first[index, 1] + offset // span[index, 0]
    weights, edge = _barycentric(pixels[index], np.stack((x, y), 1) + 0.5)
    inside = (weights >= 0).all(1)
    index, weights, edge, cell = index[inside], weights[inside], edge[inside], (y * width + x)[inside]
    depth = 1 / (weights / z[index]).sum(1)
    nearest = np.lexsort((depth, cell))
    nearest = nearest[np.diff(cell[nearest], prepend=-1) != 0]
    nearest = nearest[depth[nearest] < view.depth[cell[nearest]]]
    view.depth[cell[nearest]] = depth[nearest]
    view.triangle[cell[nearest]] = owner[index[nearest]]
    view.edge[cell[nearest]] = edge[nearest]


def _barycentric(triangle: Array, point: Array) -> tuple[Array, Array]:
    """Barycentric weights `[N, 3]` of points `[N, 2]` (negative outside); distance to the nearest side [px]."""
    sides = np.roll(triangle, -1, axis=1) - triangle
    toward = point[:, None] - triangle
    cross = sides[..., 0] * toward[..., 1] - sides[..., 1] * toward[..., 0]
    doubled_area = cross.sum(1, keepdims=True)
    flat = np.abs(doubled_area) < 1e-9
    weights = np.where(flat, -1.0, np.roll(cross, -1, axis=1) / np.where(flat, 1.0, doubled_area))
    lengths = np.maximum(np.linalg.norm(sides, axis=2), 1e-9)
    return weights, (np.abs(cross) / lengths).min(1)
