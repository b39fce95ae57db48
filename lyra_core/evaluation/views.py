# SPDX-License-Identifier: Apache-2.0
"""Cameras that the corridor never saw: where scenes are scored, and where the decoder is trained to look."""

from __future__ import annotations

import numpy as np
import torch

from lyra_core.cameras import Cameras, intrinsics_from_fov, look_at
from lyra_core.synthetic.grammar import World, render_world

VIEW_HEIGHT, VIEW_WIDTH = 176, 320
"""Size of every scored view [px]."""

PIVOT = (0.0, 0.0, 1.0)
"""What every view looks at: the point at median depth on the base view's axis, in scene units."""

UNSEEN_KINDS = ("interpolating", "interpolating", "extrapolating", "closer")


def sample_position(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A camera centre in the base camera's axes, in scene units (median depth = 1).

    `interpolating` lies inside the hull of the six published paths, `extrapolating` 1.3 times beyond the end of the
    left, right or up path, `closer` near the end of zoom_in, off its axis.
    """
    if kind == "interpolating":
        return np.array([rng.uniform(-0.2, 0.2), rng.uniform(-0.12, 0.02), rng.uniform(0.0, 0.2)])
    if kind == "extrapolating":
        ends = np.array([[-0.25, 0.0, 0.0], [0.25, 0.0, 0.0], [0.0, -0.15, 0.0]])
        return 1.3 * ends[rng.integers(3)]
    if kind == "closer":
        return np.array([rng.uniform(-0.12, 0.12), rng.uniform(-0.06, 0.02), rng.uniform(0.25, 0.35)])
    raise ValueError(f"unknown kind of view: {kind}")


def free_distance(world: World, direction: np.ndarray) -> float:
    """Metres to the first surface in a 50 degree cone around `direction` (world axes) from the base camera."""
    eye = world.camera[:3, 3]
    forward = torch.as_tensor(direction, dtype=torch.float32)
    up = torch.tensor([0.0, 0.0, 1.0]) if abs(direction[2]) < 0.9 else torch.tensor([0.0, 1.0, 0.0])
    probe = Cameras(look_at(eye, eye + forward, up), intrinsics_from_fov(np.radians(50.0), 16, 16), 16, 16)
    return float(render_world(world, probe, supersample=1).z.min())


def unseen_cameras(
    world: World, median_depth: float, rng: np.random.Generator, kinds: tuple[str, ...] = UNSEEN_KINDS
) -> Cameras:
    """One level camera per kind, in world metres, pulled back where it would come too close to a surface.

    Args:
        world: the scene, with its base camera.
        median_depth: of the base view [m]; the length of one scene unit.
        rng: decides the positions.

    Returns:
        Cameras of shape [len(kinds)], 320 x 176 pixels, with the base camera's field of view.
    """
    base = world.camera.double()
    views = []
    for kind in kinds:
        offset = base[:3, :3].numpy() @ sample_position(kind, rng) * median_depth
        length = float(np.linalg.norm(offset))
        offset = offset * min(1.0, 0.75 * free_distance(world, offset / max(length, 1e-9)) / max(length, 1e-9))
        eye = base[:3, 3] + torch.as_tensor(offset)
        pivot = base[:3, :3] @ torch.tensor(PIVOT, dtype=torch.float64) * median_depth + base[:3, 3]
        views.append(look_at(eye, pivot, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)).float())
    intrinsics = intrinsics_from_fov(world.fov_x, VIEW_WIDTH, VIEW_HEIGHT)
    return Cameras(torch.stack(views), intrinsics.expand(len(views), 4), VIEW_WIDTH, VIEW_HEIGHT)


def to_scene_units(cameras: Cameras, base_c2w: torch.Tensor, median_depth: float) -> Cameras:
    """World cameras [m] relative to the base camera, in scene units: what the decoder's Gaussians live in."""
    c2w = (torch.linalg.inv(base_c2w.double()) @ cameras.c2w.double()).float()
    c2w[..., :3, 3] /= median_depth
    return Cameras(c2w, cameras.intrinsics, cameras.width, cameras.height)
