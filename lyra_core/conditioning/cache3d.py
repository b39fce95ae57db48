# SPDX-License-Identifier: Apache-2.0
"""The 3D cache: one RGB-D view that can be looked at from other cameras."""

from __future__ import annotations

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError

from .depth import DepthEstimate
from .point_cache import PointCache
from .surface import Surface, build_surface, render_surface
from .warp import PUBLISHED_MAX_DEPTH, Warp

FOOTPRINTS = ("bilinear", "adaptive")


class Cache3D:
    """Points of one view, in the frame of its camera.

    Depth that is masked out or not finite counts as background and sits at the depth limit, as published.

    Args:
        image: `[H, W, 3]` in [0, 1].
        depth: z `[H, W]` [scene units] with its mask and intrinsics.
        footprint: "bilinear" is the published soft z-buffer splat, which needs target cameras of the source's size and
            drops pixels at depth edges; "adaptive" draws patches that follow magnification.
        foreground: whether a bilinear footprint drops what may have been hidden behind the foreground.
        max_depth: depth limit [scene units].
        device: where frames are made; None for that of the image.

    Raises:
        LyraError: unknown footprint, or image and depth of different size.
    """

    def __init__(
        self,
        image: Tensor,
        depth: DepthEstimate,
        footprint: str = "bilinear",
        *,
        foreground: bool = False,
        max_depth: float = PUBLISHED_MAX_DEPTH,
        device: torch.device | None = None,
    ) -> None:
        if footprint not in FOOTPRINTS:
            raise LyraError(f"Unknown warp footprint {footprint!r}; choose one of {', '.join(FOOTPRINTS)}.")
        if image.shape[:2] != depth.z.shape:
            raise LyraError(
                f"Image {list(image.shape[:2])} and depth {list(depth.z.shape)} differ in size; resize one of them."
            )
        self.image = image.to(device=device, dtype=torch.float32)
        self.z = bounded_depth(depth, max_depth).to(self.image)
        self.intrinsics = depth.intrinsics.to(self.z)
        self.footprint = footprint
        self._content: Surface | PointCache
        if footprint == "adaptive":
            self._content = build_surface(self.image, self.z, self.intrinsics)
        else:
            self._content = PointCache(self.image, self.z, self.intrinsics, foreground=foreground)

    def render(self, cameras: Cameras) -> Warp:
        """Frames `[..., H, W]` as `cameras` `[...]` see them, on the device of the cameras."""
        if isinstance(self._content, PointCache):
            return self._content.render(cameras)[0]
        return render_surface(self._content, cameras)


def bounded_depth(depth: DepthEstimate, max_depth: float) -> Tensor:
    """z `[H, W]` with unknown, non-finite and far pixels at `max_depth`."""
    z = depth.z.float()
    return torch.where(depth.mask & z.isfinite() & (z > 0), z, max_depth).clamp_max(max_depth)
