# SPDX-License-Identifier: Apache-2.0
"""Things of laboratories."""

from __future__ import annotations

import math

from ..palette import COLORS, lit, metal, paint, pattern, scaled
from ..primitives import Material, Primitive, Texture, ball, box, cylinder, oval, rod
from .prop import Prop, Style, build, builds

_WHITE = paint((0.8, 0.81, 0.8), 0.3)
_EPOXY = pattern((0.06, 0.065, 0.07), (0.1, 0.1, 0.11), Texture.SPECKLE, 0.3, gloss=0.6)
_LIQUIDS = ("blue", "green", "orange", "red", "yellow", "purple", "teal")


def _liquid(style: Style) -> Material:
    return paint(style.color(*_LIQUIDS), 0.9)


@builds("microscope")
def microscope(style: Style) -> Prop:
    body, dark = paint(style.color("white", "cream", "grey"), 0.4), paint("black", 0.4)
    parts = [box(0, 0, 0, 0.2, 0.26, 0.05, body), box(0, 0.09, 0.05, 0.09, 0.07, 0.27, body)]
    parts += [
        box(0, -0.02, 0.14, 0.18, 0.16, 0.015, dark),
        box(0, -0.03, 0.155, 0.07, 0.03, 0.003, paint((0.7, 0.85, 0.9), 0.9)),
    ]
    parts += [cylinder(0, -0.03, 0.05, 0.03, 0.05, dark), box(0, 0.03, 0.29, 0.09, 0.2, 0.06, body)]
    parts += [cylinder(0, -0.03, 0.24, 0.035, 0.05, dark)]
    parts += [
        rod((0, -0.03, 0.25), (dx, -0.03 + dy, 0.185), 0.012, metal())
        for dx, dy in ((0.0, 0.0), (0.03, 0.03), (-0.03, 0.03))
    ]
    parts += [rod((sx * 0.03, -0.05, 0.34), (sx * 0.03, -0.15, 0.42), 0.02, dark) for sx in (-1, 1)]
    parts += [rod((-0.09, 0.09, 0.12), (0.09, 0.09, 0.12), 0.025, dark)]
    return Prop("microscope", "microscope", parts, color=style.requested)


@builds("glassware")
def glassware(style: Style) -> Prop:
    """A round flask, a conical flask, a beaker and a measuring cylinder, all filled."""
    glass = paint((0.72, 0.82, 0.86), 0.9)
    parts = [ball(-0.12, 0.04, 0.065, 0.065, _liquid(style)), cylinder(-0.12, 0.04, 0.115, 0.022, 0.1, glass)]
    parts += [
        cylinder(0.02, 0.06, 0, 0.065, 0.12, _liquid(style), taper=0.35),
        cylinder(0.02, 0.06, 0.12, 0.023, 0.06, glass),
    ]
    parts += [cylinder(-0.02, -0.06, 0, 0.045, 0.07, _liquid(style)), cylinder(-0.02, -0.06, 0.07, 0.045, 0.03, glass)]
    parts += [
        cylinder(0.13, 0.0, 0, 0.04, 0.012, glass),
        cylinder(0.13, 0.0, 0.012, 0.022, 0.14, _liquid(style)),
        cylinder(0.13, 0.0, 0.152, 0.022, 0.08, glass),
    ]
    return Prop("glassware", "flasks", parts, color=style.requested)


@builds("centrifuge")
def centrifuge(style: Style) -> Prop:
    color = style.color("white", "cream", "blue", "grey")
    shell = paint(color, 0.4)
    parts = [
        box(0, 0, 0.015, 0.4, 0.46, 0.22, shell),
        oval(0, 0.03, 0.235, 0.18, 0.18, 0.05, paint(scaled(COLORS[color], 0.7), 0.4), taper=0.85),
    ]
    parts += [
        box(0, -0.235, 0.06, 0.34, 0.02, 0.12, paint("dark grey", 0.3)),
        box(-0.07, -0.247, 0.09, 0.13, 0.006, 0.06, lit((0.2, 0.7, 0.8), 0.9)),
    ]
    parts += [
        rod((0.1, -0.24, 0.12), (0.1, -0.26, 0.12), 0.025, metal()),
        box(0, 0, 0, 0.34, 0.4, 0.015, paint("black")),
    ]
    return Prop("centrifuge", f"{color} centrifuge", parts, color=color)


@builds("lab bench")
def lab_bench(style: Style) -> Prop:
    """A bench with drawers, a shelf of reagents and instruments on it."""
    rng = style.rng
    color = style.color("white", "blue", "teal", "grey")
    width = rng.choice([1.8, 2.4])
    front = paint(color, 0.25)
    parts = [box(0, 0.03, 0, width - 0.04, 0.62, 0.1, paint("dark grey")), box(0, 0.02, 0.1, width, 0.68, 0.77, _WHITE)]
    parts.append(box(0, 0, 0.87, width + 0.03, 0.75, 0.035, _EPOXY))
    modules = round(width / 0.6)
    for i in range(modules):
        x = width * ((i + 0.5) / modules - 0.5)
        for z, height in ((0.13, 0.46), (0.62, 0.22)):
            parts += [
                box(x, -0.33, z, 0.57, 0.02, height, front),
                box(x, -0.352, z + height - 0.07, 0.2, 0.025, 0.02, metal()),
            ]
    parts += [box(sx * (width / 2 - 0.03), 0.29, 0.905, 0.05, 0.12, 0.72, _WHITE) for sx in (-1, 1)]
    for z in (1.25, 1.58):
        parts.append(box(0, 0.27, z, width, 0.2, 0.025, _WHITE))
        parts += _reagents(style, width, z + 0.025)
    tools = ["microscope", "glassware", rng.choice(["glassware", "centrifuge", "laptop"])][: 3 if width > 2 else 2]
    things = [
        build(name, Style(rng)).moved(width * ((i + 0.5) / len(tools) - 0.5), -0.1, 0.905, rng.uniform(-0.2, 0.2))
        for i, name in enumerate(rng.sample(tools, len(tools)))
    ]
    return Prop("lab bench", f"{color} lab bench", parts, things, color)


def _reagents(style: Style, width: float, z: float) -> list[Primitive]:
    """Bottles side by side on a shelf."""
    rng = style.rng
    parts: list[Primitive] = []
    x = -width / 2 + 0.16
    while x < width / 2 - 0.12:
        radius, height = rng.uniform(0.028, 0.045), rng.uniform(0.12, 0.2)
        color = rng.choice(["brown", "brown", "white", "blue", "green", "cream", "orange"])
        if rng.random() < 0.7:
            parts += [
                cylinder(x, 0.27, z, radius, height, paint(color, 0.7)),
                cylinder(x, 0.27, z + height, radius * 0.5, 0.03, paint("black")),
            ]
        x += rng.uniform(0.12, 0.17)
    return parts


@builds("fume hood")
def fume_hood(style: Style) -> Prop:
    """A ventilated cabinet whose sash is half raised."""
    color = style.color("white", "grey", "blue", "teal")
    front = paint(color, 0.25)
    inside = paint((0.5, 0.52, 0.53), 0.1)
    glass = pattern((0.45, 0.6, 0.68), (0.45, 0.6, 0.68), Texture.PLAIN, 1.0, gloss=0.9)
    parts = [
        box(0, 0.03, 0, 1.4, 0.74, 0.1, paint("dark grey")),
        box(0, 0.02, 0.1, 1.5, 0.78, 0.76, _WHITE),
        box(0, 0, 0.86, 1.5, 0.84, 0.04, _EPOXY),
    ]
    parts += [box(sx * 0.36, -0.38, 0.13, 0.69, 0.02, 0.7, front) for sx in (-1, 1)]
    parts += [box(sx * 0.06, -0.4, 0.6, 0.02, 0.02, 0.18, metal()) for sx in (-1, 1)]
    parts += [box(sx * 0.69, 0.02, 0.9, 0.12, 0.78, 1.3, _WHITE) for sx in (-1, 1)]
    parts += [
        box(0, 0.38, 0.9, 1.26, 0.05, 1.3, inside),
        box(0, 0.02, 2.12, 1.5, 0.78, 0.22, _WHITE),
        box(0, 0.05, 2.34, 0.36, 0.36, 0.12, metal()),
    ]
    parts += [box(0, -0.33, 1.42, 1.26, 0.015, 0.7, glass), box(0, -0.34, 1.39, 1.26, 0.04, 0.04, metal())]
    parts += [
        box(0, -0.375, 2.16, 0.3, 0.012, 0.12, front),
        box(0.69, -0.375, 1.3, 0.07, 0.01, 0.2, paint("dark grey")),
    ]
    parts += [
        rod((0.69, -0.37, z), (0.69, -0.4, z), 0.016, paint(c))
        for z, c in ((1.1, "red"), (1.18, "blue"), (1.04, "yellow"))
    ]
    parts.append(box(0, 0.1, 2.1, 0.9, 0.12, 0.02, lit((1.0, 0.98, 0.9), 1.1)))
    things = [
        build("glassware", Style(style.rng)).moved(x, 0.05, 0.9, style.rng.uniform(-0.4, 0.4)) for x in (-0.3, 0.28)
    ]
    return Prop("fume hood", f"{color} fume hood", parts, things, color)


@builds("chemical cabinet")
def chemical_cabinet(style: Style) -> Prop:
    """A safety cabinet for flammable liquids."""
    color = style.color("yellow", "yellow", "red", "blue")
    shell, dark = paint(color, 0.3), paint(scaled(COLORS[color], 0.75), 0.3)
    parts = [box(0, 0.01, 0.06, 1.1, 0.46, 1.6, shell), box(0, 0.02, 0, 1.0, 0.4, 0.06, paint("dark grey"))]
    parts += [box(sx * 0.27, -0.23, 0.12, 0.53, 0.02, 1.5, shell) for sx in (-1, 1)]
    parts += [box(0, -0.235, 0.12, 0.012, 0.02, 1.5, dark), box(0.07, -0.25, 0.8, 0.03, 0.03, 0.16, metal())]
    for x in (-0.28, 0.3):
        parts.append(box(x, -0.242, 1.12, 0.24, 0.006, 0.24, paint("white"), roll=math.pi / 4))
        parts.append(box(x, -0.246, 1.145, 0.19, 0.006, 0.19, paint("red"), roll=math.pi / 4))
        parts += [cylinder(x, -0.25, 1.2, 0.035, 0.1, paint("black"), taper=0.2)]
    parts += [box(0, -0.242, 1.5, 0.7, 0.006, 0.07, paint("black"))]
    return Prop("chemical cabinet", f"{color} chemical cabinet", parts, color=color)


@builds("glovebox")
def glovebox(style: Style) -> Prop:
    """A sealed chamber on a stand with a sloping window and four glove ports."""
    color = style.color("grey", "white", "blue")
    shell, steel = paint(color, 0.5), metal((0.6, 0.62, 0.64))
    glass = paint((0.16, 0.24, 0.3), 0.9)
    parts = [box(0, 0.06, 0.9, 1.5, 0.68, 0.85, shell), box(0, -0.32, 0.98, 1.4, 0.03, 0.76, glass, pitch=-0.22)]
    parts += [box(sx * 0.73, -0.28, 0.9, 0.05, 0.22, 0.3, shell) for sx in (-1, 1)]
    parts += [box(0, -0.36, 0.9, 1.5, 0.1, 0.06, shell)]
    for x in (-0.52, -0.2, 0.2, 0.52):
        parts += [
            rod((x, -0.33, 1.16), (x, -0.42, 1.14), 0.11, steel),
            rod((x, -0.4, 1.15), (x, -0.43, 1.14), 0.088, paint("black")),
        ]
    parts += [box(sx * 0.66, sy * 0.28 + 0.05, 0, 0.06, 0.06, 0.9, steel) for sx in (-1, 1) for sy in (-1, 1)]
    parts += [
        box(0, 0.05, 0.25, 1.36, 0.56, 0.03, steel),
        rod((0.75, 0.1, 1.3), (1.12, 0.1, 1.3), 0.2, steel),
        rod((1.12, 0.1, 1.3), (1.15, 0.1, 1.3), 0.22, paint("dark grey", 0.4)),
    ]
    parts += [cylinder(x, 0.1, 1.75, 0.05, 0.12, steel) for x in (-0.5, 0.4)]
    return Prop("glovebox", f"{color} glovebox", parts, color=color)


@builds("safety shower")
def safety_shower(style: Style) -> Prop:
    """An emergency shower with an eye wash, fixed to the wall."""
    color = style.color("green", "yellow")
    pipe = paint(color, 0.4)
    parts: list[Primitive] = [
        rod((0, -0.1, 0), (0, -0.1, 2.25), 0.028, pipe),
        rod((0, -0.1, 2.22), (0, -0.6, 2.22), 0.024, pipe),
    ]
    parts += [
        cylinder(0, -0.6, 2.08, 0.14, 0.11, pipe, taper=0.25),
        rod((0.1, -0.45, 2.2), (0.1, -0.45, 1.65), 0.008, metal()),
    ]
    parts += [
        rod((0, -0.35, 2.2), (0.1, -0.45, 2.2), 0.012, metal()),
        box(0.1, -0.45, 1.55, 0.16, 0.02, 0.11, paint("yellow")),
    ]
    parts += [rod((0, -0.1, 0.9), (0, -0.34, 0.9), 0.024, pipe), cylinder(0, -0.34, 0.9, 0.06, 0.1, pipe, taper=2.4)]
    parts += [rod((sx * 0.05, -0.34, 0.98), (sx * 0.05, -0.34, 1.04), 0.02, metal()) for sx in (-1, 1)]
    parts += [
        box(0, -0.01, 1.3, 0.32, 0.02, 0.4, paint("green")),
        box(0, -0.022, 1.46, 0.07, 0.006, 0.2, paint("white")),
        box(0, -0.022, 1.53, 0.2, 0.006, 0.07, paint("white")),
    ]
    parts += [box(0, -0.05, z, 0.08, 0.1, 0.05, paint("dark grey")) for z in (0.6, 1.9)]
    return Prop("safety shower", f"{color} emergency shower", parts, color=color)
