# SPDX-License-Identifier: Apache-2.0
"""Applying a frame to the data itself, for file formats that cannot hold a matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud
from usd_export.frame import Frame
from usd_export.spherical_harmonics import sh_rotation

Array = NDArray[np.float64]


def bake_frame(cloud: GaussianCloud, frame: Frame) -> GaussianCloud:
    """Return the cloud in world coordinates: metres, Z-up, floor at z = 0.

    Positions, scales, rotations and the direction-dependent harmonics all follow the frame, so that the baked cloud
    under an identity matrix looks like the original under `frame.matrix`.
    """
    turn = sh_rotation(frame.rotation, cloud.sh_degree).astype(np.float32)
    return GaussianCloud(
        positions=frame.apply(cloud.positions).astype(np.float32),
        scales=cloud.scales * np.float32(frame.scale),
        rotations=_quaternion_products(_quaternion(frame.rotation), cloud.rotations).astype(np.float32),
        opacities=cloud.opacities,
        sh=cloud.sh if cloud.sh_degree == 0 else turn @ cloud.sh,
    )


def _quaternion(rotation: Array) -> Array:
    """Unit quaternion [4] (w, x, y, z) of a rotation matrix, by its largest component for accuracy."""
    m = rotation
    symmetric = np.array(
        [
            [m[0, 0] + m[1, 1] + m[2, 2], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [0, m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [0, 0, m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1]],
            [0, 0, 0, m[2, 2] - m[0, 0] - m[1, 1]],
        ]
    )
    return np.linalg.eigh(symmetric, UPLO="U")[1][:, -1]  # Bar-Itzhack 2000


def _quaternion_products(left: Array, right: NDArray[np.float32]) -> Array:
    """Hamilton products left * right of one quaternion [4] and many [N, 4]."""
    w, x, y, z = left
    product = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return right @ product.T
