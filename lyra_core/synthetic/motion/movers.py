# SPDX-License-Identifier: Apache-2.0
"""Things that move: carts drive, forklifts lift, arms turn, doors open, people walk, balls fall.

Each builder makes a thing standing on z = 0 with its front towards -y, like a `Prop`, and its motion over a clip.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ..objects import CATALOG, Style
from ..palette import COLORS, paint, pattern, scaled
from ..primitives import Primitive, Texture, ball, box, rod
from .rigid import Motion, Part, Pose, along_arc, eased, shift, still, turn

GRAVITY = 9.81
"""Acceleration of falling balls [m/s^2]."""

_BOUNCE = 0.6
"""Share of its speed that a ball keeps when it hits the floor."""


@dataclass(frozen=True)
class Mover:
    """A moving thing: class, words for a caption, parts, and whether it belongs on a wall."""

    name: str
    label: str
    parts: tuple[Part, ...]
    at_wall: bool = False


Builder = Callable[[Random, float], Mover]


def cart(rng: Random, duration: float) -> Mover:
    """A mobile robot that drives along an arc."""
    prop = CATALOG["mobile robot"](Style(rng))
    solids = tuple(primitive for thing in prop.everything() for primitive in thing.primitives)
    distance, curvature = rng.uniform(1.2, 2.2), rng.uniform(-0.5, 0.5)
    start = -0.5 * distance

    def motion(time: float) -> Pose:
        return along_arc(start + distance * eased(time / duration), curvature)

    return Mover("mobile robot", f"{prop.color} mobile robot driving", (Part(solids, motion),))


def forklift(rng: Random, duration: float) -> Mover:
    """A forklift that lifts a crate; what stands before its mast is the carriage."""
    prop = CATALOG["forklift"](Style(rng))
    carriage = [primitive for primitive in prop.primitives if primitive.center[1] < -0.8]
    body = tuple(primitive for primitive in prop.primitives if primitive.center[1] >= -0.8)
    color = rng.choice(["brown", "blue", "red", "cream"])
    size = rng.uniform(0.5, 0.75)
    load = [
        box(0, -1.36, 0.1, 0.9, 0.9, 0.12, paint(scaled(COLORS["brown"], 1.3))),
        box(0, -1.36, 0.22, 0.8, 0.8, size, pattern(color, scaled(COLORS[color], 0.6), Texture.STRIPES, 0.12)),
    ]
    height = rng.uniform(0.7, 1.2)

    def lift(time: float) -> Pose:
        return shift((0.0, 0.0, height * eased(time / duration)))

    parts = (Part(body, still), Part((*carriage, *load), lift))
    return Mover("forklift", f"{prop.color} forklift lifting a crate", parts)


def arm(rng: Random, duration: float) -> Mover:
    """A robot arm that turns about its base."""
    prop = CATALOG["robot arm"](Style(rng))
    base = tuple(primitive for primitive in prop.primitives if primitive.center[2] < 0.55)
    upper = tuple(primitive for primitive in prop.primitives if primitive.center[2] >= 0.55)
    reach, start = rng.choice([-1, 1]) * rng.uniform(1.2, 2.2), rng.uniform(-0.6, 0.6)

    def motion(time: float) -> Pose:
        return turn(start + reach * (eased(time / duration) - 0.5))

    return Mover("robot arm", f"{prop.color} robot arm turning", (Part(base, still), Part(upper, motion)))


def door(rng: Random, duration: float) -> Mover:
    """A door that opens into the room; its frame stays."""
    prop = CATALOG["door"](Style(rng))
    frame, *leaf = prop.primitives
    dark = box(0, -0.041, 0.005, 0.88, 0.002, 2.02, paint((0.05, 0.05, 0.06)))
    angle = rng.uniform(0.9, 1.5)

    def motion(time: float) -> Pose:
        return turn(-angle * eased(time / duration), through=(-0.44, -0.045, 0.0))

    parts = (Part((frame, dark), still), Part(tuple(leaf), motion))
    return Mover("door", f"{prop.color} door opening", parts, at_wall=True)


def person(rng: Random, duration: float) -> Mover:
    """A walking figure: arms and legs swing about shoulders and hips."""
    speed, pace = rng.uniform(0.35, 0.6), rng.uniform(5.0, 6.5)
    shirt = rng.choice(["red", "blue", "green", "orange", "teal", "purple", "yellow"])
    cloth, trousers, skin = paint(shirt), paint(rng.choice(["dark grey", "brown", "blue"])), paint((0.62, 0.42, 0.3))

    def walk(time: float) -> Pose:
        return shift((0.0, -speed * (time - 0.5 * duration), 0.0))

    def limb(solids: list[Primitive], height: float, side: float, swing: float) -> Part:
        def motion(time: float) -> Pose:
            return walk(time) @ turn(swing * math.sin(pace * time), (1.0, 0.0, 0.0), (side, 0.0, height))

        return Part(tuple(solids), motion)

    parts = [Part((
        rod((0, 0, 0.86), (0, 0, 1.42), 0.15, cloth, taper=1.2), ball(0, 0, 1.62, 0.115, skin, height=0.14),
        rod((0, 0, 1.4), (0, 0, 1.52), 0.055, skin), box(0, 0, 0.8, 0.3, 0.2, 0.14, trousers),
    ), walk)]  # fmt: skip
    for side in (-1, 1):
        leg = [rod((side * 0.09, 0, 0.05), (side * 0.09, 0, 0.84), 0.065, trousers, taper=1.25)]
        leg.append(box(side * 0.09, -0.05, 0.0, 0.1, 0.26, 0.07, paint("black")))
        parts.append(limb(leg, 0.84, side * 0.09, side * 0.45))
        hand = [
            rod((side * 0.24, 0, 1.38), (side * 0.26, -0.02, 0.8), 0.05, cloth),
            ball(side * 0.26, -0.02, 0.77, 0.06, skin),
        ]
        parts.append(limb(hand, 1.38, side * 0.24, -side * 0.4))
    return Mover("person", f"person in {shirt} walking", tuple(parts))


def balls(rng: Random, duration: float) -> Mover:
    """Two or three balls that fall and bounce."""
    parts = []
    colors = rng.sample(["red", "yellow", "blue", "orange", "green", "pink"], 3)
    for index in range(rng.choice([2, 3])):
        radius, height = rng.uniform(0.12, 0.22), rng.uniform(0.9, 1.7)
        material = pattern(colors[index], "white", Texture.CHECKER, radius)
        place = (0.55 * index - 0.5 + rng.uniform(-0.08, 0.08), rng.uniform(-0.3, 0.3), radius)
        parts.append(Part((ball(*place, radius, material),), _falling(height, rng.uniform(0.0, 0.6 * duration))))
    return Mover("ball", "balls falling", tuple(parts))


def _falling(height: float, start: float) -> Motion:
    """A drop from `height` [m] at time `start` [s] onto z = 0, with bounces."""

    def motion(time: float) -> Pose:
        return shift((0.0, 0.0, _height_after(max(0.0, time - start), height)))

    return motion


def _height_after(time: float, height: float) -> float:
    """Height [m] of a dropped ball after `time` [s]: parabolas, each slower by the factor `_BOUNCE`."""
    fall = math.sqrt(2.0 * height / GRAVITY)
    if time < fall:
        return height - 0.5 * GRAVITY * time**2
    time, speed = time - fall, _BOUNCE * GRAVITY * fall
    while speed > 0.05:
        flight = 2.0 * speed / GRAVITY
        if time < flight:
            return speed * time - 0.5 * GRAVITY * time**2
        time, speed = time - flight, _BOUNCE * speed
    return 0.0


MOVERS: dict[str, Builder] = {
    "cart": cart,
    "forklift": forklift,
    "arm": arm,
    "door": door,
    "person": person,
    "balls": balls,
}
"""All of them, by the word a caller may ask for."""
