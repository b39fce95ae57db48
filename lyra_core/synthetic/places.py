# SPDX-License-Identifier: Apache-2.0
"""Free places in a room: at its walls, on them, and in its middle, where the camera sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from .objects import Prop, Style, build
from .room_theme import RoomTheme
from .space import Block, block_of
from .stage import Stage

VIEW = 0.66
"""Tangent of the half field of view, with a margin for the width of things."""
GAP = 0.03
"""Between furniture and wall [m]: the skirting board."""
_PASSAGES = ("door", "garage door")
_SQUARE = (
    "table",
    "conveyor",
    "pillar",
    "lab bench",
    "glovebox",
    "stairs",
    "checkout",
    "shop shelf",
    "fruit stand",
    "safety fence",
    "hospital bed",
)
"""Classes that stand more or less parallel to the walls."""
_VEHICLES = ("car", "van", "truck")


@dataclass(frozen=True)
class Room:
    """Sizes [m] and finishes of one room. The camera stands at y = 0 and the back wall at y = depth."""

    width: float
    depth: float
    height: float
    behind: float
    wall_color: str
    floor: str
    aisle: bool

    @property
    def middle(self) -> float:
        """y of the centre of the floor."""
        return (self.depth - self.behind) / 2


@cache
def floor_area(name: str) -> float:
    """Floor area [m^2] that a thing of this class takes, roughly."""
    low, high = build(name, Style(Random(0))).bounds()
    return (high[0] - low[0]) * (high[1] - low[1])


class Places:
    """Puts things where there is room for them."""

    def __init__(self, stage: Stage, theme: RoomTheme, room: Room, name: str) -> None:
        self.stage, self.theme, self.room, self.name = stage, theme, room, name
        self.rng = stage.rng
        self.asked = {item.name for item in stage.request.items} | set(stage.request.without)
        self.aisle = room.aisle

    def at_wall(self, prop: Prop, side: str, along: float, gap: float = 0.04) -> bool:
        back = prop.bounds()[1][1] + GAP
        if side == "back":
            return self.stage.try_add(prop, along, self.room.depth - back, 0.0, gap=gap)
        sign = 1 if side == "right" else -1
        return self.stage.try_add(prop, sign * (self.room.width / 2 - back), along, -sign * math.pi / 2, gap=gap)

    def _sides(self) -> list[str]:
        sides = ["left", "right", "back"]
        self.rng.shuffle(sides)
        return sides

    def _along(self, prop: Prop, side: str) -> float:
        """A place along a wall where the camera sees the thing's front."""
        low, high = prop.bounds()
        half = (high[0] - low[0]) / 2 + 0.05
        if side == "back":
            limit = self.room.width / 2 - half
            return self.rng.uniform(-limit, limit) if limit > 0 else 0.0
        first = max(1.0, (self.room.width / 2 - (high[1] - low[1])) / VIEW - 0.5 * half)
        last = self.room.depth - half
        return self.rng.uniform(first, last) if last > first else last

    def _sees(self, x: float, y: float) -> bool:
        depth, tangent = self.stage.view.bearing(x, y)
        return depth > 0.8 and abs(tangent) < VIEW + 0.1

    def along_wall(self, name: str, color: str | None, tries: int) -> bool:
        prop = self.stage.make(name, color)
        for attempt in range(tries):
            side = self._sides()[attempt % 3]
            along = self._along(prop, side)
            sign = {"left": -1, "right": 1, "back": 0}[side]
            back = prop.bounds()[1][1]
            spot = (along, self.room.depth - back) if side == "back" else (sign * (self.room.width / 2 - back), along)
            if self._sees(*spot) and self.at_wall(prop, side, along):
                if side == "back" or name in ("desk", "lab bench"):
                    self.companions(prop, along, side)
                return True
        return False

    def on_wall(self, name: str, color: str | None, tries: int) -> bool:
        prop = self.stage.make(name, color)
        if prop.bounds()[1][2] > self.room.height - 0.05:
            return False
        low, high = prop.bounds()
        for attempt in range(tries):
            side = self._sides()[attempt % 3]
            along = self._along(prop, side)
            sign = {"left": -1, "right": 1, "back": 0}[side]
            x, y = (along, self.room.depth) if side == "back" else (sign * self.room.width / 2, along)
            yaw = -sign * math.pi / 2
            room = block_of(prop, x, y, yaw)
            if name in _PASSAGES:  # leave the way through it free
                room = Block(room.x, room.y, room.half_x, 0.7, yaw, room.low, room.high)
            clear = not any(room.overlaps(other, 0.08) for other in self.stage.space.blocks)
            if clear and self._sees(x, y) and self._within_wall(along, side, (high[0] - low[0]) / 2):
                self.stage.add(prop, x, y, yaw)
                self.stage.space.take(room)
                return True
        return False

    def _within_wall(self, along: float, side: str, half: float) -> bool:
        if side == "back":
            return abs(along) + half < self.room.width / 2 - 0.1
        return along + half < self.room.depth - 0.1

    def in_middle(self, name: str, color: str | None, tries: int) -> bool:
        return self.middle_prop(self.stage.make(name, color), tries)

    def middle_prop(self, prop: Prop, tries: int) -> bool:
        low, high = prop.bounds()
        nearest = self.stage.view.floor_edge() + min(0.6, (high[1] - low[1]) / 2)
        farthest = max(nearest + 0.3, 0.92 * self.room.depth)
        for _ in range(tries):
            depth = self.rng.uniform(nearest, farthest)
            tangent = self.rng.uniform(-0.3, 0.3) if prop.name == "table" else self.rng.uniform(-0.5, 0.5)
            view = self.stage.view
            x = view.eye[0] - math.sin(view.yaw) * depth + math.cos(view.yaw) * tangent * depth
            y = math.cos(view.yaw) * depth + math.sin(view.yaw) * tangent * depth
            yaw = self._heading(prop.name, x, y)
            if self.stage.try_add(prop, x, y, yaw, gap=0.3 if tries < 100 else 0.12):
                invited = "chair" in self.theme.companions.get(prop.name, ()) and "chair" not in self.asked
                if invited or (prop.name == "table" and self.stage.wishes({"chair"})):
                    self._chairs_around(prop, x, y, yaw)
                return True
        return False

    def _heading(self, name: str, x: float, y: float) -> float:
        """Which way a free-standing thing is turned."""
        if name in _VEHICLES:
            return self.rng.choice([0.0, math.pi]) + self.rng.uniform(-0.06, 0.06)
        if name in _SQUARE:
            return self.rng.choice([0.0, 0.15, -0.15])
        if name in ("chair", "armchair", "office chair"):  # towards the middle of the room, never away from the camera
            return math.copysign(self.rng.uniform(0.4, 1.5), x - self.stage.view.eye[0]) * -1
        return self.rng.uniform(-0.7, 0.7)

    # ---- companions

    def companions(self, prop: Prop, along: float, side: str = "back", names: Sequence[str] | None = None) -> None:
        """What belongs to a thing at a wall, the wanted ones first; `names` in place of the theme's own order."""
        friends = self.theme.companions.get(prop.name, ()) if names is None else names
        for name in sorted(friends, key=lambda friend: not self.stage.wishes({friend})):
            wanted = self.stage.wishes({name})
            if name in self.asked and not wanted:
                continue
            other = self.stage.make(name, wanted[0].color(0) if wanted else None)
            if self._joined(prop, other, along, side) and wanted:
                self.stage.deliver(name)

    def _joined(self, prop: Prop, other: Prop, along: float, side: str) -> bool:
        """Put a companion beside or before a thing, as its class has it."""
        if other.name == "office chair":
            return self._before(prop, other, along, side, 0.1, math.pi + self.rng.uniform(-0.5, 0.5))
        if other.name == "coffee table":
            return self._before(prop, other, along, side, self.rng.uniform(0.35, 0.5), 0.0)
        if other.name == "stool":
            return self._before(prop, other, along + self.rng.uniform(-0.4, 0.4), side, 0.08, 0.0)
        if other.name == "truck":
            return self._before(prop, other, along, side, 0.5, 0.0)
        return self._beside(prop, other, along)

    def _before(self, prop: Prop, other: Prop, along: float, side: str, gap: float, turn: float) -> bool:
        """`other` in front of a thing that stands at a wall."""
        low, high = prop.bounds()
        away = GAP + (high[1] - low[1]) + gap + max(-other.bounds()[0][1], other.bounds()[1][1])
        if side == "back":
            return self.stage.try_add(other, along, self.room.depth - away, turn)
        sign = 1 if side == "right" else -1
        return self.stage.try_add(other, sign * (self.room.width / 2 - away), along, turn - sign * math.pi / 2)

    def _beside(self, prop: Prop, other: Prop, along: float) -> bool:
        """`other` at the back wall, right next to a thing that stands there."""
        low, high = prop.bounds()
        a, b = other.bounds()
        for sign in self.rng.sample([-1, 1], 2):
            x = along + (high[0] + 0.05 - a[0] if sign > 0 else low[0] - 0.05 - b[0])
            if self.at_wall(other, "back", x):
                return True
        return False

    def _chairs_around(self, table: Prop, x: float, y: float, yaw: float) -> None:
        low, high = table.bounds()
        hx, hy = (high[0] - low[0]) / 2 + 0.3, (high[1] - low[1]) / 2 + 0.3
        quarter = math.pi / 2
        seats = [(0.0, hy, 0.0), (0.0, -hy, math.pi), (hx, 0.0, -quarter), (-hx, 0.0, quarter)]
        count = self.rng.randint(2, 4)
        chair = self.stage.make("chair")
        wanted = self.stage.wishes({"chair"})
        c, s = math.cos(yaw), math.sin(yaw)
        for i, (sx, sy, turn) in enumerate(self.rng.sample(seats, min(4, len(wanted)) or count)):
            turn += self.rng.uniform(-0.15, 0.15)
            prop = self.stage.make("chair", wanted[i].color(0)) if wanted else chair
            done = self.stage.try_add(prop, x + c * sx - s * sy, y + s * sx + c * sy, yaw + turn, gap=0.02)
            if done and wanted:
                self.stage.deliver("chair")
