# SPDX-License-Identifier: Apache-2.0
"""The one matrix from scene units to a metric, Z-up world with the floor at z = 0."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from usd_export.errors import UsdExportError
from usd_export.placement.floor import find_floor, find_level_surface

Array = NDArray[np.float64]

FLOOR_PERCENTILE = 1.0
"""Share of the points [percent] that may lie below the floor when no floor plane is found."""


@dataclass(frozen=True)
class Frame:
    """Similarity transform shared by splats, collider and cameras.

    Attributes:
        matrix: [4, 4] float64, column vectors (world = matrix @ local): uniform scale, rotation with determinant +1,
            translation. Local is the cloud's own frame; world is metres, Z-up, floor at z = 0.
        scale_source: Where metres per scene unit came from.
        up_source: Where the vertical came from.
        floor_source: Where the height of the floor came from.
        metric: Whether the scale is a measured one rather than a guess.
        scale_uncertainty: Relative standard deviation of the scale (0.02 is 2 %); None if nobody knows it.
    """

    matrix: Array
    scale_source: str
    up_source: str
    floor_source: str
    metric: bool
    scale_uncertainty: float | None = None

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.array_equal(matrix[3], [0, 0, 0, 1]):
            raise UsdExportError("a frame needs a finite 4x4 affine matrix with last row 0 0 0 1")
        determinant = np.linalg.det(matrix[:3, :3])
        if determinant <= 0:
            raise UsdExportError(f"a frame must not mirror or flatten the scene (determinant {determinant:.3g})")
        gram = matrix[:3, :3].T @ matrix[:3, :3] / determinant ** (2 / 3)
        if not np.allclose(gram, np.eye(3), atol=1e-6):
            raise UsdExportError("a frame may only scale uniformly and must not shear")
        if self.scale_uncertainty is not None and not 0 <= self.scale_uncertainty < np.inf:
            raise UsdExportError(f"the scale has an uncertainty of {self.scale_uncertainty}; it must be 0 or more")
        object.__setattr__(self, "matrix", matrix)

    @property
    def scale(self) -> float:
        """Metres per scene unit."""
        return float(np.linalg.det(self.matrix[:3, :3]) ** (1 / 3))

    @property
    def rotation(self) -> Array:
        """Rotation [3, 3] from local to world axes."""
        return self.matrix[:3, :3] / self.scale

    def apply(self, points: NDArray[np.floating]) -> Array:
        """Map local points [..., 3] to world points [..., 3] in metres."""
        return points @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def apply_to_cameras(self, c2w: NDArray[np.floating]) -> Array:
        """Map local camera poses [..., 4, 4] (camera to scene, any camera axes) to world poses [..., 4, 4].

        A camera has no size: its position is scaled, its axes keep their length.
        """
        poses = np.array(c2w, dtype=np.float64)
        poses[..., :3, 3] = self.apply(poses[..., :3, 3])
        poses[..., :3, :3] = self.rotation @ poses[..., :3, :3]
        return poses

    def after(self, first: Array) -> Frame:
        """The frame of points that `first` [4, 4] maps to the local coordinates of this one."""
        return replace(self, matrix=self.matrix @ first)

    def turned(self, rotation: Array) -> Frame:
        """The frame of the world turned about its origin by `rotation` [3, 3]."""
        return replace(self, matrix=_affine(rotation, np.zeros(3)) @ self.matrix)

    def moved(self, offset: Array) -> Frame:
        """The frame of the world moved by `offset` [3] in metres."""
        return replace(self, matrix=_affine(np.eye(3), offset) @ self.matrix)

    def enlarged(self, factor: float) -> Frame:
        """The frame of the world enlarged about its origin, so that the floor stays at z = 0."""
        return replace(self, matrix=_affine(factor * np.eye(3), np.zeros(3)) @ self.matrix)

    @classmethod
    def identity(cls) -> Frame:
        """The frame of a cloud that already is metric and Z-up, as its owner says."""
        return cls(np.eye(4), "taken from the file", "taken from the file", "taken from the file", metric=False)


def estimate_frame(
    points: NDArray[np.floating],
    camera_c2w: NDArray[np.floating],
    metres_per_unit: float,
    scale_source: str,
    *,
    metric: bool = False,
    scale_uncertainty: float | None = None,
) -> Frame:
    """Estimate the frame of a scene from its points and its first camera.

    The vertical is the normal of the floor if one is found, else of the largest level surface (a table top), else the
    camera is taken to be level. World +Y is the direction the camera looks in, projected to the ground; the world's
    origin is the floor point below the camera. Deterministic.

    Args:
        points: Opaque scene points [N, 3] in scene units, any number.
        camera_c2w: First camera [4, 4] in scene units, OpenCV axes (x right, y down, z forward).
        metres_per_unit: Metres per scene unit, greater than 0.
        scale_source: Where that number comes from, for the provenance.
        metric: Whether that number is a measurement.
        scale_uncertainty: Its relative standard deviation, if known.

    Raises:
        UsdExportError: If there are no finite points or the scale is not positive.
    """
    if not (np.isfinite(metres_per_unit) and metres_per_unit > 0):
        raise UsdExportError(f"the scale is {metres_per_unit} metres per scene unit; it must be positive")
    camera = np.asarray(camera_c2w, dtype=np.float64)
    relative = np.asarray(points, dtype=np.float64).reshape(-1, 3) - camera[:3, 3]
    relative = relative[np.isfinite(relative).all(axis=1)]
    if len(relative) == 0:
        raise UsdExportError("the scene has no finite points to place a floor under")
    camera_up = -camera[:3, 1] / np.linalg.norm(camera[:3, 1])
    floor = find_floor(relative, camera_up)
    if floor is None:
        surface = find_level_surface(relative, camera_up)
        up = camera_up if surface is None else surface.normal
        up_source = (
            "camera assumed level: no level surface was found" if surface is None
            else f"normal of the largest level surface, through {100 * surface.support:.0f} % of the points"
        )  # fmt: skip
        height = float(np.percentile(relative @ up, FLOOR_PERCENTILE))
        floor_source = f"height below which {FLOOR_PERCENTILE:g} % of the points lie: no floor plane was found"
    else:
        up, height = floor.normal, floor.height
        up_source = f"normal of the floor plane, {np.degrees(floor.tilt):.1f} degrees from the camera's up direction"
        floor_source = f"lowest dominant horizontal plane, through {100 * floor.support:.0f} % of the points"
    rotation = _levelled_axes(camera, up)
    linear = metres_per_unit * rotation
    matrix = _affine(linear, -linear @ camera[:3, 3] - [0, 0, metres_per_unit * height])
    return Frame(matrix, scale_source, up_source, floor_source, metric, scale_uncertainty)


def _affine(linear: Array, offset: Array) -> Array:
    """Matrix [4, 4] of x -> linear @ x + offset."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, offset
    return matrix


def _levelled_axes(camera: Array, up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation [3, 3] whose rows are world X (right), Y (ahead) and Z (up) in local coordinates."""
    ahead = camera[:3, 2] - (camera[:3, 2] @ up) * up
    if np.linalg.norm(ahead) < 0.1 * np.linalg.norm(camera[:3, 2]):  # looking straight down or up
        ahead = -camera[:3, 1] + (camera[:3, 1] @ up) * up
    ahead /= np.linalg.norm(ahead)
    return np.stack([np.cross(ahead, up), ahead, up])
