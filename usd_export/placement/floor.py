# SPDX-License-Identifier: Apache-2.0
"""Finding the floor: the lowest well-supported, nearly horizontal plane below the camera; or any level surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_TILT = np.radians(30.0)
"""Largest angle between the floor's normal and the camera's up direction [rad]."""
MIN_SUPPORT = 0.05
"""Smallest share of all points that must lie on the floor."""
MAX_BELOW = 0.04
"""Largest share of points that may lie below the floor; a table top has the floor around it below."""

_TILT_STEP = np.radians(2.5)
_RELATIVE_THICKNESS = 0.015  # of the median distance; about the noise of a good depth map
_REACH = 10.0  # heights beyond this many median distances are not looked at
_MIN_SPREAD = 0.07  # of the median distance; narrower support is an edge, not a floor
_MIN_DROP = 0.05  # of the median distance; the camera is at least this high above the floor
_MAX_POINTS = 20_000
_TRIED = 60  # candidates that are looked at more closely


@dataclass(frozen=True)
class Floor:
    """Plane normal . p = height.

    Attributes:
        normal: Unit normal [3], pointing up.
        height: Signed distance of the plane from the origin along the normal.
        support: Share of the points that lie on the plane.
        tilt: Angle between the normal and the camera's up direction [rad].
    """

    normal: Array
    height: float
    support: float
    tilt: float


def find_level_surface(points: Array, up: Array) -> Floor | None:
    """Find the best supported level surface, whatever lies below it: a table top that hides the floor.

    Its normal tells the vertical; its height is not the floor's. Arguments and result as in `find_floor`.
    """
    return find_floor(points, up, max_below=1.0)


def find_floor(points: Array, up: Array, *, max_below: float = MAX_BELOW) -> Floor | None:
    """Find the floor among points seen from the origin.

    Every direction within `MAX_TILT` of `up` votes with a histogram of the points' heights along it; the best bin
    with (almost) nothing below it is refined by least squares. There is no randomness.

    Args:
        points: Points [N, 3] relative to the camera, any length unit.
        up: Unit up direction [3] of the camera.
        max_below: Largest share of points that may lie below the plane.

    Returns:
        The floor relative to the camera, or None if no plane has enough support.
    """
    points = points[:: -(-len(points) // _MAX_POINTS) or 1]
    reach = float(np.median(np.linalg.norm(points, axis=1))) if len(points) else 0.0
    if reach <= 0:
        return None
    thickness = _RELATIVE_THICKNESS * reach
    candidates = []
    for tilt, normal in _candidate_normals(up):
        support, height = _lowest_peak(points @ normal, thickness, reach, max_below)
        candidates.append((support * (1 - 0.5 * tilt / MAX_TILT), height, normal))
    candidates.sort(key=lambda candidate: -candidate[0])
    fullest = candidates[0]
    for score, height, normal in candidates[:_TRIED]:
        # What is no plane, such as the seats of sofas, may have the floor below it and parallel to it.
        below = height < fullest[1] - _MIN_DROP * reach and normal @ fullest[2] > np.cos(2 * _TILT_STEP)
        if score > 0 and (below or normal is fullest[2]):
            floor = _refine(points, up, normal, height, thickness, reach, max_below)
            if floor:
                return floor
    return None


def find_floor_height(points: Array) -> tuple[float, float] | None:
    """Find the height of the floor in a scene whose vertical is known.

    Unlike `find_floor` it needs no camera: it looks down from above everything.

    Args:
        points: Points [N, 3], z up, any length unit.

    Returns:
        Height of the floor and the share of the points that lie on it; None if no height has enough support.
    """
    points = points[:: -(-len(points) // _MAX_POINTS) or 1]
    reach = float(np.median(np.linalg.norm(points - np.median(points, axis=0), axis=1))) if len(points) else 0.0
    if reach <= 0:
        return None
    heights, thickness = points[:, 2], _RELATIVE_THICKNESS * reach
    top = float(np.percentile(heights, 99.9)) + 2 * _MIN_DROP * reach
    support, height = _lowest_peak(heights - top, thickness, reach, MAX_BELOW)
    if support < MIN_SUPPORT:
        return None
    return float(np.median(heights[np.abs(heights - top - height) < thickness])), support


def _candidate_normals(up: Array) -> list[tuple[float, Array]]:
    """Tilt and direction of unit vectors spread evenly over the cone of `MAX_TILT` around `up`."""
    side = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    side /= np.linalg.norm(side)
    ahead = np.cross(up, side)
    normals = [(0.0, up)]
    for tilt in np.arange(_TILT_STEP, MAX_TILT, _TILT_STEP):
        turns = np.arange(0, 2 * np.pi, _TILT_STEP / np.sin(tilt))
        sideways = np.outer(np.cos(turns), side) + np.outer(np.sin(turns), ahead)
        normals += [(float(tilt), normal) for normal in np.cos(tilt) * up + np.sin(tilt) * sideways]
    return normals


def _lowest_peak(heights: Array, thickness: float, reach: float, max_below: float) -> tuple[float, float]:
    """Share of points in, and centre of, the fullest two bins below the camera with few points below them."""
    bins = int(_REACH * reach / thickness)
    index = np.floor(heights / thickness).astype(np.int64) + bins
    counts = np.bincount(np.clip(index, 0, 2 * bins - 1), minlength=2 * bins)[: bins - int(_MIN_DROP * bins / _REACH)]
    below = np.concatenate(([0], np.cumsum(counts)))[:-1]
    support = np.where(below[:-1] <= max_below * len(heights), counts[:-1] + counts[1:], 0)
    support[0] = 0  # the overflow bin holds everything beyond reach
    peak = int(np.argmax(support))
    return support[peak] / len(heights), (peak + 1 - bins) * thickness


def _refine(
    points: Array, up: Array, normal: Array, height: float, thickness: float, reach: float, max_below: float
) -> Floor | None:
    """Least-squares plane through the points near a candidate, with the tests that make it a floor."""
    tolerance = thickness
    for _ in range(12):
        distance = np.abs(points @ normal - height)
        members = points[distance < tolerance]
        if len(members) < max(3, MIN_SUPPORT * len(points)):
            return None
        noise = 1.4826 * np.median(distance[distance < tolerance])
        tolerance = np.clip(3 * noise, thickness / 4, thickness)  # lets go of the feet of walls and furniture
        centre = members.mean(axis=0)
        spread, axes = np.linalg.eigh(np.cov((members - centre).T))
        normal = axes[:, 0] * np.sign(axes[:, 0] @ up)
        height = float(centre @ normal)
    tilt = float(np.arccos(np.clip(normal @ up, -1, 1)))
    below = np.mean(points @ normal < height - thickness)
    narrow = np.sqrt(spread[1]) < _MIN_SPREAD * reach
    if narrow or tilt > MAX_TILT or height > -_MIN_DROP * reach or below > max_below:
        return None
    return Floor(normal, height, len(members) / len(points), tilt)
