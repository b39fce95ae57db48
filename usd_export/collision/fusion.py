# SPDX-License-Identifier: Apache-2.0
"""Depth views into a signed distance field: free space is carved, observed surfaces get a shell of matter behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usd_export.collision.depth import SurfaceView
from usd_export.collision.grid import Grid
from usd_export.collision.morphology import opened

_SHELL_VOXELS = 3.0  # matter behind an observed surface: enough layers to mesh both sides and to stand on
_SHELL_MIN = 0.06  # metres
_SLANT_LIMIT = 4.0  # a shell reaches at most this many thicknesses along the ray
_MIN_FILL = 0.2  # metres
_LEVEL = 0.7  # |world z| of the normal of ground and ceilings
_NEAR = 1e-3  # metres in front of the camera below which nothing projects


UNSEEN = 0  # outside of every image, or where an image has no depth
OCCLUDED = 1  # behind an observed surface
SEEN = 2  # free or shell in some view: later evidence must not overrule it


@dataclass(frozen=True)
class Volume:
    """Signed distance in metres (negative in matter) and what the depth views know about each voxel.

    Arrays are [z, x, y]: a layer is contiguous, and the axes are a cyclic, orientation-preserving permutation of the
    world's.
    """

    grid: Grid
    distance: NDArray[np.float32]  # truncated to +-`truncation`
    known: NDArray[np.uint8]  # UNSEEN, OCCLUDED or SEEN
    truncation: float

    @property
    def shell(self) -> float:
        """Thickness of the matter behind observed surfaces, metres."""
        return max(_SHELL_VOXELS * self.grid.voxel, _SHELL_MIN)


def empty_volume(grid: Grid) -> Volume:
    """All space free and unseen."""
    nx, ny, nz = grid.shape
    truncation = 3.0 * grid.voxel
    distance = np.full((nz, nx, ny), truncation, np.float32)
    return Volume(grid, distance, np.zeros((nz, nx, ny), np.uint8), truncation)


def fuse(volume: Volume, views: Sequence[SurfaceView]) -> None:
    """Write the views into the volume, most trusted first: a view only fills what the earlier ones left unseen."""
    for view in views:
        projection = LayerProjection(volume.grid, view)
        for k, height in enumerate(volume.grid.axis(2)):
            _fuse_layer(volume, k, float(height), view, projection)


class LayerProjection:
    """Projects whole grid layers into a view; the x, y part of the transform is shared by all layers."""

    def __init__(self, grid: Grid, view: SurfaceView):
        x, y = grid.axis(0) - view.origin[0], grid.axis(1) - view.origin[1]
        camera_from_world = view.world_from_camera.T
        self._flat = [
            (row[0] * x[:, None] + row[1] * y[None, :]).astype(np.float32).reshape(-1) for row in camera_from_world
        ]
        self._up = camera_from_world[:, 2].astype(np.float32)
        self._camera_height = float(view.origin[2])
        self._view = view

    def __call__(self, height: float) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """Cells of the layer at `height` that fall on the image: flat cell index, flat pixel index, depth."""
        view, rise = self._view, np.float32(height - self._camera_height)
        x, y, z = (flat + up * rise for flat, up in zip(self._flat, self._up, strict=True))
        fx, fy, cx, cy = view.intrinsics.astype(np.float32)
        inverse = 1.0 / np.where(z > _NEAR, z, np.float32(np.nan))
        u, v = x * inverse * fx + cx, y * inverse * fy + cy
        with np.errstate(invalid="ignore"):
            cells = np.flatnonzero((u >= 0) & (u < view.width) & (v >= 0) & (v < view.height))
        return cells, v[cells].astype(np.intp) * view.width + u[cells].astype(np.intp), z[cells]


def _fuse_layer(volume: Volume, k: int, height: float, view: SurfaceView, projection: LayerProjection) -> None:
    """One layer: signed distance along each cell's ray, refined by the pixel's tangent plane near the surface."""
    cells, pixels, z = projection(height)
    known, distance = volume.known[k].reshape(-1), volume.distance[k].reshape(-1)
    depth = view.depth[pixels]
    todo = (depth > 0) & (known[cells] != SEEN)
    cells, pixels, gap = cells[todo], pixels[todo], depth[todo] - z[todo]
    with np.errstate(invalid="ignore"):
        along_normal = np.where(np.isfinite(gap), gap * view.slope[pixels], np.float32(np.inf))
    shell, truncation = volume.shell, volume.truncation

    known[cells] = OCCLUDED
    in_reach = along_normal > -shell - truncation
    cells, pixels, gap, along_normal = cells[in_reach], pixels[in_reach], gap[in_reach], along_normal[in_reach]
    free = along_normal >= truncation
    known[cells[free]] = SEEN

    cells, planes, gap = cells[~free], view.planes[pixels[~free]], gap[~free]
    # A slanted shell reaches far along the ray. Only ground and ceilings need that; elsewhere it is a silhouette.
    kept = (gap > -_SLANT_LIMIT * shell) | (np.abs(planes[:, 2]) > _LEVEL)
    cells, planes = cells[kept], planes[kept]
    x = volume.grid.axis(0).astype(np.float32)[cells // volume.grid.shape[1]]
    y = volume.grid.axis(1).astype(np.float32)[cells % volume.grid.shape[1]]
    signed = planes[:, 0] * x + planes[:, 1] * y + planes[:, 2] * np.float32(height) - planes[:, 3]
    distance[cells] = np.clip(np.maximum(signed, -shell - signed), -truncation, truncation)
    known[cells[signed > -shell]] = SEEN


def fill_below(volume: Volume) -> NDArray[np.bool_]:
    """Make occluded space between an observed top and what carries it matter: the inside of crates, sofas, cars.

    A column is filled downwards from a surface seen from above to the next matter or to z = 0, but only if all of it
    is occluded: the space below a table top is partly seen, or outside of the image, and stays free. Shadows of table
    legs, narrower than `_MIN_FILL`, stay free too.

    Returns:
        Columns [x, y] filled down to the floor.
    """
    heights = volume.grid.axis(2)
    bottom = int(np.searchsorted(heights, 0.0))
    covered = np.zeros(volume.distance.shape, bool)
    below_top = np.zeros(volume.distance.shape[1:], bool)
    for k in range(len(heights) - 2, bottom - 1, -1):
        matter = volume.distance[k] < 0
        free_above = (volume.known[k + 1] == SEEN) & (volume.distance[k + 1] > 0)
        covered[k] = below_top = np.where(matter, below_top | free_above, below_top & (volume.known[k] == OCCLUDED))
    on_floor = covered[bottom] & (volume.known[bottom] == OCCLUDED)
    carried = covered[bottom]
    for k in range(bottom, len(heights)):
        matter = volume.distance[k] < 0
        carried = matter | (carried & covered[k])
        covered[k] = carried & ~matter
    wide = opened(np.logical_or.reduce(covered, axis=0), 0.5 * _MIN_FILL / volume.grid.voxel)
    covered &= wide
    volume.distance[covered] = -volume.truncation
    return on_floor & wide
