# SPDX-License-Identifier: Apache-2.0
"""Raw decoder outputs to Gaussian rows, as published."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.decoder.config import DecoderConfig

RAW_SPLIT = (1, 3, 3, 4, 1)
"""Channels of a raw output: distance, colour, scale, rotation, opacity."""

COLOR_REACH = 0.3
"""How far an anchored colour may leave its pixel."""

_DISTANCE_SHIFT = -1.65
_SCALE_CAP = 0.3
_OPACITY_SHIFT = -2.0


def gaussian_rows(
    raw: Tensor, origins: Tensor, directions: Tensor, config: DecoderConfig, pixels: Tensor | None = None
) -> Tensor:
    """Activate raw outputs along rays, in the precision of `raw`.

    Args:
        raw: network outputs `[..., 12]`.
        origins: ray origins `[..., 3]`.
        directions: unit ray directions `[..., 3]`.
        config: gives the distance range and map.
        pixels: colour anchors `[..., 3]`; None predicts colours freely.

    Returns:
        rows `[..., 14]`: xyz, opacity, scale, quaternion wxyz, rgb.
    """
    distance, color, scale, rotation, opacity = raw.split(RAW_SPLIT, dim=-1)
    return torch.cat(
        (
            origins + directions * distance_along_ray(distance, config),
            torch.sigmoid(opacity + _OPACITY_SHIFT),
            (scale + (math.log(_SCALE_CAP) - 1.0)).exp().clamp_max(_SCALE_CAP),
            functional.normalize(rotation, dim=-1),
            free_colors(color) if pixels is None else anchored_colors(color, pixels),
        ),
        dim=-1,
    )


def distance_along_ray(raw: Tensor, config: DecoderConfig) -> Tensor:
    """Euclidean distance of raw values; raw 0 is 80.6 in the published map and the geometric mean in the log map."""
    near, far = config.distance_range
    if config.distance_map == "log":
        return near * (raw.sigmoid() * math.log(far / near)).exp()
    share = (raw + _DISTANCE_SHIFT).sigmoid()
    return near * (1.0 - share) + far * share


def free_colors(raw: Tensor) -> Tensor:
    """Colours `[..., 3]` of raw values, mid-grey at 0."""
    return 0.5 * raw.tanh() + 0.5


def anchored_colors(raw: Tensor, pixels: Tensor) -> Tensor:
    """Colours near given pixels, both `[..., 3]`."""
    return (pixels + COLOR_REACH * raw.tanh()).clamp(0.0, 1.0)
