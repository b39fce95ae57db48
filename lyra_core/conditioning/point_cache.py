# SPDX-License-Identifier: Apache-2.0
"""The published 3D cache: coloured points of one view or more, splatted into new cameras (GEN3C, arXiv 2503.03751)."""

from __future__ import annotations

from collections.abc import Sequence
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
        self.views = [source_view(image, z, intrinsics, torch.eye(4).to(z))]
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
        target, visible = target.to(z), visible.to(z.device)
        z = align_rigid(z, target, visible)
        if not rigid:
            z = align_non_rigid(z, target, visible, self.intrinsics)
        kept = self.views if len(self.views) < self.capacity else self.views[1:]
        self.views = [source_view(image, z, self.intrinsics, camera.c2w.to(z)), *kept]

    def render(self, cameras: Cameras) -> list[Warp]:
        """Frames `[..., H, W]` of every view as `cameras` `[...]` see it, newest view first, on the cameras' device.

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
        shape, home = (len(paths), frames, cameras.height, cameras.width), cameras.c2w.device
        rgb, z = view.image.new_empty(*shape, 3, device=home), view.points.new_empty(shape, device=home)
        mask = torch.empty(shape, dtype=torch.bool, device=home)
        for path in range(len(paths)):
            for start in range(0, frames, PUBLISHED_CHUNK):
                chunk = slice(start, start + PUBLISHED_CHUNK)
                rgb[path, chunk], z[path, chunk], mask[path, chunk] = self._splat(view, paths[path, chunk])
        return Warp(*(part.reshape(cameras.shape + part.shape[2:]) for part in (rgb, z, mask)))

    def _splat(self, view: SourceView, cameras: Cameras) -> tuple[Tensor, Tensor, Tensor]:
        edges = None if self._edges is None else [self._edges] * len(cameras)
        return splat_views([view] * len(cameras), cameras, edges)


def splat_views(
    views: Sequence[SourceView], cameras: Cameras, edges: Sequence[Tensor] | None
) -> tuple[Tensor, Tensor, Tensor]:
    """One published splat call: rgb, z and mask `[F, ...]` of source view f as camera f `[F]` sees it.

    `edges` are the depth edges `[H, W]` of each source, behind which nothing is shown; None shows everything.
    """
    cameras = cameras.to(views[0].points)
    projected = [
        project(view.points.reshape(-1, 3), camera[None], lens[None])
        for view, camera, lens in zip(views, cameras.w2c, cameras.intrinsics, strict=True)
    ]
    pixels, depth = (torch.cat(part) for part in zip(*projected, strict=True))
    colors = torch.stack([2.0 * view.image - 1.0 for view in views]).flatten(1, 2)
    values = torch.cat((colors, depth[..., None]), dim=-1)
    keep = torch.stack([view.keep for view in views]).flatten(1)
    splat = splat_bilinear(pixels, depth, values, keep, cameras.height, cameras.width)
    z, mask = splat.values[..., 3], splat.mask
    if edges is not None:
        mask = mask & ~torch.stack(
            [_hidden(*each) for each in zip(views, cameras.w2c, cameras.intrinsics, z, edges, strict=True)]
        )
        z = torch.where(mask, z, 0.0)
    rgb = torch.where(mask[..., None], 0.5 + 0.5 * splat.values[..., :3].clamp(-1, 1), 0.0)
    return rgb, z, mask


def _hidden(view: SourceView, w2c: Tensor, intrinsics: Tensor, z: Tensor, edges: Tensor) -> Tensor:
    """What lies behind the depth edges of a view, bool `[H, W]`."""
    if not edges.any():
        return torch.zeros_like(z, dtype=torch.bool)
    return hidden_by_sheets(z, view.points @ w2c[:3, :3].T + w2c[:3, 3], edges, intrinsics)


def source_view(image: Tensor, z: Tensor, intrinsics: Tensor, c2w: Tensor) -> SourceView:
    """A view `[H, W]` of a camera as coloured points of the world."""
    points = unproject_grid(z, intrinsics, pixel_center=0.0) @ c2w[:3, :3].T + c2w[:3, 3]
    return SourceView(image, points, reliable_mask(z, PUBLISHED_EDGE_THRESHOLD))
