# SPDX-License-Identifier: Apache-2.0
"""Cutting a user's picture and depth map to a size the model takes.

The model works on a pixel budget, not on one shape: a picture keeps its aspect as closely as sides in multiples of
16 video pixels allow (8 per latent, 2 latents per token) and loses only what does not fit, from its rim.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError
from lyra_core.images import resized

SIDE_STEP = 16
"""Sides of a video are multiples of this [px]."""

MAX_ASPECT = 2.4
"""Longer pictures are cropped to this ratio of their sides."""

_ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True)
class Crop:
    """A window, centred, in shares of the picture's height and width."""

    height: float
    width: float

    def window(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the window in a picture of height x width pixels."""
        rows, columns = round(height * self.height), round(width * self.width)
        top, left = (height - rows) // 2, (width - columns) // 2
        return slice(top, top + rows), slice(left, left + columns)


def fitted_size(height: int, width: int, budget: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the video for a picture: its aspect, about the pixels of `budget` (height, width)."""
    aspect = min(max(width / height, 1 / MAX_ASPECT), MAX_ASPECT)
    rows = math.sqrt(budget[0] * budget[1] / aspect)
    rows = SIDE_STEP * round(rows / SIDE_STEP)
    return rows, SIDE_STEP * round(rows * aspect / SIDE_STEP)


def crop_to(height: int, width: int, target_height: int, target_width: int) -> Crop:
    """The largest centred window of the target's aspect."""
    ratio = (target_width / target_height) / (width / height)
    return Crop(1.0, ratio) if ratio <= 1 else Crop(1 / ratio, 1.0)


def fit_image(image: Tensor, height: int, width: int) -> Tensor:
    """Picture `[H, W, 3]`, centre-cropped and resized; one of that size already comes back untouched."""
    own_height, own_width = image.shape[0], image.shape[1]
    rows, columns = crop_to(own_height, own_width, height, width).window(own_height, own_width)
    return resized(image[rows, columns], height, width)


def fit_depth(depth: DepthEstimate, image_size: tuple[int, int], height: int, width: int) -> DepthEstimate:
    """The depth map of a picture of `image_size`, cut as `fit_image` cuts the picture; nearest pixels, no blending.

    Raises LyraError when map and picture differ in shape.
    """
    own_height, own_width = depth.z.shape
    if abs(own_width / own_height * image_size[0] / image_size[1] - 1) > _ASPECT_TOLERANCE:
        raise LyraError(
            f"the depth map is {own_width}x{own_height} but the image {image_size[1]}x{image_size[0]} pixels. "
            "Give a depth map of the same picture, uncropped."
        )
    rows, columns = crop_to(own_height, own_width, height, width).window(own_height, own_width)
    z, mask = depth.z[rows, columns], depth.mask[rows, columns]
    scale_x, scale_y = width / z.shape[1], height / z.shape[0]
    fx, fy, cx, cy = depth.intrinsics.tolist()
    if z.shape != (height, width):
        z = functional.interpolate(z[None, None], (height, width), mode="nearest-exact")[0, 0]
        mask = functional.interpolate(mask[None, None].float(), (height, width), mode="nearest-exact")[0, 0] > 0
    intrinsics = depth.intrinsics.new_tensor(
        (fx * scale_x, fy * scale_y, (cx - columns.start) * scale_x, (cy - rows.start) * scale_y)
    )
    return DepthEstimate(z=z, mask=mask, intrinsics=intrinsics, source=depth.source, metric=depth.metric)
