# SPDX-License-Identifier: Apache-2.0
"""Things of garages."""

from __future__ import annotations

from random import Random

from ..palette import COLORS, metal, paint, pattern, scaled
from ..primitives import Material, Primitive, Texture, box, cylinder, rod
from .prop import Prop, Style, builds
from .wheels import RUBBER, castors

_STEEL = metal((0.6, 0.62, 0.65))
_HANDLES = ("red", "yellow", "blue", "orange", "black", "green")


@builds("garage door")
def garage_door(style: Style) -> Prop:
    """A sectional door from inside: four panels, a row of windows, rails; fixed to a wall."""
    color = style.color("white", "cream", "grey", "brown")
    leaf, groove = paint(color, 0.2), paint(scaled(COLORS[color], 0.6), 0.1)
    pane = Material((0.7, 0.84, 0.97), (0.9, 0.9, 0.88), Texture.WINDOW, 0.5, emission=1.0)
    parts = [box(0, -0.02, 0, 2.7, 0.04, 2.2, groove)]
    parts += [box(0, -0.035, 0.02 + 0.545 * i, 2.6, 0.04, 0.52, leaf) for i in range(4)]
    for i in range(4):
        x = 0.63 * (i - 1.5)
        parts.append(box(x, -0.058, 1.76, 0.5, 0.012, 0.28, pane))
        parts += [
            box(x, -0.058, 0.09 + 0.545 * j, 0.5, 0.012, 0.36, paint(scaled(COLORS[color], 0.88), 0.2))
            for j in range(3)
        ]
    parts += [box(sx * 1.36, -0.06, 0, 0.06, 0.1, 2.2, _STEEL) for sx in (-1, 1)]
    parts += [box(0, -0.09, 2.22, 2.8, 0.16, 0.12, _STEEL), box(0, -0.08, 1.12, 0.2, 0.04, 0.03, paint("black"))]
    return Prop("garage door", f"{color} garage door", parts, color=color)


@builds("tool board")
def tool_board(style: Style) -> Prop:
    """A perforated board with tools on hooks; hangs above a bench."""
    rng = style.rng
    color = style.color("grey", "cream", "blue", "green")
    board = pattern(COLORS[color], scaled(COLORS[color], 0.7), Texture.TILES, 0.05)
    parts = [box(0, -0.015, 1.15, 1.5, 0.03, 0.85, board)]
    builders = [_hammer, _wrench, _screwdriver, _saw, _pliers]
    kinds = [*builders, *rng.choices(builders, k=3)]
    rng.shuffle(kinds)
    for i, kind in enumerate(kinds):
        x, z = 0.36 * (i % 4 - 1.5), 1.96 - 0.42 * (i // 4)
        parts += [p.moved(x, -0.05, z) for p in kind(rng)]
        parts.append(rod((x, -0.03, z - 0.02), (x, -0.07, z - 0.02), 0.006, _STEEL))
    return Prop("tool board", f"{color} tool board", parts, color=color)


def _grip(rng: Random) -> Material:
    return paint(rng.choice(_HANDLES), 0.3)


def _hammer(rng: Random) -> list[Primitive]:
    return [box(0, 0, -0.06, 0.14, 0.035, 0.045, _STEEL), rod((0, 0, -0.06), (0, 0, -0.34), 0.015, _grip(rng))]


def _wrench(rng: Random) -> list[Primitive]:
    return [
        box(0, 0, -0.3, 0.03, 0.015, 0.26, _STEEL),
        *(box(0, 0, z, 0.07, 0.018, 0.06, _STEEL) for z in (-0.06, -0.34)),
    ]


def _screwdriver(rng: Random) -> list[Primitive]:
    return [rod((0, 0, -0.02), (0, 0, -0.14), 0.02, _grip(rng)), rod((0, 0, -0.14), (0, 0, -0.32), 0.007, _STEEL)]


def _saw(rng: Random) -> list[Primitive]:
    return [box(0.02, 0, -0.34, 0.09, 0.008, 0.26, _STEEL), box(0, 0, -0.1, 0.13, 0.025, 0.09, _grip(rng))]


def _pliers(rng: Random) -> list[Primitive]:
    grip = _grip(rng)
    return [
        box(0, 0, -0.1, 0.05, 0.02, 0.08, _STEEL),
        *(rod((0, 0, -0.1), (sx * 0.04, 0, -0.28), 0.011, grip) for sx in (-1, 1)),
    ]


@builds("tool chest")
def tool_chest(style: Style) -> Prop:
    """A rolling cabinet of drawers with a chest on top."""
    color = style.color("red", "red", "blue", "black", "orange")
    shell, front = paint(color, 0.5), paint(scaled(COLORS[color], 1.15), 0.5)
    parts = [
        *castors(0.28, 0.17, 0.055),
        box(0, 0, 0.132, 0.7, 0.46, 0.72, shell),
        box(0, 0, 0.852, 0.72, 0.48, 0.02, paint("black", 0.2)),
    ]
    parts += [box(0, 0.02, 0.872, 0.66, 0.4, 0.36, shell), rod((0.4, -0.16, 0.75), (0.4, 0.16, 0.75), 0.014, _STEEL)]
    parts += [rod((0.34, sy * 0.16, 0.75), (0.4, sy * 0.16, 0.75), 0.012, _STEEL) for sy in (-1, 1)]
    for z, height, y in (
        (0.15, 0.26, -0.235),
        (0.42, 0.14, -0.235),
        (0.57, 0.13, -0.235),
        (0.71, 0.12, -0.235),
        (0.89, 0.12, -0.185),
        (1.02, 0.09, -0.185),
        (1.12, 0.09, -0.185),
    ):
        parts += [
            box(0, y, z, 0.62, 0.02, height - 0.015, front),
            box(0, y - 0.015, z + height - 0.04, 0.56, 0.015, 0.018, _STEEL),
        ]
    return Prop("tool chest", f"{color} tool chest", parts, color=color)


@builds("tires")
def tires(style: Style) -> Prop:
    """A stack of car tyres and one that leans on it."""
    rng = style.rng
    rim = metal((0.6, 0.61, 0.63))
    parts: list[Primitive] = []
    count = rng.randint(3, 4)
    for i in range(count):
        parts += [
            cylinder(0, 0, 0.2 * i, 0.29, 0.05, RUBBER, taper=1.1),
            cylinder(0, 0, 0.2 * i + 0.05, 0.32, 0.09, RUBBER),
            cylinder(0, 0, 0.2 * i + 0.14, 0.32, 0.05, RUBBER, taper=0.9),
        ]
    top = 0.2 * (count - 1) + 0.19
    parts += [
        cylinder(0, 0, top, 0.19, 0.004, paint((0.12, 0.12, 0.13))),
        cylinder(0, 0, top + 0.002, 0.17, 0.004, rim),
        cylinder(0, 0, top + 0.006, 0.04, 0.012, paint("black")),
    ]
    foot, upper = (-0.5, -0.05, 0.33), (-0.32, -0.05, 0.37)
    parts += [
        rod(foot, upper, 0.32, RUBBER),
        rod((-0.506, -0.05, 0.329), foot, 0.19, rim),
        rod((-0.514, -0.05, 0.327), foot, 0.05, paint("black")),
    ]
    return Prop("tires", "car tyres", parts)


@builds("lawn mower")
def lawn_mower(style: Style) -> Prop:
    color = style.color("red", "green", "orange", "yellow")
    deck, dark = paint(color, 0.4), paint("black", 0.3)
    parts = [
        box(0, -0.05, 0.1, 0.5, 0.66, 0.16, deck),
        cylinder(0, -0.08, 0.26, 0.15, 0.16, dark),
        cylinder(0, -0.08, 0.42, 0.1, 0.05, deck),
    ]
    parts += [
        rod((sx * 0.24, y, r), (sx * 0.3, y, r), r, RUBBER) for sx in (-1, 1) for y, r in ((-0.3, 0.1), (0.25, 0.13))
    ]
    parts += [box(0, 0.5, 0.14, 0.44, 0.4, 0.3, paint("dark grey", 0.1))]
    parts += [rod((sx * 0.22, 0.22, 0.24), (sx * 0.22, 0.98, 0.98), 0.014, dark) for sx in (-1, 1)]
    parts += [rod((-0.22, 0.98, 0.98), (0.22, 0.98, 0.98), 0.018, dark)]
    return Prop("lawn mower", f"{color} lawn mower", parts, color=color)
