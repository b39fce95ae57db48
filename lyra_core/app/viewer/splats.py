# SPDX-License-Identifier: Apache-2.0
"""Gaussians as the browser wants them: covariances and flat colours, and what a ray from the mouse hits."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from lyra_core.rotations import quaternion_to_matrix
from usd_export.cloud import GaussianCloud

_SOLID = 0.3
"""Opacity from which on a Gaussian can be clicked on."""
_REACH = 2.0
"""Standard deviations around its middle within which it is hit."""

_RAINBOW = np.array([[0.75, 0.1, 0.1], [0.95, 0.6, 0.1], [0.5, 0.85, 0.3], [0.15, 0.6, 0.85], [0.3, 0.15, 0.6]])
"""Colours of depth, from near to far."""

Array = NDArray[np.float64]


class BrowserSplats(TypedDict):
    """Arguments of viser's `add_gaussian_splats`: [N, 3], [N, 3, 3], [N, 3], [N, 1]."""

    centers: NDArray[np.float32]
    covariances: NDArray[np.float32]
    rgbs: NDArray[np.float32]
    opacities: NDArray[np.float32]


def browser_splats(cloud: GaussianCloud, depth_from: NDArray[np.floating] | None = None) -> BrowserSplats:
    """What viser draws; it knows no spherical harmonics, so colours are those of the base band.

    Args:
        cloud: In world metres.
        depth_from: Colours tell the distance to this point [3] instead.
    """
    rotations = quaternion_to_matrix(torch.from_numpy(cloud.rotations)).numpy()
    axes = rotations * cloud.scales[:, None, :]
    colors = np.clip(cloud.base_colors, 0, 1) if depth_from is None else depth_colors(cloud.positions, depth_from)
    return BrowserSplats(
        centers=cloud.positions,
        covariances=axes @ axes.transpose(0, 2, 1),
        rgbs=colors.astype(np.float32),
        opacities=cloud.opacities[:, None].astype(np.float32),
    )


def depth_colors(points: NDArray[np.floating], eye: NDArray[np.floating]) -> Array:
    """Colours [N, 3] from red (near) to violet (far) by the logarithm of the distance."""
    distance = np.log(np.maximum(np.linalg.norm(points - eye, axis=1), 1e-3))
    low, high = np.percentile(distance, [2, 98])
    share = (distance - low) / max(high - low, 1e-6)
    stops = np.linspace(0.0, 1.0, len(_RAINBOW))
    return np.stack([np.interp(share, stops, channel) for channel in _RAINBOW.T], axis=1)


def pick(cloud: GaussianCloud, origin: NDArray[np.floating], direction: NDArray[np.floating]) -> Array | None:
    """The point [3] of the nearest solid Gaussian on a ray, or None; direction need not be a unit vector."""
    along = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    relative = cloud.positions - np.asarray(origin, np.float64)
    distance = relative @ along
    beside = np.linalg.norm(relative - distance[:, None] * along, axis=1)
    size = np.sort(cloud.scales, axis=1)[:, 1]  # a flat Gaussian is as wide as its second axis at least
    hit = (distance > 0) & (beside <= _REACH * size) & (cloud.opacities >= _SOLID)
    if not hit.any():
        return None
    return np.asarray(origin, np.float64) + distance[hit].min() * along
