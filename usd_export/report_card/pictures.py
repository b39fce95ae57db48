# SPDX-License-Identifier: Apache-2.0
"""Arrays to pictures."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Rgb = NDArray[np.uint8]  # [H, W, 3]

NOTHING = (28, 30, 38)
ALARM = (235, 64, 52)
UNJUDGED = (92, 98, 112)
_RAMP = np.array([(24, 22, 66), (38, 78, 138), (32, 138, 141), (94, 190, 106), (202, 213, 72), (253, 242, 190)], float)


def png(rgb: Rgb, enlarge: int = 1) -> bytes:
    """A PNG file, each pixel `enlarge` times as wide and high."""
    buffer = io.BytesIO()
    Image.fromarray(rgb.repeat(enlarge, axis=0).repeat(enlarge, axis=1)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def from_colors(colors: NDArray[np.floating]) -> Rgb:
    """Colours [H, W, 3] in 0..1."""
    return (np.clip(colors, 0, 1) * 255 + 0.5).astype(np.uint8)


def heat(values: NDArray[np.floating], low: float, high: float) -> Rgb:
    """Values [H, W] on a ramp from dark blue (`low`) to pale yellow (`high`); grey where they are not finite."""
    known = np.isfinite(values)
    share = np.clip((np.where(known, values, low) - low) / (high - low), 0, 1)
    steps = np.linspace(0, 1, len(_RAMP))
    rgb = np.stack([np.interp(share, steps, _RAMP[:, channel]) for channel in range(3)], axis=-1)
    rgb[~known] = NOTHING
    return rgb.astype(np.uint8)
