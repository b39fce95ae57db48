# SPDX-License-Identifier: Apache-2.0
"""Gaussians anchored on known pixels and distances.

An anchored decoder predicts corrections: raw outputs of zero put a flat, surface-aligned Gaussian on the anchor surface
behind every cell of pixels. Colours are corrected where a pixel is known; what was generated for a hole reaches the
decoder as published, through the latents alone. Everything derived from the anchors is constant for the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.decoder.heads import RAW_SPLIT, anchored_colors, free_colors
from lyra_core.rotations import matrix_to_quaternion, quaternion_multiply

DISTANCE_REACH_KNOWN = 0.15
"""Change of the log distance per raw unit where the distance is known."""

DISTANCE_REACH_HOLE = 0.5
"""The same where the distance was filled in."""

OPACITY_SHIFT_FRESH = 5.0
"""Added to the raw opacity of the input view and of holes: their surfaces are seen here first."""

OPACITY_SHIFT_REPEATED = -5.0
"""The same for known pixels of other key frames, which repeat what the input view shows."""

SURFACE_SPREAD = 0.03
"""Width, in log distance, of the weights that pick one surface out of a cell."""

SIGMA_PER_SPACING = 0.65
"""Standard deviation of a Gaussian over the distance to its neighbours."""

THICKNESS = 0.15
"""Standard deviation along the normal over the footprint of a cell."""

MAX_STRETCH = 8.0
"""Longest neighbour distance, in footprints, that a Gaussian covers."""

EDGE_STRETCH = 12.0
"""Neighbours further apart than this many footprints lie on different surfaces."""

MIN_TANGENT_SINE = 0.2
"""Tangents closer to parallel than this define no plane."""

SCALE_RANGE = (-4.0, 1.6)
"""Limits of the raw log scale."""

ROTATION_REACH = 0.2
"""Weight of the raw quaternion against the identity."""


@dataclass(frozen=True)
class Anchors:
    """What is known before decoding, in the frame of the cameras given to the decoder.

    Attributes:
        rgb: colours of the K key frames (every eighth frame) `[B, V, K, H, W, 3]`.
        distance: Euclidean distances along the pixel rays, filled `[B, V, K, H, W]` [scene units].
        known: True where the distance was not filled in `[B, V, K, H, W]`.
        input_rgb: the input image, at its own resolution `[B, Hi, Wi, 3]`.
        input_distance: distances along its rays `[B, Hi, Wi]` [scene units].
        input_camera: its cameras `[B]`.
        fresh: True where the input view does not show the surface `[B, V, K, H, W]`; None: where it is not known.
    """

    rgb: Tensor
    distance: Tensor
    known: Tensor
    input_rgb: Tensor
    input_distance: Tensor
    input_camera: Cameras
    fresh: Tensor | None = None


@dataclass(frozen=True)
class AnchorSurface:
    """One anchor Gaussian per cell; all `[..., h, w]` or `[..., h, w, channels]`, float32."""

    origins: Tensor
    directions: Tensor
    distance: Tensor
    colors: Tensor
    sigmas: Tensor
    quats: Tensor
    known: Tensor


@torch.no_grad()
def anchor_surface(
    rgb: Tensor, distance: Tensor, known: Tensor, cameras: Cameras, cell: tuple[int, int]
) -> AnchorSurface:
    """The surface that pixels `[..., H, W(, 3)]` of `cameras` `[...]` show, one sample per cell of rows x columns."""
    origins, rays = cameras.rays(torch.float32)
    log_distance = _cells(distance.float().log()[..., None], cell)[..., 0]
    weights = (-(log_distance - log_distance[..., :1]).abs() / SURFACE_SPREAD).softmax(-1)[..., None]
    directions = functional.normalize((weights * _cells(rays, cell)).sum(-2), dim=-1)
    cell_distance = (weights[..., 0] * log_distance).sum(-1).exp()
    origins = origins[..., :: cell[0], :: cell[1], :]
    points = origins + directions * cell_distance[..., None]
    sigmas, quats = _surface_shape(points, cell_distance, directions, cameras, cell)
    return AnchorSurface(
        origins=origins,
        directions=directions,
        distance=cell_distance,
        colors=(weights * _cells(rgb.float(), cell)).sum(-2),
        sigmas=sigmas,
        quats=quats,
        known=known[..., :: cell[0], :: cell[1]],
    )


def anchored_rows(raw: Tensor, surface: AnchorSurface, fresh: Tensor, *, free_color: bool = False) -> Tensor:
    """Correct anchor Gaussians by raw outputs `[..., 12]`.

    Args:
        raw: network outputs in float32.
        surface: the anchors, of the same leading shape.
        fresh: True where no other frame shows the surface `[...]` (input view and holes).
        free_color: predict all colours without the pixels, as published; else only those of holes, whose content was
            generated and reaches the decoder through the latents.

    Returns:
        rows `[..., 14]` as in `gaussian_rows`.
    """
    distance, color, scale, rotation, opacity = raw.split(RAW_SPLIT, dim=-1)
    reach = torch.where(surface.known, DISTANCE_REACH_KNOWN, DISTANCE_REACH_HOLE)[..., None]
    moved = surface.distance[..., None] * (reach * distance).exp()
    turn = rotation * ROTATION_REACH + rotation.new_tensor((1.0, 0.0, 0.0, 0.0))
    shift = torch.where(fresh, OPACITY_SHIFT_FRESH, OPACITY_SHIFT_REPEATED)[..., None]
    colors = free_colors(color)
    if not free_color:
        colors = torch.where(surface.known[..., None], anchored_colors(color, surface.colors), colors)
    return torch.cat(
        (
            surface.origins + surface.directions * moved,
            torch.sigmoid(opacity + shift),
            surface.sigmas * scale.clamp(*SCALE_RANGE).exp(),
            quaternion_multiply(surface.quats, functional.normalize(turn, dim=-1)),
            colors,
        ),
        dim=-1,
    )


def anchor_maps(anchors: Anchors, patch: int) -> Tensor:
    """Network input `[B, V, 2 * patch^2, K, h, w]`: log distance and known map, one channel per pixel of a cell."""
    maps = torch.stack((anchors.distance.float().log(), anchors.known.float()), dim=-3)
    return functional.pixel_unshuffle(maps, patch).transpose(2, 3)


def _cells(image: Tensor, cell: tuple[int, int]) -> Tensor:
    """Pixels `[..., H, W, C]` grouped by cell: `[..., h, w, pixels, C]`, the upper left pixel first."""
    rows, columns = cell
    grouped = image.unflatten(-3, (-1, rows)).unflatten(-2, (-1, columns))
    return grouped.transpose(-4, -3).flatten(-3, -2)


def _surface_shape(
    points: Tensor, distance: Tensor, directions: Tensor, cameras: Cameras, cell: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Standard deviations `[..., 3]` and quaternions `[..., 4]` of discs that tile the surface `[..., h, w, 3]`.

    With tangents e_u, e_v to the neighbours the covariance is s^2 (e_u e_u^T + e_v e_v^T); its axes follow from the
    closed-form eigenvectors of a 2x2 matrix in the tangent plane.
    """
    axes = cameras.c2w[..., None, None, :3, :3].float().unbind(-1)
    z = distance * (directions * axes[2]).sum(-1)
    focal = cameras.intrinsics[..., None, None, :2].float()
    footprint_u, footprint_v = z * cell[1] / focal[..., 0], z * cell[0] / focal[..., 1]
    facing_u, facing_v = axes[0] * footprint_u[..., None], axes[1] * footprint_v[..., None]
    tangent_u = _tangent(points, -2, footprint_u, facing_u)
    tangent_v = _tangent(points, -3, footprint_v, facing_v)

    lengths = tangent_u.norm(dim=-1) * tangent_v.norm(dim=-1)
    area = torch.linalg.cross(tangent_u, tangent_v, dim=-1).norm(dim=-1)
    flat = (area < MIN_TANGENT_SINE * lengths)[..., None]
    tangent_u, tangent_v = torch.where(flat, facing_u, tangent_u), torch.where(flat, facing_v, tangent_v)

    normal = functional.normalize(torch.linalg.cross(tangent_u, tangent_v, dim=-1), dim=-1)
    first = functional.normalize(tangent_u, dim=-1)
    second = torch.linalg.cross(normal, first, dim=-1)
    along, aside, across = tangent_u.norm(dim=-1), (tangent_v * first).sum(-1), (tangent_v * second).sum(-1)
    uu, uv, vv = along**2 + aside**2, aside * across, across**2
    angle = 0.5 * torch.atan2(2 * uv, uu - vv)[..., None]
    major = 0.5 * (uu + vv) + torch.hypot(0.5 * (uu - vv), uv)
    major_axis = angle.cos() * first + angle.sin() * second
    minor_axis = angle.cos() * second - angle.sin() * first
    sigma_major = SIGMA_PER_SPACING * major.sqrt()
    sigma_minor = SIGMA_PER_SPACING * along * across / major.sqrt()
    sigmas = torch.stack((sigma_major, sigma_minor, THICKNESS * footprint_u), dim=-1)
    return sigmas, matrix_to_quaternion(torch.stack((major_axis, minor_axis, normal), dim=-1))


def _tangent(points: Tensor, dim: int, footprint: Tensor, facing: Tensor) -> Tensor:
    """Step `[..., h, w, 3]` to the nearer neighbour along `dim`; `facing` where both lie on another surface."""
    if points.shape[dim] == 1:
        return facing
    steps = points.diff(dim=dim)
    ahead = torch.cat((steps, steps.narrow(dim, -1, 1)), dim=dim)
    behind = torch.cat((steps.narrow(dim, 0, 1), steps), dim=dim)
    ahead_length, behind_length = ahead.norm(dim=-1), behind.norm(dim=-1)
    step = torch.where((ahead_length <= behind_length)[..., None], ahead, behind)
    stretch = torch.minimum(ahead_length, behind_length) / footprint
    step = step * (stretch.clamp(1.0, MAX_STRETCH) / stretch.clamp_min(1e-6))[..., None]
    return torch.where((stretch > EDGE_STRETCH)[..., None], facing, step)
