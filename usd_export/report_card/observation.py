# SPDX-License-Identifier: Apache-2.0
"""What is seen of the Gaussians from the viewpoints that can be trusted: the promise that the collider has to keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from usd_export.cloud import GaussianCloud
from usd_export.frame import Frame
from usd_export.report_card.source_view import SourceView, find_source_view
from usd_export.report_card.splat_depth import Camera, SplatPicture, render_splats
from usd_export.report_card.subject import Subject

Array = NDArray[np.float64]

REACH = 4.0
"""Metres within which surfaces are measured, unless the viewpoints are farther from everything."""

_VIEWPOINTS = 3
_TOWARDS_MIDDLE = 0.3  # share of the way that viewpoints are pulled inside of the hull
_SIZE = 448  # pixels; with fewer, the widened footprints of distant floor seen at a slant lift it by centimetres
_FOCAL = 0.5 * _SIZE  # 90 degrees: four views and one down see all but the zenith
_COVERED = 0.9  # alpha of a pixel that shows a surface
_OPAQUE = 0.5
_LEAST_SHARE = 0.05  # of the covered pixels within reach
_EYE_HEIGHT = 1.2  # metres above the lowest Gaussians, where a scene does not say where it was seen from
_GRID = 12
_SHOWN = (640, 400)  # pixels of the pictures that people look at


@dataclass(frozen=True)
class View:
    """A camera and its picture of the Gaussians."""

    camera: Camera
    picture: SplatPicture

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Pixels [height * width] that show a surface."""
        shown = (self.picture.alpha > _COVERED) & np.isfinite(self.picture.depth)
        return shown.reshape(-1)

    @property
    def points(self) -> Array:
        """World points [C, 3] of the covered pixels, metres."""
        depth = self.picture.depth.reshape(-1)[self.covered].astype(np.float64)
        return self.camera.position + self.camera.rays()[self.covered] * depth[:, None]


@dataclass(frozen=True)
class Observation:
    """Surface points of all views.

    Attributes:
        viewpoints: [K, 3] world metres.
        recorded: Whether the scene itself says where it was seen from.
        origins: Viewpoint [P, 3] of each point.
        points: Visible surface [P, 3], world metres.
        observed: Points [P] that the picture shows which the scene was made from; all, if there is no such picture.
        reach: Metres from the viewpoint within which points are measured.
        showcase: One larger view for people.
        made_up: Its covered pixels [C] that are not observed.
    """

    viewpoints: Array
    recorded: bool
    origins: Array
    points: Array
    observed: NDArray[np.bool_]
    reach: float
    showcase: View
    made_up: NDArray[np.bool_]

    @property
    def ranges(self) -> Array:
        """Distance [P] of each point from its viewpoint, metres."""
        return np.linalg.norm(self.points - self.origins, axis=1)

    @property
    def near(self) -> NDArray[np.bool_]:
        """Points [P] within reach."""
        return self.ranges <= self.reach


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
    points = np.concatenate([view.points for view in views])
    origins = np.repeat([view.camera.position for view in views], [len(view.points) for view in views], axis=0)
    source = _fitting_source(subject, points)
    best = max(views, key=lambda view: int(view.covered.sum())).camera
    showcase = _showcase(subject, best.c2w if source is None else source.c2w)
    observed, shown = (
        np.ones(len(seen), bool) if source is None else source.shows(seen) for seen in (points, showcase.points)
    )
    reach = _reach(np.linalg.norm(points - origins, axis=1)[observed])
    return Observation(viewpoints, hull is not None, origins, points, observed, reach, showcase, ~shown)


def _fitting_source(subject: Subject, points: Array) -> SourceView | None:
    """The picture that a scene was made from, unless it shows next to none of the visible points [P, 3].

    Then the recorded cameras belong to something else, and nothing is excused for having been made up.
    """
    source = find_source_view(subject)
    fits = source is not None and len(points) > 0 and source.shows(points).mean() >= _LEAST_SHARE
    return source if fits else None


def _reach(ranges: Array) -> float:
    """Metres within which a fair share of what is seen at some distances [P] lies."""
    if len(ranges) and np.mean(ranges <= REACH) < _LEAST_SHARE:
        return float(np.median(ranges))
    return REACH


def _showcase(subject: Subject, c2w: Array) -> View:
    """The widest view at a pose."""
    camera = Camera(c2w, 0.5 * _SHOWN[0], *_SHOWN)
    return View(camera, render_splats(subject.cloud, subject.frame, camera))


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
    return Camera(c2w, _FOCAL, _SIZE, _SIZE)
