# SPDX-License-Identifier: Apache-2.0
"""Metres per scene unit from what a user knows: a measured distance, or the height of the camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from usd_export.errors import UsdExportError
from usd_export.frame import Frame

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measurement:
    """A length as a person states it.

    Attributes:
        metres: The length, greater than 0.
        uncertainty: Relative standard deviation; None if unknown.
    """

    metres: float
    uncertainty: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.metres) and self.metres > 0):
            raise UsdExportError(f"a length of {self.metres} m was given; it must be positive")


@dataclass(frozen=True)
class ScaleReference:
    """Two points of the input and the true distance between them.

    Attributes:
        start: First point [3], in the coordinates of the input.
        end: Second point [3].
        distance: Their distance.
    """

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    distance: Measurement

    def __post_init__(self) -> None:
        if not (np.isfinite([self.start, self.end]).all() and self.length > 0):
            raise UsdExportError(f"the scale reference from {self.start} to {self.end} needs two different points")

    @property
    def length(self) -> float:
        """Distance in units of the input."""
        return float(np.linalg.norm(np.subtract(self.end, self.start)))


def frame_from_scale_reference(frame: Frame, reference: ScaleReference, to_input: Array) -> Frame:
    """Enlarge the world about its origin until the two points are as far apart as the user says.

    Args:
        frame: Local to world.
        reference: Two points in coordinates of the input.
        to_input: Matrix [4, 4] from local coordinates to those of the input.
    """
    local_length = reference.length / np.linalg.det(to_input[:3, :3]) ** (1 / 3)
    return _measured(
        frame,
        reference.distance.metres / (local_length * frame.scale),
        f"distance of two points given by the user: {reference.distance.metres:g} m",
        reference.distance.uncertainty,
    )


def frame_from_camera_height(frame: Frame, viewpoints: NDArray[np.floating], height: Measurement) -> Frame:
    """Enlarge the world about its origin until the cameras are as high above the floor as the user says.

    Args:
        frame: Local to world, with the floor at z = 0.
        viewpoints: Camera centres [M, 3] in local coordinates; the median of their heights counts.
        height: Height of the camera above the floor.

    Raises:
        UsdExportError: If the cameras are not above the floor.
    """
    found = float(np.median(frame.apply(viewpoints)[:, 2]))
    if found <= 0:
        raise UsdExportError(f"the cameras are not above the floor ({found:.3g} m); use --scale-ref instead")
    source = f"height of the camera above the floor given by the user: {height.metres:g} m"
    return _measured(frame, height.metres / found, source, height.uncertainty)


def _measured(frame: Frame, factor: float, source: str, uncertainty: float | None) -> Frame:
    return replace(frame.enlarged(factor), scale_source=source, metric=True, scale_uncertainty=uncertainty)
