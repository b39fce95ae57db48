# SPDX-License-Identifier: Apache-2.0
"""The six published camera paths (left, right, up, zoom out, zoom in, clockwise spiral).

They start at the input camera and look at a point `center_depth` in front of it. Two properties of the published data
are kept on purpose: linear paths divide by the number of frames, so the last frame stops one step short, and the
translation column of the view matrix is -p, not -R p.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError

PUBLISHED_PATHS = ("left", "right", "up", "zoom_out", "zoom_in", "clockwise")
"""Names of the paths; the position is the published folder number."""

PUBLISHED_VIEW_ORDER = ("clockwise", "left", "right", "up", "zoom_out", "zoom_in")
"""Order in which the published inference feeds the six views to the decoder."""

DISTANCE_RANGES = {
    "left": (0.2, 0.3),
    "right": (0.2, 0.3),
    "up": (0.1, 0.2),
    "zoom_out": (0.3, 0.4),
    "zoom_in": (0.3, 0.4),
    "clockwise": (0.4, 0.6),
}
"""Movement distances in units of the centre depth, drawn uniformly."""

_AXES = {
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
    "up": (0.0, -1.0, 0.0),
    "zoom_out": (0.0, 0.0, -1.0),
    "zoom_in": (0.0, 0.0, 1.0),
}
_SPIRAL_TURNS = 2
_SPIRAL_RADII = (0.15, 0.10)


def trajectory(
    name: str, frames: int, *, distance: float, center_depth: float = 1.0, rotation: str = "center_facing"
) -> Tensor:
    """World-to-camera matrices `[F, 4, 4]` of one path; the world is the camera at rest.

    Args:
        name: one of `PUBLISHED_PATHS`.
        frames: number of frames F.
        distance: length of a straight path, or spiral size, in units of `center_depth`.
        center_depth: distance of the point looked at [scene units].
        rotation: "center_facing", "no_rotation" or "trajectory_aligned".

    Raises:
        LyraError: unknown path or rotation.
    """
    positions = _positions(name, frames, distance, center_depth)
    center = positions.new_tensor((0.0, 0.0, center_depth))
    targets = {"center_facing": center, "no_rotation": center + positions, "trajectory_aligned": center + 2 * positions}
    if rotation not in targets:
        raise LyraError(f"Unknown camera rotation {rotation!r}; choose one of {', '.join(targets)}.")
    forward = functional.normalize(targets[rotation] - positions, dim=-1)
    down = forward.new_tensor((0.0, 1.0, 0.0)).expand_as(forward)
    right = functional.normalize(torch.linalg.cross(down, forward), dim=-1)
    w2c = torch.eye(4, dtype=torch.float64).repeat(frames, 1, 1)
    w2c[:, :3, :3] = torch.stack((right, torch.linalg.cross(forward, right), forward), dim=1)
    w2c[:, :3, 3] = -positions
    return w2c.float()


def lyra_cameras(
    intrinsics: Tensor,
    width: int,
    height: int,
    *,
    frames: int = 17,
    paths: Sequence[str] = PUBLISHED_VIEW_ORDER,
    center_depth: float = 1.0,
    movement: float | Mapping[str, float] = 1.0,
    generator: torch.Generator | None = None,
) -> Cameras:
    """The cameras `[V, F]` of several paths from one input camera, whose pose is the identity.

    Args:
        intrinsics: fx, fy, cx, cy `[4]` [pixels] of the width x height image.
        width: image width [pixels].
        height: image height [pixels].
        frames: frames per path F.
        paths: names of the V paths, in the order of the views.
        center_depth: distance of the point looked at [scene units].
        movement: factor on the distances; a mapping gives one per path (missing: 1).
        generator: draws the distances; None takes the middle of each range.
    """
    views = []
    for name in paths:
        factor = movement.get(name, 1.0) if isinstance(movement, Mapping) else movement
        distance = factor * _distance(name, generator)
        views.append(trajectory(name, frames, distance=distance, center_depth=center_depth))
    c2w = torch.linalg.inv(torch.stack(views)).to(intrinsics.device)
    return Cameras(c2w, intrinsics, width, height)


def _distance(name: str, generator: torch.Generator | None) -> float:
    low, high = DISTANCE_RANGES[_known(name)]
    share = 0.5 if generator is None else torch.rand((), generator=generator).item()
    return low + (high - low) * share


def _positions(name: str, frames: int, distance: float, center_depth: float) -> Tensor:
    """Camera positions `[F, 3]` in float64."""
    if frames < 1:
        raise LyraError(f"A camera path needs at least one frame; got {frames}.")
    step = torch.arange(frames, dtype=torch.float64)
    if _known(name) in _AXES:
        return torch.tensor(_AXES[name], dtype=torch.float64) * (step * distance * center_depth / frames)[:, None]
    angle = 2.0 * math.pi * _SPIRAL_TURNS * step / max(frames - 1, 1)
    radius_x, radius_y = (radius * distance * center_depth for radius in _SPIRAL_RADII)
    return torch.stack((radius_x * (angle.cos() - 1.0), radius_y * angle.sin(), torch.zeros_like(angle)), dim=-1)


def _known(name: str) -> str:
    if name not in PUBLISHED_PATHS:
        raise LyraError(f"Unknown camera path {name!r}; choose from {', '.join(PUBLISHED_PATHS)}.")
    return name
