# SPDX-License-Identifier: Apache-2.0
"""The half-built world that the layouts work on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from random import Random

from .classes import CLASS_INDEX
from .lighting import Glow
from .objects import Prop, Style, build
from .primitives import Primitive, Vector
from .request import Item, Request
from .space import Block, Space, block_of


@dataclass(frozen=True)
class Placed:
    """One thing in a world: class, caption words, instance id (as in `object_id`), centre of its foot [m]."""

    name: str
    label: str
    object_id: int
    position: Vector
    color: str | None = None


@dataclass(frozen=True)
class View:
    """The base camera: eye and heading, level horizon. `yaw` turns left of +y, `pitch` < 0 looks down [rad]."""

    eye: Vector
    yaw: float
    pitch: float
    focus_distance: float

    def bearing(self, x: float, y: float) -> tuple[float, float]:
        """Depth along the level heading and tangent of the angle to the right of it, of a point seen from above."""
        dx, dy = x - self.eye[0], y - self.eye[1]
        depth = -math.sin(self.yaw) * dx + math.cos(self.yaw) * dy
        right = math.cos(self.yaw) * dx + math.sin(self.yaw) * dy
        return depth, right / depth if depth > 1e-6 else math.inf

    def floor_edge(self) -> float:
        """Depth [m] from which on the floor is in the picture (16:9 at 70 degrees: 21.5 degrees below the axis)."""
        return self.eye[2] / math.tan(0.375 - self.pitch)

    def keep_out(self, side: float = 0.45) -> Block:
        """The block of air the camera and its short paths need."""
        fd = self.focus_distance
        ahead, behind, across = 0.38 * fd + side, 0.3, 0.3 * fd + side
        middle = (ahead - behind) / 2
        return Block(
            self.eye[0] - math.sin(self.yaw) * middle,
            self.eye[1] + math.cos(self.yaw) * middle,
            across,
            (ahead + behind) / 2,
            self.yaw,
            self.eye[2] - 0.8,
            self.eye[2] + 0.2 * fd + side,
        )


@dataclass
class Stage:
    """Collects solids, instances and lamps, and keeps things from standing in each other."""

    rng: Random
    space: Space
    view: View
    request: Request = field(default_factory=Request)
    solids: list[tuple[Primitive, int, int]] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    glows: list[Glow] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def structure(self, name: str, *primitives: Primitive) -> None:
        """Add solids that belong to the place itself: no instance, only a class."""
        self.solids += [(p, 0, CLASS_INDEX[name]) for p in primitives]

    def make(self, name: str, color: str | None = None) -> Prop:
        """Build a thing without placing it."""
        return build(name, Style(self.rng, color))

    def add(self, prop: Prop, x: float, y: float, yaw: float = 0.0, z: float = 0.0, *, quiet: bool = False) -> None:
        """Put the thing there, no questions asked, and remember the room it takes."""
        self.space.take(block_of(prop, x, y, yaw, z))
        self.record(prop.moved(x, y, z, yaw), quiet)

    def try_add(self, prop: Prop, x: float, y: float, yaw: float = 0.0, z: float = 0.0, *, gap: float = 0.06) -> bool:
        """Put the thing there when the place is free; says whether it was."""
        if not self.space.fits(block_of(prop, x, y, yaw, z), gap):
            return False
        self.add(prop, x, y, yaw, z)
        return True

    def wishes(self, names: set[str]) -> list[Item]:
        """The requested items of the given classes, one entry per single thing."""
        return [
            Item(item.name, 1, (color,) if (color := item.color(i)) else ())
            for item in self.request.items
            if item.name in names
            for i in range(item.count)
        ]

    def deliver(self, name: str) -> None:
        """Strike one thing of class `name` off the request."""
        items = list(self.request.items)
        for i, item in enumerate(items):
            if item.name == name:
                items[i] = Item(name, item.count - 1, item.colors[1:] + item.colors[:1])
                break
        self.request = replace(self.request, items=tuple(item for item in items if item.count > 0))

    def record(self, prop: Prop, quiet: bool = False) -> None:
        """Enter a thing that already stands where it should, without reserving room for it."""
        for thing in prop.everything():
            object_id = len(self.placed) + 1
            self.solids += [(p, object_id, CLASS_INDEX[thing.name]) for p in thing.primitives]
            low, high = thing.bounds()
            position = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2])
            self.placed.append(Placed(thing.name, "" if quiet else thing.label, object_id, position, thing.color))
            self.glows += thing.glows
