# SPDX-License-Identifier: Apache-2.0
"""Magnification-adaptive forward warp: a depth map is drawn as small oriented surface patches.

Every source pixel covers a box in the target image as wide as its surface patch projects to, so that a closer camera
sees no cracks and a coarser image averages instead of aliasing. Visibility is decided on 2 x 2 samples per target
pixel; the surface that owns most of them is the pixel's, and colour and depth are both averaged over the patches of
that surface alone, each weighted by the area of the pixel its box covers. No pixel mixes foreground and background.

`surface_numba` holds the compiled kernel for the CPU; the functions here are its oracle and serve CUDA tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.rendering.jit import spread

from .surface_numba import (
    BEHIND,
    BEHIND_WEIGHT,
    FRONT,
    GROUP_RATIO,
    MAX_HALF_EXTENT,
    MAX_STRETCH,
    MIN_HALF_EXTENT,
    NEAR,
    SLACK,
    SLACK_RATIO,
    TOLERANCE,
    splat_frame,
)
from .warp import Warp, unproject_grid

_EDGE_RATIO = 0.05
_MIN_WEIGHT = 1e-6
_MAX_SLOPE = 0.15
_FRONT_RADIUS = 4  # width of the labelled band [source pixels]


@dataclass(frozen=True)
class Surface:
    """Surface patches of one view; the world is the source camera.

    Attributes:
        position: centres `[N, 3]`.
        tangent_x: centre-to-centre step along an image row `[N, 3]`.
        tangent_y: the same along a column `[N, 3]`.
        color: `[N, 3]`.
        rim: uint8 `[N]`: 0, `FRONT` or `BEHIND`.
        focal: source fx, fy `[2]` [pixels].
    """

    position: Tensor
    tangent_x: Tensor
    tangent_y: Tensor
    color: Tensor
    rim: Tensor
    focal: Tensor

    def selected(self, keep: Tensor) -> Surface:
        """The patches where `keep` `[N]` is True."""
        return replace(
            self, position=self.position[keep], tangent_x=self.tangent_x[keep], tangent_y=self.tangent_y[keep],
            color=self.color[keep], rim=self.rim[keep],
        )  # fmt: skip


def build_surface(image: Tensor, z: Tensor, intrinsics: Tensor) -> Surface:
    """The surface of an RGB-D view: image `[H, W, 3]`, z `[H, W]` positive and finite, intrinsics `[4]` in pixels."""
    slope_x, slope_y = _slope(z, 1), _slope(z, 0)
    rays = unproject_grid(torch.ones_like(z), intrinsics)
    tangent_x, tangent_y = rays * slope_x[..., None], rays * slope_y[..., None]
    focal = intrinsics[:2].to(z)
    tangent_x[..., 0] += z / focal[0]
    tangent_y[..., 1] += z / focal[1]
    return Surface(
        (rays * z[..., None]).reshape(-1, 3),
        tangent_x.reshape(-1, 3),
        tangent_y.reshape(-1, 3),
        image.to(z).reshape(-1, 3).contiguous(),
        _rims(z, slope_x, slope_y).reshape(-1),
        focal,
    )


def render_surface(surface: Surface, cameras: Cameras) -> Warp:
    """What `cameras` `[...]` see of the surface, on their device.

    The compiled kernel serves a surface on the CPU, torch operations any other.
    """
    flat = cameras.reshape(-1)
    w2c = flat.w2c.to(surface.position).contiguous()
    intrinsics = flat.intrinsics.to(surface.position).contiguous()
    splat = splat_compiled if surface.position.device.type == "cpu" else splat_surface
    sums = splat(surface, w2c, intrinsics, cameras.height, cameras.width)
    parts = (part.to(cameras.c2w.device) for part in _resolve(sums))
    return Warp(*(part.reshape(cameras.shape + part.shape[1:]) for part in parts))


def splat_surface(surface: Surface, w2c: Tensor, intrinsics: Tensor, height: int, width: int) -> Tensor:
    """Sums `[F, H, W, 6]` over the visible patches: weighted r, g, b, z, then the weight and the `FRONT` weight.

    Pixels that no surface owns sum to zero. Pure torch, on any device; w2c `[F, 4, 4]`, intrinsics `[F, 4]`.
    """
    frames = [_splat_frame(surface, *camera, height, width) for camera in zip(w2c, intrinsics, strict=True)]
    return torch.stack(frames)


def splat_compiled(surface: Surface, w2c: Tensor, intrinsics: Tensor, height: int, width: int) -> Tensor:
    """`splat_surface` by the compiled kernel, frames spread over torch's thread count."""
    arrays = [
        part.numpy()
        for part in (surface.position, surface.tangent_x, surface.tangent_y, surface.color, surface.rim, surface.focal)
    ]
    sums = torch.empty(len(w2c), height, width, 6)

    def draw(begin: int, end: int) -> None:
        for frame in range(begin, end):
            splat_frame(*arrays, w2c[frame].numpy(), intrinsics[frame].numpy(), sums[frame].numpy())

    spread(draw, len(w2c))
    return sums


def _resolve(sums: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The fields of a `Warp` from the sums `[F, H, W, 6]`; pixels of doubtful colour beside a hole become holes too."""
    weight = sums[..., 4]
    covered = weight > _MIN_WEIGHT
    beside_hole = functional.max_pool2d((~covered).float()[:, None], 3, stride=1, padding=1)[:, 0] > 0
    mask = covered & ~(beside_hole & (weight < 10 * BEHIND_WEIGHT))
    mean = torch.where(mask[..., None], sums / weight.clamp_min(_MIN_WEIGHT)[..., None], 0.0)
    return mean[..., :3].contiguous(), mean[..., 3].contiguous(), mask, mean[..., 5] > 0


def _splat_frame(surface: Surface, w2c: Tensor, intrinsics: Tensor, height: int, width: int) -> Tensor:
    """Sums `[H, W, 6]` of one camera."""
    center, z, half = _boxes(surface, w2c, intrinsics)
    order = torch.nonzero(z > NEAR)[:, 0]
    center, z, half = center[order], z[order], half[order]
    nearest = z.new_full((4 * height * width,), torch.inf)
    reach = half * SLACK_RATIO + SLACK
    for index, patch in _covered(2 * (center - reach), 2 * (center + reach), 2 * height, 2 * width, samples=True):
        nearest.scatter_reduce_(0, index, z[patch], "amin")
    lowest, highest = _visible_range(nearest.reshape(height, 2, width, 2).permute(0, 2, 1, 3).reshape(-1, 4))
    front = surface.rim[order] == FRONT
    weight = torch.where(surface.rim[order] == BEHIND, BEHIND_WEIGHT, 1.0)
    payload = torch.cat((surface.color[order], torch.stack((z, torch.ones_like(z), front.to(z)), -1)), -1)
    payload = payload * weight[:, None]
    sums = z.new_zeros(height * width, 6)
    for index, patch in _covered(center - half, center + half, height, width, samples=False):
        visible = (z[patch] >= lowest[index]) & (z[patch] <= highest[index])
        index, patch = index[visible], patch[visible]
        corner = torch.stack((index % width, index // width), dim=-1)
        low, high = center[patch] - half[patch], center[patch] + half[patch]
        area = (torch.minimum(high, corner + 1.0) - torch.maximum(low, corner.to(z))).clamp_min(0).prod(-1)
        sums.index_add_(0, index, payload[patch] * area[:, None])
    return sums.reshape(height, width, 6)


def _boxes(surface: Surface, w2c: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Projected centres `[N, 2]`, depths `[N]` and half extents `[N, 2]` of the patches [target pixels]."""
    rotation, focal = w2c[:3, :3], intrinsics[:2]
    local = surface.position @ rotation.T + w2c[:3, 3]
    z = local[:, 2].clamp_min(NEAR)
    center = local[:, :2] / z[:, None] * focal + intrinsics[2:]
    steps = []
    for tangent in (surface.tangent_x, surface.tangent_y):
        step = tangent @ rotation.T
        steps.append(((step[:, :2] - local[:, :2] * (step[:, 2] / z)[:, None]) / z[:, None] * focal).abs())
    frontal = 0.5 * focal / surface.focal * (surface.position[:, 2] / z)[:, None]
    half = torch.minimum(0.5 * (steps[0] + steps[1]), MAX_STRETCH * frontal)
    return center, local[:, 2], half.clamp(MIN_HALF_EXTENT, MAX_HALF_EXTENT)


def _covered(low: Tensor, high: Tensor, height: int, width: int, *, samples: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields (cell index, patch index) for every cell of a grid that a box meets: its centre, or any of its area."""
    first, last = ((low - 0.5).ceil(), (high - 0.5).floor()) if samples else (low.floor(), high.floor())
    limit = first.new_tensor((width - 1, height - 1))
    first, last = first.clamp_min(0).long(), torch.minimum(last, limit).long()
    spans = last - first + 1
    visible = torch.nonzero((spans > 0).all(dim=-1))[:, 0]
    first, spans = first[visible], spans[visible]
    columns, rows = spans.amax(dim=0).tolist() if len(visible) else (0, 0)
    for row in range(rows):
        for column in range(columns):
            inside = (column < spans[:, 0]) & (row < spans[:, 1])
            yield (first[inside, 1] + row) * width + first[inside, 0] + column, visible[inside]


def _visible_range(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Depth interval `[P]` of the surface that owns each pixel, from its four samples `[P, 4]` (inf: nothing).

    The nearest surface with two samples wins; when no surface has two, the nearest. An empty interval marks pixels of
    fewer than two samples.
    """
    samples = samples.sort(dim=-1).values
    joined = samples[:, 1:] <= samples[:, :-1] * GROUP_RATIO
    joined &= samples[:, 1:].isfinite()
    start = torch.where(joined[:, 0], 0, torch.where(joined[:, 1], 1, torch.where(joined[:, 2], 2, 0)))
    chained = torch.cat((torch.zeros_like(start)[:, None], joined.long()), dim=-1)
    end = start.clone()
    for step in range(1, 4):
        end = torch.where((end == step - 1) & (chained[:, step] > 0), step, end)
    lowest = samples.gather(1, start[:, None])[:, 0] * (1.0 - TOLERANCE)
    highest = samples.gather(1, end[:, None])[:, 0] * (1.0 + TOLERANCE)
    empty = ~samples[:, 1].isfinite()
    return torch.where(empty, torch.inf, lowest), torch.where(empty, -torch.inf, highest)


def _slope(z: Tensor, dim: int) -> Tensor:
    """Depth step to the next pixel along `dim`: the smaller of the two one-sided ones, 0 across edges on both sides."""
    step = z.diff(dim=dim)
    pad = z.new_full([1 if d == dim else n for d, n in enumerate(z.shape)], torch.inf)
    backward, forward = torch.cat((pad, step), dim), torch.cat((step, pad), dim)
    slope = torch.where(backward.abs() <= forward.abs(), backward, forward)
    return torch.where(slope.abs() < _MAX_SLOPE * z, slope, 0.0)


def _rims(z: Tensor, slope_x: Tensor, slope_y: Tensor) -> Tensor:
    """Labels uint8 `[H, W]` of the pixels on both sides of depth edges."""
    front, behind = torch.zeros_like(z, dtype=torch.bool), torch.zeros_like(z, dtype=torch.bool)
    for slope, dim in ((slope_x, 1), (slope_y, 0)):
        size = z.shape[dim] - 1
        here, there = z.narrow(dim, 0, size), z.narrow(dim, 1, size)
        step = there - here
        limit = _EDGE_RATIO * torch.minimum(here, there)
        own, other = slope.narrow(dim, 0, size), slope.narrow(dim, 1, size)
        edge = ((step - own).abs() > limit) & ((step - other).abs() > limit) & (step.abs() > limit)
        for first, rise in ((0, step > 0), (1, step < 0)):
            front.narrow(dim, first, size).logical_or_(edge & rise)
            behind.narrow(dim, 1 - first, size).logical_or_(edge & rise)
    window = 2 * _FRONT_RADIUS - 1
    rim_z = functional.max_pool2d(torch.where(front, z, 0.0)[None, None], window, stride=1, padding=window // 2)[0, 0]
    near_side = (z <= rim_z * (1.0 + _EDGE_RATIO)) & ~behind
    labels = torch.zeros_like(z, dtype=torch.uint8)
    labels[behind] = BEHIND
    labels[front | near_side] = FRONT
    return labels
