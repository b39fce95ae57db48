# SPDX-License-Identifier: Apache-2.0
"""How a scene stores its motion, and the time codes that go with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pxr import Usd

from usd_export.errors import UsdExportError
from usd_export.options import Bodies, MotionChoice

SAMPLES_BYTES = 512 << 20
"""Arrays of the moving Gaussians up to which `auto` takes time samples in one layer."""
CLIP_BYTES = 256 << 20
"""Arrays of the moving Gaussians in one value clip; a clip has one instant at least."""

_MAX_RATE = 1e5
_DIGITS = 6  # of time codes: 7 / 24 * 24 is to be 7


@dataclass(frozen=True)
class Motion:
    """What to do with Gaussians that move.

    Attributes:
        kind: How motion is stored (see `docs/usd.md`); `auto` is time samples up to `SAMPLES_BYTES`, else value clips.
        time_codes_per_second: Time codes, and frames, of a second.
        bodies: Collision shape of rigid clusters.
        clip_bytes: Size of the arrays of one value clip.
    """

    kind: MotionChoice = "auto"
    time_codes_per_second: float = 24.0
    bodies: Bodies = "hull"
    clip_bytes: int = CLIP_BYTES

    def __post_init__(self) -> None:
        if not 0 < self.time_codes_per_second <= _MAX_RATE:
            raise UsdExportError(f"{self.time_codes_per_second} frames per second were asked for; give 24 or so")

    def time_codes(self, times: NDArray[np.number]) -> list[float]:
        """Time codes of instants in seconds.

        Raises:
            UsdExportError: If two instants are too close to have a time code each.
        """
        codes = np.round(np.asarray(times, np.float64) * self.time_codes_per_second, _DIGITS)
        if (np.diff(codes) <= 0).any():
            raise UsdExportError("two instants lie less than a millionth of a frame apart; drop one of them")
        return [float(code) for code in codes]


def set_time_range(stage: Usd.Stage, codes: list[float]) -> None:
    """Let players of the stage's root layer start and end with the motion."""
    stage.SetStartTimeCode(codes[0])
    stage.SetEndTimeCode(codes[-1])
