# SPDX-License-Identifier: Apache-2.0
"""Quaternions (w, x, y, z) and rotation matrices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def quaternion_to_matrix(quaternions: Tensor) -> Tensor:
    """Rotation matrices `[..., 3, 3]` of unit quaternions `[..., 4]`."""
    w, x, y, z = quaternions.unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def matrix_to_quaternion(matrices: Tensor) -> Tensor:
    """Unit quaternions `[..., 4]` of rotation matrices `[..., 3, 3]`.

    Of the four equivalent formulas the one with the largest divisor is taken (Shepperd 1978).
    """
    m = matrices
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    yz, zx, xy = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    sxy, sxz, syz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    candidates = torch.stack(
        (
            torch.stack((1 + xx + yy + zz, yz, zx, xy), dim=-1),
            torch.stack((yz, 1 + xx - yy - zz, sxy, sxz), dim=-1),
            torch.stack((zx, sxy, 1 - xx + yy - zz, syz), dim=-1),
            torch.stack((xy, sxz, syz, 1 - xx - yy + zz), dim=-1),
        ),
        dim=-2,
    )
    best = candidates.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    chosen = candidates.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    return functional.normalize(chosen, dim=-1)


def quaternion_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product a * b `[..., 4]`: the rotation b, followed by a."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    product = (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )
    return torch.stack(product, dim=-1)
