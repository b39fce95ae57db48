# SPDX-License-Identifier: Apache-2.0
"""High dynamic range to sRGB, after ITU-R BT.2100 (transfer functions) and BT.2408 (reference white of 203 cd/m2)."""

from __future__ import annotations

import numpy as np

PQ, HLG = 16, 18
"""Transfer characteristics of ITU-T H.273 that mean high dynamic range."""

_REFERENCE_WHITE = 203.0
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2
_KNEE = 0.6
"""Linear share of reference white up to which light stays as it is; what is brighter is compressed below 1."""

_TO_BT709 = np.array(
    ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730)), np.float32
)
"""Linear BT.2020 to linear BT.709, ITU-R BT.2087."""
_BT2020_LUMINANCE = np.array((0.2627, 0.6780, 0.0593), np.float32)


def to_srgb(signal: np.ndarray, transfer: int) -> np.ndarray:
    """sRGB uint8 `[..., 3]` of a BT.2020 signal float `[..., 3]` in [0, 1] with transfer `PQ` or `HLG`."""
    light = _pq_light(signal) if transfer == PQ else _hlg_light(signal)
    linear = np.maximum(light / _REFERENCE_WHITE @ _TO_BT709.T, 0)
    compressed = _KNEE + (1 - _KNEE) * -np.expm1(-np.maximum(linear - _KNEE, 0) / (1 - _KNEE))
    linear = np.where(linear > _KNEE, compressed, linear)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return (encoded * 255).round().clip(0, 255).astype(np.uint8)


def _pq_light(signal: np.ndarray) -> np.ndarray:
    """Light [cd/m2] of a PQ signal."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = np.clip(signal, 0, 1) ** (1 / m2)
    return 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg_light(signal: np.ndarray) -> np.ndarray:
    """Light [cd/m2] that a display of 1000 cd/m2 makes of an HLG signal."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((np.maximum(signal, 0.5) - c) / a) + b) / 12)
    luminance = scene @ _BT2020_LUMINANCE
    return _HLG_PEAK * scene * np.maximum(luminance, 1e-6)[..., None] ** (_HLG_GAMMA - 1)
