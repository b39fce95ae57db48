# SPDX-License-Identifier: Apache-2.0
"""Real spherical harmonics in the order and sign of 3D Gaussian Splatting, degree 0 to 3."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lyra_core.errors import LyraError

C0 = 0.5 / math.sqrt(math.pi)
"""Value of the constant harmonic: colour = 0.5 + C0 * coefficient."""

_C1 = 0.4886025119029199
_C2 = (1.0925484305920792, -1.0925484305920792, 0.31539156525252005, -1.0925484305920792, 0.5462742152960396)
_C3 = (
    -0.5900435899266435, 2.890611442640554, -0.4570457994644658, 0.3731763325901154,
    -0.4570457994644658, 1.445305721320277, -0.5900435899266435,
)  # fmt: skip


def degree_of(coefficients: int) -> int:
    """Degree of an expansion with that many coefficients: (degree + 1)^2."""
    degree = math.isqrt(coefficients) - 1
    if degree not in range(4) or (degree + 1) ** 2 != coefficients:
        raise LyraError(f"Spherical harmonics need 1, 4, 9 or 16 coefficients; got {coefficients}.")
    return degree


def basis(directions: Tensor, degree: int) -> Tensor:
    """Harmonics `[..., (degree + 1)^2]` at unit directions `[..., 3]`."""
    x, y, z = directions.unbind(-1)
    terms = [torch.full_like(x, C0)]
    if degree > 0:
        terms += [-_C1 * y, _C1 * z, -_C1 * x]
    if degree > 1:
        xx, yy, zz = x * x, y * y, z * z
        products = (x * y, y * z, 2 * zz - xx - yy, x * z, xx - yy)
        terms += [factor * product for factor, product in zip(_C2, products, strict=True)]
    if degree > 2:
        products_3 = (
            y * (3 * xx - yy), x * y * z, y * (4 * zz - xx - yy), z * (2 * zz - 3 * xx - 3 * yy),
            x * (4 * zz - xx - yy), z * (xx - yy), x * (xx - 3 * yy),
        )  # fmt: skip
        terms += [factor * product for factor, product in zip(_C3, products_3, strict=True)]
    return torch.stack(terms, dim=-1)


def rotated(coefficients: Tensor, rotation: Tensor) -> Tensor:
    """Coefficients `[..., K, 3]` of the same colours after the scene was turned by `rotation` `[3, 3]`.

    The turned colour at d is the old colour at R^T d. Both sides are expanded at fixed directions and the linear system
    is solved once, in double precision.
    """
    degree = degree_of(coefficients.shape[-2])
    count = torch.arange(64, dtype=torch.float64) + 0.5
    z, angle = 1 - count / 32, math.pi * (1 + math.sqrt(5)) * count
    ring = (1 - z * z).sqrt()
    directions = torch.stack((ring * angle.cos(), ring * angle.sin(), z), dim=-1)
    turned = directions @ rotation.detach().cpu().double()
    change = torch.linalg.lstsq(basis(directions, degree), basis(turned, degree)).solution
    return change.to(coefficients) @ coefficients
