# SPDX-License-Identifier: Apache-2.0
"""Real spherical harmonics of 3D Gaussian Splatting (INRIA order and signs), degree 0 to 3."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_C1 = 0.4886025119029199
_C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
_C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)


def sh_basis(directions: Array, degree: int) -> Array:
    """Harmonics [N, (degree + 1)^2] at unit directions [N, 3]."""
    x, y, z = directions.T
    xx, yy, zz = x * x, y * y, z * z
    bands = [
        [np.full_like(x, 0.28209479177387814)],
        [-_C1 * y, _C1 * z, -_C1 * x],
        [_C2[0] * x * y, -_C2[0] * y * z, _C2[1] * (2 * zz - xx - yy), -_C2[0] * x * z, _C2[2] * (xx - yy)],
        [
            -_C3[0] * y * (3 * xx - yy),
            _C3[1] * x * y * z,
            -_C3[2] * y * (4 * zz - xx - yy),
            _C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
            -_C3[2] * x * (4 * zz - xx - yy),
            _C3[4] * z * (xx - yy),
            -_C3[0] * x * (xx - 3 * yy),
        ],
    ]
    return np.stack([term for band in bands[: degree + 1] for term in band], axis=1)


def sh_rotation(rotation: Array, degree: int) -> Array:
    """Matrix [K, K] that takes coefficients to those of the same function turned by `rotation` [3, 3].

    The turned function at d is the old one at rotation^T d; both are expanded at fixed directions spread evenly over
    the sphere and the (well-conditioned) linear system is solved in double precision.
    """
    count = np.arange(64) + 0.5
    z, angle = 1 - count / 32, np.pi * (1 + np.sqrt(5)) * count  # Fibonacci sphere
    ring = np.sqrt(1 - z * z)
    directions = np.stack((ring * np.cos(angle), ring * np.sin(angle), z), axis=1)
    turned = sh_basis(directions @ rotation, degree)
    return np.asarray(np.linalg.lstsq(sh_basis(directions, degree), turned, rcond=None)[0], np.float64)
