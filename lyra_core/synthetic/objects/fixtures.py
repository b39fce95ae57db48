# SPDX-License-Identifier: Apache-2.0
"""Things fixed to walls and ceilings. Wall fixtures touch y = 0 with their back; z = 0 is the floor."""

from __future__ import annotations

from dataclasses import replace

from ..lighting import Glow
from ..palette import COLORS, LAMP_LIGHT, display, fabric, lit, metal, paint, pattern, scaled, timber, vary
from ..primitives import Material, Primitive, Texture, ball, box, cylinder, rod
from .prop import Prop, Style, build, builds


@builds("door")
def door(style: Style) -> Prop:
    color = style.color("brown", "white", "blue", "green", "red", "grey", "teal")
    rgb = COLORS[color]
    leaf, inset = paint(rgb, 0.2), paint(scaled(rgb, 0.82), 0.2)
    frame = paint(scaled(rgb, 0.65) if color == "white" else "white", 0.2)
    parts = [box(0, -0.02, 0, 1.06, 0.04, 2.12, frame), box(0, -0.045, 0.005, 0.88, 0.03, 2.02, leaf)]
    parts += [box(0, -0.06, z, 0.6, 0.01, h, inset) for z, h in ((0.22, 0.7), (1.1, 0.75))]
    parts += [
        ball(0.36, -0.09, 1.0, 0.03, metal((0.75, 0.65, 0.3))),
        rod((0.36, -0.05, 1.0), (0.36, -0.09, 1.0), 0.012, metal()),
    ]
    return Prop("door", f"{color} door", parts, color=color)


@builds("roller door")
def roller_door(style: Style) -> Prop:
    color = style.color("grey", "white", "blue", "orange")
    slats = pattern(COLORS[color], scaled(COLORS[color], 0.7), Texture.SIDING, 0.22, gloss=0.2)
    stripe = pattern("yellow", "black", Texture.HAZARD, 0.22)
    parts = [box(0, -0.03, 0, 2.9, 0.06, 3.0, slats), box(0, -0.08, 3.0, 3.2, 0.2, 0.35, paint("dark grey", 0.3))]
    parts += [box(sx * 1.53, -0.06, 0, 0.14, 0.12, 3.0, stripe) for sx in (-1, 1)]
    return Prop("roller door", f"{color} roller door", parts, color=color)


@builds("window")
def window(style: Style) -> Prop:
    width = style.rng.choice([1.1, 1.5])
    glass = Material((0.62, 0.8, 0.98), (0.95, 0.95, 0.94), Texture.WINDOW, width / 2, emission=1.05)
    white = paint("white", 0.2)
    parts = [
        box(0, -0.02, 1.0, width, 0.04, 1.2, white),
        box(0, -0.035, 1.06, width - 0.12, 0.03, 1.08, glass),
        box(0, -0.07, 0.96, width + 0.1, 0.14, 0.04, white),
    ]
    return Prop("window", "window", parts)


@builds("curtained window")
def curtained_window(style: Style) -> Prop:
    rng = style.rng
    color = style.color("cream", "red", "teal", "blue", "green", "grey", "yellow")
    pane = window(style.free())
    cloth = pattern(color, scaled(COLORS[color], 0.78), Texture.CORRUGATED, 0.12)
    half = pane.bounds()[1][0]
    parts = [*pane.primitives]
    parts += [box(sx * (half + 0.08), -0.08, 0.35, rng.uniform(0.34, 0.42), 0.07, 2.0, cloth) for sx in (-1, 1)]
    parts.append(rod((-half - 0.4, -0.09, 2.37), (half + 0.4, -0.09, 2.37), 0.016, paint("brown", 0.3)))
    return Prop("curtained window", f"window with {color} curtains", parts, color=color)


@builds("high window")
def high_window(style: Style) -> Prop:
    """A long industrial window high up."""
    glass = Material((0.68, 0.83, 0.97), (0.35, 0.37, 0.4), Texture.WINDOW, 0.55, emission=1.05)
    parts = [box(0, -0.02, 2.3, 2.4, 0.04, 1.0, paint("dark grey")), box(0, -0.03, 2.35, 2.3, 0.03, 0.9, glass)]
    return Prop("high window", "high window", parts)


@builds("picture")
def picture(style: Style) -> Prop:
    rng = style.rng
    width, height = rng.choice([(0.6, 0.8), (0.95, 0.65), (0.8, 0.6)])
    frame = paint(rng.choice(["black", "brown", "white"]), 0.2)
    sky = COLORS[style.color("blue", "teal", "orange", "pink", "purple")]
    art = pattern(sky, COLORS[rng.choice(["green", "teal", "brown", "blue", "red"])], Texture.PICTURE, 1.0)
    z = 1.6 - height / 2
    parts = [
        box(0, -0.015, z, width, 0.03, height, frame),
        box(0, -0.03, z + 0.04, width - 0.08, 0.012, height - 0.08, paint("white")),
        box(0, -0.036, z + 0.09, width - 0.18, 0.012, height - 0.18, art),
    ]
    return Prop("picture", "framed picture", parts, color=style.requested)


@builds("mirror")
def mirror(style: Style) -> Prop:
    parts = [
        box(0, -0.015, 1.05, 0.6, 0.03, 1.0, timber(style.rng)),
        box(0, -0.03, 1.1, 0.5, 0.012, 0.9, metal((0.66, 0.72, 0.76))),
    ]
    return Prop("mirror", "mirror", parts)


@builds("clock")
def clock(style: Style) -> Prop:
    rim = paint(style.color("black", "red", "brown", "teal"), 0.3)
    parts = [
        rod((0, 0, 1.9), (0, -0.04, 1.9), 0.17, rim),
        rod((0, -0.03, 1.9), (0, -0.045, 1.9), 0.145, paint("white")),
    ]
    parts += [
        box(0, -0.048, 1.9, 0.014, 0.006, 0.11, paint("black")),
        box(0.035, -0.048, 1.893, 0.07, 0.006, 0.014, paint("black")),
    ]
    return Prop("clock", "wall clock", parts)


@builds("wall shelf")
def wall_shelf(style: Style) -> Prop:
    rng = style.rng
    board = paint(style.requested, 0.15) if style.requested else timber(rng)
    parts = [box(0, -0.12, 1.4, 1.0, 0.24, 0.035, board)]
    parts += [box(sx * 0.4, -0.1, 1.28, 0.03, 0.16, 0.12, paint("black", 0.3)) for sx in (-1, 1)]
    tome = pattern((0.46, 0.4, 0.36), (0.8, 0.75, 0.6), Texture.BOOKS, 0.16)
    parts.append(box(-0.24, -0.12, 1.435, 0.44, 0.17, 0.22, tome))
    things = [build(rng.choice(["vase", "plant pot", "bottle", "mug"]), Style(rng)).moved(0.28, -0.12, 1.435)]
    return Prop("wall shelf", "wall shelf", parts, things, style.requested)


@builds("whiteboard")
def whiteboard(style: Style) -> Prop:
    rng = style.rng
    parts: list[Primitive] = [
        box(0, -0.015, 0.95, 1.7, 0.03, 1.05, metal()),
        box(0, -0.03, 0.99, 1.62, 0.012, 0.97, paint((0.92, 0.93, 0.93), 0.4)),
        box(0, -0.05, 0.93, 1.2, 0.07, 0.025, metal()),
    ]
    for i in range(5):
        ink = paint(rng.choice(["blue", "red", "black", "green"]))
        parts.append(box(rng.uniform(-0.45, 0.2), -0.037, 1.15 + 0.15 * i, rng.uniform(0.3, 0.7), 0.004, 0.018, ink))
    return Prop("whiteboard", "whiteboard", parts)


@builds("wall tv")
def wall_tv(style: Style) -> Prop:
    picture_ = Material((0.25, 0.5, 0.8), (0.12, 0.3, 0.12), Texture.PICTURE, 1.0, emission=0.8)
    parts = [
        box(0, -0.03, 1.15, 1.24, 0.06, 0.72, paint("black", 0.5)),
        box(0, -0.063, 1.18, 1.19, 0.006, 0.66, picture_ if style.rng.random() < 0.6 else display(style.rng)),
    ]
    return Prop("wall tv", "TV on the wall", parts)


@builds("radiator")
def radiator(style: Style) -> Prop:
    white = paint(style.color("white"), 0.3)
    parts = [box(0, -0.05, 0.15, 0.9, 0.03, 0.55, white)]
    parts += [box(-0.405 + 0.09 * i, -0.08, 0.15, 0.06, 0.05, 0.55, white) for i in range(10)]
    return Prop("radiator", "radiator", parts, color=style.requested)


@builds("pipe")
def pipe(style: Style) -> Prop:
    color = style.color("red", "grey", "yellow", "blue", "green")
    steel = paint(color, 0.4)
    parts = [cylinder(0, -0.12, 0, 0.065, 2.4, steel)]
    parts += [cylinder(0, -0.12, z, 0.085, 0.06, paint(scaled(COLORS[color], 0.8), 0.4)) for z in (0.0, 1.15, 2.34)]
    parts += [box(0, -0.04, z, 0.1, 0.08, 0.04, paint("dark grey")) for z in (0.5, 1.9)]
    return Prop("pipe", f"{color} pipe", parts, color=color)


@builds("fire extinguisher")
def fire_extinguisher(style: Style) -> Prop:
    red = paint("red", 0.6)
    parts = [
        box(0, -0.01, 1.3, 0.24, 0.02, 0.3, paint("red")),
        cylinder(0, -0.1, 0.5, 0.075, 0.42, red),
        ball(0, -0.1, 0.92, 0.075, red),
        cylinder(0, -0.1, 0.98, 0.02, 0.06, paint("black")),
        box(0, -0.13, 1.03, 0.03, 0.12, 0.02, paint("black")),
        box(0, -0.02, 0.6, 0.16, 0.04, 0.06, paint("dark grey")),
    ]
    return Prop("fire extinguisher", "fire extinguisher", parts)


@builds("fuse box")
def fuse_box(style: Style) -> Prop:
    shell = paint(style.color("grey", "white", "green"), 0.3)
    parts = [
        box(0, -0.1, 1.1, 0.6, 0.2, 0.8, shell),
        box(0.22, -0.205, 1.45, 0.04, 0.015, 0.12, paint("black")),
        box(-0.1, -0.205, 1.65, 0.16, 0.006, 0.14, paint("yellow")),
        cylinder(-0.15, -0.1, 1.9, 0.03, 0.6, paint("grey")),
    ]
    return Prop("fuse box", "electrical cabinet", parts)


@builds("sign")
def sign(style: Style) -> Prop:
    color = style.color("green", "blue", "yellow", "red")
    parts = [
        box(0, -0.01, 1.75, 0.5, 0.02, 0.32, paint(color, 0.2)),
        box(-0.1, -0.022, 1.82, 0.14, 0.004, 0.18, paint("white")),
        box(0.1, -0.022, 1.89, 0.16, 0.004, 0.04, paint("white")),
    ]
    return Prop("sign", f"{color} sign", parts)


@builds("pillar")
def pillar(style: Style) -> Prop:
    color = style.color("grey", "white", "cream")
    concrete = pattern(COLORS[color], scaled(COLORS[color], 0.85), Texture.SPECKLE, 1.0)
    stripe = pattern("yellow", "black", Texture.HAZARD, 0.15)
    parts = [box(0, 0, 0, 0.4, 0.4, 4.0, concrete), box(0, 0, 0, 0.42, 0.42, 1.0, stripe)]
    return Prop("pillar", "pillar", parts, color=style.requested)


@builds("pendant lamp")
def pendant_lamp(style: Style) -> Prop:
    """A lamp on a cord; z = 0 is the ceiling."""
    color = style.color("white", "black", "red", "teal", "yellow", "orange")
    drop = style.rng.uniform(0.45, 0.6)
    parts = [
        cylinder(0, 0, -drop, 0.006, drop, paint("black")),
        cylinder(0, 0, -drop - 0.16, 0.17, 0.17, paint(color, 0.3), taper=0.3),
        ball(0, 0, -drop - 0.15, 0.07, lit(LAMP_LIGHT, 1.3)),
    ]
    return Prop(
        "pendant lamp",
        f"{color} hanging lamp",
        _translucent(parts),
        color=color,
        glows=[Glow((0, 0, -drop - 0.3), (0.5, 0.38, 0.22), 0.6)],
    )


@builds("ceiling panel")
def ceiling_panel(style: Style) -> Prop:
    """A flush light; z = 0 is the ceiling."""
    parts = [
        box(0, 0, -0.04, 1.24, 0.34, 0.04, paint("white")),
        box(0, 0, -0.046, 1.18, 0.28, 0.01, lit((1.0, 0.98, 0.93), 1.25)),
    ]
    return Prop("ceiling panel", "ceiling light", _translucent(parts))


@builds("high bay lamp")
def high_bay_lamp(style: Style) -> Prop:
    """A hall lamp on a rod; z = 0 is the ceiling."""
    parts = [
        cylinder(0, 0, -0.6, 0.015, 0.6, paint("dark grey")),
        cylinder(0, 0, -0.85, 0.28, 0.25, paint("dark grey", 0.5), taper=0.35),
        cylinder(0, 0, -0.862, 0.25, 0.015, lit((1.0, 0.98, 0.93), 1.3)),
    ]
    return Prop("high bay lamp", "hall lamp", _translucent(parts))


@builds("beam")
def beam(style: Style) -> Prop:
    """A roof beam across the hall, 1 m long before it is stretched; z = 0 is the ceiling."""
    steel = paint(style.color("grey", "dark grey", "blue"), 0.3)
    parts = [
        box(0, 0, -0.3, 1.0, 0.05, 0.3, steel),
        box(0, 0, -0.3, 1.0, 0.22, 0.03, steel),
        box(0, 0, -0.03, 1.0, 0.22, 0.03, steel),
    ]
    return Prop("beam", "roof beam", _translucent(parts))


@builds("hanging sign")
def hanging_sign(style: Style) -> Prop:
    """A board that names an aisle; z = 0 is the ceiling."""
    color = style.color("green", "blue", "red", "orange")
    parts = [box(0, 0, -0.75, 1.2, 0.04, 0.36, paint(color, 0.2))]
    parts += [rod((x, 0, -0.4), (x, 0, 0), 0.008, metal()) for x in (-0.5, 0.5)]
    parts += [box(-0.42, -0.022, -0.7, 0.2, 0.006, 0.26, paint("white"))]
    parts += [box(0.12, -0.022, -0.54 - 0.1 * i, 0.62 - 0.12 * i, 0.006, 0.045, paint("white")) for i in range(2)]
    return Prop("hanging sign", f"{color} aisle sign", _translucent(parts), color=color)


@builds("rug")
def rug(style: Style) -> Prop:
    rng = style.rng
    color = style.color("red", "blue", "teal", "cream", "grey", "orange", "green", "pink")
    accent = vary(COLORS[color], rng, 0.22)
    field = pattern(
        color, accent, rng.choice([Texture.WEAVE, Texture.STRIPES, Texture.CHECKER, Texture.WEAVE]), 0.25, gloss=0.0
    )
    width, depth = rng.uniform(1.7, 2.3), rng.uniform(1.2, 1.6)
    parts = [
        box(0, 0, 0, width, depth, 0.012, fabric(scaled(COLORS[color], 0.7), rng)),
        box(0, 0, 0.004, width - 0.2, depth - 0.2, 0.012, field),
    ]
    return Prop("rug", f"{color} rug", parts, color=color)


def _translucent(parts: list[Primitive]) -> list[Primitive]:
    """Lamps hang beside the key light: their shadows would be huge."""
    return [replace(part, casts_shadow=False) for part in parts]
