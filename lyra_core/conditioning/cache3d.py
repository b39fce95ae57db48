# SPDX-License-Identifier: Apache-2.0
"""The 3D cache: one RGB-D view that can be looked at from other cameras."""

from __future__ import annotations

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError

from .depth import DepthEstimate
from .surface import build_surface, render_surface
from .warp import (
    PUBLISHED_CHUNK,
    PUBLISHED_EDGE_THRESHOLD,
    PUBLISHED_MAX_DEPTH,
    Warp,
    project,
    reliable_mask,
    splat_bilinear,
    unproject_grid,
)

FOOTPRINTS = ("bilinear", "adaptive")


class Cache3D:
    """Points of one view, in the frame of its camera.

    Depth that is masked out or not finite counts as background and sits at the depth limit, as published.

    Args:
        image: `[H, W, 3]` in [0, 1].
        depth: z `[H, W]` [scene units] with its mask and intrinsics.
        footprint: "bilinear" is the published soft z-buffer splat, which needs target cameras of the source's size and
            drops pixels at depth edges; "adaptive" draws patches that follow magnification.
        max_depth: depth limit [scene units].

    Raises:
        LyraError: unknown footprint, or image and depth of different size.
    """

    def __init__(
        self,
        image: Tensor,
        depth: DepthEstimate,
        footprint: str = "bilinear",
        *,
        max_depth: float = PUBLISHED_MAX_DEPTH,
    ) -> None:
        if footprint not in FOOTPRINTS:
            raise LyraError(f"Unknown warp footprint {footprint!r}; choose one of {', '.join(FOOTPRINTS)}.")
        if image.shape[:2] != depth.z.shape:
            raise LyraError(
                f"Image {list(image.shape[:2])} and depth {list(depth.z.shape)} differ in size; resize one of them."
            )
        self.image = image.float()
        self.z = bounded_depth(depth, max_depth)
        self.intrinsics = depth.intrinsics.to(self.z)
        self.footprint = footprint
        self._surface = build_surface(self.image, self.z, self.intrinsics) if footprint == "adaptive" else None

    def render(self, cameras: Cameras) -> Warp:
        """Frames `[..., H, W]` as `cameras` `[...]` see them."""
        if self._surface is not None:
            return render_surface(self._surface, cameras)
        return self._render_bilinear(cameras)

    def _render_bilinear(self, cameras: Cameras) -> Warp:
        """The published warp, in the published calls of two frames along the last batch dimension."""
        height, width = self.z.shape
        if (cameras.height, cameras.width) != (height, width):
            raise LyraError(
                f"The bilinear footprint needs cameras of the source's size {width} x {height}, got {cameras.width} x "
                f"{cameras.height}; resize the image, or use the adaptive footprint."
            )
        frames = cameras.shape[-1] if cameras.shape else 1
        paths = cameras.reshape(-1, frames)
        chunks = [
            self._splat(paths[path, start : start + PUBLISHED_CHUNK])
            for path in range(len(paths))
            for start in range(0, frames, PUBLISHED_CHUNK)
        ]
        parts = (torch.cat(part) for part in zip(*chunks, strict=True))
        return Warp(*(part.reshape(cameras.shape + part.shape[1:]) for part in parts))

    def _splat(self, cameras: Cameras) -> tuple[Tensor, Tensor, Tensor]:
        """One published splat call: rgb, z and mask of frames `[F]`."""
        points = unproject_grid(self.z, self.intrinsics, pixel_center=0.0).reshape(-1, 3)
        pixels, z = project(points, cameras.w2c, cameras.intrinsics)
        colors = (2.0 * self.image - 1.0).reshape(1, -1, 3).expand(len(z), -1, -1)
        values = torch.cat((colors, z[..., None]), dim=-1)
        keep = reliable_mask(self.z, PUBLISHED_EDGE_THRESHOLD).reshape(-1)
        splat = splat_bilinear(pixels, z, values, keep, cameras.height, cameras.width)
        rgb = torch.where(splat.mask[..., None], 0.5 + 0.5 * splat.values[..., :3].clamp(-1, 1), 0.0)
        return rgb, splat.values[..., 3], splat.mask


def bounded_depth(depth: DepthEstimate, max_depth: float) -> Tensor:
    """z `[H, W]` with unknown, non-finite and far pixels at `max_depth`."""
    z = depth.z.float()
    return torch.where(depth.mask & z.isfinite() & (z > 0), z, max_depth).clamp_max(max_depth)
