# SPDX-License-Identifier: Apache-2.0
"""Where robots can be put down: spread over the floor near the trusted viewpoints, with free space ahead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usd_export.robotics.raster import MapGrid
from usd_export.robotics.region import Cells

Array = NDArray[np.float64]

MAX_SPAWNS = 8
_DIRECTIONS = 32
_LOOK_AHEAD = 10.0  # metres
_STEP = 0.5  # cells


def distance_to_hull(points: Array, viewpoints: Array) -> Array:
    """Horizontal distance [...] of points [..., 2] to the convex hull of viewpoints [M, 2]; 0 inside of it."""
    hull = _convex_hull(viewpoints)
    inside = np.full(points.shape[:-1], len(hull) > 2)
    nearest = np.full(points.shape[:-1], np.inf)
    for start, end in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        side, offset = end - start, points - start
        inside &= side[0] * offset[..., 1] - side[1] * offset[..., 0] >= 0
        share = np.clip(offset @ side / max(side @ side, 1e-12), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(offset - share[..., None] * side, axis=-1))
    return np.where(inside, 0.0, nearest)


def _convex_hull(points: Array) -> Array:
    """Corners [H, 2], counter-clockwise (monotone chain); one or two of them if the points do not span an area."""
    ordered = np.unique(points, axis=0)
    if len(ordered) < 3:
        return ordered
    chains = []
    for run in (ordered, ordered[::-1]):
        chain: list[Array] = []
        for point in run:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        chains += chain[:-1]
    return np.array(chains)


def _turn(a: Array, b: Array, c: Array) -> float:
    """Greater than 0 where the way from a over b to c turns left."""
    return float((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]))


def spread_out(candidates: Array, towards: Array, separation: float) -> Array:
    """Up to `MAX_SPAWNS` of the candidates [C, 2], no two closer than `separation` metres.

    The first is the one nearest to the mean of `towards` [M, 2], every other one the farthest from all before it.
    """
    if len(candidates) == 0:
        return np.zeros((0, 2))
    chosen: list[Array] = []
    distance = np.full(len(candidates), np.inf)
    following = int(np.argmin(np.linalg.norm(candidates - towards.mean(axis=0), axis=1)))
    while len(chosen) < MAX_SPAWNS and distance[following] >= separation:
        chosen.append(candidates[following])
        distance = np.minimum(distance, np.linalg.norm(candidates - candidates[following], axis=1))
        following = int(np.argmax(distance))
    return np.array(chosen)


def facing_free_space(places: Array, region: Cells, grid: MapGrid) -> Array:
    """Upright poses [K, 4, 4] at places [K, 2]: column vectors, z = 0, +X ahead along the longest way in the region.

    Among equal ways the one nearest to world +Y is taken, where our frames have the first camera look.
    """
    turns = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    angles = np.pi / 2 + np.where(np.arange(_DIRECTIONS) % 2, -1, 1) * np.sort(np.minimum(turns, 2 * np.pi - turns))
    ahead = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    steps = np.arange(1, _LOOK_AHEAD / (_STEP * grid.resolution)) * _STEP * grid.resolution
    poses = np.tile(np.eye(4), (len(places), 1, 1))
    for pose, place in zip(poses, places, strict=True):
        way = place + ahead[:, None] * steps[:, None]
        longest = int(np.cumprod(_is_set(region, grid, way), axis=1).sum(axis=1).argmax())
        x, y = ahead[longest]
        pose[:2, :2] = [[x, -y], [y, x]]
        pose[:2, 3] = place
    return poses


def _is_set(cells: Cells, grid: MapGrid, points: Array) -> NDArray[np.bool_]:
    """Whether the cells under points [..., 2] are set; beyond the map none is."""
    index = np.floor((points - grid.origin) / grid.resolution).astype(np.int64)
    column, row = index[..., 0], index[..., 1]
    within = (row >= 0) & (row < grid.shape[0]) & (column >= 0) & (column < grid.shape[1])
    return within & cells[np.where(within, row, 0), np.where(within, column, 0)]
