# SPDX-License-Identifier: Apache-2.0
"""What somebody asked a world to contain."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """`count` things of class `name`, in one colour each when `colors` is given (repeated as needed)."""

    name: str
    count: int = 1
    colors: tuple[str, ...] = ()

    def color(self, index: int) -> str | None:
        """Colour of the index-th of them."""
        return self.colors[index % len(self.colors)] if self.colors else None


@dataclass(frozen=True)
class Request:
    """Wishes for a world; whatever is left open is up to the seed.

    Attributes:
        items: things that must be in view.
        wall_color, floor_color: names from the palette.
        floor: "wood", "carpet", "tile", "checker" or "concrete".
        wall: "brick", "striped" or "plain".
        mood: a lighting word, a key of `MOODS`.
        size: factor on the size of a room.
        aisle: storage along both sides.
        sparse: leave out what was not asked for, as far as the theme allows.
        without: classes that must not appear.
    """

    items: tuple[Item, ...] = ()
    wall_color: str | None = None
    floor_color: str | None = None
    floor: str | None = None
    wall: str | None = None
    mood: str | None = None
    size: float = 1.0
    aisle: bool = False
    sparse: bool = False
    without: tuple[str, ...] = ()
