# SPDX-License-Identifier: Apache-2.0
"""Things of yards and streets."""

from __future__ import annotations

from random import Random

from ..palette import COLORS, LAMP_LIGHT, fabric, lit, metal, paint, pattern, scaled, timber, vary
from ..primitives import Material, Primitive, Texture, ball, box, cylinder, ellipsoid, rod
from .prop import Prop, Style, build, builds

_RUBBER = paint((0.035, 0.035, 0.04))
_PANE = pattern((0.1, 0.14, 0.19), (0.1, 0.14, 0.19), Texture.PLAIN, 1.0, gloss=0.9)


def _leaves(rng: Random, green: tuple[float, float, float] = (0.12, 0.36, 0.1)) -> Material:
    tint = vary(green, rng, 0.05)
    return pattern(scaled(tint, 0.45), scaled(tint, 1.3), Texture.FOLIAGE, 0.5, gloss=0.0)


def _bark() -> Material:
    return pattern((0.26, 0.18, 0.11), (0.15, 0.1, 0.06), Texture.SPECKLE, 0.5, gloss=0.0)


@builds("tree")
def tree(style: Style) -> Prop:
    rng = style.rng
    if rng.random() < 0.3:
        return _pine(rng)
    autumn = COLORS[style.requested] if style.requested else None
    leaf = _leaves(rng, autumn or rng.choice([(0.12, 0.36, 0.1), (0.2, 0.4, 0.1), (0.1, 0.3, 0.14)]))
    trunk = rng.uniform(1.3, 1.8)
    parts = [
        cylinder(0, 0, 0, 0.15, trunk + 0.5, _bark(), taper=0.6),
        rod((0, 0, trunk * 0.8), (0.5, 0.1, trunk + 0.6), 0.06, _bark()),
    ]
    crown = rng.uniform(0.75, 0.95)
    parts.append(ball(0, 0, trunk + 0.95, crown, leaf, height=crown * 0.9))
    for i in range(5):
        x, y = ((0.62, 0.1), (-0.55, 0.25), (0.05, -0.6), (-0.2, 0.55), (0.15, 0.1))[i]
        z = trunk + (0.6, 0.7, 0.75, 0.85, 1.6)[i] + rng.uniform(-0.1, 0.1)
        parts.append(ball(x * crown * 1.2, y * crown * 1.2, z, rng.uniform(0.5, 0.68), leaf))
    return Prop("tree", f"{style.requested or 'leafy'} tree", parts, color=style.requested)


def _pine(rng: Random) -> Prop:
    leaf = _leaves(rng, (0.06, 0.25, 0.13))
    parts = [cylinder(0, 0, 0, 0.13, 1.0, _bark(), taper=0.8)]
    for i in range(4):
        parts.append(cylinder(0, 0, 0.7 + i * 0.68, 1.1 - 0.24 * i, 1.15, leaf, taper=0.12))
    return Prop("tree", "pine tree", parts)


@builds("bush")
def bush(style: Style) -> Prop:
    rng = style.rng
    leaf = _leaves(rng)
    parts = [
        ellipsoid(0, 0, 0.32, (0.5, 0.42, 0.38), leaf),
        ellipsoid(0.36, 0.06, 0.25, (0.34, 0.32, 0.3), leaf),
        ellipsoid(-0.34, -0.05, 0.27, (0.36, 0.33, 0.32), leaf),
    ]
    bloom = style.requested or rng.choice(["pink", "white", "red", "yellow", "none"])
    if bloom != "none":
        for _ in range(6):
            x = rng.uniform(-0.4, 0.4)
            parts.append(ball(x, -0.36 + 0.5 * x * x, rng.uniform(0.3, 0.52), 0.045, paint(bloom)))
    return Prop("bush", "flowering bush" if bloom != "none" else "bush", parts, color=style.requested)


@builds("hedge")
def hedge(style: Style) -> Prop:
    rng = style.rng
    leaf = _leaves(rng, (0.1, 0.3, 0.1))
    length, height = rng.uniform(3.2, 4.5), rng.uniform(1.0, 1.5)
    return Prop("hedge", "hedge", [box(0, 0, 0, length, 0.6, height, leaf)])


@builds("flower bed")
def flower_bed(style: Style) -> Prop:
    rng = style.rng
    width = rng.uniform(1.3, 1.8)
    edge = timber(rng, "walnut")
    parts = [box(0, 0, 0, width, 0.7, 0.16, edge), box(0, 0, 0.15, width - 0.08, 0.62, 0.02, paint((0.13, 0.08, 0.05)))]
    for i in range(9):
        x = width * ((i + 0.5) / 9 - 0.5) * 0.9
        y, z = rng.uniform(-0.2, 0.2), rng.uniform(0.34, 0.46)
        bloom = paint(style.color("red", "yellow", "pink", "purple", "white", "orange"))
        parts += [rod((x, y, 0.16), (x, y, z), 0.012, paint((0.12, 0.38, 0.1))), ball(x, y, z, 0.055, bloom)]
    return Prop("flower bed", "flower bed", parts, color=style.requested)


@builds("fence")
def fence(style: Style) -> Prop:
    rng = style.rng
    white = rng.random() < 0.5
    board = paint(style.requested or "white", 0.1) if style.requested or white else timber(rng, "oak", scale=0.3)
    if rng.random() < 0.5:
        parts = [box(0, 0.03, z, 3.6, 0.04, 0.09, board) for z in (0.3, 0.78)]
        parts += [box(-1.6 + i * 0.4, 0, 0.03, 0.24, 0.025, 1.07, board) for i in range(9)]
    else:
        planks = pattern(board.color, scaled(board.color, 0.82), Texture.STRIPES, 0.14, gloss=0.0)
        parts = [box(0, 0, 0.05, 3.6, 0.04, 1.45, planks), box(0, 0, 1.5, 3.6, 0.1, 0.05, board)]
        parts += [box(sx * 1.74, 0, 0, 0.12, 0.12, 1.62, board) for sx in (-1, 1)]
    return Prop("fence", "fence", parts, color=style.requested)


@builds("bench")
def bench(style: Style) -> Prop:
    wood = paint(style.requested, 0.15) if style.requested else timber(style.rng, scale=0.12)
    iron = paint("black", 0.4)
    parts = [box(0, y, 0.42, 1.6, 0.11, 0.035, wood) for y in (-0.17, -0.04, 0.09)]
    parts += [box(0, 0.19 + 0.02 * i, 0.56 + 0.16 * i, 1.6, 0.035, 0.11, wood) for i in range(2)]
    for x in (-0.65, 0.65):
        parts += [
            box(x, -0.03, 0.38, 0.05, 0.4, 0.04, iron),
            box(x, -0.18, 0, 0.05, 0.05, 0.38, iron),
            rod((x, 0.15, 0), (x, 0.24, 0.85), 0.028, iron),
        ]
    return Prop("bench", f"{style.requested or 'wooden'} bench", parts, color=style.requested)


@builds("picnic table")
def picnic_table(style: Style) -> Prop:
    wood = paint(style.requested, 0.15) if style.requested else timber(style.rng, "pine", scale=0.14)
    parts = [box(0, 0, 0.7, 1.7, 0.75, 0.05, wood)]
    parts += [box(0, sy * 0.68, 0.42, 1.7, 0.28, 0.045, wood) for sy in (-1, 1)]
    for x in (-0.6, 0.6):
        parts += [rod((x, sy * 0.62, 0), (x, sy * 0.2, 0.7), 0.04, wood) for sy in (-1, 1)]
        parts.append(box(x, 0, 0.36, 0.08, 1.5, 0.06, wood))
    return Prop("picnic table", "picnic table", parts, color=style.requested)


@builds("car")
def car(style: Style) -> Prop:
    """A compact car with its bonnet towards -y."""
    color = style.color("red", "blue", "white", "grey", "yellow", "green", "teal", "orange", "black")
    body = paint(color, 0.8)
    dark = paint((0.06, 0.06, 0.07), 0.3)
    parts: list[Primitive] = [box(0, 0, 0.2, 1.64, 3.9, 0.2, dark), box(0, 0, 0.32, 1.72, 4.0, 0.34, body)]
    parts += [box(0, 0.25, 0.66, 1.68, 3.2, 0.12, body), box(0, -1.42, 0.6, 1.6, 1.05, 0.16, body, pitch=0.07)]
    parts += [box(0, 0.42, 0.78, 1.42, 1.75, 0.5, _PANE), box(0, 0.45, 1.27, 1.36, 1.6, 0.06, body)]
    parts += [
        box(0, -0.62, 0.74, 1.4, 0.05, 0.68, _PANE, pitch=-0.75),
        box(0, 1.42, 0.74, 1.4, 0.05, 0.62, _PANE, pitch=0.5),
    ]
    for x in (-0.7, 0.7):
        parts += [
            rod((x, -0.86, 0.76), (x * 0.95, -0.35, 1.28), 0.035, body),
            rod((x, 1.56, 0.76), (x * 0.95, 1.24, 1.28), 0.04, body),
        ]
        parts += [
            box(x * 0.86, -2.0, 0.5, 0.34, 0.03, 0.13, lit((0.95, 0.94, 0.88), 0.95)),
            box(x * 0.9, 2.0, 0.52, 0.3, 0.03, 0.13, lit((0.75, 0.06, 0.05), 0.8)),
        ]
    parts += [box(0, 0.42, 0.76, 1.44, 0.08, 0.54, body), box(0, -2.01, 0.34, 1.0, 0.03, 0.14, dark)]
    for x in (-1, 1):
        for y in (-1.22, 1.25):
            parts += [
                rod((x * 0.66, y, 0.33), (x * 0.875, y, 0.33), 0.33, _RUBBER),
                rod((x * 0.87, y, 0.33), (x * 0.885, y, 0.33), 0.19, metal((0.6, 0.61, 0.63))),
            ]
    return Prop("car", f"{color} car", parts, color=color)


@builds("van")
def van(style: Style) -> Prop:
    color = style.color("white", "grey", "blue", "yellow", "red")
    body = paint(color, 0.6)
    dark = paint((0.06, 0.06, 0.07), 0.3)
    parts: list[Primitive] = [
        box(0, 0, 0.25, 1.8, 4.8, 0.2, dark),
        box(0, 0.45, 0.4, 1.86, 3.9, 1.7, body),
        box(0, -1.95, 0.4, 1.82, 0.95, 0.6, body),
    ]
    parts += [box(0, -1.72, 0.92, 1.66, 0.06, 1.0, _PANE, pitch=-0.5), box(0, -1.36, 0.95, 1.8, 0.5, 0.98, body)]
    for x in (-0.92, 0.92):
        parts.append(box(x, -1.2, 1.15, 0.03, 0.7, 0.55, _PANE))
        parts.append(box(x * 0.72, -2.43, 0.6, 0.32, 0.03, 0.18, lit((0.95, 0.94, 0.88), 0.95)))
        for y in (-1.55, 1.6):
            parts += [
                rod((x * 0.76, y, 0.36), (x, y, 0.36), 0.36, _RUBBER),
                rod((x * 0.99, y, 0.36), (x * 1.01, y, 0.36), 0.2, metal((0.6, 0.61, 0.63))),
            ]
    parts.append(box(0, -2.43, 0.36, 1.2, 0.03, 0.16, dark))
    return Prop("van", f"{color} van", parts, color=color)


@builds("house")
def house(style: Style) -> Prop:
    """A gabled house; its front faces -y."""
    rng = style.rng
    color = style.color("white", "cream", "red", "blue", "grey", "yellow", "pink", "teal")
    storeys = rng.choice([1, 2])
    length, depth, height = rng.uniform(5.0, 7.0), 4.0, 2.7 * storeys + 0.2
    skin = scaled(COLORS[color], 0.92) if color in ("white", "cream") else vary(COLORS[color], rng, 0.04)
    soft = (skin[0] * 0.7 + 0.2, skin[1] * 0.7 + 0.2, skin[2] * 0.7 + 0.2) if not style.requested else skin
    texture = rng.choice([Texture.SIDING, Texture.BRICK, Texture.SPECKLE])
    wall = pattern(
        soft,
        (0.75, 0.72, 0.68) if texture is Texture.BRICK else scaled(soft, 0.9),
        texture,
        0.3 if texture is not Texture.SPECKLE else 2.0,
    )
    tile = pattern(rng.choice([(0.3, 0.13, 0.09), (0.16, 0.17, 0.19), (0.28, 0.19, 0.13)]), "black", Texture.ROOF, 0.4)
    trim = paint("white", 0.2)
    parts = [box(0, 0, 0, length, depth, height, wall)]
    slope = 0.62
    for sy in (-1, 1):
        parts.append(box(0, sy * 1.13, height + 0.62, length + 0.6, 2.9, 0.14, tile, pitch=-sy * slope))
    for i in range(3):
        parts.append(box(0, 0, height + 0.5 * i, length, depth - 1.35 - 1.25 * i, 0.5, wall))
    spots = [(-length * 0.3, 0), (length * 0.3, 0)] + (
        [(-length * 0.3, 1), (0.0, 1), (length * 0.3, 1)] if storeys == 2 else []
    )
    glow = rng.random() < 0.25
    for x, level in spots:
        z = 0.95 + 2.7 * level
        glass = pattern((0.35, 0.47, 0.6), (0.9, 0.9, 0.88), Texture.WINDOW, 0.55, gloss=0.9)
        if glow:
            glass = Material((0.95, 0.75, 0.4), (0.9, 0.9, 0.88), Texture.WINDOW, 0.55, emission=0.9)
        parts += [
            box(x, -depth / 2 - 0.01, z - 0.08, 1.3, 0.08, 1.36, trim),
            box(x, -depth / 2 - 0.03, z, 1.1, 0.08, 1.2, glass),
        ]
    door = paint(rng.choice(["red", "green", "blue", "brown", "teal"]), 0.3)
    parts += [
        box(0, -depth / 2 - 0.01, 0, 1.15, 0.08, 2.2, trim),
        box(0, -depth / 2 - 0.03, 0.1, 0.95, 0.08, 2.0, door),
        ball(0.36, -depth / 2 - 0.1, 1.05, 0.04, metal("yellow")),
    ]
    parts.append(box(0, -depth / 2 - 0.45, 0, 1.6, 0.9, 0.1, paint((0.5, 0.49, 0.47))))
    parts.append(
        box(
            length * 0.28,
            0.5,
            height + 0.6,
            0.55,
            0.55,
            1.5,
            pattern((0.45, 0.2, 0.14), (0.7, 0.66, 0.6), Texture.BRICK, 0.25),
        )
    )
    return Prop("house", f"{color} house", parts, color=color)


@builds("shop")
def shop(style: Style) -> Prop:
    """A flat-roofed town building with a shop window and an awning."""
    rng = style.rng
    color = style.color("red", "grey", "cream", "orange", "teal", "brown")
    length, storeys = rng.uniform(5.5, 7.0), rng.choice([2, 3])
    height = 3.0 * storeys
    wall = pattern(
        vary(COLORS[color], rng, 0.05), (0.75, 0.72, 0.68), rng.choice([Texture.BRICK, Texture.SPECKLE]), 0.3
    )
    trim = paint("cream")
    parts = [
        box(0, 0, 0, length, 4, height, wall),
        box(0, -0.1, height, length + 0.3, 4.2, 0.3, trim),
        box(0, -2.03, 2.75, length, 0.1, 0.25, trim),
    ]
    parts += [
        box(
            -0.8,
            -2.03,
            0.5,
            length - 2.6,
            0.06,
            1.9,
            pattern((0.3, 0.4, 0.48), (0.12, 0.12, 0.12), Texture.WINDOW, 1.2, gloss=0.9),
        ),
        box(length / 2 - 1.0, -2.03, 0, 1.0, 0.06, 2.2, paint(rng.choice(["green", "blue", "brown"]), 0.4)),
    ]
    cloth = rng.choice(["red", "green", "blue", "orange"])
    parts.append(
        box(-0.8, -2.5, 2.35, length - 2.4, 1.1, 0.06, pattern(cloth, "white", Texture.STRIPES, 0.35), pitch=0.3)
    )
    for level in range(1, storeys):
        for i in range(3):
            x, z = length * (-0.32 + 0.32 * i), 3.0 * level + 0.8
            glass = (
                Material((0.95, 0.76, 0.42), (0.9, 0.9, 0.88), Texture.WINDOW, 0.5, emission=0.9)
                if rng.random() < 0.2
                else pattern((0.33, 0.45, 0.57), (0.9, 0.9, 0.88), Texture.WINDOW, 0.5, gloss=0.9)
            )
            parts.append(box(x, -2.0, z, 1.0, 0.08, 1.4, glass))
        parts.append(box(0, -2.02, 3.0 * level + 0.68, length * 0.9, 0.12, 0.1, trim))
    return Prop("shop", f"{color} building", parts, color=color)


@builds("street lamp")
def street_lamp(style: Style) -> Prop:
    pole = paint(style.color("dark grey", "black", "green"), 0.4)
    parts = [
        cylinder(0, 0, 0, 0.11, 0.5, pole, taper=0.6),
        cylinder(0, 0, 0.5, 0.06, 3.6, pole, taper=0.7),
        rod((0, 0, 4.05), (0, -0.9, 4.25), 0.04, pole),
    ]
    parts += [box(0, -1.05, 4.2, 0.26, 0.6, 0.09, pole), box(0, -1.05, 4.18, 0.2, 0.5, 0.03, lit(LAMP_LIGHT, 1.2))]
    return Prop("street lamp", "street lamp", parts, color=style.requested)


@builds("traffic light")
def traffic_light(style: Style) -> Prop:
    dark = paint((0.07, 0.08, 0.08), 0.4)
    parts = [cylinder(0, 0, 0, 0.07, 2.6, paint("dark grey", 0.4)), box(0, -0.03, 2.4, 0.3, 0.24, 0.86, dark)]
    on = style.rng.randrange(3)
    for i, lamp in enumerate(((0.1, 0.7, 0.3), (0.9, 0.6, 0.05), (0.8, 0.08, 0.06))):
        parts.append(
            rod(
                (0, -0.1, 2.55 + 0.27 * i),
                (0, -0.165, 2.55 + 0.27 * i),
                0.1,
                lit(lamp, 1.1) if i == on else paint(scaled(lamp, 0.25)),
            )
        )
    return Prop("traffic light", "traffic light", parts)


@builds("hydrant")
def hydrant(style: Style) -> Prop:
    color = style.color("red", "yellow")
    iron = paint(color, 0.4)
    parts = [
        cylinder(0, 0, 0, 0.16, 0.06, iron),
        cylinder(0, 0, 0.06, 0.11, 0.5, iron),
        ball(0, 0, 0.56, 0.12, iron),
        rod((-0.2, 0, 0.42), (0.2, 0, 0.42), 0.05, iron),
        cylinder(0, 0, 0.66, 0.03, 0.06, iron),
    ]
    return Prop("hydrant", f"{color} hydrant", parts, color=color)


@builds("mailbox")
def mailbox(style: Style) -> Prop:
    color = style.color("red", "blue", "yellow", "green")
    skin = paint(color, 0.4)
    parts = [
        box(0, 0, 0.3, 0.46, 0.4, 0.75, skin),
        rod((-0.23, 0, 1.05), (0.23, 0, 1.05), 0.2, skin),
        box(0, -0.205, 0.92, 0.3, 0.02, 0.04, paint("black")),
    ]
    parts += [box(sx * 0.17, sy * 0.14, 0, 0.06, 0.06, 0.3, paint("black")) for sx in (-1, 1) for sy in (-1, 1)]
    return Prop("mailbox", f"{color} mailbox", parts, color=color)


@builds("shed")
def shed(style: Style) -> Prop:
    rng = style.rng
    board = paint(style.requested) if style.requested else None
    wall = board or pattern(
        rng.choice([(0.42, 0.28, 0.16), (0.3, 0.4, 0.38), (0.45, 0.16, 0.12)]), "black", Texture.SIDING, 0.16
    )
    roof = pattern((0.2, 0.2, 0.22), "black", Texture.ROOF, 0.3)
    parts = [box(0, 0, 0, 2.4, 2.0, 2.0, wall)]
    parts += [box(sx * 0.68, 0, 2.25, 1.55, 2.3, 0.08, roof, roll=sx * 0.42) for sx in (-1, 1)]
    parts += [box(0, 0, 2.0, 1.5, 1.98, 0.25, wall), box(0, 0, 2.25, 0.6, 1.98, 0.2, wall)]
    parts += [
        box(-0.35, -1.01, 0.05, 0.9, 0.05, 1.75, paint("white", 0.1)),
        box(-0.35, -1.03, 0.1, 0.78, 0.04, 1.65, paint(scaled(wall.color, 1.3))),
    ]
    parts.append(
        box(
            0.72,
            -1.01,
            1.0,
            0.56,
            0.05,
            0.56,
            pattern((0.3, 0.42, 0.52), (0.9, 0.9, 0.88), Texture.WINDOW, 0.28, gloss=0.9),
        )
    )
    return Prop("shed", f"{style.requested or 'garden'} shed", parts, color=style.requested)


@builds("swing")
def swing(style: Style) -> Prop:
    color = style.color("red", "blue", "green", "yellow")
    steel = paint(color, 0.4)
    rope = paint((0.55, 0.48, 0.36))
    parts = [rod((-1.3, 0, 2.1), (1.3, 0, 2.1), 0.05, steel)]
    parts += [rod((sx * 1.3, sy * 0.7, 0), (sx * 1.2, 0, 2.1), 0.045, steel) for sx in (-1, 1) for sy in (-1, 1)]
    for x in (-0.55, 0.55):
        parts += [rod((x + dx, 0, 0.5), (x + dx, 0, 2.1), 0.012, rope) for dx in (-0.2, 0.2)]
        parts.append(box(x, 0, 0.47, 0.48, 0.2, 0.04, timber(style.rng, "oak")))
    return Prop("swing", f"{color} swing", parts, color=color)


@builds("parasol")
def parasol(style: Style) -> Prop:
    rng = style.rng
    color = style.color("red", "cream", "green", "orange", "blue")
    top = rng.choice([0.62, 0.7])
    parts = [
        cylinder(0, 0, 0, 0.24, 0.08, paint("grey")),
        cylinder(0, 0, 0.08, 0.025, 2.25, paint("white")),
        cylinder(0, 0, 1.95, 1.25, 0.45, fabric(color, rng), taper=0.04),
    ]
    parts += [
        cylinder(0, 0, top, 0.5, 0.03, paint("white", 0.3)),
        cylinder(0, 0, 0.08, 0.05, top - 0.08, paint("white")),
    ]
    return Prop("parasol", f"{color} parasol", parts, color=color)


@builds("deck chair")
def deck_chair(style: Style) -> Prop:
    rng = style.rng
    color = style.color("red", "blue", "green", "yellow", "orange")
    wood = timber(rng, "pine")
    cloth = pattern(color, "white", Texture.STRIPES, 0.09)
    parts = [
        box(0, -0.2, 0.3, 0.5, 0.55, 0.03, cloth, pitch=-0.1),
        box(0, 0.3, 0.33, 0.5, 0.035, 0.7, cloth, pitch=-0.55),
    ]
    for x in (-0.28, 0.28):
        parts += [
            rod((x, -0.5, 0.36), (x, 0.5, 0.2), 0.02, wood),
            rod((x, -0.42, 0.0), (x, -0.42, 0.36), 0.02, wood),
            rod((x, 0.12, 0.28), (x, 0.5, 0.95), 0.02, wood),
            rod((x, 0.4, 0), (x, 0.3, 0.55), 0.02, wood),
        ]
    return Prop("deck chair", f"{color} deck chair", parts, color=color)


@builds("wheelbarrow")
def wheelbarrow(style: Style) -> Prop:
    color = style.color("green", "red", "blue", "orange")
    tray, pipe = paint(color, 0.4), paint("dark grey", 0.4)
    parts = [
        box(0, 0, 0.36, 0.6, 0.85, 0.06, tray),
        box(0, -0.44, 0.38, 0.6, 0.05, 0.24, tray, pitch=0.35),
        box(0, 0.42, 0.38, 0.6, 0.05, 0.22, tray),
    ]
    parts += [box(sx * 0.3, 0, 0.38, 0.04, 0.85, 0.22, tray) for sx in (-1, 1)]
    parts += [ellipsoid(0, 0, 0.42, (0.28, 0.4, 0.2), paint((0.16, 0.1, 0.06)))]
    parts += [rod((-0.04, -0.62, 0.19), (0.04, -0.62, 0.19), 0.19, _RUBBER)]
    parts += [rod((sx * 0.08, -0.6, 0.2), (sx * 0.28, 0.95, 0.5), 0.02, pipe) for sx in (-1, 1)]
    parts += [rod((sx * 0.22, 0.32, 0.36), (sx * 0.24, 0.36, 0), 0.02, pipe) for sx in (-1, 1)]
    return Prop("wheelbarrow", f"{color} wheelbarrow", parts, color=color)


@builds("outdoor set")
def outdoor_set(style: Style) -> Prop:
    """A garden table with two chairs."""
    top = paint(style.color("white", "green", "brown"), 0.2)
    parts = [
        cylinder(0, 0, 0.7, 0.5, 0.035, top),
        cylinder(0, 0, 0, 0.05, 0.7, top),
        cylinder(0, 0, 0, 0.28, 0.03, top),
    ]
    chairs = [build("chair", style.free()).moved(sx * 0.95, 0.05, 0, -sx * 1.35) for sx in (-1, 1)]
    return Prop("outdoor set", "garden table", parts, chairs, style.requested)
