# SPDX-License-Identifier: Apache-2.0
"""What USD shows between two time samples of a particle field.

Arrays of equal length are blended linearly, quaternions spherically along the shorter arc: so do usd-core 24.05, 25.11
and 26.11. The values that are blended are those that the schema stores: standard deviations and opacities, not their
logarithms and logits. Renderers that blend by themselves may do it component by component, which is why the writers
also keep the signs of consecutive quaternions together.
"""

from __future__ import annotations

import numpy as np

from usd_export.cloud import FloatArray, GaussianCloud

_NEARLY_EQUAL = 1e-5  # cosine from 1, below which OpenUSD blends quaternions linearly


def blend(first: GaussianCloud, second: GaussianCloud, share: float) -> GaussianCloud:
    """The cloud between two of equal size and degree: `first` at share 0, `second` at share 1."""
    return GaussianCloud(
        positions=_lerp(first.positions, second.positions, share),
        scales=_lerp(first.scales, second.scales, share),
        rotations=slerp(first.rotations, second.rotations, share),
        opacities=_lerp(first.opacities, second.opacities, share),
        sh=_lerp(first.sh, second.sh, share),
    )


def slerp(first: FloatArray, second: FloatArray, share: float) -> FloatArray:
    """Unit quaternions [N, 4] at constant angular speed along the shorter arc (Shoemake 1985)."""
    second = sign_aligned(second, first)
    cosine = np.minimum(np.einsum("ij,ij->i", first, second, dtype=np.float64), 1.0)
    angle = np.arccos(cosine)
    near = 1 - cosine < _NEARLY_EQUAL
    sine = np.where(near, 1.0, np.sin(angle))
    before = np.where(near, 1 - share, np.sin((1 - share) * angle) / sine)
    after = np.where(near, share, np.sin(share * angle) / sine)
    mixed = before[:, None] * first + after[:, None] * second
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def sign_aligned(rotations: FloatArray, reference: FloatArray) -> FloatArray:
    """The same rotations [N, 4], each by that of its two quaternions q and -q which is nearer to `reference` [N, 4]."""
    flipped = np.einsum("ij,ij->i", rotations, reference) < 0
    return np.where(flipped[:, None], -rotations, rotations) if flipped.any() else rotations


def _lerp(first: FloatArray, second: FloatArray, share: float) -> FloatArray:
    return np.float32(1 - share) * first + np.float32(share) * second
