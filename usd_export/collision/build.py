# SPDX-License-Identifier: Apache-2.0
"""Depth views and Gaussians to one static collision mesh."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud
from usd_export.collision.back_wall import Bay, add_bay, find_bay, widened
from usd_export.collision.carving import checked_path, clear_path
from usd_export.collision.colors import vertex_colors
from usd_export.collision.depth import DepthView, SurfaceView, surface_view
from usd_export.collision.floor import SLAB, FloorCells, clear_splats_above, find_floor_cells, lay_floor
from usd_export.collision.fusion import Volume, empty_volume, fill_below, fuse
from usd_export.collision.grid import MAX_VOXELS, Grid, fit_voxel, make_grid
from usd_export.collision.labels import label_triangles
from usd_export.collision.meshing import extract, is_watertight
from usd_export.collision.presets import Preset, PresetName, find_preset
from usd_export.collision.splats import SolidSplats, add_splats, coverage, solid_splats
from usd_export.errors import UsdExportError
from usd_export.frame import Frame

Progress = Callable[[str, int, int], None]
"""Receives (phase, step, total)."""

MAX_TRIANGLES = 100_000
MIN_TRIANGLES = 100
_HORIZON_STEP = 0.8
_OUTLIERS = 0.2  # percent of the Gaussians at either end of an axis that do not widen the grid
_SAMPLE = 200_000  # Gaussians that are enough to say where most of them are


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
    labels: NDArray[np.uint8] | None = None  # [T] `SurfaceLabel`
    colors: NDArray[np.uint8] | None = None  # [V, 3] display-referred sRGB of the Gaussians around


def build_collider(
    cloud: GaussianCloud,
    frame: Frame,
    depth_views: Sequence[DepthView] = (),
    *,
    voxel_size: float | None = None,
    preset: PresetName = "indoor",
    camera_path: NDArray[np.floating] | None = None,
    back_wall: bool = False,
    watertight: bool = True,
    max_triangles: int = MAX_TRIANGLES,
    labels: bool = True,
    progress: Progress | None = None,
) -> ColliderMesh:
    """Build the collision mesh of a scene.

    Observed surfaces get a shell of matter behind them and the space in front of them stays free; Gaussians add what
    no view has looked at. The floor is the exact plane z = 0 where it was seen or is enclosed by what was seen;
    nowhere else. Surfaces beyond the preset's horizon are left out. Deterministic.

    Args:
        cloud: Gaussians in scene units; may be empty if there are depth views.
        frame: Scene units to world metres.
        depth_views: Depth maps in scene units, the most trusted first.
        voxel_size: Grid spacing in metres; chosen from the extent of the scene if not given.
        preset: Kind of scene.
        camera_path: Points [M, 3] in scene units that a camera without a depth map has passed: Gaussians next to the
            line through them are floaters.
        back_wall: Invent walls behind and beside the cameras, and floor up to them.
        watertight: Keep the mesh closed when it is decimated.
        max_triangles: Largest number of triangles.
        labels: Say of every triangle whether it is floor, wall, ceiling or obstacle.
        progress: Called with ("collider", step, total).

    Raises:
        UsdExportError: If there is nothing solid to build from, an input is malformed, or the requested voxel size
            does not fit the memory bound.
    """
    report_step = progress or (lambda phase, step, total: None)
    if max_triangles < MIN_TRIANGLES:
        raise UsdExportError(f"a collider of {max_triangles} triangles cannot be closed; allow {MIN_TRIANGLES} or more")
    chosen = find_preset(preset)
    path = None if camera_path is None else frame.apply(checked_path(camera_path))
    splats = solid_splats(cloud.validate() if len(cloud) else cloud, frame)
    scene = _scene(splats, frame, depth_views, voxel_size, chosen, back_wall)
    report_step("collider", 1, 5)
    volume, floor = _filled(scene, chosen, path, lambda step: report_step("collider", step, 5))
    vertices, triangles = extract(volume, max_triangles, watertight=watertight)
    report_step("collider", 5, 5)
    notes = list(scene.notes)
    if chosen.floor and not floor.observed.any():
        notes.append("no floor was seen at z = 0; none was made up")
    viewpoints = _viewpoints(scene.splats, scene.views) if path is None else path
    local = (vertices - frame.matrix[:3, 3]) @ np.linalg.inv(frame.matrix[:3, :3]).T
    cell = scene.grid.voxel**2
    return ColliderMesh(
        vertices=local.astype(np.float32),
        triangles=triangles,
        report=ColliderReport(
            observed_floor_area=float(floor.observed.sum() * cell),
            completed_floor_area=float(floor.completed.sum() * cell),
            triangles=len(triangles),
            watertight=is_watertight(triangles),
            voxel_size=scene.grid.voxel,
            notes=tuple(notes),
        ),
        labels=(
            label_triangles(vertices, triangles, viewpoints, wall_height=chosen.wall_height)
            if labels and chosen.floor
            else None
        ),
        colors=vertex_colors(vertices, scene.splats, scene.grid) if len(scene.splats) else None,
    )


@dataclass(frozen=True)
class _Scene:
    """What lies within the horizon, and the grid around it."""

    views: list[SurfaceView]
    splats: SolidSplats
    grid: Grid
    bay: Bay | None
    notes: tuple[str, ...]


def _scene(
    splats: SolidSplats,
    frame: Frame,
    depth_views: Sequence[DepthView],
    voxel_size: float | None,
    preset: Preset,
    back_wall: bool,
) -> _Scene:
    """Views and Gaussians within the horizon and the grid around them; a smaller horizon if memory asks for it."""
    horizon = preset.horizon
    while True:
        views = [surface_view(view, frame.matrix, horizon) for view in depth_views]
        near = splats.within(_viewpoints(splats, views), horizon)
        low, high = _bounds(near, views)
        bay = find_bay(views) if back_wall else None
        if bay is not None:
            low, high = widened(bay, low, high)
        voxel = fit_voxel(low, high, voxel_size, preset.voxels)
        if voxel is not None:
            break
        if voxel_size is not None:
            raise UsdExportError(
                f"a voxel size of {voxel_size} m needs more than {MAX_VOXELS / 1e6:.0f} million voxels for this scene "
                f"of {np.round(high - low, 1)} m; ask for a larger one"
            )
        horizon *= _HORIZON_STEP
    notes = [f"surfaces farther than {horizon:.1f} m from the camera are not part of the collider"]
    if back_wall:
        made_up = "walls and floor around the cameras are made up, not observed"
        notes.append("no camera looks ahead, so there is no back wall" if bay is None else made_up)
    return _Scene(views, near, make_grid(low, high, voxel), bay, tuple(notes))


def _filled(
    scene: _Scene, preset: Preset, path: NDArray[np.float64] | None, done: Callable[[int], None]
) -> tuple[Volume, FloorCells]:
    """The signed distance field of all evidence, and the floor in it."""
    volume = empty_volume(scene.grid)
    fuse(volume, scene.views)
    done(2)
    optical_depth = coverage(scene.splats, scene.grid)
    if path is not None:
        clear_path(optical_depth, scene.grid, path)
    done(3)
    furniture = fill_below(volume)
    if preset.floor:
        floor = find_floor_cells(volume, scene.views, optical_depth, furniture)
    else:
        floor = FloorCells(np.zeros_like(furniture), np.zeros_like(furniture))
    clear_splats_above(volume, floor, optical_depth)
    add_splats(volume, optical_depth)
    if scene.bay is not None:
        floor = add_bay(volume, scene.bay, floor)
    lay_floor(volume, floor)
    done(4)
    return volume, floor


def _viewpoints(splats: SolidSplats, views: Sequence[SurfaceView]) -> NDArray[np.float64]:
    """Points [K, 3] the horizon is measured from: the cameras, else the middle of the Gaussians."""
    if views:
        return np.stack([view.origin for view in views])
    if len(splats) == 0:
        raise UsdExportError("there are no opaque Gaussians and no depth to build a collider from; export without one")
    return np.median(_sample(splats.centers), axis=0, keepdims=True)


def _bounds(splats: SolidSplats, views: Sequence[SurfaceView]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """World box of everything that may become matter, floor slab included."""
    corners = [view.points() for view in views]
    if len(splats):
        corners.append(np.percentile(_sample(splats.centers), [_OUTLIERS, 100 - _OUTLIERS], axis=0))
    points = np.concatenate(corners)
    if len(points) == 0:
        raise UsdExportError(
            "no depth and no opaque Gaussian within reach of the camera; there is nothing to build a collider from: "
            "export without one"
        )
    low, high = points.min(axis=0), points.max(axis=0)
    return np.append(low[:2], min(low[2], -SLAB)), np.append(high[:2], max(high[2], SLAB))


def _sample(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Every so-many-th of the points [N, 3], at most twice `_SAMPLE` of them."""
    return points[:: max(1, len(points) // _SAMPLE)]
