# SPDX-License-Identifier: Apache-2.0
"""What stands in a room: a hero on the back wall, things along the walls and in the middle, wanted ones first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from .objects import CATALOG, Prop, Style, build
from .request import Item
from .space import Block, block_of
from .stage import Stage
from .themes import AGAINST_WALL, CEILING_FIXTURES, TABLE_THINGS, WALL_FIXTURES, RoomTheme

_VIEW = 0.66  # tangent of the half field of view, with a margin for the width of things
_GAP = 0.03  # between furniture and wall: the skirting board
_LARGE = 1.6  # floor area [m^2] from which a wanted thing is placed before all else
_MANY = ("door", "window", "curtained window", "high window", "picture", "wall shelf", "pipe")


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


class Furnisher:
    """Puts things into one room, the wanted ones first."""

    def __init__(self, stage: Stage, theme: RoomTheme, room: Room, name: str) -> None:
        self.stage, self.theme, self.room, self.name = stage, theme, room, name
        self.rng = stage.rng
        self.asked = {item.name for item in stage.request.items} | set(stage.request.without)
        self.aisle = room.aisle

    def furnish(self) -> None:
        """Fill the room."""
        self._lights()
        if self.aisle:
            self._aisle()
        for item in self.stage.wishes({"table"}):
            self._demand(item, self._table)
        loose = self._loose_wishes()
        for item in loose:
            if floor_area(item.name) > _LARGE:
                self._demand(item, self._in_middle, self._along_wall)
        self._hero()
        for item in self.stage.wishes(set(AGAINST_WALL)):
            self._demand(item, self._along_wall)
        for item in loose:
            if floor_area(item.name) <= _LARGE:
                self._demand(item, self._in_middle, self._along_wall)
        for item in self.stage.wishes(set(WALL_FIXTURES)):
            self._demand(item, self._on_wall)
        self._small_wishes()
        self._fill()

    # ---- wishes

    def _loose_wishes(self) -> list[Item]:
        others = {*AGAINST_WALL, *WALL_FIXTURES, *CEILING_FIXTURES, *TABLE_THINGS, "rug", "table"}
        return self.stage.wishes(set(CATALOG) - others)

    def _demand(self, item: Item, *places: Callable[[str, str | None, int], bool]) -> None:
        """Put a wanted thing into the first kind of place that has room for it, first generously, then tightly."""
        if not any(place(item.name, item.color(0), tries) for place in places for tries in (40, 160)):
            self.stage.missing.append(item.name)

    def _small_wishes(self) -> None:
        """Small things need a table, when no wanted table has taken them yet."""
        if self.stage.wishes(set(TABLE_THINGS)) and not self._table("table", None, 160):
            self.stage.missing += [item.name for item in self.stage.wishes(set(TABLE_THINGS))]

    def _table(self, name: str, color: str | None, tries: int) -> bool:
        """A free-standing table with the wanted small things on it and the wanted chairs around it."""
        table = self.stage.make(name, color)
        served, left_over = self._dressed(table)
        if not self._middle_prop(served, tries):
            return False
        for item in self.stage.wishes(set(TABLE_THINGS)):
            self.stage.deliver(item.name)
        self.stage.missing += left_over
        return True

    def _dressed(self, table: Prop) -> tuple[Prop, list[str]]:
        """The table with the wanted small things side by side, and the names of those for which it is too short."""
        small = self.stage.wishes(set(TABLE_THINGS))
        if not small:
            return table, []
        low, high = table.bounds()
        things, left_over = [], []
        x = low[0] + 0.12
        for item in small:
            thing = self.stage.make(item.name, item.color(0))
            a, b = thing.bounds()
            if x + (b[0] - a[0]) > high[0] - 0.05:
                left_over.append(item.name)
                continue
            things.append(thing.moved(x - a[0], self.rng.uniform(-0.12, 0.05), 0.74))
            x += b[0] - a[0] + 0.08
        return Prop(table.name, table.label, table.primitives, things, table.color), left_over

    # ---- the recipe

    def _lights(self) -> None:
        room, kind = self.room, self.theme.ceiling
        wanted = self.stage.wishes(set(CEILING_FIXTURES))
        spots = [(0.0, room.depth * 0.62)]
        if self.name in ("warehouse", "workshop", "corridor", "office"):
            spots = [(0.0, room.depth * s) for s in (0.3, 0.62, 0.92)]
        if len(wanted) > 1:
            spots = [
                (room.width * (0.6 * (i + 0.5) / len(wanted) - 0.3), room.depth * 0.62) for i in range(len(wanted))
            ]
        for i, (x, y) in enumerate(spots):
            item = wanted[i] if i < len(wanted) else Item(kind)
            yaw = math.pi / 2 if self.name == "corridor" else 0.0
            self.stage.add(self.stage.make(item.name, item.color(0)), x, y, yaw, room.height - 0.012, quiet=not wanted)

    def _aisle(self) -> None:
        """Storage along both sides, as far as the eye reaches."""
        color = next((i.color(0) for i in self.stage.request.items if i.name == "rack"), None)
        for side in ("left", "right"):
            y = 3.0
            for _ in range(2):
                prop = self.stage.make("rack", color)
                low, high = prop.bounds()
                half = (high[0] - low[0]) / 2
                if y + 2 * half > self.room.depth - 0.1:
                    break
                if self._at_wall(prop, side, y + half):
                    self.stage.deliver("rack")
                y += 2 * half + 0.12

    def _hero(self) -> None:
        wanted = [i for i in self.stage.wishes(set(self.theme.hero)) if not (self.aisle and i.name == "rack")]
        item = wanted[0] if wanted else Item(self.rng.choice(self.theme.hero))
        if self.aisle and not wanted:
            item = Item("roller door")
        if self.stage.request.items and not wanted and item.name in self.asked:
            return
        for share in (0.12, 0.25, 0.4):
            prop = self.stage.make(item.name, item.color(0))
            x = math.sin(-self.stage.view.yaw) * self.room.depth + self.stage.view.eye[0]
            limit = self.room.width / 2 - 0.8
            x = max(-limit, min(limit, x + self.rng.uniform(-share, share) * self.room.width))
            if self._at_wall(prop, "back", x):
                self._companions(prop, x)
                if wanted:
                    self.stage.deliver(item.name)
                return

    def _fill(self) -> None:
        theme, rng = self.theme, self.rng
        sparse = self.stage.request.sparse
        if rng.random() < theme.rug or "rug" in self.asked:
            self._rug()
        first = rng.choice(["door", "window"]) if theme.ceiling_color == "white" else "high window"
        drawn = [first, *rng.choices(theme.fixtures, k=rng.randint(*theme.fixture_count))]
        fixtures = [name for i, name in enumerate(drawn) if name in _MANY or name not in drawn[:i]]
        for name in fixtures[:2]:
            self._on_wall(name, None, 12)
        for name in self._extras(theme.wall, rng.randint(*theme.wall_count), sparse):
            self._along_wall(name, None, 24)
        for name in self._extras(theme.middle, rng.randint(*theme.middle_count), sparse):
            self._in_middle(name, None, 20)
        for name in fixtures[2:]:
            if name not in self.asked:
                self._on_wall(name, None, 12)

    def _extras(self, pool: tuple[str, ...], count: int, sparse: bool) -> list[str]:
        names = self.rng.choices(pool, k=count)
        stored = {"rack", "shelving"} if self.aisle else set()
        return [] if sparse else [n for n in names if n not in self.asked and n not in stored]

    # ---- places

    def _at_wall(self, prop: Prop, side: str, along: float, gap: float = 0.04) -> bool:
        back = prop.bounds()[1][1] + _GAP
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
        first = max(1.0, (self.room.width / 2 - (high[1] - low[1])) / _VIEW - 0.5 * half)
        last = self.room.depth - half
        return self.rng.uniform(first, last) if last > first else last

    def _sees(self, x: float, y: float) -> bool:
        depth, tangent = self.stage.view.bearing(x, y)
        return depth > 0.8 and abs(tangent) < _VIEW + 0.1

    def _along_wall(self, name: str, color: str | None, tries: int) -> bool:
        prop = self.stage.make(name, color)
        for attempt in range(tries):
            side = self._sides()[attempt % 3]
            along = self._along(prop, side)
            sign = {"left": -1, "right": 1, "back": 0}[side]
            back = prop.bounds()[1][1]
            spot = (along, self.room.depth - back) if side == "back" else (sign * (self.room.width / 2 - back), along)
            if self._sees(*spot) and self._at_wall(prop, side, along):
                if side == "back" or name == "desk":
                    self._companions(prop, along, side)
                return True
        return False

    def _on_wall(self, name: str, color: str | None, tries: int) -> bool:
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
            if name == "door":  # leave the way through it free
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

    def _in_middle(self, name: str, color: str | None, tries: int) -> bool:
        return self._middle_prop(self.stage.make(name, color), tries)

    def _middle_prop(self, prop: Prop, tries: int) -> bool:
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
        if name in ("table", "conveyor", "pillar"):
            return self.rng.choice([0.0, 0.15, -0.15])
        if name in ("chair", "armchair", "office chair"):  # towards the middle of the room, never away from the camera
            return math.copysign(self.rng.uniform(0.4, 1.5), x - self.stage.view.eye[0]) * -1
        return self.rng.uniform(-0.7, 0.7)

    # ---- companions

    def _companions(self, prop: Prop, along: float, side: str = "back") -> None:
        for name in self.theme.companions.get(prop.name, ()):
            wanted = [i for i in self.stage.request.items if i.name == name]
            if name in self.asked and not wanted:
                continue
            other = self.stage.make(name, wanted[0].color(0) if wanted else None)
            if name == "office chair":
                done = self._before(prop, other, along, side, 0.1, math.pi + self.rng.uniform(-0.5, 0.5))
            elif name == "coffee table":
                done = self._before(prop, other, along, side, self.rng.uniform(0.35, 0.5), 0.0)
            else:
                done = self._beside(prop, other, along)
            if done and wanted:
                self.stage.deliver(name)

    def _before(self, prop: Prop, other: Prop, along: float, side: str, gap: float, turn: float) -> bool:
        """`other` in front of a thing that stands at a wall."""
        low, high = prop.bounds()
        away = _GAP + (high[1] - low[1]) + gap + max(-other.bounds()[0][1], other.bounds()[1][1])
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
            if self._at_wall(other, "back", x):
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

    def _rug(self) -> None:
        wanted = self.stage.wishes({"rug"})
        prop = self.stage.make("rug", wanted[0].color(0) if wanted else None)
        limit = self.room.width / 2 - prop.bounds()[1][0] - 0.1
        x = max(-limit, min(limit, self.stage.view.eye[0] - math.sin(self.stage.view.yaw) * self.room.depth * 0.6))
        y = self.room.depth * self.rng.uniform(0.58, 0.68)
        self.stage.record(prop.moved(x, y, 0.012))
