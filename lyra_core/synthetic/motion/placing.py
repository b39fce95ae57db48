# SPDX-License-Identifier: Apache-2.0
"""Where in a finished world a moving thing has room during a whole clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from ..grammar import World
from ..primitives import Primitive
from .movers import Mover
from .rigid import Pose, shift, turn

_TRIES = 160
_SAMPLES = 9
"""Times at which the swept room of a mover is looked at."""

_VIEW = 0.52
"""Tangent of the horizontal angle within which a mover must start and end."""

_LOW = 0.1
"""Solids that end below this height [m] are floor, and things drive over them."""

Boxes = NDArray[np.float64]
"""Axis-aligned boxes `[N, 2, 3]`: low and high corner [m]."""


def solid_boxes(world: World) -> Boxes:
    """What a mover must not touch: everything but the shell, floor and ceiling."""
    boxes = [primitive.bounds() for primitive in world.primitives if not primitive.hollow]
    ceiling = room_of(world)[1][2]
    kept = [(a, b) for a, b in boxes if b[2] > _LOW and a[2] < ceiling - 0.06]
    return np.array(kept).reshape(-1, 2, 3)


def room_of(world: World) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Low and high corner of the room [m]."""
    shell = next(primitive for primitive in world.primitives if primitive.hollow)
    low, high = shell.bounds()
    return np.array(low), np.array(high)


def find_place(rng: Random, world: World, mover: Mover, taken: Boxes, duration: float) -> tuple[Pose, Boxes] | None:
    """A pose `[4, 4]` for the mover and the boxes it sweeps; None where there is no room.

    Args:
        rng: decides.
        world: a room.
        mover: what needs a place.
        taken: boxes that must stay free of it.
        duration: of its motion [s].
    """
    low, high = room_of(world)
    for _ in range(_TRIES):
        pose = _wall_pose(rng, world, low, high) if mover.at_wall else _floor_pose(rng, world)
        swept = _swept(mover, pose, duration)
        inside = (swept[:, 0] > low - 0.02).all() and (swept[:, 1] < high + 0.02).all()
        if inside and not _touch(swept, taken, gap=0.02) and _seen(world, swept):
            return pose, swept
    return None


def camera_room(world: World) -> Boxes:
    """The air that cameras near the base view need, as one box."""
    eye, reach = world.camera[:3, 3].numpy().astype(np.float64), 0.3 * world.focus_distance + 0.3
    return np.array([[eye - reach, eye + reach]])


def _floor_pose(rng: Random, world: World) -> Pose:
    eye, forward = world.camera[:3, 3].numpy(), world.camera[:3, 2].numpy()
    yaw = math.atan2(-forward[0], forward[1])
    depth, side = rng.uniform(0.55, 1.35) * world.focus_distance, rng.uniform(-0.4, 0.4)
    x = eye[0] - math.sin(yaw) * depth + math.cos(yaw) * side * depth
    y = eye[1] + math.cos(yaw) * depth + math.sin(yaw) * side * depth
    return shift((x, y, 0.015)) @ turn(rng.uniform(-math.pi, math.pi))


def _wall_pose(rng: Random, world: World, low: NDArray[np.float64], high: NDArray[np.float64]) -> Pose:
    if rng.random() < 0.6:
        return shift((rng.uniform(low[0] + 0.6, high[0] - 0.6), high[1] - 0.001, 0.0))
    side = rng.choice([-1, 1])
    along = rng.uniform(0.4, 0.95) * high[1]
    return shift((high[0] - 0.001 if side > 0 else low[0] + 0.001, along, 0.0)) @ turn(-side * math.pi / 2)


def _swept(mover: Mover, pose: Pose, duration: float) -> Boxes:
    """Boxes `[samples, 2, 3]` of the whole mover over the clip."""
    times = np.linspace(0.0, duration, _SAMPLES)
    return np.array([_bounds([p for part in mover.parts for p in part.under(pose).at(time)]) for time in times])


def _bounds(primitives: Sequence[Primitive]) -> NDArray[np.float64]:
    lows, highs = zip(*(primitive.bounds() for primitive in primitives), strict=True)
    return np.array([np.min(lows, axis=0), np.max(highs, axis=0)])


def _touch(a: Boxes, b: Boxes, gap: float) -> bool:
    apart = (a[:, None, 1] + gap <= b[None, :, 0]) | (b[None, :, 1] + gap <= a[:, None, 0])
    return bool((~apart.any(-1)).any())


def _seen(world: World, swept: Boxes) -> bool:
    """Whether its middle is in the picture, not too close, at both ends and halfway."""
    c2w = world.camera.double().numpy()
    for index in (0, len(swept) // 2, -1):
        x, y, z = c2w[:3, :3].T @ (swept[index].mean(0) - c2w[:3, 3])
        size = np.ptp(swept[index], axis=0)[:2].max()
        if z < 0.35 * world.focus_distance + 0.5 * size or abs(x) > _VIEW * z or abs(y) > 0.36 * z:
            return False
    return True
