# SPDX-License-Identifier: Apache-2.0
"""Rigid motion as a function of time: what a moving thing is made of.

A motion maps a time [s] to the pose `[4, 4]` that a part has then, relative to how it was built (metres, Z up).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..primitives import Primitive, Rotation, Vector

Pose = NDArray[np.float64]
Motion = Callable[[float], Pose]


@dataclass(frozen=True)
class Part:
    """Solids that move as one.

    Attributes:
        primitives: as they stand before the motion. Their patterns must not depend on the place (no wood, no carpet).
        motion: pose at each time.
    """

    primitives: tuple[Primitive, ...]
    motion: Motion

    def at(self, time: float) -> list[Primitive]:
        """The solids at a time [s]."""
        pose = self.motion(time)
        return [posed(primitive, pose) for primitive in self.primitives]

    def under(self, pose: Pose) -> Part:
        """The part as a piece of something that stands at `pose`."""
        return replace(self, motion=lambda time: pose @ self.motion(time))


def posed(primitive: Primitive, pose: Pose) -> Primitive:
    """A solid moved by a rigid pose."""
    center = pose[:3, :3] @ np.array(primitive.center) + pose[:3, 3]
    rotation = np.array(primitive.rotation) @ pose[:3, :3].T
    return replace(primitive, center=_vector(center), rotation=_rotation(rotation))


def still(time: float) -> Pose:
    """No motion."""
    return np.eye(4)


def shift(offset: Vector) -> Pose:
    """A translation [m]."""
    pose = np.eye(4)
    pose[:3, 3] = offset
    return pose


def turn(angle: float, axis: Vector = (0.0, 0.0, 1.0), through: Vector = (0.0, 0.0, 0.0)) -> Pose:
    """A rotation by `angle` [rad] about a unit axis through a point (Rodrigues' formula)."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    pose = np.eye(4)
    pose[:3, :3] += math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross
    pose[:3, 3] = np.array(through) - pose[:3, :3] @ np.array(through)
    return pose


def eased(share: float) -> float:
    """0 to 1 with rest at both ends."""
    share = min(1.0, max(0.0, share))
    return share * share * (3.0 - 2.0 * share)


def along_arc(distance: float, curvature: float) -> Pose:
    """Pose after driving `distance` [m] towards -y on an arc of `curvature` [1/m]; positive turns left."""
    angle = curvature * distance
    if abs(angle) < 1e-6:
        return shift((0.0, -distance, 0.0))
    place = ((1.0 - math.cos(angle)) / curvature, -math.sin(angle) / curvature, 0.0)
    return shift(place) @ turn(angle)


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def _rotation(rows: NDArray[np.float64]) -> Rotation:
    x, y, z = (_vector(row) for row in rows)
    return (x, y, z)
