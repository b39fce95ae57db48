# SPDX-License-Identifier: Apache-2.0
"""What every data set becomes: pictures that never part from the camera that took them.

Whoever scores a rendering asks a `Frame` for both, so that a rendering cannot be compared with the picture of another
frame. (Comparing every 4th rendered frame with a whole video costs a published model 11 dB and raises no error.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError

Distortion = tuple[float, float, float, float]
"""k1, k2 (radial) and p1, p2 (tangential) of the OpenCV model."""

PINHOLE: Distortion = (0.0, 0.0, 0.0, 0.0)

_ASPECT_TOLERANCE = 0.02
_ROTATION_TOLERANCE = 1e-2

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shot:
    """A picture RGB `[H, W, 3]` in [0, 1] and its pinhole camera `[]` of the same size."""

    picture: Tensor
    camera: Cameras


@dataclass(frozen=True)
class Frame:
    """One view of a clip, read when it is needed.

    Attributes:
        name: of the picture, for reports and errors.
        camera: `[]`, OpenCV axes, world frame and unit of the data set, intrinsics at the size it states.
        picture: reads RGB `[H, W, 3]`; may be a scaled version of what the camera states.
        distortion: of the lens.
        points: scene points `[N, 3]` in this camera's axes that the data set knows [unit of the poses].
        depth: reads z-depth `[H, W]` [unit of the poses], 0 where unknown.
    """

    name: str
    camera: Cameras
    picture: Callable[[], Tensor]
    distortion: Distortion = PINHOLE
    points: Tensor | None = None
    depth: Callable[[], Tensor] | None = None

    def read(self) -> Shot:
        """Picture and camera, without lens distortion. Raises LyraError when the two differ in shape."""
        picture = self.picture()
        height, width = picture.shape[:2]
        aspect = (width / height) / (self.camera.width / self.camera.height)
        if abs(aspect - 1) > _ASPECT_TOLERANCE:
            raise LyraError(
                f"picture {self.name} is {width}x{height} but its camera is {self.camera.width}x{self.camera.height}. "
                "Use the pictures the cameras were made for, uncropped."
            )
        camera = self.camera.resized(height, width)
        return Shot(picture if self.distortion == PINHOLE else undistorted(picture, camera, self.distortion), camera)


@dataclass(frozen=True)
class Clip:
    """A scene: one input view and the camera paths it is scored along.

    Attributes:
        name: of the scene.
        input: the only view a model is shown.
        paths: frames in the order of time, of equal length; the input may be among them.
    """

    name: str
    input: Frame
    paths: tuple[tuple[Frame, ...], ...]

    def targets(self, count: int | None = None, *, with_input: bool = False) -> list[Frame]:
        """All frames, or `count` of them, evenly spread; without the input unless it is asked for."""
        frames = [frame for path in self.paths for frame in path if with_input or frame is not self.input]
        return frames if count is None else evenly(frames, count)


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items, evenly spread, the last one always among them."""
    if count >= len(items):
        return list(items)
    return [items[index] for index in np.linspace(len(items) - 1, 0, count).round().astype(int)[::-1]]


def checked_poses(c2w: np.ndarray, where: str) -> Tensor:
    """Camera-to-world poses float32 `[..., 4, 4]` of `[..., 3 or 4, 4]`.

    Raises LyraError, naming `where`, for other shapes, values that are not finite, and rotations that are none.
    """
    poses = torch.as_tensor(np.asarray(c2w, dtype=np.float64))
    if poses.shape[-1:] != (4,) or poses.shape[-2] not in (3, 4):
        raise LyraError(f"{where} holds poses of shape {list(poses.shape)}. Poses are 3x4 or 4x4 matrices.")
    if not poses.isfinite().all():
        raise LyraError(f"{where} holds poses with NaN or infinite values. Repair or leave out this scene.")
    rotation = poses[..., :3, :3]
    off = (rotation @ rotation.mT - torch.eye(3, dtype=poses.dtype)).abs().amax()
    if off > _ROTATION_TOLERANCE or (torch.linalg.det(rotation) < 0).any():
        raise LyraError(f"{where} holds poses whose 3x3 part is no rotation. Repair or leave out this scene.")
    bottom = poses.new_tensor((0.0, 0.0, 0.0, 1.0)).expand(*poses.shape[:-2], 1, 4)
    return torch.cat((poses[..., :3, :], bottom), dim=-2).float()


def checked_camera(c2w: np.ndarray, intrinsics: Sequence[float], size: tuple[int, int], where: str) -> Cameras:
    """A camera `[]` of fx, fy, cx, cy [px] and size (height, width).

    Raises LyraError, naming `where`, for a pose that is none and focal lengths that are not positive.
    """
    values = torch.tensor([float(value) for value in intrinsics])
    if not values.isfinite().all() or (values[:2] <= 0).any():
        raise LyraError(f"{where} holds a camera with intrinsics {values.tolist()}. Focal lengths must be positive.")
    return Cameras(checked_poses(c2w, where), values, size[1], size[0])


def undistorted(picture: Tensor, camera: Cameras, distortion: Distortion) -> Tensor:
    """What a pinhole `camera` `[]` would have seen instead of the picture `[H, W, 3]`; the border is repeated."""
    fx, fy, cx, cy = camera.intrinsics.tolist()
    k1, k2, p1, p2 = distortion
    columns, rows = torch.arange(camera.width) + 0.5, torch.arange(camera.height) + 0.5
    y, x = torch.meshgrid((rows - cy) / fy, (columns - cx) / fx, indexing="ij")
    square = x * x + y * y
    radial = 1 + k1 * square + k2 * square * square
    u = (x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)) * fx + cx
    v = (y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y) * fy + cy
    grid = torch.stack((2 * u / camera.width - 1, 2 * v / camera.height - 1), dim=-1)
    channels = picture.movedim(-1, 0)[None]
    return functional.grid_sample(channels, grid[None], padding_mode="border", align_corners=False)[0].movedim(0, -1)
