# SPDX-License-Identifier: Apache-2.0
"""Depth views and Gaussians to one static collision mesh."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud
from usd_export.collision.depth import DepthView, SurfaceView, surface_view
from usd_export.collision.floor import SLAB, clear_splats_above, find_floor_cells, lay_floor
from usd_export.collision.fusion import empty_volume, fill_below, fuse
from usd_export.collision.grid import MAX_VOXELS, Grid, fit_voxel, make_grid
from usd_export.collision.meshing import extract, is_watertight
from usd_export.collision.splats import SolidSplats, add_splats, coverage, solid_splats
from usd_export.errors import UsdExportError
from usd_export.frame import Frame

Progress = Callable[[str, int, int], None]
"""Receives (phase, step, total)."""

MAX_TRIANGLES = 100_000
_HORIZON = 30.0  # metres from a camera beyond which nothing becomes a collider
_HORIZON_STEP = 0.8
_OUTLIERS = 0.2  # percent of the Gaussians at either end of an axis that do not widen the grid


@dataclass(frozen=True)
class ColliderReport:
    """What the collider rests on.

    Attributes:
        observed_floor_area: Floor that was seen, m^2.
        completed_floor_area: Floor that was not seen but is enclosed by what was, m^2.
        triangles: Number of triangles.
        watertight: Whether the mesh is closed.
        voxel_size: Grid spacing, metres.
        notes: Sentences on what was left out.
    """

    observed_floor_area: float
    completed_floor_area: float
    triangles: int
    watertight: bool
    voxel_size: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ColliderMesh:
    """One closed triangle mesh in the cloud's own frame, wound counter-clockwise seen from free space."""

    vertices: NDArray[np.float32]  # [V, 3]
    triangles: NDArray[np.int32]  # [T, 3]
    report: ColliderReport


def build_collider(
    cloud: GaussianCloud,
    frame: Frame,
    depth_views: Sequence[DepthView] = (),
    *,
    voxel_size: float | None = None,
    progress: Progress | None = None,
) -> ColliderMesh:
    """Build the collision mesh of a scene.

    Observed surfaces get a shell of matter behind them and the space in front of them stays free; Gaussians add what
    no view has looked at. The floor is the exact plane z = 0 where it was seen or is enclosed by what was seen;
    nowhere else. Surfaces beyond a horizon of 30 m are left out. Deterministic.

    Args:
        cloud: Gaussians in scene units; may be empty if there are depth views.
        frame: Scene units to world metres.
        depth_views: Depth maps in scene units, the most trusted first.
        voxel_size: Grid spacing in metres; chosen from the extent of the scene if not given.
        progress: Called with ("collider", step, total).

    Raises:
        UsdExportError: If there is nothing solid to build from, an input is malformed, or the requested voxel size
            does not fit the memory bound.
    """
    report_step = progress or (lambda phase, step, total: None)
    splats = solid_splats(cloud.validate() if len(cloud) else cloud, frame)
    views, splats, grid, notes = _scene(splats, frame, depth_views, voxel_size)
    report_step("collider", 1, 5)

    volume = empty_volume(grid)
    fuse(volume, views)
    report_step("collider", 2, 5)
    optical_depth = coverage(splats, grid)
    report_step("collider", 3, 5)
    floor = find_floor_cells(volume, views, optical_depth, fill_below(volume))
    clear_splats_above(volume, floor, optical_depth)
    add_splats(volume, optical_depth)
    lay_floor(volume, floor)
    del optical_depth
    report_step("collider", 4, 5)

    vertices, triangles = extract(volume, MAX_TRIANGLES)
    report_step("collider", 5, 5)
    if not floor.observed.any():
        notes.append("no floor was seen at z = 0; none was made up")
    local = (vertices - frame.matrix[:3, 3]) @ np.linalg.inv(frame.matrix[:3, :3]).T
    cell = grid.voxel**2
    return ColliderMesh(
        vertices=local.astype(np.float32),
        triangles=triangles,
        report=ColliderReport(
            observed_floor_area=float(floor.observed.sum() * cell),
            completed_floor_area=float(floor.completed.sum() * cell),
            triangles=len(triangles),
            watertight=is_watertight(triangles),
            voxel_size=grid.voxel,
            notes=tuple(notes),
        ),
    )


def _scene(
    splats: SolidSplats, frame: Frame, depth_views: Sequence[DepthView], voxel_size: float | None
) -> tuple[list[SurfaceView], SolidSplats, Grid, list[str]]:
    """Views and Gaussians within the horizon and the grid around them; a smaller horizon if memory asks for it."""
    horizon = _HORIZON
    while True:
        views = [surface_view(view, frame.matrix, horizon) for view in depth_views]
        near = splats.within(_viewpoints(splats, views), horizon)
        low, high = _bounds(near, views)
        voxel = fit_voxel(low, high, voxel_size)
        if voxel is not None:
            break
        if voxel_size is not None:
            raise UsdExportError(
                f"a voxel size of {voxel_size} m needs more than {MAX_VOXELS / 1e6:.0f} million voxels for this scene "
                f"of {np.round(high - low, 1)} m; ask for a larger one"
            )
        horizon *= _HORIZON_STEP
    notes = [f"surfaces farther than {horizon:.1f} m from the camera are not part of the collider"]
    return views, near, make_grid(low, high, voxel), notes


def _viewpoints(splats: SolidSplats, views: Sequence[SurfaceView]) -> NDArray[np.float64]:
    """Points [K, 3] the horizon is measured from: the cameras, else the middle of the Gaussians."""
    if views:
        return np.stack([view.origin for view in views])
    if len(splats) == 0:
        raise UsdExportError("there are no opaque Gaussians and no depth to build a collider from; export without one")
    return np.median(splats.centers, axis=0, keepdims=True)


def _bounds(splats: SolidSplats, views: Sequence[SurfaceView]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """World box of everything that may become matter, floor slab included."""
    corners = [view.points() for view in views]
    if len(splats):
        corners.append(np.percentile(splats.centers, [_OUTLIERS, 100 - _OUTLIERS], axis=0))
    points = np.concatenate(corners)
    if len(points) == 0:
        raise UsdExportError(
            "no depth and no opaque Gaussian within reach of the camera; there is nothing to build a collider from: "
            "export without one"
        )
    low, high = points.min(axis=0), points.max(axis=0)
    return np.append(low[:2], min(low[2], -SLAB)), np.append(high[:2], max(high[2], SLAB))
