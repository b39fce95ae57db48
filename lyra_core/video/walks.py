# SPDX-License-Identifier: Apache-2.0
"""Walks through procedural worlds, rendered with exact cameras and depth: what camera tracking is measured on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.synthetic.classes import CLASS_INDEX
from lyra_core.synthetic.grammar import World, make_world, render_world
from lyra_core.synthetic.palette import paint
from lyra_core.synthetic.primitives import Primitive, ball, box
from lyra_core.video.posed import PosedVideo, from_first_camera


@dataclass(frozen=True)
class Walk:
    """How the camera moves and what else does.

    Attributes:
        forward, aside: way over the whole clip, in units of the world's focus distance.
        turn: heading gained over the clip [rad].
        sway: size of the unsteadiness of a hand-held camera [rad], and in hundredths of the focus distance.
        movers: how many things cross the view, a ball first, then a box.
        rate: frames a second.
    """

    forward: float = 0.20
    aside: float = 0.10
    turn: float = 0.12
    sway: float = 0.01
    movers: int = 2
    rate: float = 24.0


HAND_HELD = Walk()
TRIPOD = Walk(forward=0.0, aside=0.0, turn=0.0, sway=0.0)


def render_walk(seed: int, frames: int, height: int, width: int, walk: Walk = HAND_HELD) -> PosedVideo:
    """A clip of the world of a seed with its exact cameras and depth [m]."""
    world = make_world(seed)
    cameras = Cameras(
        (world.camera.double() @ _path(frames, walk, world.focus_distance, seed)).float(),
        world.base_camera(width, height).intrinsics, width, height,
    )  # fmt: skip
    views = [render_world(_with_movers(world, walk, n / max(frames - 1, 1)), cameras[n]) for n in range(frames)]
    z = torch.stack([view.z for view in views])
    return PosedVideo(
        frames=torch.stack([view.rgb for view in views]),
        cameras=from_first_camera(cameras), depth=z, mask=torch.ones_like(z, dtype=torch.bool),
        times=torch.arange(frames) / walk.rate,
        static_camera=not any((walk.forward, walk.aside, walk.turn, walk.sway)), metric=True, source="synthetic",
    )  # fmt: skip


def filmed(frames: Tensor, seed: int, *, noise: float = 0.015, blur: float = 0.8, exposure: float = 0.1) -> Tensor:
    """Frames `[F, H, W, 3]` as a plain camera would have recorded them.

    Args:
        frames: clean, in [0, 1].
        seed: of the noise.
        noise: standard deviation of every value.
        blur: radius of the lens blur [px].
        exposure: how far the automatic exposure swings, as a share.
    """
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.arange(-3, 4)
    kernel = torch.exp(-0.5 * (offsets / blur) ** 2)
    kernel = (kernel[:, None] * kernel / kernel.sum() ** 2).expand(3, 1, 7, 7)
    padded = functional.pad(frames.movedim(-1, 1), (3, 3, 3, 3), mode="replicate")
    soft = functional.conv2d(padded, kernel, groups=3).movedim(1, -1)
    swing = 1 + exposure * torch.sin(torch.linspace(0, 2 * math.pi, len(frames)))
    grain = noise * torch.randn(frames.shape, generator=generator)
    return (soft * swing[:, None, None, None] + grain).clamp(0, 1)


def _path(frames: int, walk: Walk, reach: float, seed: int) -> Tensor:
    """Poses `[F, 4, 4]` in the axes of the first camera, float64."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0.0, 1.0, frames)
    eased = share * share * (3 - 2 * share)
    speed, phase = rng.uniform(0.8, 2.2, 5), rng.uniform(0, 2 * math.pi, 5)
    wobble = np.sin(2 * math.pi * speed * share[:, None] * frames / walk.rate + phase)
    wobble = walk.sway * (wobble - wobble[:1])
    yaw, pitch, roll = walk.turn * eased + wobble[:, 0], 0.7 * wobble[:, 1], 0.5 * wobble[:, 2]
    poses = torch.eye(4, dtype=torch.float64).repeat(frames, 1, 1)
    poses[:, :3, :3] = torch.from_numpy(np.stack([_rotation(*angles) for angles in zip(yaw, pitch, roll, strict=True)]))
    aside = walk.aside * eased + wobble[:, 3]
    poses[:, :3, 3] = reach * torch.from_numpy(np.stack((aside, wobble[:, 4], walk.forward * eased), axis=-1))
    return poses


def _rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """About y, then x, then z."""
    (cy, cp, cr), (sy, sp, sr) = np.cos((yaw, pitch, roll)), np.sin((yaw, pitch, roll))
    about_y = np.array(((cy, 0, sy), (0, 1, 0), (-sy, 0, cy)))
    about_x = np.array(((1, 0, 0), (0, cp, -sp), (0, sp, cp)))
    about_z = np.array(((cr, -sr, 0), (sr, cr, 0), (0, 0, 1)))
    return about_y @ about_x @ about_z


def _with_movers(world: World, walk: Walk, share: float) -> World:
    """The world with its moving things where they are after a `share` of the clip."""
    first = max(object_id for _, object_id, _ in world.solids) + 1
    label = CLASS_INDEX["box"]
    movers = tuple((_mover(world, n, share), first + n, label) for n in range(walk.movers))
    return replace(world, solids=world.solids + movers)


def _mover(world: World, number: int, share: float) -> Primitive:
    """A ball that crosses the view near the middle, or a box that comes the other way farther off."""
    reach = world.focus_distance
    along = (share - 0.5) * (0.7 if number % 2 == 0 else -0.6)
    local = torch.tensor((along, 0.12 - 0.1 * (number // 2), 0.75 if number % 2 == 0 else 0.95))
    x, y, z = (world.camera[:3, :3] @ (local * reach) + world.camera[:3, 3]).tolist()
    if number % 2 == 0:
        return ball(x, y, z, 0.09 * reach, paint("red"))
    side = 0.1 * reach
    return box(x, y, z - side / 2, side, side, side, paint("blue"), yaw=2.0 * share)
