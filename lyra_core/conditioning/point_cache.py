# SPDX-License-Identifier: Apache-2.0
"""The published 3D cache: coloured points of one view or more, splatted into new cameras (GEN3C, arXiv 2503.03751)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError

from .depth_alignment import align_non_rigid, align_rigid
from .rubber_sheets import hidden_by_sheets
from .warp import (
    PUBLISHED_CHUNK,
    PUBLISHED_EDGE_THRESHOLD,
    Warp,
    project,
    reliable_mask,
    splat_bilinear,
    unproject_grid,
)

PUBLISHED_CAPACITY = 2
"""Source views the published cache holds."""


class SourceView(NamedTuple):
    """One view in the cache."""

    image: Tensor  # [H, W, 3] in [0, 1]
    points: Tensor  # [H, W, 3] in the world
    keep: Tensor  # [H, W] bool, pixels away from depth edges


class PointCache:
    """Points of up to `capacity` views, newest first; the world is the frame of the first view's camera.

    Args:
        image: of the first view `[H, W, 3]` in [0, 1].
        z: its depth `[H, W]` [scene units], bounded and finite.
        intrinsics: of every view `[4]` in pixels.
        foreground: whether to drop what may have been hidden behind the foreground (see `rubber_sheets`); as
            published, the depth edges of the first view are used for all.
        capacity: views to hold; when full, a new view replaces the newest, never the first.
    """

    def __init__(
        self, image: Tensor, z: Tensor, intrinsics: Tensor, *, foreground: bool, capacity: int = PUBLISHED_CAPACITY
    ) -> None:
        self.intrinsics = intrinsics
        self.capacity = capacity
        self.views = [_source_view(image, z, intrinsics, torch.eye(4).to(z))]
        self._edges = ~self.views[0].keep if foreground else None

    def update(self, image: Tensor, z: Tensor, camera: Cameras, *, rigid: bool = False) -> None:
        """Adds a view whose depth has an unknown scale, aligned to what the cache shows from the same camera.

        Args:
            image: `[H, W, 3]` in [0, 1].
            z: its estimated depth `[H, W]`, bounded and finite.
            camera: a single one, of the cache's image size.
            rigid: stop after the fit of scale and offset of the inverse depth.

        Raises LyraError when the cache shows too little from there, or contradicts the depth.
        """
        shown = self.render(camera)
        target, visible = shown[-1].z, shown[-1].mask
        for warp in shown[-2::-1]:
            target, visible = torch.where(warp.mask, warp.z, target), visible | warp.mask
        z = align_rigid(z, target, visible)
        if not rigid:
            z = align_non_rigid(z, target, visible, self.intrinsics)
        kept = self.views if len(self.views) < self.capacity else self.views[1:]
        self.views = [_source_view(image, z, self.intrinsics, camera.c2w.to(z)), *kept]

    def render(self, cameras: Cameras) -> list[Warp]:
        """Frames `[..., H, W]` of every view as `cameras` `[...]` see it, newest view first.

        As published, frames are splatted in calls of two along the last batch dimension. Raises LyraError for cameras
        of another image size.
        """
        height, width = self.views[0].keep.shape
        if (cameras.height, cameras.width) != (height, width):
            raise LyraError(
                f"The bilinear footprint needs cameras of the source's size {width} x {height}, got {cameras.width} x "
                f"{cameras.height}; resize the image, or use the adaptive footprint."
            )
        return [self._render_view(view, cameras) for view in self.views]

    def _render_view(self, view: SourceView, cameras: Cameras) -> Warp:
        frames = cameras.shape[-1] if cameras.shape else 1
        paths = cameras.reshape(-1, frames)
        chunks = [
            self._splat(view, paths[path, start : start + PUBLISHED_CHUNK])
            for path in range(len(paths))
            for start in range(0, frames, PUBLISHED_CHUNK)
        ]
        parts = (torch.cat(part) for part in zip(*chunks, strict=True))
        return Warp(*(part.reshape(cameras.shape + part.shape[1:]) for part in parts))

    def _splat(self, view: SourceView, cameras: Cameras) -> tuple[Tensor, Tensor, Tensor]:
        """One published splat call: rgb, z and mask of frames `[F]`."""
        pixels, depth = project(view.points.reshape(-1, 3), cameras.w2c, cameras.intrinsics)
        colors = (2.0 * view.image - 1.0).reshape(1, -1, 3).expand(len(depth), -1, -1)
        values = torch.cat((colors, depth[..., None]), dim=-1)
        splat = splat_bilinear(pixels, depth, values, view.keep.reshape(-1), cameras.height, cameras.width)
        z, mask = splat.values[..., 3], splat.mask
        if self._edges is not None and self._edges.any():
            mask = mask & ~_hidden(view, cameras, z, self._edges)
            z = torch.where(mask, z, 0.0)
        rgb = torch.where(mask[..., None], 0.5 + 0.5 * splat.values[..., :3].clamp(-1, 1), 0.0)
        return rgb, z, mask


def _hidden(view: SourceView, cameras: Cameras, z: Tensor, edges: Tensor) -> Tensor:
    """What lies behind the depth edges of a view, bool `[F, H, W]`."""
    local = [view.points @ pose[:3, :3].T + pose[:3, 3] for pose in cameras.w2c.to(view.points)]
    lenses = cameras.intrinsics.expand(len(local), -1)
    return torch.stack(
        [hidden_by_sheets(shown, points, edges, lens) for shown, points, lens in zip(z, local, lenses, strict=True)]
    )


def _source_view(image: Tensor, z: Tensor, intrinsics: Tensor, c2w: Tensor) -> SourceView:
    points = unproject_grid(z, intrinsics, pixel_center=0.0) @ c2w[:3, :3].T + c2w[:3, 3]
    return SourceView(image, points, reliable_mask(z, PUBLISHED_EDGE_THRESHOLD))
