# SPDX-License-Identifier: Apache-2.0
"""Keeping some of the Gaussians of a cloud that moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.lazy import selected
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.placement.cropping import Box, select

Chosen = NDArray[np.bool_]


def crop_dynamic(cloud: DynamicCloud, frame: Frame, box: Box) -> DynamicCloud:
    """Keep the Gaussians whose centres lie in the box, at any instant if they move.

    Raises:
        UsdExportError: If none that move do, or an instant is invalid.
    """

    def inside(positions: NDArray[np.floating]) -> Chosen:
        world = frame.apply(positions)
        return np.logical_and.reduce((world >= box.low) & (world <= box.high), axis=1)

    moving = np.zeros(len(cloud.moving[0]), bool)
    for instant in cloud.instants():
        moving |= inside(instant.positions)
    return _kept(cloud, None if cloud.static is None else inside(cloud.static.positions), moving)


def most_opaque_of(cloud: DynamicCloud, count: int) -> DynamicCloud:
    """The `count` Gaussians that are most opaque at the first instant.

    Raises:
        UsdExportError: If none that move are among them.
    """
    still = np.empty(0, np.float32) if cloud.static is None else cloud.static.opacities
    opacities = np.concatenate([still, cloud.moving[0].opacities])
    if count >= len(opacities):
        return cloud
    chosen = np.zeros(len(opacities), bool)
    chosen[np.argsort(-opacities, kind="stable")[:count]] = True
    return _kept(cloud, None if cloud.static is None else chosen[: len(still)], chosen[len(still) :])


def _kept(cloud: DynamicCloud, static: Chosen | None, moving: Chosen) -> DynamicCloud:
    if not moving.any():
        raise UsdExportError("nothing of what is kept moves; keep more, or take one instant with --at")
    rows = np.flatnonzero(moving)
    still = None
    if cloud.static is not None and static is not None and static.any():
        still = select(cloud.static, np.flatnonzero(static))
    clusters = None if cloud.clusters is None else np.asarray(cloud.clusters)[rows]
    return DynamicCloud(still, selected(cloud.moving, rows), cloud.times, clusters)
