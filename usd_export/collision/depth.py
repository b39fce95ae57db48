# SPDX-License-Identifier: Apache-2.0
"""Depth maps as a tangent plane per pixel, in world metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from usd_export.errors import UsdExportError

Array = NDArray[np.floating]

_MIN_FACING = 0.02  # |cos| between ray and normal below which a normal is taken for noise on a silhouette
_FLOOR_UP = 0.7  # world z of the normal of a floor pixel
_FLOOR_TOLERANCE = 0.02  # metres at the camera
_FLOOR_WAVINESS = (0.005, 0.03)  # least and most that the tolerance grows per metre of depth,
_FLOOR_REACH = 10.0  # up to this depth


@dataclass(frozen=True)
class DepthView:
    """What one pinhole camera measured. OpenCV axes; the centre of the first pixel is 0.5."""

    z: Array  # [H, W] depth along the optical axis, local units
    mask: NDArray[np.bool_]  # [H, W] True where `z` is a surface; sky and unknown are False
    intrinsics: Array  # [4] fx, fy, cx, cy in pixels of `z`
    c2w: Array  # [4, 4] camera to local


@dataclass(frozen=True)
class SurfaceView:
    """A depth view in world metres, each pixel a plane `normal . x = offset` whose normal looks at the camera."""

    world_from_camera: Array  # [3, 3] rotation
    origin: Array  # [3] metres
    intrinsics: Array  # [4]
    width: int
    height: int
    depth: NDArray[np.float32]  # [H * W] metres along the axis; 0 = unknown, inf = nothing nearer than the horizon
    slope: NDArray[np.float32]  # [H * W] distance to the plane per metre of depth difference on the pixel's ray
    planes: NDArray[np.float32]  # [H * W, 4] normal and offset
    floor: NDArray[np.bool_]  # [H * W] pixels snapped to the plane z = 0

    def points(self) -> NDArray[np.float64]:
        """World points [M, 3] of all pixels that show a surface."""
        return self._points((self.depth > 0) & np.isfinite(self.depth))

    def floor_points(self) -> NDArray[np.float64]:
        """World points [M, 3] of the pixels that show the floor."""
        return self._points(self.floor)

    def _points(self, pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
        chosen = np.flatnonzero(pixels)
        return self.origin + self._rays()[chosen] * self.depth[chosen, None].astype(np.float64)

    def _rays(self) -> NDArray[np.float64]:
        return _pixel_rays(self.intrinsics, self.width, self.height) @ self.world_from_camera.T


def surface_view(view: DepthView, frame_matrix: Array, horizon: float) -> SurfaceView:
    """Convert to metres, estimate normals, snap floor pixels to z = 0.

    Args:
        view: Depth map in local units.
        frame_matrix: [4, 4] local to world, a similarity.
        horizon: Metres of depth beyond which a surface only proves that the way there is free.
    """
    z, camera_to_world = _checked(view), np.asarray(frame_matrix, np.float64) @ np.asarray(view.c2w, np.float64)
    scale = np.cbrt(np.linalg.det(camera_to_world[:3, :3]))
    rotation, origin = camera_to_world[:3, :3] / scale, camera_to_world[:3, 3]
    height, width = z.shape
    intrinsics = np.asarray(view.intrinsics, np.float64)
    rays = _pixel_rays(intrinsics, width, height)
    depth = (z * scale).reshape(-1)
    known = depth > 0
    normals = np.where(known[:, None], _normals(depth.reshape(height, width), intrinsics, rays), 0.0) @ rotation.T
    rays = rays @ rotation.T

    with np.errstate(divide="ignore"):
        plane_depth = np.where(rays[:, 2] < 0, -origin[2] / rays[:, 2], 0.0)
    above = origin[2] + depth * rays[:, 2]
    floor = _floor_pixels(depth, above, normals[:, 2], (height, width)) & (plane_depth > 0)
    depth[floor] = plane_depth[floor]
    normals[floor] = (0.0, 0.0, 1.0)

    offsets = np.einsum("ij,ij->i", normals, origin + depth[:, None] * rays)
    slope = -np.einsum("ij,ij->i", normals, rays)
    far = depth > horizon
    depth[far] = np.inf
    return SurfaceView(
        world_from_camera=rotation,
        origin=origin,
        intrinsics=intrinsics,
        width=width,
        height=height,
        depth=depth.astype(np.float32),
        slope=slope.astype(np.float32),
        planes=np.concatenate([normals, offsets[:, None]], axis=1).astype(np.float32),
        floor=floor & ~far,
    )


def _floor_pixels(depth: Array, above: Array, up: Array, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels [H * W] that show the floor: near z = 0 and, with their neighbours, facing up.

    How near depends on the depth map: an exact one keeps rugs and kerbs apart from the floor, an estimated one waves
    by percents of the distance. The waviness is the median of |height| / distance of what may be floor.

    Args:
        depth: Metres [H * W], 0 where unknown.
        above: Height over z = 0, metres [H * W].
        up: World z of the normals [H * W].
        shape: H, W.
    """
    height, known = np.abs(above), depth > 0
    faces_up = known & (up > _FLOOR_UP)
    candidates = faces_up & (height < _FLOOR_TOLERANCE + _FLOOR_WAVINESS[1] * depth)
    waviness = 1.48 * float(np.median(height[candidates] / depth[candidates])) if candidates.any() else 0.0
    share = np.clip(2.5 * waviness, *_FLOOR_WAVINESS)
    near = known & (height < _FLOOR_TOLERANCE + share * np.minimum(depth, _FLOOR_REACH))
    return near & (uniform_filter((near & faces_up).reshape(shape).astype(np.float32), 5).reshape(-1) > 0.5)


def _checked(view: DepthView) -> NDArray[np.float64]:
    """Depth [H, W] with 0 wherever nothing was measured."""
    z, mask = np.asarray(view.z, np.float64), np.asarray(view.mask, bool)
    if z.ndim != 2 or z.shape != mask.shape or min(z.shape) < 2:
        raise UsdExportError(f"depth view: z {z.shape} and mask {mask.shape} must be images of one size >= 2x2")
    intrinsics = np.asarray(view.intrinsics, np.float64)
    if intrinsics.shape != (4,) or not np.isfinite(intrinsics).all() or (intrinsics[:2] <= 0).any():
        raise UsdExportError(f"depth view: intrinsics {intrinsics} must be fx, fy, cx, cy with positive focal lengths")
    c2w = np.asarray(view.c2w, np.float64)
    if c2w.shape != (4, 4) or not np.isfinite(c2w).all() or np.linalg.det(c2w[:3, :3]) <= 0:
        raise UsdExportError("depth view: c2w must be a finite [4, 4] camera-to-local matrix without mirroring")
    return np.where(mask & np.isfinite(z) & (z > 0), np.nan_to_num(z, posinf=0.0), 0.0)


def _pixel_rays(intrinsics: Array, width: int, height: int) -> NDArray[np.float64]:
    """Camera-space rays [H * W, 3] with unit z through the pixel centres."""
    fx, fy, cx, cy = intrinsics
    u, v = np.meshgrid((np.arange(width) + 0.5 - cx) / fx, (np.arange(height) + 0.5 - cy) / fy)
    return np.stack([u, v, np.ones_like(u)], axis=-1).reshape(-1, 3)


def _normals(depth: Array, intrinsics: Array, rays: Array) -> NDArray[np.float64]:
    """Camera-space unit normals [H * W, 3] towards the camera.

    Inverse depth is affine in the pixel on every plane n . X = d: 1 / z = (n . ray) / d. Its gradient therefore gives
    the plane exactly at any slant. The flatter of two one-sided differences keeps a silhouette out of the estimate.
    """
    with np.errstate(divide="ignore"):
        inverse = np.where(depth > 0, 1.0 / depth, np.nan)
    gx = _one_sided_gradient(inverse, axis=1).reshape(-1) * intrinsics[0]
    gy = _one_sided_gradient(inverse, axis=0).reshape(-1) * intrinsics[1]
    gz = np.nan_to_num(inverse).reshape(-1) - gx * rays[:, 0] - gy * rays[:, 1]
    normals = -np.stack([gx, gy, gz], axis=-1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-30
    towards = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    grazing = -np.einsum("ij,ij->i", normals, towards) < _MIN_FACING
    normals[grazing] = -towards[grazing]
    return normals


def _one_sided_gradient(values: Array, axis: int, reach: int = 2) -> NDArray[np.float64]:
    """Per-pixel derivative from `reach` pixels on the side where it is smaller; 0 where neither side is known."""
    values = np.moveaxis(values, axis, 0)
    reach = min(reach, len(values) - 1)
    difference = (values[reach:] - values[:-reach]) / reach
    missing = np.full_like(values[:reach], np.nan)
    after, before = np.concatenate([difference, missing]), np.concatenate([missing, difference])
    use_before = np.isnan(after) | (np.abs(before) < np.abs(after))
    return np.moveaxis(np.nan_to_num(np.where(use_before, before, after)), 0, axis)
