# SPDX-License-Identifier: Apache-2.0
"""The floor: the plane z = 0 where it was seen, completed where what was seen encloses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_fill_holes, label

from usd_export.collision.depth import SurfaceView
from usd_export.collision.fusion import SEEN, LayerProjection, Volume
from usd_export.collision.morphology import closed, dilated

SLAB = 0.15  # metres of matter below the floor
_WALL_HEIGHT = 0.3  # metres of matter in a column that make it a barrier to the flood
_CLEARANCE = 0.1  # metres above a floor cell in which only depth, not Gaussians, may put matter
_RIM = 1.5  # cells: the eight around one
_SEAM = 2  # cells: gaps this narrow between floor cells are sampling, not holes
_GAP = 1.0  # metres: a hidden gap this narrow between floor, walls and furniture counts as closed
_SHADOW = 5.0  # metres: the longest shadow of an object that counts as enclosed
_OPAQUE = float(np.log(2.0))  # optical depth of a half opaque layer


@dataclass(frozen=True)
class FloorCells:
    """Grid columns [x, y] that get a floor."""

    observed: NDArray[np.bool_]
    completed: NDArray[np.bool_]


def find_floor_cells(
    volume: Volume,
    views: Sequence[SurfaceView],
    optical_depth: NDArray[np.float32],
    furniture: NDArray[np.bool_],
) -> FloorCells:
    """Floor seen by the views or lined with Gaussians, and the hidden floor that both enclose.

    A cell is enclosed when a flood from the border of the grid cannot reach it, or when the line of sight over it
    crosses seen floor before it and seen floor or upright matter behind it. Floor, upright matter (walls, furniture)
    and gaps of at most `_GAP` metres between them stop the flood. With views it runs inside their image only, so that
    nothing outside of what a camera looked at is ever completed.

    Args:
        volume: Fused depth views.
        views: Those views.
        optical_depth: Coverage by Gaussians [z, x, y].
        furniture: Columns [x, y] of matter that stands on the floor.
    """
    in_view, seen_floor, seen_through = _floor_evidence(volume, views)
    seen_floor |= _splat_floor(volume, optical_depth) & ~seen_through
    if not seen_floor.any():
        return FloorCells(seen_floor, np.zeros_like(seen_floor))
    voxel = volume.grid.voxel
    observed = seen_floor | (closed(seen_floor, _SEAM) & ~seen_through)
    hidden = ~observed & ~seen_through
    if views:
        hidden &= in_view

    upright = _upright_matter(volume) & ~observed
    wide = hidden & ~closed(observed | upright, 0.5 * _GAP / voxel)
    outside = dilated(_reached_from_outside(wide, seen_through), 0.5 * _GAP / voxel)
    floor = observed | (hidden & ~upright & ~outside)
    for view in views:
        floor |= hidden & ~upright & _in_closed_shadow(volume, view, observed, observed | upright)
    floor |= hidden & closed(floor, 0.5 * _GAP / voxel)
    floor |= upright & (binary_fill_holes(floor) | closed(floor, 0.5 * volume.shell / voxel + 1))
    return FloorCells(observed, (floor | furniture) & ~observed)


def lay_floor(volume: Volume, cells: FloorCells) -> None:
    """Union of the volume with a slab whose top is exactly z = 0 under every floor cell.

    Marching cubes cut off the slab's upper edge between the last cell and the next, so that one more cell is laid
    around the floor wherever nobody has seen that there is none.
    """
    columns = cells.observed | cells.completed
    rim = dilated(columns, _RIM) & ~columns
    heights = volume.grid.axis(2)
    for k in np.flatnonzero((heights > -SLAB - volume.truncation) & (heights < volume.truncation)):
        slab = np.float32(max(heights[k], -SLAB - heights[k]))
        layer = volume.distance[k]
        np.minimum(layer, slab, out=layer, where=columns | (rim & (volume.known[k] != SEEN)))


def clear_splats_above(volume: Volume, cells: FloorCells, optical_depth: NDArray[np.float32]) -> None:
    """Remove the blur of floor Gaussians just above the floor, which would make it bumpy."""
    heights = volume.grid.axis(2)
    near = np.flatnonzero(np.abs(heights) < _CLEARANCE)
    optical_depth[near[0] : near[-1] + 1, cells.observed | cells.completed] = 0.0


def _floor_evidence(
    volume: Volume, views: Sequence[SurfaceView]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Columns [x, y] of the plane z = 0 that fall into an image, that show floor, that are seen to be empty."""
    shape = volume.distance.shape[1:]
    in_view, floor, through = (np.zeros(shape, bool) for _ in range(3))
    for view in views:
        cells, pixels, z = LayerProjection(volume.grid, view)(0.0)
        depth = view.depth[pixels]
        in_view.reshape(-1)[cells] = True
        floor.reshape(-1)[cells[view.floor[pixels]]] = True
        # Cells at the border of the image show floor although their middle lies outside.
        seen, inside = volume.grid.cells(view.floor_points())
        floor[tuple(seen[inside, :2].T)] = True
        beyond = (depth > 0) & ~view.floor[pixels] & ((depth - z) * view.slope[pixels] > volume.truncation)
        through.reshape(-1)[cells[beyond]] = True
    return in_view, floor, through & ~floor


def _splat_floor(volume: Volume, optical_depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Columns [x, y] with an opaque layer of Gaussians at z = 0."""
    near = np.abs(volume.grid.axis(2)) < max(0.05, 1.6 * volume.grid.voxel)
    return optical_depth[near].sum(axis=0) > _OPAQUE


def _upright_matter(volume: Volume) -> NDArray[np.bool_]:
    """Columns [x, y] with so much matter above the floor that they hold a wall or the front of furniture."""
    above = volume.grid.axis(2) > volume.grid.voxel
    return (volume.distance[above] < 0).sum(axis=0) * volume.grid.voxel > _WALL_HEIGHT


def _reached_from_outside(passable: NDArray[np.bool_], leaks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Passable cells [x, y] connected to the grid's border or to a column that is seen to have no floor."""
    regions, count = label(passable)
    outside = np.zeros(count + 1, bool)
    for edge in (regions[0], regions[-1], regions[:, 0], regions[:, -1], regions[binary_dilation(leaks) & passable]):
        outside[edge] = True
    outside[0] = False
    return outside[regions]


def _in_closed_shadow(
    volume: Volume, view: SurfaceView, starts: NDArray[np.bool_], ends: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Cells [x, y] with a start before and an end behind them, within `_SHADOW` metres on one line of sight."""
    grid = volume.grid
    dx, dy = grid.axis(0)[:, None] - view.origin[0], grid.axis(1)[None, :] - view.origin[1]
    distance = np.hypot(dx, dy) / grid.voxel
    rings = np.arange(int(distance.max()) + 2)
    turns = int(2 * np.pi * len(rings))
    angles = np.arange(turns)[:, None] * (2 * np.pi / turns)
    x = np.rint((view.origin[0] - grid.origin[0]) / grid.voxel + np.cos(angles) * rings).astype(int)
    y = np.rint((view.origin[1] - grid.origin[1]) / grid.voxel + np.sin(angles) * rings).astype(int)
    inside = (x >= 0) & (x < starts.shape[0]) & (y >= 0) & (y < starts.shape[1])
    x, y = np.where(inside, x, 0), np.where(inside, y, 0)
    before = np.maximum.accumulate(np.where(inside & starts[x, y], rings, -np.inf), axis=1)
    behind = np.minimum.accumulate(np.where(inside & ends[x, y], rings, np.inf)[:, ::-1], axis=1)[:, ::-1]
    in_shadow = behind - before <= _SHADOW / grid.voxel
    turn = np.rint(np.arctan2(dy, dx) % (2 * np.pi) * (turns / (2 * np.pi))).astype(int) % turns
    return np.asarray(in_shadow[turn, np.rint(distance).astype(int)])
