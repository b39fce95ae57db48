# SPDX-License-Identifier: Apache-2.0
"""The conservative mask: what must not show through the gap that opens behind a foreground silhouette.

Across a depth edge the cached surface is torn. Stretched over the tear, it is a rubber sheet; whatever a new camera
sees behind such a sheet was hidden from the source camera, or may have been, and is dropped (GEN3C, arXiv 2503.03751).
The sheets are rasterised with a z-buffer on a grid of a quarter of the image size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_COARSENING = 4
_MARGIN = 0.02
"""How far behind a sheet a pixel must lie to be dropped [scene units]."""
_EPSILON = 1e-8
_MAX_PAIRS = 4_000_000
"""Pairs of triangle and pixel that are tested at once; bounds memory."""


def hidden_by_sheets(z: Tensor, points: Tensor, edges: Tensor, intrinsics: Tensor) -> Tensor:
    """Pixels that lie behind a rubber sheet, bool `[H, W]`.

    Args:
        z: warped depth `[H, W]` of the target camera; 0 where nothing is seen.
        points: of all source pixels in the frame of the target camera `[H, W, 3]`.
        edges: bool `[H, W]`, source pixels at depth edges.
        intrinsics: of the target camera `[4]`, pixel centres at integers.
    """
    vertices, faces = rubber_sheets(points, edges)
    sheet = rasterize(vertices, faces, intrinsics, *z.shape)
    return (sheet > 0) & (sheet + _MARGIN < z)


def rubber_sheets(points: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Vertices `[N, 3]` of the coarse grid and the triangles `[M, 3]` of all cells that touch a depth edge."""
    height, width = edges.shape
    size = (height // _COARSENING, width // _COARSENING)
    grid = functional.interpolate(points.movedim(-1, 0)[None], size, mode="bilinear", align_corners=False)
    torn = functional.interpolate(edges[None, None].to(points), size, mode="nearest")[0, 0] > 0
    index = torch.arange(size[0] * size[1], device=points.device).reshape(size)
    corners = torch.stack((index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]), dim=-1)
    cells = torn[:-1, :-1] | torn[:-1, 1:] | torn[1:, :-1] | torn[1:, 1:]
    top_left, top_right, bottom_left, bottom_right = corners[cells].unbind(-1)
    upper = torch.stack((top_left, top_right, bottom_left), dim=-1)
    lower = torch.stack((top_right, bottom_right, bottom_left), dim=-1)
    return grid[0].flatten(1).T, torch.cat((upper, lower))


def rasterize(vertices: Tensor, faces: Tensor, intrinsics: Tensor, height: int, width: int) -> Tensor:
    """Depth `[H, W]` of the nearest triangle along each pixel's ray, 0 where there is none; both sides count.

    Args:
        vertices: `[N, 3]` in the frame of the camera.
        faces: `[M, 3]`.
        intrinsics: fx, fy, cx, cy `[4]` in pixels; pixel centres at integers.
        height: of the image [pixels].
        width: of the image [pixels].
    """
    nearest = vertices.new_full((height * width,), torch.inf)
    low, size = _bounds(vertices[faces], intrinsics, height, width)
    counts = size.prod(dim=-1)
    visible = counts.nonzero()[:, 0]
    for part in _chunks(visible, counts[visible]):
        triangle = part.repeat_interleave(counts[part])
        first = counts[part].cumsum(0) - counts[part]
        offset = torch.arange(len(triangle), device=faces.device) - first.repeat_interleave(counts[part])
        columns = size[triangle, 0]
        x, y = low[triangle, 0] + offset % columns, low[triangle, 1] + offset // columns
        hit, z = _intersect(vertices[faces[triangle]], x, y, intrinsics)
        nearest.scatter_reduce_(0, (y * width + x)[hit], z[hit], "amin")
    return torch.where(nearest.isfinite(), nearest, 0.0).reshape(height, width)


def _bounds(corners: Tensor, intrinsics: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """First pixel `[M, 2]` and size `[M, 2]` of the box around each triangle `[M, 3, 3]`; x before y.

    A triangle that reaches behind the camera may appear anywhere: its box is the image.
    """
    z = corners[..., 2]
    pixels = corners[..., :2] / z[..., None].clamp_min(_EPSILON) * intrinsics[:2] + intrinsics[2:]
    limit = pixels.new_tensor((width, height))
    low = (pixels.amin(1).floor() - 1).clamp_min(0).minimum(limit)
    high = (pixels.amax(1).ceil() + 2).clamp_min(0).minimum(limit)
    front = (z > _EPSILON).all(dim=1)[:, None]
    gone = (z <= _EPSILON).all(dim=1)[:, None]
    low, high = torch.where(front, low, 0.0), torch.where(front, high, limit)
    return low.long(), torch.where(gone, 0.0, (high - low).clamp_min(0)).long()


def _chunks(triangles: Tensor, counts: Tensor) -> tuple[Tensor, ...]:
    """Triangles in groups of bounded pixel count."""
    group = counts.cumsum(0) // _MAX_PAIRS
    return triangles.split(torch.unique_consecutive(group, return_counts=True)[1].tolist()) if len(group) else ()


def _intersect(corners: Tensor, x: Tensor, y: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the ray of pixel x, y `[P]` meets the triangle `[P, 3, 3]`, and at what depth (Moeller-Trumbore)."""
    fx, fy, cx, cy = intrinsics.unbind()
    ray = functional.normalize(torch.stack(((x - cx) / fx, (y - cy) / fy, torch.ones_like(x / fx)), dim=-1), dim=-1)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = torch.linalg.cross(ray, second)
    area = (first * across).sum(-1)
    inverse = 1.0 / torch.where(area.abs() < _EPSILON, torch.inf, area)
    origin = -corners[:, 0]
    u = (origin * across).sum(-1) * inverse
    along = torch.linalg.cross(origin, first)
    v = (ray * along).sum(-1) * inverse
    distance = (second * along).sum(-1) * inverse
    hit = (area.abs() >= _EPSILON) & (u >= 0) & (u <= 1) & (v >= 0) & (u + v <= 1) & (distance > _EPSILON)
    return hit, distance * ray[:, 2]
