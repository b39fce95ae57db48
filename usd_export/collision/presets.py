# SPDX-License-Identifier: Apache-2.0
"""What differs between colliders of rooms, of places under the sky, and of single things."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from usd_export.collision.grid import MAX_VOXEL, MIN_VOXEL
from usd_export.collision.labels import WALL_HEIGHT
from usd_export.errors import UsdExportError

PresetName = Literal["indoor", "outdoor", "object"]


@dataclass(frozen=True)
class Preset:
    """Choices that depend on the kind of scene.

    Attributes:
        horizon: Distance from a camera beyond which nothing becomes a collider, metres.
        voxels: Finest and coarsest grid spacing that is chosen unasked, metres.
        floor: Whether z = 0 is a floor to be completed, and surfaces are worth labels.
        wall_height: Height that the top of a wall reaches at least, metres.
    """

    horizon: float
    voxels: tuple[float, float]
    floor: bool
    wall_height: float


PRESETS: dict[str, Preset] = {
    "indoor": Preset(30.0, (MIN_VOXEL, MAX_VOXEL), True, WALL_HEIGHT),
    "outdoor": Preset(60.0, (MIN_VOXEL, 1.5 * MAX_VOXEL), True, 2.5),
    "object": Preset(5.0, (0.5 * MIN_VOXEL, MAX_VOXEL), False, math.inf),
}


def find_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UsdExportError: If there is none.
    """
    if name not in PRESETS:
        raise UsdExportError(f"the collider preset {name!r} does not exist; use one of {', '.join(PRESETS)}")
    return PRESETS[name]
