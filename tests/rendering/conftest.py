# SPDX-License-Identifier: Apache-2.0
"""A dense reference renderer, straight from the textbook and in double precision, and small scenes to draw."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lyra_core.cameras import Cameras, look_at
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import RenderOutput
from lyra_core.rotations import quaternion_to_matrix


@pytest.fixture
def camera() -> Cameras:
    """A turned and moved camera whose principal point is off-centre and whose image is no multiple of a tile."""
    pose = look_at((0.6, -0.5, -3.0), (0.1, 0.0, 0.0), (0.0, -1.0, 0.0))
    return Cameras(pose, torch.tensor((45.0, 40.0, 22.0, 15.0)), 40, 34)


@pytest.fixture
def make_scene() -> Callable[..., Gaussians]:
    """Builds Gaussians in front of `camera`: some of them behind each other, beside the image and behind the camera."""

    def build(count: int = 120, *, size: float = 0.03, seed: int = 0) -> Gaussians:
        generator = torch.Generator().manual_seed(seed)
        means = (torch.rand(count, 3, generator=generator) - 0.5) * 4.0
        means[: count // 10] += torch.tensor((0.6, -0.5, -5.0))
        return Gaussians(
            means=means,
            scales=size * torch.exp(0.5 * torch.randn(count, 3, generator=generator)),
            quats=torch.randn(count, 4, generator=generator),
            opacities=0.05 + 0.94 * torch.rand(count, generator=generator),
            colors=torch.rand(count, 3, generator=generator),
        )

    return build


@pytest.fixture
def dense_render() -> Callable[..., RenderOutput]:
    """Draws every Gaussian on every pixel."""
    return _dense_render


def _dense_render(gaussians: Gaussians, camera: Cameras, projection: str, background: Tensor) -> RenderOutput:
    local = gaussians.means @ camera.w2c[:3, :3].T + camera.w2c[:3, 3]
    drawn = local[:, 2] > 0.01
    if projection == "ut":
        drawn &= _sigma_points_inside(gaussians, local, camera)
    gaussians, local = gaussians[drawn], local[drawn]
    order = local[:, 2].detach().argsort()
    gaussians, local = gaussians[order], local[order]
    exponent = (_ewa if projection == "ewa" else _along_ray)(gaussians, local, camera)
    alpha = (gaussians.opacities[:, None, None] * exponent.exp()).clamp_max(0.999)
    alpha = torch.where(alpha >= 1 / 255, alpha, 0.0)
    alpha = torch.where((1 - alpha).cumprod(0) > 1e-4, alpha, 0.0)
    left = (1 - alpha).cumprod(0)
    weights = alpha * torch.cat((torch.ones_like(left[:1]), left[:-1]))
    color = torch.einsum("nhw,nc->hwc", weights, gaussians.view_colors(camera.c2w[:3, 3]))
    color = color + left[-1, :, :, None] * background
    total = weights.sum(0)
    depth = torch.einsum("nhw,n->hw", weights, local[:, 2]) / total.clamp_min(1e-12)
    return RenderOutput(color, depth, total)


def _rotations(gaussians: Gaussians, camera: Cameras) -> Tensor:
    quats = gaussians.quats / gaussians.quats.norm(dim=-1, keepdim=True)
    return camera.w2c[:3, :3] @ quaternion_to_matrix(quats)


def _covariances(gaussians: Gaussians, camera: Cameras) -> Tensor:
    """Covariances in the camera's frame `[N, 3, 3]`."""
    root = _rotations(gaussians, camera) * gaussians.scales[:, None]
    return root @ root.mT


def _sigma_points_inside(gaussians: Gaussians, local: Tensor, camera: Cameras) -> Tensor:
    """Whether the seven sigma points project into the image widened by a tenth of its size `[N]`."""
    fx, fy, cx, cy = camera.intrinsics
    step = 0.03**0.5 * _rotations(gaussians, camera) * gaussians.scales[:, None]
    points = local[:, :, None] + torch.cat((0 * step[..., :1], step, -step), dim=-1)
    x, y, z = points.unbind(1)
    u, v = (fx * x / z + cx) / camera.width, (fy * y / z + cy) / camera.height
    return ((z > 0) & (u >= -0.1) & (u < 1.1) & (v >= -0.1) & (v < 1.1)).all(-1)


def _pixels(camera: Cameras) -> tuple[Tensor, Tensor]:
    u = torch.arange(camera.width, dtype=camera.c2w.dtype) + 0.5
    v = torch.arange(camera.height, dtype=camera.c2w.dtype) + 0.5
    v, u = torch.meshgrid(v, u, indexing="ij")
    return u, v


def _ewa(gaussians: Gaussians, local: Tensor, camera: Cameras) -> Tensor:
    """Mahalanobis exponents `[N, H, W]` of the linearised projection."""
    fx, fy, cx, cy = camera.intrinsics
    x, y, z = local.unbind(-1)
    low = torch.stack((-cx / fx - 0.15 * camera.width / fx, -cy / fy - 0.15 * camera.height / fy))
    high = torch.stack(((camera.width * 1.15 - cx) / fx, (camera.height * 1.15 - cy) / fy))
    tx = torch.minimum(torch.maximum(x / z, low[0]), high[0])
    ty = torch.minimum(torch.maximum(y / z, low[1]), high[1])
    zero = torch.zeros_like(z)
    jacobian = torch.stack((fx / z, zero, -fx * tx / z, zero, fy / z, -fy * ty / z), dim=-1).unflatten(-1, (2, 3))
    covariance = jacobian @ _covariances(gaussians, camera) @ jacobian.mT + 0.3 * torch.eye(2, dtype=z.dtype)
    u, v = _pixels(camera)
    offset = torch.stack((u - (fx * x / z + cx)[:, None, None], v - (fy * y / z + cy)[:, None, None]), dim=-1)
    return -0.5 * torch.einsum("nhwi,nij,nhwj->nhw", offset, torch.linalg.inv(covariance), offset)


def _along_ray(gaussians: Gaussians, local: Tensor, camera: Cameras) -> Tensor:
    """Largest exponents `[N, H, W]` on the pixels' rays: the quadratic in the ray parameter, minimised."""
    fx, fy, cx, cy = camera.intrinsics
    u, v = _pixels(camera)
    rays = torch.stack(((u - cx) / fx, (v - cy) / fy, torch.ones_like(u)), dim=-1)
    precision = torch.linalg.inv(_covariances(gaussians, camera))
    square = torch.einsum("hwi,nij,hwj->nhw", rays, precision, rays)
    linear = torch.einsum("hwi,nij,nj->nhw", rays, precision, local)
    constant = torch.einsum("ni,nij,nj->n", local, precision, local)
    return -0.5 * (constant[:, None, None] - linear.square() / square)
