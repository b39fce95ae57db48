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
"""Variance [pixels^2] added to a footprint: in "ewa" a low-pass filter, in "ut" only a margin of the bounds."""
UT_ALPHA, UT_BETA = 0.1, 2.0
"""Spread of the sigma points and prior knowledge of the distribution (Wan and van der Merwe 2000), with kappa = 0."""
IMAGE_MARGIN = 0.1
"""Every sigma point must lie within the image, widened by this share of its size."""
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
    """3D Gaussian unscented transform: bounds from sigma points, the response from the pixel's own ray.

    With A = S^-1 R^T, the map from the camera's frame to the one where the Gaussian is the unit ball, the ray direction
    of a pixel is A d = h0 + dx hx + dy hy for h0 = A mu / z, hx = A e_x / fx, hy = A e_y / fy. The largest response on
    a ray lies where it passes closest to the centre, at the squared distance |A mu|^2 sin^2 of the angle between A d
    and h0. Splitting hx and hy into parts along h0 (the tilts) and across it (hx', hy') gives the common form with
    num = z^2 |dx hx' + dy hy'|^2 and nearness = 1 / |A mu|^2.
    Wu et al., "3DGUT" (arXiv 2412.12507), sections 3.2 and 3.3. Nothing is dilated, so slivers stay thin.
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
    return Footprints(
        center=center,
        factor=z[:, None] * torch.stack((length, along, across), dim=-1),
        tilt=tilt,
        nearness=1.0 / (z.square() * norm),
        depth=z,
        bounds=_unscented_bounds(gaussians, view),
    )


@torch.no_grad()
def _unscented_bounds(gaussians: Gaussians, view: View) -> Tensor:
    """Bounds `[M, 4]` from the mean and covariance of seven projected sigma points.

    The points are the centre and mu +- sqrt(3 + lambda) s_k R_k with lambda = 3 (UT_ALPHA^2 - 1). Sums are taken
    relative to the projected centre, which spares the cancellation of the large weights of opposite sign. As in gsplat
    a Gaussian is dropped unless all seven lie before the camera and in the widened image.
    """
    fx, fy, cx, cy = view.intrinsics.unbind(-1)
    x, y, z, turn = _in_camera(gaussians, view)
    steps = math.sqrt(3.0) * UT_ALPHA * turn * gaussians.scales[:, None]
    offsets = torch.cat((torch.zeros_like(steps[..., :1]), steps, -steps), dim=-1)
    x, y, z = (torch.stack((x, y, z), dim=-1)[:, :, None] + offsets).unbind(1)
    pixels = torch.stack((fx * x / z + cx, fy * y / z + cy), dim=-1)
    size = pixels.new_tensor((view.width, view.height))
    inside = (pixels >= -IMAGE_MARGIN * size) & (pixels < (1 + IMAGE_MARGIN) * size)
    valid = (z > 0).all(-1) & inside.flatten(1).all(-1)
    around = pixels[:, 1:] - pixels[:, :1]
    weight = 0.5 / (3.0 * UT_ALPHA**2)
    shift = weight * around.sum(1)
    variance = weight * around.square().sum(1) + (UT_BETA - UT_ALPHA**2) * shift.square() + EPS2D
    radii = (_extent(gaussians.opacities)[:, None] * variance.sqrt()).ceil()
    return _bounds(pixels[:, 0] + shift, radii, valid, view)


def _candidates(gaussians: Gaussians, colors: Tensor, view: View) -> Tensor:
    """Indices of finite, visible Gaussians between near and far that are not surely beside the window.

    To first order the deviation along an image axis is at most f / z sqrt(1 + tan^2) sigma_max. Twice that is allowed,
    because sigma points see a little more than the first order.
    """
    fx, fy, cx, cy = view.intrinsics.unbind(-1)
    x, y, z = (gaussians.means @ view.w2c[:3, :3].T + view.w2c[:3, 3]).unbind(-1)
    ok = (z >= view.near) & (z <= view.far) & (gaussians.opacities >= ALPHA_MIN)
    for part in (gaussians.means, gaussians.scales, gaussians.quats, gaussians.opacities[:, None], colors):
        ok &= part.isfinite().all(-1)
    u, v = x / z, y / z
    reach = 2.0 * _extent(gaussians.opacities)
    sigma = gaussians.scales.amax(-1) / z
    rx = reach * (fx * sigma * (1 + u * u).sqrt() + 1.0) + 1.0
    ry = reach * (fy * sigma * (1 + v * v).sqrt() + 1.0) + 1.0
    left, top, width, height = view.window
    ok &= (fx * u + cx + rx > left) & (fx * u + cx - rx < left + width)
    ok &= (fy * v + cy + ry > top) & (fy * v + cy - ry < top + height)
    return ok.nonzero()[:, 0]


def _in_camera(gaussians: Gaussians, view: View) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centres x, y, z `[N]` and the rotation from each Gaussian's axes to the camera's `[N, 3, 3]`."""
    rotation = view.w2c[:3, :3]
    x, y, z = (gaussians.means @ rotation.T + view.w2c[:3, 3]).unbind(-1)
    return x, y, z, rotation @ quaternion_to_matrix(functional.normalize(gaussians.quats, dim=-1))


def _clamped_slope(slope: Tensor, focal: Tensor, center: Tensor, size: int) -> Tensor:
    margin = 0.15 * size / focal
    return torch.minimum(torch.maximum(slope, -center / focal - margin), (size - center) / focal + margin)


def _extent(opacities: Tensor) -> Tensor:
    """Standard deviations at which the alpha falls to ALPHA_MIN (Radl et al., "StopThePop", 2024, section B.2)."""
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
