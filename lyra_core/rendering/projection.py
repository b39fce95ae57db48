# SPDX-License-Identifier: Apache-2.0
"""How a 3D Gaussian becomes a footprint on the image: two projections, in plain torch.

Both give the alpha of Gaussian i at a pixel centre (u, v) the form

    alpha = min(ALPHA_MAX, opacity * exp(-num / (2 (ell^2 + nearness * num)))),  nothing below ALPHA_MIN
    num = (q dx + s dy)^2 + (t dy)^2,   ell = 1 + tilt_x dx + tilt_y dy,   (dx, dy) = (u, v) - projected centre

`project_ewa` linearises the camera at the centre (tilt = nearness = 0). `project_unscented` evaluates the Gaussian in
3D along the pixel's ray, exactly; see there for where the five numbers come from. Conventions and constants are those
of gsplat 1.5 (classic mode, and `with_ut=True, with_eval3d=True`), so that both renderers agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..gaussians import Gaussians
from ..rotations import quaternion_to_matrix

ALPHA_MIN = 1.0 / 255.0
"""Weaker contributions are dropped."""
ALPHA_MAX = 0.999
"""No Gaussian hides everything behind it, which keeps gradients alive."""
TRANSMITTANCE_MIN = 1e-4
"""A Gaussian that would leave less light than this is not drawn any more, nor anything behind it."""
TILE = 16
"""Side of a tile [pixels]."""
EPS2D = 0.3
"""Variance [pixels^2] added to a footprint in "ewa": a low-pass filter."""
UT_SPREAD = 0.1 * math.sqrt(3.0)
"""Distance of the sigma points from the centre [standard deviations]: alpha sqrt(3 + kappa), alpha 0.1, kappa 0."""
UT_MARGIN = 0.1
"""All sigma points must lie within the image, widened by this share of its size on either side."""
MAX_EXTENT = math.sqrt(-2.0 * math.log(ALPHA_MIN))
"""Standard deviations at which an opaque Gaussian falls to ALPHA_MIN."""
EVERYTHING = 1e9
"""Half the size of a box that holds any image [pixels]."""
SCALE_MIN = 1e-8
"""Smaller scales act as this one in "ut" [scene units]."""


@dataclass(frozen=True)
class View:
    """One camera and the window of its image that is wanted.

    Attributes:
        w2c: world-to-camera pose `[4, 4]`, OpenCV axes.
        intrinsics: fx, fy, cx, cy `[4]` [pixels] of the whole image.
        width: width of the whole image [pixels].
        height: height of the whole image [pixels].
        window: x begin, y begin, width, height [pixels].
        near: closest z-depth drawn [scene units].
        far: farthest z-depth drawn [scene units].
    """

    w2c: Tensor
    intrinsics: Tensor
    width: int
    height: int
    window: tuple[int, int, int, int]
    near: float
    far: float


class Footprints(NamedTuple):
    """What M visible Gaussians look like on the image; floats are differentiable, integers are not."""

    center: Tensor  # [M, 2] projected centre [pixels of the whole image]
    factor: Tensor  # [M, 3] q, s, t [1 / pixel]: the transposed Cholesky factor of the inverse covariance
    tilt: Tensor  # [M, 2] tilt_x, tilt_y [1 / pixel]
    nearness: Tensor  # [M] inverse squared Mahalanobis distance of the camera from the centre
    depth: Tensor  # [M] z-depth of the centre [scene units]
    bounds: Tensor  # [M, 4] x begin, x end, y begin, y end [pixels of the whole image], clipped to the window


def project(gaussians: Gaussians, colors: Tensor, view: View, projection: str) -> tuple[Tensor, Footprints]:
    """Which Gaussians `[M]` the window of `view` shows, and their footprints; what is not finite is left out.

    They are chosen before anything differentiable happens, because a dropped NaN would still poison gradients.
    """
    shape = project_unscented if projection == "ut" else project_ewa
    with torch.no_grad():
        ids = _candidates(gaussians, colors, view)
        bounds = shape(gaussians[ids], view).bounds
        ids = ids[(bounds[:, 1] > bounds[:, 0]) & (bounds[:, 3] > bounds[:, 2])]
    return ids, shape(gaussians[ids], view)


def project_ewa(gaussians: Gaussians, view: View) -> Footprints:
    """Elliptical weighted average: the covariance J W C W^T J^T + EPS2D I of the linearised projection.

    C is the 3D covariance, W the rotation of the camera and J the Jacobian of the pinhole projection at the centre, its
    slopes clamped to the view widened by 15 % of its size on either side.
    Zwicker et al., "EWA splatting" (2002); Kerbl et al., "3D Gaussian splatting" (2023), section 4.
    """
    fx, fy, cx, cy = view.intrinsics.unbind(-1)
    x, y, z, turn = _in_camera(gaussians, view)
    tx = _clamped_slope(x / z, fx, cx, view.width)
    ty = _clamped_slope(y / z, fy, cy, view.height)
    rows = torch.stack(
        (
            (fx / z)[:, None] * (turn[:, 0] - tx[:, None] * turn[:, 2]),
            (fy / z)[:, None] * (turn[:, 1] - ty[:, None] * turn[:, 2]),
        ),
        dim=1,
    )
    rows = rows * gaussians.scales[:, None]
    a = rows[:, 0].square().sum(-1) + EPS2D
    b = (rows[:, 0] * rows[:, 1]).sum(-1)
    c = rows[:, 1].square().sum(-1) + EPS2D
    det = a * c - b * b
    center = torch.stack((fx * x / z + cx, fy * y / z + cy), dim=-1)
    extent = _extent(gaussians.opacities)
    radii = extent[:, None] * torch.stack((a, c), dim=-1).sqrt()
    return Footprints(
        center=center,
        factor=torch.stack(((c / det).sqrt(), -b / (c * det).sqrt(), c.rsqrt()), dim=-1),
        tilt=torch.zeros_like(center),
        nearness=torch.zeros_like(z),
        depth=z,
        bounds=_bounds(center, radii, det > 0, view),
    )


def project_unscented(gaussians: Gaussians, view: View) -> Footprints:
    """3D Gaussian unscented transform with the response taken in 3D along each pixel's own ray.

    With A = S^-1 R^T, the map from the camera's frame to the one where the Gaussian is the unit ball, the ray direction
    of a pixel is A d = h0 + dx hx + dy hy for h0 = A mu / z, hx = A e_x / fx, hy = A e_y / fy. The largest response on
    a ray lies where it passes closest to the centre, at the squared distance |A mu|^2 sin^2 of the angle between A d
    and h0. Splitting hx and hy into parts along h0 (the tilts) and across it (hx', hy') gives the common form with
    num = z^2 |dx hx' + dy hy'|^2 and nearness = 1 / |A mu|^2. Nothing is dilated, so slivers stay thin.

    The sigma points decide which Gaussians are drawn, their centres in which order, as in gsplat. Its bounds, estimated
    from the same points, only choose whole tiles; here the pixels are bounded exactly, by the outline of the ellipsoid.
    Wu et al., "3DGUT" (arXiv 2412.12507), sections 3.2 and 3.3.
    """
    fx, fy, cx, cy = view.intrinsics.unbind(-1)
    x, y, z, turn = _in_camera(gaussians, view)
    inverse = 1.0 / gaussians.scales.clamp_min(SCALE_MIN)
    h0 = inverse * (turn * torch.stack((x, y, z), dim=-1)[:, :, None]).sum(1) / z[:, None]
    hx, hy = inverse * turn[:, 0] / fx, inverse * turn[:, 1] / fy
    norm = h0.square().sum(-1)
    tilt = torch.stack(((h0 * hx).sum(-1), (h0 * hy).sum(-1)), dim=-1) / norm[:, None]
    hx, hy = hx - tilt[:, :1] * h0, hy - tilt[:, 1:] * h0
    length = hx.norm(dim=-1)
    along = (hx * hy).sum(-1) / length
    across = (hy - (along / length)[:, None] * hx).norm(dim=-1)
    center = torch.stack((fx * x / z + cx, fy * y / z + cy), dim=-1)
    factor = z[:, None] * torch.stack((length, along, across), dim=-1)
    nearness = 1.0 / (z.square() * norm)
    middle, radii = _outline(factor, tilt, nearness, _extent(gaussians.opacities))
    return Footprints(
        center=center,
        factor=factor,
        tilt=tilt,
        nearness=nearness,
        depth=z,
        bounds=_bounds(center + middle, radii, _sigma_points_inside(gaussians, view), view),
    )


@torch.no_grad()
def _outline(factor: Tensor, tilt: Tensor, nearness: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
    """Middle and half size `[M, 2]` of the box around an outline, relative to the projected centre [pixels].

    The outline, at `extent` standard deviations, is the conic w num = ell^2 with w = 1 / extent^2 - nearness. It is an
    ellipse unless the camera is within the ellipsoid or the ellipsoid reaches beside it; then the box is everything.
    """
    q, s, t = factor.unbind(-1)
    w = extent.square().reciprocal() - nearness
    xx, xy, yy = (s * s + t * t) / (q * t).square() / w, -s / (q * t * t) / w, 1.0 / (t * t) / w
    middle = torch.stack((xx * tilt[:, 0] + xy * tilt[:, 1], xy * tilt[:, 0] + yy * tilt[:, 1]), dim=-1)
    left = 1.0 - (middle * tilt).sum(-1, keepdim=True)
    radii = ((torch.stack((xx, yy), dim=-1) + middle.square() / left) / left).sqrt()
    ellipse = (w > 0)[:, None] & (left > 0)
    return torch.where(ellipse, middle / left, 0.0), torch.where(ellipse, radii, EVERYTHING)


@torch.no_grad()
def _sigma_points_inside(gaussians: Gaussians, view: View) -> Tensor:
    """Whether the centre and the points at +- UT_SPREAD on each axis lie before the camera and near the image `[M]`."""
    fx, fy, cx, cy = view.intrinsics.unbind(-1)
    x, y, z, turn = _in_camera(gaussians, view)
    steps = UT_SPREAD * turn * gaussians.scales[:, None]
    offsets = torch.cat((torch.zeros_like(steps[..., :1]), steps, -steps), dim=-1)
    x, y, z = (torch.stack((x, y, z), dim=-1)[:, :, None] + offsets).unbind(1)
    u, v = (fx * x / z + cx) / view.width, (fy * y / z + cy) / view.height
    inside = (u >= -UT_MARGIN) & (u < 1 + UT_MARGIN) & (v >= -UT_MARGIN) & (v < 1 + UT_MARGIN)
    return ((z > 0) & inside).all(-1)


def _candidates(gaussians: Gaussians, colors: Tensor, view: View) -> Tensor:
    """Indices of finite, visible Gaussians between near and far that are not surely beside the window.

    The outline of a ball of radius r reaches at most f r sqrt(1 + tan^2) / (z - r) from its centre along an image axis,
    so twice the first-order estimate is enough up to r = z / 2. Larger balls are kept.
    """
    fx, fy, cx, cy = view.intrinsics.unbind(-1)
    x, y, z = (gaussians.means @ view.w2c[:3, :3].T + view.w2c[:3, 3]).unbind(-1)
    ok = (z >= view.near) & (z <= view.far) & (gaussians.opacities >= ALPHA_MIN)
    for part in (gaussians.means, gaussians.scales, gaussians.quats, gaussians.opacities[:, None], colors):
        ok &= part.isfinite().all(-1)
    u, v = x / z, y / z
    ratio = MAX_EXTENT * gaussians.scales.amax(-1) / z
    rx = 2.0 * fx * ratio * (1 + u * u).sqrt() + MAX_EXTENT
    ry = 2.0 * fy * ratio * (1 + v * v).sqrt() + MAX_EXTENT
    left, top, width, height = view.window
    near = (fx * u + cx + rx > left) & (fx * u + cx - rx < left + width)
    near &= (fy * v + cy + ry > top) & (fy * v + cy - ry < top + height)
    return (ok & (near | (ratio > 0.5))).nonzero()[:, 0]


def _in_camera(gaussians: Gaussians, view: View) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centres x, y, z `[N]` and the rotation from each Gaussian's axes to the camera's `[N, 3, 3]`."""
    rotation = view.w2c[:3, :3]
    x, y, z = (gaussians.means @ rotation.T + view.w2c[:3, 3]).unbind(-1)
    return x, y, z, rotation @ quaternion_to_matrix(functional.normalize(gaussians.quats, dim=-1))


def _clamped_slope(slope: Tensor, focal: Tensor, center: Tensor, size: int) -> Tensor:
    margin = 0.15 * size / focal
    return torch.minimum(torch.maximum(slope, -center / focal - margin), (size - center) / focal + margin)


def _extent(opacities: Tensor) -> Tensor:
    """Standard deviations at which the alpha falls to ALPHA_MIN (arXiv 2402.00525, section B.2)."""
    return (2.0 * (opacities / ALPHA_MIN).log()).clamp_min(0.0).sqrt()


@torch.no_grad()
def _bounds(center: Tensor, radii: Tensor, valid: Tensor, view: View) -> Tensor:
    """Pixels whose centres lie within `radii` of `center`, clipped to the window; empty where not valid."""
    left, top, width, height = view.window
    low = center.new_tensor((left, top))
    high = center.new_tensor((left + width, top + height))
    begin = (center - radii - 0.5).ceil().clamp(low, high)
    end = ((center + radii - 0.5).floor() + 1).clamp(low, high)
    bounds = torch.stack((begin[:, 0], end[:, 0], begin[:, 1], end[:, 1]), dim=-1)
    return torch.where(valid[:, None] & bounds.isfinite().all(-1, keepdim=True), bounds, 0.0).long()
