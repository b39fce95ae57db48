# SPDX-License-Identifier: Apache-2.0
"""Furniture of homes and offices."""

from __future__ import annotations

import math
from random import Random

from ..lighting import Glow
from ..palette import COLORS, LAMP_LIGHT, display, fabric, lit, metal, paint, pattern, scaled, timber, vary
from ..primitives import Material, Primitive, Texture, ball, box, cylinder, rod
from .prop import Prop, Style, build, builds


def _legs(width: float, depth: float, height: float, thickness: float, material: Material) -> list[Primitive]:
    x, y = width / 2 - thickness, depth / 2 - thickness
    return [box(sx * x, sy * y, 0, thickness, thickness, height, material) for sx in (-1, 1) for sy in (-1, 1)]


def _board(style: Style, *, scale: float = 0.18) -> Material:
    """Timber, or paint in the requested colour."""
    wood = timber(style.rng, scale=scale)
    return paint(style.requested, 0.15) if style.requested else wood


def _named(style: Style, words: str, otherwise: str = "") -> str:
    prefix = style.requested or otherwise
    return f"{prefix} {words}".strip()


def _items(
    rng: Random,
    names: list[str],
    width: float,
    depth: float,
    height: float,
    count: int,
    center: tuple[float, float] = (0.0, 0.0),
) -> list[Prop]:
    """Things side by side on a board of the given size [m]: each has a slot of its own, so none overlap."""
    things = []
    for i in range(count):
        x = center[0] + width * ((i + 0.5) / count - 0.5) + rng.uniform(-0.03, 0.03)
        y = center[1] + rng.uniform(-0.5, 0.5) * max(0.0, depth - 0.3)
        things.append(build(rng.choice(names), Style(rng)).moved(x, y, height, rng.uniform(-0.6, 0.6)))
    return things


@builds("table")
def table(style: Style) -> Prop:
    rng = style.rng
    top = _board(style, scale=0.2)
    width, depth, height = rng.uniform(1.2, 1.7), rng.uniform(0.75, 0.95), 0.74
    parts = [
        box(0, 0, height - 0.04, width, depth, 0.04, top),
        box(0, 0, height - 0.11, width - 0.16, depth - 0.16, 0.07, top),
    ]
    parts += _legs(width, depth, height - 0.04, 0.065, top)
    things = _items(
        rng, ["mug", "bowl", "vase", "books", "plate", "teapot"], width * 0.85, depth, height, rng.randint(2, 3)
    )
    return Prop("table", _named(style, "table", "wooden"), parts, things, style.requested)


@builds("coffee table")
def coffee_table(style: Style) -> Prop:
    rng = style.rng
    top = _board(style, scale=0.2)
    width, depth, height = rng.uniform(0.85, 1.15), rng.uniform(0.5, 0.62), 0.42
    parts = [
        box(0, 0, height - 0.035, width, depth, 0.035, top),
        box(0, 0, 0.13, width - 0.12, depth - 0.12, 0.025, top),
    ]
    parts += _legs(width, depth, height - 0.035, 0.05, top)
    things = _items(rng, ["mug", "bowl", "vase", "books"], width * 0.8, depth, height, 2)
    return Prop("coffee table", _named(style, "coffee table"), parts, things, style.requested)


@builds("chair")
def chair(style: Style) -> Prop:
    rng = style.rng
    color = style.color("red", "teal", "yellow", "blue", "green", "white", "orange", "wooden", "wooden")
    wood = timber(rng, scale=0.3)
    seat = wood if color == "wooden" else paint(color, 0.15)
    leg = wood if rng.random() < 0.6 else paint("dark grey", 0.4)
    parts = [box(0, -0.01, 0.43, 0.44, 0.44, 0.04, seat)]
    parts += [box(sx * 0.19, -0.19, 0, 0.035, 0.035, 0.43, leg) for sx in (-1, 1)]
    parts += [box(sx * 0.19, 0.2, 0, 0.035, 0.035, 0.9, leg) for sx in (-1, 1)]
    parts += [box(0, 0.2, 0.72, 0.4, 0.025, 0.17, seat), box(0, 0.2, 0.57, 0.4, 0.02, 0.06, seat)]
    return Prop("chair", f"{color} chair", parts, color=style.requested or (color if color != "wooden" else None))


@builds("office chair")
def office_chair(style: Style) -> Prop:
    color = style.color("black", "blue", "grey", "red", "teal")
    cloth = fabric(color, style.rng)
    steel = paint("dark grey", 0.5)
    parts = [box(0, 0, 0.44, 0.48, 0.46, 0.08, cloth), box(0, 0.22, 0.58, 0.44, 0.07, 0.5, cloth, pitch=-0.12)]
    parts += [
        cylinder(0, 0, 0.08, 0.03, 0.38, metal()),
        box(0, 0, 0.07, 0.56, 0.05, 0.03, steel),
        box(0, 0, 0.07, 0.05, 0.56, 0.03, steel),
    ]
    parts += [ball(x, y, 0.035, 0.035, paint("black")) for x, y in ((0.26, 0), (-0.26, 0), (0, 0.26), (0, -0.26))]
    parts += [box(sx * 0.26, 0.02, 0.64, 0.05, 0.26, 0.03, steel) for sx in (-1, 1)]
    parts += [box(sx * 0.26, 0.05, 0.46, 0.03, 0.04, 0.18, steel) for sx in (-1, 1)]
    return Prop("office chair", f"{color} office chair", parts, color=color)


@builds("armchair")
def armchair(style: Style) -> Prop:
    color = style.color("yellow", "teal", "grey", "red", "green", "blue", "pink")
    cloth = fabric(color, style.rng)
    light = fabric(scaled(COLORS[color], 1.15), style.rng)
    parts = [
        box(0, 0, 0.12, 0.84, 0.8, 0.26, cloth),
        box(0, -0.06, 0.38, 0.5, 0.62, 0.1, light),
        box(0, 0.31, 0.38, 0.84, 0.18, 0.48, cloth, pitch=-0.08),
        box(-0.34, -0.04, 0.38, 0.16, 0.7, 0.22, cloth),
        box(0.34, -0.04, 0.38, 0.16, 0.7, 0.22, cloth),
    ]
    parts += _legs(0.8, 0.76, 0.12, 0.05, paint("brown"))
    return Prop("armchair", f"{color} armchair", parts, color=color)


@builds("sofa")
def sofa(style: Style) -> Prop:
    rng = style.rng
    color = style.color("grey", "blue", "green", "red", "teal", "cream", "brown", "orange")
    length = rng.uniform(1.7, 2.2)
    cloth = fabric(color, rng)
    light = fabric(scaled(COLORS[color], 1.15), rng)
    seat = length / 2 - 0.2
    parts = [
        box(0, 0, 0.1, length, 0.85, 0.3, cloth),
        box(0, 0.33, 0.4, length, 0.2, 0.42, cloth, pitch=-0.06),
        box(-length / 2 + 0.09, -0.02, 0.4, 0.18, 0.82, 0.2, cloth),
        box(length / 2 - 0.09, -0.02, 0.4, 0.18, 0.82, 0.2, cloth),
    ]
    for sx in (-1, 1):
        parts.append(box(sx * (seat / 2 + 0.005), -0.08, 0.4, seat, 0.66, 0.11, light))
        parts.append(box(sx * (seat / 2 + 0.005), 0.19, 0.5, seat - 0.04, 0.14, 0.3, light, pitch=-0.15))
        pillow = fabric(rng.choice(["yellow", "white", "orange", "pink", "teal"]), rng)
        parts.append(box(sx * (seat - 0.2), 0.06, 0.5, 0.34, 0.1, 0.3, pillow, yaw=-sx * 0.25, pitch=-0.3))
    parts += _legs(length, 0.8, 0.1, 0.05, paint("brown"))
    return Prop("sofa", f"{color} sofa", parts, color=color)


@builds("cabinet")
def cabinet(style: Style) -> Prop:
    rng = style.rng
    body = _board(style) if rng.random() < 0.7 or style.requested else paint("white", 0.2)
    front = Material(scaled(body.color, 1.08), scaled(body.color, 0.55), Texture.PLAIN, gloss=body.gloss)
    width, height = rng.uniform(0.9, 1.4), rng.uniform(0.7, 0.95)
    doors = 2 if width < 1.15 else 3
    parts = [
        box(0, 0.01, 0.06, width, 0.43, height - 0.06, body),
        box(0, 0.02, 0, width - 0.1, 0.38, 0.06, paint("dark grey")),
    ]
    parts.append(box(0, 0, height, width + 0.04, 0.47, 0.03, body))
    for i in range(doors):
        x = width * ((i + 0.5) / doors - 0.5)
        parts.append(box(x, -0.21, 0.09, width / doors - 0.03, 0.02, height - 0.12, front))
        parts.append(ball(x + (width / doors / 2 - 0.07), -0.23, height * 0.62, 0.014, metal()))
    things = _items(rng, ["vase", "books", "table lamp", "bowl"], width * 0.8, 0.3, height + 0.03, 2)
    return Prop("cabinet", _named(style, "cabinet"), parts, things, style.requested)


@builds("dresser")
def dresser(style: Style) -> Prop:
    rng = style.rng
    body = _board(style)
    front = paint(scaled(body.color, 1.1), 0.15)
    width, height = rng.uniform(0.8, 1.1), 0.82
    parts = [box(0, 0.01, 0.08, width, 0.44, height - 0.08, body), box(0, 0, height, width + 0.03, 0.48, 0.025, body)]
    parts += [box(sx * (width / 2 - 0.06), sy * 0.17, 0, 0.05, 0.05, 0.08, body) for sx in (-1, 1) for sy in (-1, 1)]
    for i in range(3):
        z = 0.11 + i * (height - 0.13) / 3
        parts.append(box(0, -0.215, z, width - 0.06, 0.02, (height - 0.13) / 3 - 0.025, front))
        parts.append(box(0, -0.235, z + 0.1, 0.16, 0.02, 0.015, metal()))
    things = _items(rng, ["table lamp", "books", "vase"], width * 0.8, 0.3, height + 0.025, 2)
    return Prop("dresser", _named(style, "dresser"), parts, things, style.requested)


@builds("nightstand")
def nightstand(style: Style) -> Prop:
    body = _board(style)
    front = paint(scaled(body.color, 1.1), 0.15)
    parts = [
        box(0, 0, 0.12, 0.46, 0.4, 0.4, body),
        box(0, -0.2, 0.15, 0.4, 0.02, 0.16, front),
        box(0, -0.2, 0.33, 0.4, 0.02, 0.16, front),
    ]
    parts += _legs(0.44, 0.38, 0.12, 0.04, body)
    lamp = build("table lamp", style.free()).moved(0, 0.03, 0.52)
    return Prop("nightstand", _named(style, "nightstand"), parts, [lamp], style.requested)


@builds("wardrobe")
def wardrobe(style: Style) -> Prop:
    rng = style.rng
    body = _board(style) if rng.random() < 0.6 or style.requested else paint("white", 0.2)
    front = paint(scaled(body.color, 1.1), 0.15)
    width = rng.uniform(1.0, 1.3)
    parts = [box(0, 0.01, 0.06, width, 0.56, 1.94, body), box(0, 0.02, 0, width - 0.1, 0.5, 0.06, paint("dark grey"))]
    for sx in (-1, 1):
        parts.append(box(sx * width / 4, -0.28, 0.1, width / 2 - 0.03, 0.02, 1.86, front))
        parts.append(box(sx * 0.05, -0.3, 0.95, 0.02, 0.02, 0.22, metal()))
    return Prop("wardrobe", _named(style, "wardrobe"), parts, color=style.requested)


@builds("bookshelf")
def bookshelf(style: Style) -> Prop:
    rng = style.rng
    board = _board(style, scale=0.3)
    width, height = rng.uniform(0.8, 1.15), rng.choice([1.5, 1.9])
    levels = 4 if height > 1.6 else 3
    parts = [box(0, 0.155, 0, width, 0.02, height, paint(scaled(board.color, 0.7)))]
    parts += [box(sx * (width / 2 - 0.02), 0, 0, 0.04, 0.33, height, board) for sx in (-1, 1)]
    step = (height - 0.04) / levels
    for i in range(levels + 1):
        parts.append(box(0, -0.005, i * step, width - 0.08, 0.31, 0.03, board))
        if i < levels:
            run = (width - 0.1) * rng.uniform(0.55, 0.95)
            side = rng.choice([-1, 1])
            tome = pattern((0.46, 0.4, 0.36), (0.8, 0.75, 0.6), Texture.BOOKS, rng.uniform(0.14, 0.2))
            parts.append(
                box(
                    side * ((width - 0.1) - run) / 2,
                    0.03,
                    i * step + 0.03,
                    run,
                    0.2,
                    rng.uniform(0.22, step - 0.1),
                    tome,
                )
            )
    return Prop("bookshelf", _named(style, "bookshelf"), parts, color=style.requested)


@builds("bed")
def bed(style: Style) -> Prop:
    rng = style.rng
    color = style.color("blue", "white", "teal", "red", "grey", "pink", "green", "yellow")
    frame = timber(rng)
    width = rng.choice([1.2, 1.5, 1.7])
    cover = pattern(
        color, vary(COLORS[color], rng, 0.12), rng.choice([Texture.WEAVE, Texture.STRIPES, Texture.WEAVE]), 0.2
    )
    linen = fabric("white", rng)
    parts = [
        box(0, 0, 0.08, width + 0.08, 2.06, 0.22, frame),
        box(0, 0, 0.3, width, 1.98, 0.2, linen),
        box(0, -0.26, 0.32, width + 0.05, 1.5, 0.22, cover),
        box(0, 0.42, 0.52, width + 0.05, 0.22, 0.035, linen),
        box(0, 1.05, 0, width + 0.12, 0.06, 1.05, frame),
    ]
    pillows = 1 if width < 1.3 else 2
    for i in range(pillows):
        x = 0.0 if pillows == 1 else (i - 0.5) * 0.7
        parts.append(box(x, 0.78, 0.5, 0.56, 0.36, 0.13, linen, pitch=0.2))
    parts += _legs(width, 1.98, 0.08, 0.07, paint("brown"))
    return Prop("bed", f"bed with {color} cover", parts, color=color)


@builds("floor lamp")
def floor_lamp(style: Style) -> Prop:
    color = style.color("black", "white", "brown")
    parts = [
        cylinder(0, 0, 0, 0.15, 0.03, paint(color, 0.4)),
        cylinder(0, 0, 0.03, 0.014, 1.42, paint(color, 0.4)),
        cylinder(0, 0, 1.42, 0.2, 0.25, lit(LAMP_LIGHT, 1.25), taper=0.6),
    ]
    return Prop(
        "floor lamp", "floor lamp", parts, color=style.requested, glows=[Glow((0, 0, 1.6), (1.0, 0.72, 0.4), 0.75)]
    )


@builds("plant")
def plant(style: Style) -> Prop:
    rng = style.rng
    green = vary((0.1, 0.36, 0.12), rng, 0.04)
    leaf = pattern(scaled(green, 0.55), scaled(green, 1.25), Texture.FOLIAGE, 0.2, gloss=0.0)
    pot = paint(style.color("white", "brown", "teal", "orange", "grey"), 0.3)
    parts = [
        cylinder(0, 0, 0, 0.13, 0.28, pot, taper=1.35),
        cylinder(0, 0, 0.28, 0.16, 0.01, paint((0.12, 0.08, 0.05))),
    ]
    if rng.random() < 0.5:
        parts.append(cylinder(0, 0, 0.28, 0.025, 0.35, paint("brown")))
        for _ in range(4):
            parts.append(
                ball(
                    rng.uniform(-0.14, 0.14),
                    rng.uniform(-0.14, 0.14),
                    0.72 + rng.uniform(-0.1, 0.28),
                    rng.uniform(0.14, 0.2),
                    leaf,
                )
            )
    else:
        for i in range(6):
            a = i * 1.05 + rng.uniform(-0.2, 0.2)
            spread = rng.uniform(0.2, 0.3)
            x, y = spread * math.cos(a), spread * math.sin(a)
            parts.append(rod((0, 0, 0.27), (x, y, rng.uniform(0.75, 1.15)), 0.03, leaf, taper=1.7))
    return Prop("plant", "potted plant", parts, color=style.requested)


@builds("counter")
def counter(style: Style) -> Prop:
    rng = style.rng
    color = style.color("white", "teal", "blue", "cream", "green", "grey", "wooden")
    door = timber(rng) if color == "wooden" else paint(color, 0.25)
    length = rng.choice([1.8, 2.4])
    modules = round(length / 0.6)
    stone = pattern(vary((0.66, 0.64, 0.62), rng, 0.2), (0.5, 0.5, 0.5), Texture.SPECKLE, 0.3, gloss=0.6)
    parts = [
        box(0, 0.03, 0, length - 0.06, 0.5, 0.1, paint("dark grey")),
        box(0, 0.02, 0.1, length, 0.56, 0.78, paint(scaled(door.color, 0.8))),
    ]
    for i in range(modules):
        x = length * ((i + 0.5) / modules - 0.5)
        parts.append(box(x, -0.265, 0.13, 0.57, 0.02, 0.72, door))
        parts.append(box(x, -0.285, 0.78, 0.26, 0.02, 0.02, metal()))
    parts.append(box(0, -0.01, 0.88, length + 0.03, 0.64, 0.04, stone))
    parts.append(box(0, 0.13, 1.45, length, 0.34, 0.62, paint(scaled(door.color, 0.85))))
    for i in range(modules):
        parts.append(box(length * ((i + 0.5) / modules - 0.5), -0.05, 1.47, 0.57, 0.02, 0.58, door))
    hob, sink = -length / 2 + 0.5, length / 2 - 0.5
    parts.append(box(hob, -0.02, 0.92, 0.56, 0.46, 0.01, paint("black", 0.9)))
    parts += [
        cylinder(hob + dx, -0.02 + dy, 0.93, 0.075, 0.006, paint("dark grey"))
        for dx in (-0.14, 0.14)
        for dy in (-0.11, 0.11)
    ]
    parts += [
        box(sink, -0.02, 0.92, 0.5, 0.4, 0.008, metal((0.7, 0.72, 0.74))),
        box(sink, -0.02, 0.928, 0.42, 0.32, 0.003, metal((0.3, 0.31, 0.33))),
    ]
    parts += [
        rod((sink, 0.2, 0.92), (sink, 0.2, 1.16), 0.014, metal((0.75, 0.76, 0.78))),
        rod((sink, 0.2, 1.16), (sink, 0.04, 1.14), 0.012, metal((0.75, 0.76, 0.78))),
    ]
    free = _items(
        rng,
        ["mug", "bottle", "bowl", "vase", "teapot"],
        length - 1.1 if modules > 3 else 0.5,
        0.35,
        0.92,
        2,
        (0.0, 0.06),
    )
    return Prop("counter", f"{color} kitchen counter", parts, free, None if color == "wooden" else color)


@builds("stove")
def stove(style: Style) -> Prop:
    color = style.color("white", "black", "grey", "red")
    body = paint(color, 0.4)
    parts = [box(0, 0, 0, 0.6, 0.6, 0.9, body), box(0, 0, 0.9, 0.6, 0.6, 0.02, paint("black", 0.9))]
    parts += [
        box(0, -0.305, 0.2, 0.46, 0.02, 0.36, paint("black", 0.9)),
        box(0, -0.33, 0.62, 0.44, 0.02, 0.02, metal()),
    ]
    parts += [rod((x, -0.3, 0.78), (x, -0.33, 0.78), 0.022, paint("dark grey")) for x in (-0.2, -0.07, 0.07, 0.2)]
    pot = [
        cylinder(0, 0, 0, 0.11, 0.14, metal((0.6, 0.6, 0.62))),
        cylinder(0, 0, 0.14, 0.112, 0.012, metal("dark grey")),
        ball(0, 0, 0.165, 0.018, paint("black")),
    ]
    return Prop("stove", f"{color} stove", parts, [Prop("pot", "pot", pot).moved(-0.13, 0.1, 0.92)], color)


@builds("fridge")
def fridge(style: Style) -> Prop:
    color = style.color("white", "grey", "red", "cream", "teal")
    body = paint(color, 0.5)
    steel = metal((0.72, 0.73, 0.75))
    parts = [
        box(0, 0.02, 0.04, 0.7, 0.62, 1.81, body),
        box(0, -0.31, 0.06, 0.69, 0.03, 1.1, body),
        box(0, -0.31, 1.18, 0.69, 0.03, 0.66, body),
        box(0, 0.0, 0, 0.64, 0.56, 0.04, paint("black")),
        box(0.28, -0.35, 0.75, 0.025, 0.03, 0.36, steel),
        box(0.28, -0.35, 1.22, 0.025, 0.03, 0.26, steel),
    ]
    return Prop("fridge", f"{color} fridge", parts, color=color)


@builds("desk")
def desk(style: Style) -> Prop:
    rng = style.rng
    top = _board(style, scale=0.3) if rng.random() < 0.7 or style.requested else paint("white", 0.2)
    steel = paint("dark grey", 0.4)
    width, depth = rng.uniform(1.3, 1.6), 0.7
    drawer = width / 2 - 0.26
    parts = [box(0, 0, 0.71, width, depth, 0.035, top), box(-width / 2 + 0.04, 0, 0, 0.04, 0.62, 0.71, steel)]
    parts += [box(drawer, 0.02, 0.02, 0.42, 0.6, 0.69, top)]
    parts += [
        box(drawer, -0.29, 0.06 + 0.215 * i, 0.38, 0.02, 0.195, paint(scaled(top.color, 1.1), 0.15)) for i in range(3)
    ]
    things = [_monitor(rng).moved(rng.uniform(-0.2, 0.0), 0.14, 0.745, rng.uniform(-0.15, 0.15))]
    things.append(build("mug", Style(rng)).moved(-width * 0.38, -0.08, 0.745))
    things.append(build(rng.choice(["books", "plant pot", "table lamp"]), Style(rng)).moved(width * 0.36, 0.12, 0.745))
    return Prop("desk", _named(style, "desk"), parts, things, style.requested)


def _monitor(rng: Random) -> Prop:
    black = paint("black", 0.4)
    parts = [
        box(0, 0, 0, 0.22, 0.16, 0.015, black),
        box(0, 0.03, 0.015, 0.04, 0.03, 0.16, black),
        box(0, 0, 0.13, 0.6, 0.03, 0.36, black),
        box(0, -0.018, 0.145, 0.57, 0.006, 0.33, display(rng)),
        box(0, -0.3, 0, 0.42, 0.14, 0.018, paint("dark grey")),
        box(0.32, -0.3, 0, 0.06, 0.1, 0.025, paint("dark grey")),
    ]
    return Prop("monitor", "monitor", parts)


@builds("plant pot")
def plant_pot(style: Style) -> Prop:
    leaf = pattern((0.07, 0.24, 0.08), (0.2, 0.48, 0.18), Texture.FOLIAGE, 0.1, gloss=0.0)
    pot = paint(style.color("white", "brown", "orange"), 0.3)
    parts = [
        cylinder(0, 0, 0, 0.05, 0.09, pot, taper=1.3),
        ball(0, 0, 0.16, 0.085, leaf),
        ball(0.04, 0.02, 0.21, 0.05, leaf),
    ]
    return Prop("plant pot", "small plant", parts, color=style.requested)


@builds("tv stand")
def tv_stand(style: Style) -> Prop:
    rng = style.rng
    body = _board(style)
    width = rng.uniform(1.3, 1.7)
    black = paint("black", 0.5)
    picture = Material((0.25, 0.5, 0.8), (0.12, 0.3, 0.12), Texture.PICTURE, 1.0, emission=0.8)
    parts = [box(0, 0, 0.08, width, 0.4, 0.38, body), box(0, 0.02, 0, width - 0.2, 0.3, 0.08, paint("dark grey"))]
    parts += [
        box(sx * width / 4, -0.205, 0.11, width / 2 - 0.04, 0.015, 0.32, paint(scaled(body.color, 1.1), 0.15))
        for sx in (-1, 1)
    ]
    tv = [
        box(0, 0.05, 0, 0.4, 0.2, 0.02, black),
        box(0, 0.07, 0.02, 0.08, 0.03, 0.08, black),
        box(0, 0.05, 0.08, 1.12, 0.04, 0.65, black),
    ]
    tv.append(box(0, 0.027, 0.1, 1.08, 0.006, 0.61, picture))
    return Prop("tv stand", "TV on a stand", parts, [Prop("tv", "TV", tv).moved(0, 0, 0.46)], style.requested)


@builds("stool")
def stool(style: Style) -> Prop:
    color = style.color("wooden", "red", "white", "yellow", "black")
    wood = timber(style.rng)
    seat = wood if color == "wooden" else paint(color, 0.2)
    parts = [cylinder(0, 0, 0.58, 0.17, 0.04, seat)]
    parts += [
        rod((0.17 * sx, 0.17 * sy, 0), (0.09 * sx, 0.09 * sy, 0.58), 0.018, wood) for sx in (-1, 1) for sy in (-1, 1)
    ]
    return Prop("stool", f"{color} stool", parts, color=style.requested or (color if color != "wooden" else None))


@builds("sink")
def washstand(style: Style) -> Prop:
    white = paint("white", 0.7)
    parts = [
        box(0, 0.05, 0, 0.5, 0.36, 0.7, _board(style)),
        box(0, 0, 0.7, 0.6, 0.48, 0.14, white),
        box(0, -0.03, 0.84, 0.46, 0.32, 0.003, paint((0.7, 0.72, 0.74))),
    ]
    parts += [
        rod((0, 0.18, 0.84), (0, 0.18, 1.0), 0.014, metal()),
        rod((0, 0.18, 1.0), (0, 0.06, 0.98), 0.012, metal()),
    ]
    return Prop("sink", "sink", parts, color=style.requested)
