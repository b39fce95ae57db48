# SPDX-License-Identifier: Apache-2.0
"""What a thing in a world is, and the catalogue of builders that make them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from ..lighting import Glow
from ..primitives import Primitive, Vector


@dataclass(frozen=True)
class Prop:
    """A thing made of primitives, standing on z = 0 with its front towards -y and its back towards +y.

    Attributes:
        name: class name, a key of the catalogue.
        label: words for a caption, such as "blue barrel".
        primitives: its own solids.
        children: things that stand on it, each an instance of its own.
        color: name of the colour that `label` speaks of.
        glows: light that its lamps spread.
    """

    name: str
    label: str
    primitives: list[Primitive]
    children: list[Prop] = field(default_factory=list)
    color: str | None = None
    glows: list[Glow] = field(default_factory=list)

    def moved(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Prop:
        """The thing turned by `yaw` [rad] about its origin's vertical, then shifted [m]."""
        return replace(
            self,
            primitives=[p.moved(x, y, z, yaw) for p in self.primitives],
            children=[child.moved(x, y, z, yaw) for child in self.children],
            glows=[replace(g, position=_turned(g.position, x, y, z, yaw)) for g in self.glows],
        )

    def everything(self) -> Iterator[Prop]:
        """The thing and all that stands on it."""
        yield self
        for child in self.children:
            yield from child.everything()

    def bounds(self) -> tuple[Vector, Vector]:
        """Axis-aligned bounds (low, high) [m] of the thing and all that stands on it."""
        lows, highs = zip(*(p.bounds() for prop in self.everything() for p in prop.primitives), strict=True)
        low = tuple(min(v[i] for v in lows) for i in range(3))
        high = tuple(max(v[i] for v in highs) for i in range(3))
        return low, high


class Style:
    """What a builder may choose from: a random source and, when someone asked for one, a main colour."""

    def __init__(self, rng: Random, color: str | None = None) -> None:
        self.rng = rng
        self.requested = color

    def color(self, *names: str) -> str:
        """The requested colour, or one of `names`."""
        choice = self.rng.choice(names)
        return self.requested or choice

    def free(self) -> Style:
        """The same random source without the colour request: for parts and for things that stand on top."""
        return Style(self.rng)


Builder = Callable[[Style], Prop]

CATALOG: dict[str, Builder] = {}


def builds(name: str) -> Callable[[Builder], Builder]:
    """Register the builder of a class of things."""

    def register(builder: Builder) -> Builder:
        CATALOG[name] = builder
        return builder

    return register


def build(name: str, style: Style) -> Prop:
    """Make one thing of class `name`."""
    return CATALOG[name](style)


def _turned(p: Vector, x: float, y: float, z: float, yaw: float) -> Vector:
    c, s = math.cos(yaw), math.sin(yaw)
    return (c * p[0] - s * p[1] + x, s * p[0] + c * p[1] + y, p[2] + z)
