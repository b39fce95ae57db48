# SPDX-License-Identifier: Apache-2.0
"""A solid as a few convex parts, which every physics engine moves well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usd_export.errors import UsdExportError

CONCAVITY = 0.05
"""Largest concavity of a part, as a share of the solid's size."""
MAX_PARTS = 32
"""Most parts a solid is split into."""

Mesh = tuple[NDArray[np.float32], NDArray[np.int32]]  # vertices [V, 3], triangles [T, 3]


def convex_parts(
    vertices: NDArray[np.floating], triangles: NDArray[np.int32], *, concavity: float = CONCAVITY
) -> list[Mesh]:
    """Split a closed mesh into convex hulls with CoACD (Wei et al. 2022). Deterministic.

    Args:
        vertices: [V, 3], any length unit.
        triangles: [T, 3], counter-clockwise seen from outside.
        concavity: Largest concavity of a part, 0.01 (many parts) to 1 (one hull).

    Raises:
        UsdExportError: If the package `coacd` is not installed or the concavity is out of range.
    """
    if not 0.01 <= concavity <= 1:
        raise UsdExportError(f"the concavity of convex parts must lie between 0.01 and 1, got {concavity}")
    try:
        import coacd
    except ImportError as error:
        raise UsdExportError("convex parts need the package coacd; pip install coacd, or use sdf") from error
    coacd.set_log_level("error")
    solid = coacd.Mesh(np.asarray(vertices, np.float64), np.asarray(triangles, np.int32))
    parts = coacd.run_coacd(solid, threshold=concavity, max_convex_hull=MAX_PARTS, seed=0)
    return [(np.asarray(points, np.float32), np.asarray(faces, np.int32)) for points, faces in parts]
