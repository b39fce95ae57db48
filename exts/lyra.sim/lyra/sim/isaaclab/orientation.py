# SPDX-License-Identifier: Apache-2.0
"""Headings as quaternions in the order that the running Isaac Lab uses.

Isaac Lab 2.x writes quaternions w, x, y, z, Isaac Lab 3.0 writes x, y, z, w; the wrong order turns a robot without any
error. The order is read from Isaac Lab's own identity, not from its version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Quaternion = tuple[float, float, float, float]


def quaternion_from_yaw(yaw: float, identity: Sequence[float]) -> Quaternion:
    """Quaternion of a turn about +Z.

    Args:
        yaw: Angle, radians, counter-clockwise seen from above; 0 faces +X.
        identity: The identity rotation in the order that is wanted: (1, 0, 0, 0) or (0, 0, 0, 1).

    Raises:
        ValueError: If `identity` is neither of the two.
    """
    w, z = math.cos(yaw / 2), math.sin(yaw / 2)
    if tuple(identity) == (1.0, 0.0, 0.0, 0.0):
        return (w, 0.0, 0.0, z)
    if tuple(identity) == (0.0, 0.0, 0.0, 1.0):
        return (0.0, 0.0, z, w)
    raise ValueError(
        f"{tuple(identity)} is not an identity quaternion; its one component that is 1 must come first or last"
    )


def lab_quaternion(yaw: float) -> Quaternion:
    """Quaternion of a turn about +Z by `yaw` radians, in the order of the running Isaac Lab."""
    from isaaclab.assets import AssetBaseCfg

    return quaternion_from_yaw(yaw, AssetBaseCfg.InitialStateCfg().rot)
