# SPDX-License-Identifier: Apache-2.0
"""What is seen of the Gaussians from the viewpoints that can be trusted: the promise that the collider has to keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from usd_export.cloud import GaussianCloud
from usd_export.frame import Frame
from usd_export.report_card.splat_depth import Camera, SplatPicture, render_splats
from usd_export.report_card.subject import Subject

Array = NDArray[np.float64]

REACH = 4.0
"""Metres within which surfaces are measured, unless the viewpoints are farther from everything."""

_VIEWPOINTS = 3
_TOWARDS_MIDDLE = 0.3  # share of the way that viewpoints are pulled inside of the hull
_SIZE = 224  # pixels
_FOCAL = 0.5 * _SIZE  # 90 degrees: four views and one down see all but the zenith
_COVERED = 0.9  # alpha of a pixel that shows a surface
_OPAQUE = 0.5
_LEAST_SHARE = 0.05  # of the covered pixels within reach
_EYE_HEIGHT = 1.2  # metres above the lowest Gaussians, where a scene does not say where it was seen from
_GRID = 12


@dataclass(frozen=True)
class View:
    """A camera and its picture of the Gaussians."""

    camera: Camera
    picture: SplatPicture

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Pixels [size * size] that show a surface."""
        shown = (self.picture.alpha > _COVERED) & np.isfinite(self.picture.depth)
        return shown.reshape(-1)


@dataclass(frozen=True)
class Observation:
    """Surface points of all views.

    Attributes:
        views: The views, viewpoint by viewpoint.
        viewpoints: [K, 3] world metres.
        recorded: Whether the scene itself says where it was seen from.
        origins: Viewpoint [P, 3] of each point.
        points: Visible surface [P, 3], world metres.
        reach: Metres from the viewpoint within which points are measured.
    """

    views: tuple[View, ...]
    viewpoints: Array
    recorded: bool
    origins: Array
    points: Array
    reach: float

    @property
    def ranges(self) -> Array:
        """Distance [P] of each point from its viewpoint, metres."""
        return np.linalg.norm(self.points - self.origins, axis=1)

    @property
    def near(self) -> NDArray[np.bool_]:
        """Points [P] within reach."""
        return self.ranges <= self.reach

    @property
    def best_view(self) -> View:
        """The view with the most surface in it."""
        return max(self.views, key=lambda view: int(view.covered.sum()))


def observe(subject: Subject) -> Observation:
    """Look around from up to three viewpoints inside the trusted hull, or in free space if there is none."""
    cloud, frame = subject.cloud, subject.frame
    opaque = frame.apply(cloud.positions[cloud.opacities > _OPAQUE].astype(np.float64))
    if len(opaque) == 0:
        opaque = frame.apply(cloud.positions.astype(np.float64))
    hull = subject.hull
    viewpoints = _free_viewpoints(opaque) if hull is None else _inner_viewpoints(hull)
    ahead = np.median(opaque, axis=0)[:2] - viewpoints[0, :2]
    heading = float(np.arctan2(ahead[1], ahead[0]))
    views = [view for viewpoint in viewpoints for view in _look_around(cloud, frame, viewpoint, heading)]
    origins, points = _surface_points(views)
    ranges = np.linalg.norm(points - origins, axis=1)
    reach = REACH
    if len(points) and np.mean(ranges <= reach) < _LEAST_SHARE:
        reach = float(np.median(ranges))
    return Observation(tuple(views), viewpoints, hull is not None, origins, points, reach)


def _inner_viewpoints(hull: Array) -> Array:
    """The middle of the hull and points far from it and from each other, pulled inside."""
    middle = hull.mean(axis=0)
    chosen = [middle]
    while len(chosen) < min(_VIEWPOINTS, len(hull)):
        gaps = np.min([np.linalg.norm(hull - point, axis=1) for point in chosen], axis=0)
        chosen.append(hull[int(np.argmax(gaps))])
    return np.array([point + _TOWARDS_MIDDLE * (middle - point) for point in chosen])


def _free_viewpoints(points: Array) -> Array:
    """Places at eye height that are far from all points [N, 3] and from each other."""
    low, high = np.percentile(points, [10, 90], axis=0)
    eye = np.percentile(points[:, 2], 2) + _EYE_HEIGHT
    x, y = np.meshgrid(np.linspace(low[0], high[0], _GRID), np.linspace(low[1], high[1], _GRID))
    places = np.stack([x.ravel(), y.ravel(), np.full(x.size, eye)], axis=1)
    room = cKDTree(points).query(places)[0]
    chosen: list[Array] = []
    while len(chosen) < _VIEWPOINTS:
        best = int(np.argmax(room))
        chosen.append(places[best])
        room = np.minimum(room, np.linalg.norm(places - places[best], axis=1))
    return np.array(chosen)


def _look_around(cloud: GaussianCloud, frame: Frame, viewpoint: Array, heading: float) -> list[View]:
    """Four level views, the first along `heading` [rad, from +X to +Y], and one straight down."""
    down = np.array([0.0, 0, -1])
    directions = []
    for quarter in range(4):
        angle = heading + 0.5 * np.pi * quarter
        directions.append((np.array([np.cos(angle), np.sin(angle), 0.0]), down))
    directions.append((down, -directions[0][0]))
    cameras = [_camera(viewpoint, forward, image_down) for forward, image_down in directions]
    return [View(camera, render_splats(cloud, frame, camera)) for camera in cameras]


def _camera(position: Array, forward: Array, image_down: Array) -> Camera:
    c2w = np.eye(4)
    c2w[:3, :3] = np.stack([np.cross(image_down, forward), image_down, forward], axis=1)
    c2w[:3, 3] = position
    return Camera(c2w, _FOCAL, _SIZE)


def _surface_points(views: list[View]) -> tuple[Array, Array]:
    origins, points = [], []
    for view in views:
        shown = view.covered
        depth = view.picture.depth.reshape(-1)[shown].astype(np.float64)
        points.append(view.camera.position + view.camera.rays()[shown] * depth[:, None])
        origins.append(np.broadcast_to(view.camera.position, points[-1].shape))
    return np.concatenate(origins), np.concatenate(points)
