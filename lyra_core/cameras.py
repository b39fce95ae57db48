# SPDX-License-Identifier: Apache-2.0
"""Pinhole cameras, pixel rays and Pluecker maps.

Axes are OpenCV's (x right, y down, z forward), poses are camera-to-world, intrinsics (fx, fy, cx, cy) are in pixels and
the centre of the first pixel lies at 0.5. Lengths are scene units until a frame has been applied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.errors import LyraError


@dataclass(frozen=True)
class Cameras:
    """A batch of pinhole cameras that share one image size.

    Attributes:
        c2w: camera-to-world poses `[..., 4, 4]`.
        intrinsics: fx, fy, cx, cy `[..., 4]` [pixels], broadcastable to the batch shape of `c2w`.
        width: image width [pixels].
        height: image height [pixels].
    """

    c2w: Tensor
    intrinsics: Tensor
    width: int
    height: int

    def __post_init__(self) -> None:
        """Check the shapes and give every camera its own intrinsics (a view, no copy)."""
        if self.c2w.shape[-2:] != (4, 4) or self.intrinsics.shape[-1:] != (4,):
            raise LyraError(
                f"Cameras need c2w [..., 4, 4] and intrinsics [..., 4]; got {list(self.c2w.shape)} and "
                f"{list(self.intrinsics.shape)}."
            )
        if self.width < 1 or self.height < 1:
            raise LyraError(f"Cameras need a positive image size; got {self.width} x {self.height}.")
        object.__setattr__(self, "intrinsics", self.intrinsics.expand(*self.shape, 4))

    @property
    def shape(self) -> torch.Size:
        """Batch shape: everything before the 4x4 matrix."""
        return self.c2w.shape[:-2]

    @property
    def w2c(self) -> Tensor:
        """World-to-camera poses `[..., 4, 4]`."""
        return torch.linalg.inv(self.c2w)

    def __len__(self) -> int:
        """Size of the first batch dimension."""
        if not self.shape:
            raise LyraError("A single camera has no length; index or stack it first.")
        return self.shape[0]

    def __getitem__(self, index: Any) -> Cameras:
        """Index the batch dimensions (ints, slices, masks, index tensors)."""
        flat = torch.arange(self.shape.numel()).reshape(self.shape)[index]
        return replace(
            self,
            c2w=self.c2w.reshape(-1, 4, 4)[flat],
            intrinsics=self.intrinsics.reshape(-1, 4)[flat],
        )

    def to(self, *args: Any, **kwargs: Any) -> Cameras:
        """Move or cast like `Tensor.to`."""
        return replace(self, c2w=self.c2w.to(*args, **kwargs), intrinsics=self.intrinsics.to(*args, **kwargs))

    def reshape(self, *shape: int) -> Cameras:
        """The same cameras with another batch shape."""
        return replace(self, c2w=self.c2w.reshape(*shape, 4, 4), intrinsics=self.intrinsics.reshape(*shape, 4))

    def resized(self, height: int, width: int) -> Cameras:
        """The same field of view on an image of another size."""
        sx, sy = width / self.width, height / self.height
        scale = self.intrinsics.new_tensor((sx, sy, sx, sy))
        return replace(self, intrinsics=self.intrinsics * scale, width=width, height=height)

    def transformed(self, matrix: Tensor) -> Cameras:
        """Move every camera by a world transform `[..., 4, 4]`: c2w becomes matrix @ c2w."""
        return replace(self, c2w=matrix.to(self.c2w) @ self.c2w)

    @staticmethod
    def stack(cameras: Sequence[Cameras], dim: int = 0) -> Cameras:
        """Join cameras of one batch shape along a new batch dimension."""
        return _joined(cameras, torch.stack, dim)

    @staticmethod
    def cat(cameras: Sequence[Cameras], dim: int = 0) -> Cameras:
        """Join cameras along an existing batch dimension."""
        return _joined(cameras, torch.cat, dim)

    def rays(self, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Rays through the pixel centres.

        Args:
            dtype: precision of every intermediate, the pixel grid included (default: that of the poses). The published
                decoder works in bfloat16, where far columns of a wide image share one ray.

        Returns:
            origins and unit directions, both `[..., H, W, 3]` in the world frame.
        """
        c2w = self.c2w if dtype is None else self.c2w.to(dtype)
        fx, fy, cx, cy = self.intrinsics.to(c2w.dtype)[..., None, None, :].unbind(-1)
        u, v = (_pixel_centres(n, c2w) for n in (self.width, self.height))
        x, y = (u - cx) / fx, (v[:, None] - cy) / fy
        x, y = torch.broadcast_tensors(x, y)
        directions = torch.stack((x, y, torch.ones_like(x)), dim=-1)
        directions = directions / directions.norm(dim=-1, keepdim=True)
        flat = directions.flatten(-3, -2) @ c2w[..., :3, :3].transpose(-1, -2)
        directions = flat.unflatten(-2, (self.height, self.width))
        return c2w[..., None, None, :3, 3].expand_as(directions), directions


def plucker(cameras: Cameras, dtype: torch.dtype | None = None) -> Tensor:
    """Pluecker maps `[..., 6, H, W]`: the moment o x d, then the direction d."""
    origins, directions = cameras.rays(dtype)
    maps = torch.cat((torch.linalg.cross(origins, directions, dim=-1), directions), dim=-1)
    return maps.movedim(-1, -3)


def intrinsics_from_fov(fov_x: float, width: int, height: int) -> Tensor:
    """Intrinsics `[4]` of a camera with square pixels and a centred principal point; `fov_x` in radians."""
    if not 0.0 < fov_x < math.pi:
        raise LyraError(f"The horizontal field of view must lie between 0 and pi radians; got {fov_x}.")
    focal = 0.5 * width / math.tan(0.5 * fov_x)
    return torch.tensor((focal, focal, 0.5 * width, 0.5 * height))


def look_at(eye: Any, target: Any, up: Any) -> Tensor:
    """Pose `[..., 4, 4]` of a camera at `eye` that looks at `target`; `up` is the world's up direction."""
    eye, target, up = (torch.as_tensor(value, dtype=torch.float32) for value in (eye, target, up))
    eye, target, up = torch.broadcast_tensors(eye, target, up)
    forward = functional.normalize(target - eye, dim=-1)
    right = functional.normalize(torch.linalg.cross(forward, up, dim=-1), dim=-1)
    columns = torch.stack((right, torch.linalg.cross(forward, right, dim=-1), forward, eye), dim=-1)
    bottom = columns.new_tensor((0.0, 0.0, 0.0, 1.0)).expand(*columns.shape[:-2], 1, 4)
    return torch.cat((columns, bottom), dim=-2)


def _pixel_centres(count: int, like: Tensor) -> Tensor:
    """0.5, 1.5, ... in the precision of `like`; `linspace` because its bfloat16 rounding is the published one."""
    return torch.linspace(0, count - 1, count, dtype=like.dtype, device=like.device) + 0.5


def _joined(cameras: Sequence[Cameras], join: Callable[[list[Tensor], int], Tensor], dim: int) -> Cameras:
    """Join poses and intrinsics; `dim` counts batch dimensions."""
    sizes = {(camera.width, camera.height) for camera in cameras}
    if len(sizes) != 1:
        raise LyraError(f"Only cameras of one image size can be joined; got {sorted(sizes)}.")
    if dim < 0:
        raise LyraError(f"The batch dimension must be counted from the front; got {dim}.")
    poses, intrinsics = [c.c2w for c in cameras], [c.intrinsics for c in cameras]
    return replace(cameras[0], c2w=join(poses, dim), intrinsics=join(intrinsics, dim))
