# SPDX-License-Identifier: Apache-2.0
"""What stands in a room: a hero on the back wall, things along the walls and in the middle, wanted ones first."""

from __future__ import annotations

import math
from collections.abc import Callable

from .objects import CATALOG, Prop
from .places import Places, floor_area
from .request import Item
from .rows import line_aisle, row_at_back, rows_of_seats
from .themes import AGAINST_WALL, CEILING_FIXTURES, SMALL_THINGS, WALL_FIXTURES

_LARGE = 1.6  # floor area [m^2] from which a wanted thing is placed before all else
_MANY = ("door", "window", "curtained window", "high window", "scenic window", "picture", "wall shelf", "pipe")


class Furnisher(Places):
    """Fills one room, with the wanted things first."""

    def furnish(self) -> None:
        """Fill the room."""
        self._lights()
        if self.aisle:
            line_aisle(self)
        if self.theme.row:
            row_at_back(self)
        for item in self.stage.wishes({"table"}):
            self._demand(item, self._table)
        loose = self._loose_wishes()
        for item in loose:
            if floor_area(item.name) > _LARGE:
                self._demand(item, self.in_middle, self.along_wall)
        if self.theme.hero:
            self._hero()
        if self.theme.seats:
            rows_of_seats(self)
            for item in self.stage.wishes({self.theme.seats}):
                self._demand(item, self.in_middle)
        for item in self.stage.wishes(set(AGAINST_WALL)):
            self._demand(item, self.along_wall)
        for item in loose:
            if floor_area(item.name) <= _LARGE:
                self._demand(item, self.in_middle, self.along_wall)
        for item in self.stage.wishes(set(WALL_FIXTURES)):
            self._demand(item, self.on_wall)
        self._small_wishes()
        if not self.stage.request.sparse:
            self._essentials()
        self._fill()

    # ---- wishes

    def _loose_wishes(self) -> list[Item]:
        others = {*AGAINST_WALL, *WALL_FIXTURES, *CEILING_FIXTURES, *SMALL_THINGS, "rug", "table", self.theme.seats}
        return self.stage.wishes(set(CATALOG) - others)

    def _demand(self, item: Item, *places: Callable[[str, str | None, int], bool]) -> None:
        """Put a wanted thing into the first kind of place that has room for it, first generously, then tightly."""
        if not any(place(item.name, item.color(0), tries) for place in places for tries in (40, 160)):
            self.stage.missing.append(item.name)

    def _small_wishes(self) -> None:
        """Small things need a table, when no wanted table has taken them yet."""
        if self.stage.wishes(set(SMALL_THINGS)) and not self._table("table", None, 160):
            self.stage.missing += [item.name for item in self.stage.wishes(set(SMALL_THINGS))]

    def _table(self, name: str, color: str | None, tries: int) -> bool:
        """A free-standing table with the wanted small things on it and the wanted chairs around it."""
        table = self.stage.make(name, color)
        served, left_over = self._dressed(table)
        if not self.middle_prop(served, tries):
            return False
        for item in self.stage.wishes(set(SMALL_THINGS)):
            self.stage.deliver(item.name)
        self.stage.missing += left_over
        return True

    def _dressed(self, table: Prop) -> tuple[Prop, list[str]]:
        """The table with the wanted small things side by side, and the names of those for which it is too short."""
        small = self.stage.wishes(set(SMALL_THINGS))
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
        spots = [(0.0, room.depth * share) for share in self.theme.lamps]
        if len(wanted) > 1:
            spots = [
                (room.width * (0.6 * (i + 0.5) / len(wanted) - 0.3), room.depth * 0.62) for i in range(len(wanted))
            ]
        for i, (x, y) in enumerate(spots):
            item = wanted[i] if i < len(wanted) else Item(kind)
            yaw = math.pi / 2 if self.theme.narrow else 0.0
            self.stage.add(self.stage.make(item.name, item.color(0)), x, y, yaw, room.height - 0.012, quiet=not wanted)

    def _hero(self) -> None:
        wanted = [i for i in self.stage.wishes(set(self.theme.hero)) if not (self.aisle and i.name == self.theme.aisle)]
        item = wanted[0] if wanted else Item(self.rng.choice(self.theme.hero))
        if self.aisle and not wanted and not self.theme.narrow:
            item = Item("roller door")
        if self.stage.request.items and not wanted and item.name in self.asked:
            return
        for share in (0.12, 0.25, 0.4):
            prop = self.stage.make(item.name, item.color(0))
            x = math.sin(-self.stage.view.yaw) * self.room.depth + self.stage.view.eye[0]
            limit = self.room.width / 2 - 0.8
            x = max(-limit, min(limit, x + self.rng.uniform(-share, share) * self.room.width))
            if self.at_wall(prop, "back", x):
                self.companions(prop, x)
                if wanted:
                    self.stage.deliver(item.name)
                return

    def _essentials(self) -> None:
        """What a place of this kind never lacks."""
        for names in self.theme.essentials:
            self._unasked(names, self.along_wall)
        if self.theme.center:
            self._unasked(self.theme.center, self.in_middle)

    def _unasked(self, names: tuple[str, ...], place: Callable[[str, str | None, int], bool]) -> None:
        """One of a group, unless there is one, or one was asked for or refused."""
        if not {thing.name for thing in self.stage.placed}.union(self.asked) & set(names):
            place(self.rng.choice(names), None, 160)

    def _fill(self) -> None:
        theme, rng = self.theme, self.rng
        sparse = self.stage.request.sparse
        if rng.random() < theme.rug or "rug" in self.asked:
            self._rug()
        first = rng.choice(theme.openings) if len(theme.openings) > 1 else theme.openings[0]
        drawn = [first, *rng.choices(theme.fixtures, k=rng.randint(*theme.fixture_count))]
        fixtures = [name for i, name in enumerate(drawn) if name in _MANY or name not in drawn[:i]]
        for name in fixtures[:2]:
            self.on_wall(name, None, 12)
        for name in self._extras(theme.wall, rng.randint(*theme.wall_count), sparse):
            self.along_wall(name, None, 24)
        for name in self._extras(theme.middle, rng.randint(*theme.middle_count), sparse):
            self.in_middle(name, None, 20)
        for name in fixtures[2:]:
            if name not in self.asked:
                self.on_wall(name, None, 12)

    def _extras(self, pool: tuple[str, ...], count: int, sparse: bool) -> list[str]:
        names = self.rng.choices(pool, k=count)
        stored = {self.theme.aisle, "shelving"} if self.aisle else set()
        return [] if sparse else [n for n in names if n not in self.asked and n not in stored]

    def _rug(self) -> None:
        wanted = self.stage.wishes({"rug"})
        prop = self.stage.make("rug", wanted[0].color(0) if wanted else None)
        limit = self.room.width / 2 - prop.bounds()[1][0] - 0.1
        x = max(-limit, min(limit, self.stage.view.eye[0] - math.sin(self.stage.view.yaw) * self.room.depth * 0.6))
        y = self.room.depth * self.rng.uniform(0.58, 0.68)
        self.stage.record(prop.moved(x, y, 0.012))
