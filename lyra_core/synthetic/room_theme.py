# SPDX-License-Identifier: Apache-2.0
"""What a kind of room is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from .primitives import Texture

Range = tuple[float, float]


@dataclass(frozen=True)
class RoomTheme:
    """A furnished room. Names repeat to make a thing more likely.

    Attributes:
        width, depth, height: sizes [m]; depth counts from the camera to the back wall.
        hero: what the back wall is built around, unless there is a `row`.
        wall: what else stands along walls.
        middle: what stands free.
        fixtures: what hangs on walls.
        floors, wall_colors, wall_textures: finishes.
        wall_count, middle_count, fixture_count: how many of each.
        ceiling: class of the ceiling lights.
        lamps: where they hang, in shares of the depth.
        eye: height of the camera [m].
        rug: chance of a rug.
        ceiling_color: finish of the ceiling, "white" or "dark grey".
        openings: what lets people or light in; one of them is always tried first.
        companions: what stands beside or before a thing of some class at a wall.
        narrow: whether one looks straight along the room, as in a corridor.
        aisle: class of the storage that may line both sides, or "".
        aisle_chance: how often it does when nothing is asked for; 1 means always.
        row, row_count: what stands side by side along the whole back wall, and how much of it.
        seats: class that stands in rows which face the back wall, or "".
        essentials: one of each group stands at some wall.
        center: one of these stands free and is placed before everything else that does.
        moods: lighting words to choose from; none means all of them.
        dado: colours of a painted lower half of the walls, when there may be one.
    """

    width: Range
    depth: Range
    height: Range
    hero: tuple[str, ...]
    wall: tuple[str, ...]
    middle: tuple[str, ...]
    fixtures: tuple[str, ...]
    floors: tuple[str, ...]
    wall_colors: tuple[str, ...]
    wall_textures: tuple[Texture, ...] = (Texture.PLAIN,)
    wall_count: tuple[int, int] = (3, 4)
    middle_count: tuple[int, int] = (1, 2)
    fixture_count: tuple[int, int] = (3, 4)
    ceiling: str = "ceiling panel"
    lamps: tuple[float, ...] = (0.62,)
    eye: Range = (1.3, 1.6)
    rug: float = 0.0
    ceiling_color: str = "white"
    openings: tuple[str, ...] = ("door", "window")
    companions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    narrow: bool = False
    aisle: str = ""
    aisle_chance: float = 0.0
    row: tuple[str, ...] = ()
    row_count: tuple[int, int] = (1, 1)
    seats: str = ""
    essentials: tuple[tuple[str, ...], ...] = ()
    center: tuple[str, ...] = ()
    moods: tuple[str, ...] = ()
    dado: tuple[str, ...] = ()

    def inventory(self) -> frozenset[str]:
        """Classes of everything that this kind of room may hold without being asked for."""
        friends = {name for names in self.companions.values() for name in names}
        grouped = {name for names in self.essentials for name in names}
        single = {self.ceiling, self.aisle, self.seats, "rug" if self.rug else ""}
        drawn = {*self.hero, *self.wall, *self.middle, *self.fixtures, *self.row, *self.center}
        return frozenset((drawn | friends | grouped | single) - {""})


LAMP_ROW = (0.3, 0.62, 0.92)
"""Three rows of lamps, in shares of the depth."""
