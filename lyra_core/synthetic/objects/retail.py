# SPDX-License-Identifier: Apache-2.0
"""Things of shops."""

from __future__ import annotations

from random import Random

from ..palette import COLORS, fabric, lit, metal, paint, pattern, scaled, timber
from ..primitives import Material, Primitive, Texture, ball, box, cylinder, rod
from .industrial import carton
from .prop import Prop, Style, builds
from .wheels import castors

_PACKS = ("red", "yellow", "blue", "green", "orange", "white", "teal", "pink", "purple", "cream")
_FRUIT = ("red", "orange", "yellow", "green")
_DARK = paint("dark grey", 0.3)


@builds("shop shelf")
def shop_shelf(style: Style) -> Prop:
    """Wall shelving full of goods, 1.25 m wide."""
    rng = style.rng
    color = style.color("white", "grey", "cream", "dark grey")
    frame = paint(color, 0.3)
    back = paint(scaled(COLORS[color], 0.85), 0.1)
    parts = [box(0, 0.24, 0, 1.25, 0.03, 2.0, back), box(0, 0, 0, 1.25, 0.5, 0.14, frame)]
    parts += [box(sx * 0.615, 0.22, 0, 0.03, 0.06, 2.0, frame) for sx in (-1, 1)]
    tag = paint(rng.choice(["red", "yellow", "blue", "green"]))
    for i, z in enumerate((0.14, 0.56, 0.95, 1.3, 1.64)):
        depth = 0.46 if i == 0 else 0.4
        if i:
            parts.append(box(0, 0.225 - depth / 2, z - 0.03, 1.22, depth, 0.03, frame))
            parts.append(box(0, 0.225 - depth - 0.006, z - 0.035, 1.22, 0.012, 0.04, tag))
        parts += goods(rng, 1.18, depth - 0.06, z, (0.36, 0.32, 0.28, 0.27, 0.28)[i], 0.2 - depth / 2)
    return Prop("shop shelf", f"{color} shop shelf", parts, color=color)


def goods(rng: Random, width: float, depth: float, z: float, height: float, y: float = 0.0) -> list[Primitive]:
    """Packs, books or bottles side by side on a board `width` x `depth` [m], each lower than `height`."""
    parts: list[Primitive] = []
    x = -width / 2
    while x < width / 2 - 0.12:
        span = min(rng.uniform(0.28, 0.5), width / 2 - x)
        middle, tall, kind = x + span / 2, height * rng.uniform(0.55, 0.9), rng.random()
        if kind < 0.15 and height < 0.3:
            parts += _bottles(middle, y - depth / 2 + 0.06, z, span, rng.choice(_PACKS))
        elif kind < 0.92:
            skin = _packs(rng, span - 0.02)
            parts.append(box(middle, y + rng.uniform(0.0, 0.03), z, span - 0.02, depth * 0.9, tall, skin))
        x += span
    return parts


def _packs(rng: Random, width: float) -> Material:
    """A row of equal packs on a front of `width` [m]."""
    if rng.random() < 0.15:
        return pattern((0.46, 0.4, 0.36), (0.8, 0.75, 0.6), Texture.BOOKS, 0.36, gloss=0.2)
    color, label = rng.sample(_PACKS, 2)
    count = 2 * max(1, round(width / rng.uniform(0.18, 0.34)))  # even: the pattern starts in the middle
    return pattern(color, label, Texture.PACKS, width / count, gloss=0.3)


def _bottles(x: float, y: float, z: float, width: float, color: str) -> list[Primitive]:
    count = max(2, round(width / 0.11))
    parts: list[Primitive] = []
    for i in range(count):
        at = x + width * ((i + 0.5) / count - 0.5)
        parts += [
            cylinder(at, y, z, 0.036, 0.17, paint(color, 0.7)),
            cylinder(at, y, z + 0.17, 0.034, 0.06, paint(color, 0.7), taper=0.4),
        ]
    return parts


@builds("display cooler")
def display_cooler(style: Style) -> Prop:
    """An open refrigerated shelf with a lit header."""
    rng = style.rng
    color = style.color("black", "grey", "white", "blue")
    shell = paint(color, 0.4)
    parts = [
        box(0, 0.33, 0, 1.9, 0.08, 2.05, paint((0.75, 0.79, 0.82), 0.2)),
        box(0, 0, 0, 1.9, 0.74, 0.36, shell),
        box(0, 0.06, 1.9, 1.9, 0.62, 0.18, shell),
    ]
    parts += [box(sx * 0.93, 0.05, 0.3, 0.05, 0.64, 1.62, shell) for sx in (-1, 1)]
    parts += [
        box(0, -0.252, 1.92, 1.5, 0.012, 0.13, lit((0.55, 0.8, 0.95), 1.0)),
        box(0, -0.15, 1.88, 1.7, 0.06, 0.02, lit((0.95, 0.98, 1.0), 1.1)),
    ]
    for i, z in enumerate((0.36, 0.78, 1.15, 1.5)):
        depth = (0.6, 0.5, 0.45, 0.4)[i]
        if i:
            parts.append(box(0, 0.29 - depth / 2, z - 0.025, 1.8, depth, 0.025, paint("white", 0.3)))
        parts += goods(rng, 1.74, depth - 0.08, z, 0.29, 0.27 - depth / 2)
    return Prop("display cooler", f"{color} display cooler", parts, color=color)


@builds("checkout")
def checkout(style: Style) -> Prop:
    """A till with a belt; the belt runs along x, the cashier stands at +y."""
    rng = style.rng
    color = style.color("blue", "red", "green", "grey", "orange")
    body = paint(color, 0.3)
    belt = pattern((0.05, 0.05, 0.055), (0.1, 0.1, 0.11), Texture.STRIPES, 0.08)
    parts = [
        box(0, 0, 0, 2.2, 0.62, 0.82, body),
        box(0, 0, 0.82, 2.24, 0.68, 0.03, metal((0.6, 0.61, 0.63))),
        box(-0.4, -0.02, 0.85, 1.36, 0.5, 0.012, belt),
    ]
    parts += [box(0, -0.315, 0.3, 2.2, 0.012, 0.12, paint("white")), box(0.72, 0.18, 0.85, 0.2, 0.16, 0.1, _DARK)]
    parts += [
        rod((0.72, 0.2, 0.95), (0.72, 0.2, 1.15), 0.02, _DARK),
        box(0.72, 0.17, 1.12, 0.34, 0.04, 0.26, _DARK),
        box(0.72, 0.192, 1.14, 0.3, 0.006, 0.22, lit((0.2, 0.4, 0.7), 0.9)),
    ]
    parts += [
        box(0.36, -0.02, 0.862, 0.14, 0.2, 0.006, lit((0.7, 0.1, 0.1), 0.8)),
        box(0.95, -0.2, 0.85, 0.12, 0.1, 0.14, _DARK),
    ]
    parts += [
        cylinder(1.02, 0.26, 0.85, 0.02, 1.1, metal()),
        box(1.02, 0.26, 1.95, 0.28, 0.1, 0.28, lit((0.95, 0.9, 0.6), 1.0)),
    ]
    parts += [box(1.02, 0.206, 2.0, 0.05, 0.006, 0.18, paint("black"))]
    for i in range(4):
        pack = box(
            -0.95 + 0.3 * i,
            rng.uniform(-0.1, 0.1),
            0.862,
            0.14,
            0.1,
            rng.uniform(0.08, 0.22),
            paint(rng.choice(_PACKS), 0.3),
            yaw=rng.uniform(-0.5, 0.5),
        )
        parts.append(pack)
    return Prop("checkout", f"{color} checkout", parts, color=color)


@builds("shopping cart")
def shopping_cart(style: Style) -> Prop:
    """A wire trolley; its handle is at +y."""
    rng = style.rng
    grip = paint(style.color("red", "blue", "green", "orange"), 0.3)
    wire = metal((0.62, 0.64, 0.66))
    parts = castors(0.22, 0.36, 0.055)
    parts += [rod((sx * 0.22, -0.38, 0.15), (sx * 0.22, 0.38, 0.15), 0.014, wire) for sx in (-1, 1)]
    parts += [rod((sx * 0.22, 0.38, 0.15), (sx * 0.26, 0.44, 1.0), 0.014, wire) for sx in (-1, 1)]
    parts += [rod((-0.28, 0.45, 1.02), (0.28, 0.45, 1.02), 0.02, grip)]
    for z, half, front, rear in (
        (0.5, 0.21, -0.36, 0.38),
        (0.62, 0.225, -0.4, 0.39),
        (0.76, 0.24, -0.44, 0.41),
        (0.92, 0.26, -0.48, 0.43),
    ):
        parts += [rod((sx * half, front, z), (sx * half, rear, z), 0.008, wire) for sx in (-1, 1)]
        parts += [rod((-half, y, z), (half, y, z), 0.008, wire) for y in (front, rear)]
    for i in range(6):
        share = i / 5
        parts += [
            rod((sx * 0.21, -0.36 + 0.74 * share, 0.5), (sx * 0.26, -0.48 + 0.91 * share, 0.92), 0.006, wire)
            for sx in (-1, 1)
        ]
    parts += [
        rod((0.42 * s - 0.21, y0, 0.5), (0.52 * s - 0.26, y1, 0.92), 0.006, wire)
        for s in (0.2, 0.4, 0.6, 0.8)
        for y0, y1 in ((-0.36, -0.48), (0.38, 0.43))
    ]
    parts.append(box(0, 0.01, 0.49, 0.42, 0.74, 0.012, wire))
    for i in range(rng.randint(2, 4)):
        parts.append(
            box(
                (-0.08, 0.09, -0.07, 0.08)[i],
                (-0.2, -0.15, 0.12, 0.17)[i],
                0.502,
                0.14,
                0.18,
                rng.uniform(0.15, 0.32),
                paint(rng.choice(_PACKS), 0.3),
            )
        )
    return Prop("shopping cart", "shopping cart", parts, color=style.requested)


@builds("fruit stand")
def fruit_stand(style: Style) -> Prop:
    """Sloping crates of fruit and vegetables."""
    rng = style.rng
    wood = paint(style.requested, 0.1) if style.requested else timber(rng, "pine", scale=0.12)
    parts = [box(0, 0.12, 0, 1.5, 0.66, 0.42, wood), box(0, 0.3, 0.42, 1.5, 0.3, 0.34, wood)]
    for row, (y, z) in enumerate(((-0.1, 0.47), (0.28, 0.81))):
        for i in range(3):
            x = -0.5 + 0.5 * i
            edge = paint(scaled(wood.color, 0.8))
            parts += [
                box(x, y, z, 0.47, 0.38, 0.04, edge, pitch=0.25),
                box(x, y - 0.19, z - 0.06, 0.47, 0.02, 0.14, edge),
                box(x, y + 0.18, z + 0.03, 0.47, 0.02, 0.12, edge),
            ]
            parts += [box(x + sx * 0.235, y, z - 0.01, 0.02, 0.38, 0.12, edge, pitch=0.25) for sx in (-1, 1)]
            fruit = paint(rng.choice(_FRUIT), 0.5)
            parts += [
                ball(
                    x - 0.15 + 0.1 * a, y - 0.12 + 0.12 * b, z + 0.055 + 0.03 * b + (0.02 if row else 0.0), 0.055, fruit
                )
                for a in range(4)
                for b in range(3)
            ]
    return Prop("fruit stand", "fruit stand", parts, color=style.requested)


@builds("clothes rack")
def clothes_rack(style: Style) -> Prop:
    rng = style.rng
    steel = metal((0.6, 0.62, 0.64))
    parts = [rod((-0.65, 0, 1.5), (0.65, 0, 1.5), 0.016, steel)]
    for x in (-0.65, 0.65):
        parts += [rod((x, 0, 0.06), (x, 0, 1.5), 0.016, steel), rod((x, -0.25, 0.05), (x, 0.25, 0.05), 0.018, steel)]
        parts += [ball(x, y, 0.03, 0.03, _DARK) for y in (-0.24, 0.24)]
    for i in range(9):
        x = -0.54 + 0.135 * i
        cloth = fabric(style.color(*_PACKS), rng)
        length = rng.uniform(0.6, 1.0)
        parts += [rod((x, 0, 1.42), (x, 0, 1.5), 0.005, steel), box(x, 0, 1.42 - length, 0.05, 0.42, length, cloth)]
    return Prop("clothes rack", "clothes rack", parts, color=style.requested)


@builds("goods display")
def goods_display(style: Style) -> Prop:
    """Cartons stacked to a step pyramid with a price board."""
    rng = style.rng
    color = style.color("red", "yellow", "orange", "blue")
    parts: list[Primitive] = []
    for level, count in enumerate((3, 2, 1)):
        for i in range(count):
            skin = paint(color, 0.2) if (level + i) % 2 == 0 else carton(rng)
            parts.append(box(0.32 * (i - (count - 1) / 2), 0, 0.26 * level, 0.3, 0.42, 0.26, skin))
    parts += [
        rod((0, 0.1, 0.78), (0, 0.1, 1.1), 0.01, metal()),
        box(0, 0.1, 1.1, 0.4, 0.015, 0.28, paint("yellow")),
        box(0, 0.09, 1.17, 0.22, 0.006, 0.12, paint("red")),
    ]
    return Prop("goods display", f"display of {color} boxes", parts, color=color)
