# SPDX-License-Identifier: Apache-2.0
"""What a pinhole camera sees of Gaussians, on the CPU: colour, coverage and the depth of the visible surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud
from usd_export.frame import Frame
from usd_export.report_card.jit import compiled

_NEAR = 0.1  # metres; nearer Gaussians hang on the lens
_WIDENING = 0.3  # square pixels, added to every footprint so that none falls between the pixels, as 3DGS renderers do
_LEAST_AREA = 1e-4  # square pixels, added where a depth slope is computed: a Gaussian seen edge-on has none
_REACH = 3.0  # sigmas of depth to which that slope is followed
_LEAST_ALPHA = 1.0 / 255.0
_HALF = 0.5  # transmittance at which a ray is taken to have met the surface


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in world metres, OpenCV axes; the principal point is the middle of the picture.

    Attributes:
        c2w: [4, 4] rotation and position.
        focal: Pixels.
        width: Pixels.
        height: Pixels.
    """

    c2w: NDArray[np.float64]
    focal: float
    width: int
    height: int

    @property
    def position(self) -> NDArray[np.float64]:
        """[3] metres."""
        return self.c2w[:3, 3]

    def rays(self) -> NDArray[np.float64]:
        """World directions [height * width, 3] through the pixel centres, of unit depth along the axis."""
        steps = [(np.arange(size) + 0.5 - size / 2) / self.focal for size in (self.width, self.height)]
        u, v = np.meshgrid(*steps)
        return np.stack([u, v, np.ones_like(u)], axis=-1).reshape(-1, 3) @ self.c2w[:3, :3].T


class SplatPicture(NamedTuple):
    """Pixels of a camera, all [height, width, ...]."""

    color: NDArray[np.float32]
    """sRGB, over black."""
    alpha: NDArray[np.float32]
    """Coverage in [0, 1]."""
    depth: NDArray[np.float32]
    """Metres along the axis at which half of the light is absorbed; inf where that happens nowhere."""


def render_splats(cloud: GaussianCloud, frame: Frame, camera: Camera) -> SplatPicture:
    """Composite a cloud front to back.

    A Gaussian is an ellipse in the picture (EWA) and a slanted plane in depth: the mean depth of its mass on the
    pixel's ray. The widening does not enter that plane, lest floors seen at a slant come too near. The colour is the
    one without view dependence.
    """
    to_camera = np.linalg.inv(camera.c2w) @ frame.matrix
    rows, visible = _project(
        cloud.positions, cloud.scales, cloud.rotations, cloud.opacities,
        to_camera, camera.focal, camera.width, camera.height,
    )  # fmt: skip
    seen = np.flatnonzero(visible)
    order = seen[np.argsort(rows[seen, 2], kind="stable")]
    size = (camera.height, camera.width)
    picture = SplatPicture(
        np.zeros((*size, 3), np.float32), np.zeros(size, np.float32), np.full(size, np.inf, np.float32)
    )
    _composite(rows, order, np.maximum(cloud.base_colors, 0), cloud.opacities, *picture)
    return picture


@compiled
def _project(positions, scales, rotations, opacities, to_camera, focal, width, height):
    """Rows [N, 9] of pixel x, y, depth, inverse covariance xx, xy, yy, depth slopes per pixel and depth reach.

    The second result [N] says who is visible.
    """
    rows, visible = np.zeros((len(positions), 9), np.float32), np.zeros(len(positions), np.bool_)
    # Slopes are limited: the affine approximation breaks down far outside the picture.
    reach_x, reach_y = 0.65 * width / focal, 0.65 * height / focal
    m = np.empty((3, 3))
    for i in range(len(positions)):
        p = positions[i]
        z = to_camera[2, 0] * p[0] + to_camera[2, 1] * p[1] + to_camera[2, 2] * p[2] + to_camera[2, 3]
        if not z > _NEAR or opacities[i] < _LEAST_ALPHA:
            continue
        x = to_camera[0, 0] * p[0] + to_camera[0, 1] * p[1] + to_camera[0, 2] * p[2] + to_camera[0, 3]
        y = to_camera[1, 0] * p[0] + to_camera[1, 1] * p[1] + to_camera[1, 2] * p[2] + to_camera[1, 3]
        _axes(rotations[i], scales[i], to_camera, m)
        sx, sy = min(max(x / z, -reach_x), reach_x), min(max(y / z, -reach_y), reach_y)
        xx, xy, yy, xz, yz, zz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for axis in range(3):
            u = focal / z * (m[0, axis] - sx * m[2, axis])
            v = focal / z * (m[1, axis] - sy * m[2, axis])
            xx, xy, yy = xx + u * u, xy + u * v, yy + v * v
            xz, yz, zz = xz + u * m[2, axis], yz + v * m[2, axis], zz + m[2, axis] * m[2, axis]
        row = rows[i]
        sharp_xx, sharp_yy = xx + _LEAST_AREA, yy + _LEAST_AREA
        determinant = sharp_xx * sharp_yy - xy * xy
        row[6], row[7] = (sharp_yy * xz - xy * yz) / determinant, (sharp_xx * yz - xy * xz) / determinant
        row[8] = _REACH * np.sqrt(zz)
        xx, yy = xx + _WIDENING, yy + _WIDENING
        determinant = xx * yy - xy * xy
        row[0], row[1], row[2] = focal * x / z + width / 2, focal * y / z + height / 2, z
        row[3], row[4], row[5] = yy / determinant, -xy / determinant, xx / determinant
        sigmas = np.sqrt(2.0 * np.log(opacities[i] / _LEAST_ALPHA))
        wide, high = sigmas * np.sqrt(xx), sigmas * np.sqrt(yy)
        visible[i] = -wide < row[0] < width + wide and -high < row[1] < height + high
    return rows, visible


@compiled
def _axes(quaternion, scale, to_camera, m):
    """Fill m [3, 3] with the local axes times sigma, as columns in camera space."""
    w, x, y, z = quaternion
    turn = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    for row in range(3):
        a, b, c = to_camera[row, 0], to_camera[row, 1], to_camera[row, 2]
        for axis in range(3):
            m[row, axis] = scale[axis] * (a * turn[0][axis] + b * turn[1][axis] + c * turn[2][axis])


@compiled
def _composite(rows, order, colors, opacities, color, alpha, depth):
    height, width = alpha.shape
    for i in order:
        x, y, z, a, b, c, slope_x, slope_y, reach = rows[i]
        sigmas = np.sqrt(2.0 * np.log(opacities[i] / _LEAST_ALPHA))
        determinant = a * c - b * b
        wide, high = sigmas * np.sqrt(c / determinant), sigmas * np.sqrt(a / determinant)
        for v in range(max(0, int(np.ceil(y - high - 0.5))), min(height, int(np.floor(y + high - 0.5)) + 1)):
            for u in range(max(0, int(np.ceil(x - wide - 0.5))), min(width, int(np.floor(x + wide - 0.5)) + 1)):
                through = 1.0 - alpha[v, u]
                if through < 1e-3:
                    continue
                dx, dy = u + 0.5 - x, v + 0.5 - y
                share = min(0.999, opacities[i] * np.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy))
                if share < _LEAST_ALPHA:
                    continue
                for channel in range(3):
                    color[v, u, channel] += through * share * colors[i, channel]
                alpha[v, u] += through * share
                if through >= _HALF > through * (1.0 - share):
                    depth[v, u] = max(z + min(max(slope_x * dx + slope_y * dy, -reach), reach), _NEAR)
