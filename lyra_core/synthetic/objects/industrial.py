# SPDX-License-Identifier: Apache-2.0
"""Things of warehouses, workshops and factories."""

from __future__ import annotations

from random import Random

from ..palette import CARDBOARD, COLORS, fabric, lit, metal, paint, pattern, scaled, timber, vary
from ..primitives import Material, Primitive, Texture, ball, box, cylinder, rod
from .prop import Prop, Style, build, builds
from .wheels import RUBBER, wheel


def carton(rng: Random) -> Material:
    return pattern(vary(CARDBOARD, rng, 0.05), (0.8, 0.7, 0.48), Texture.CARTON, 1.0, gloss=0.0)


@builds("crate")
def crate(style: Style) -> Prop:
    rng = style.rng
    wood = paint(style.requested) if style.requested else timber(rng, scale=0.12)
    w, d, h = (rng.uniform(0.55, 0.85), rng.uniform(0.5, 0.7), rng.uniform(0.45, 0.7))
    edge = paint(scaled(wood.color, 0.75))
    parts = [box(0, 0, 0.02, w, d, h - 0.04, wood)]
    for sx in (-1, 1):
        for sy in (-1, 1):
            parts.append(box(sx * (w / 2 - 0.03), sy * (d / 2 - 0.03), 0, 0.08, 0.08, h, edge))
    parts += [
        box(0, 0, 0.005, w + 0.016, d + 0.016, 0.07, edge),
        box(0, 0, h - 0.075, w + 0.016, d + 0.016, 0.07, edge),
    ]
    return Prop("crate", f"{style.requested or 'wooden'} crate", parts, color=style.requested)


@builds("boxes")
def boxes(style: Style) -> Prop:
    rng = style.rng
    parts = []
    z = 0.0
    size = rng.uniform(0.48, 0.6)
    for _ in range(rng.randint(2, 3)):
        height = rng.uniform(0.26, 0.4)
        skin = paint(style.requested) if style.requested else carton(rng)
        parts.append(box(rng.uniform(-0.03, 0.03), 0, z, size, size * 0.85, height, skin, yaw=rng.uniform(-0.2, 0.2)))
        z += height
        size *= rng.uniform(0.72, 0.9)
    if rng.random() < 0.6:
        parts.append(
            box(
                0.55,
                0.02,
                0,
                0.4,
                0.36,
                0.32,
                paint(style.requested) if style.requested else carton(rng),
                yaw=rng.uniform(-0.3, 0.3),
            )
        )
    return Prop("boxes", f"{style.requested or 'cardboard'} boxes", parts, color=style.requested)


@builds("pallet")
def pallet(style: Style) -> Prop:
    rng = style.rng
    wood = timber(rng, rng.choice(["pine", "oak"]), scale=0.14, gloss=0.0)
    parts = [box(x, 0, 0, 0.1, 0.98, 0.1, wood) for x in (-0.52, 0, 0.52)]
    parts += [box(0, -0.43 + 0.2867 * i, 0.1, 1.16, 0.16, 0.03, wood) for i in range(4)]
    load = style.requested or rng.choice(["cartons", "cartons", "sacks", "blue", "orange", "green", "cream"])
    if load == "cartons":
        for level in range(rng.randint(1, 2)):
            for x in (-0.27, 0.27):
                for y in (-0.23, 0.23):
                    if level == 0 or rng.random() < 0.8:
                        parts.append(box(x, y, 0.13 + 0.36 * level, 0.52, 0.44, 0.36, carton(rng)))
    elif load == "sacks":
        cloth = fabric((0.7, 0.62, 0.48), rng)
        for level in range(3):
            for x in (-0.26, 0.26):
                parts.append(box(x, 0, 0.13 + 0.17 * level, 0.5, 0.82, 0.16, cloth, yaw=rng.uniform(-0.06, 0.06)))
    else:
        shell = paint(load, 0.25)
        for level in range(rng.randint(1, 2)):
            z = 0.13 + 0.5 * level
            parts += [
                box(0, 0, z, 1.08, 0.88, 0.44, shell),
                box(0, 0, z + 0.44, 1.12, 0.92, 0.05, paint(scaled(COLORS[load], 0.75))),
            ]
    return Prop(
        "pallet", f"pallet of {style.requested + ' bins' if style.requested else 'goods'}", parts, color=style.requested
    )


@builds("barrel")
def barrel(style: Style) -> Prop:
    color = style.color("blue", "red", "green", "yellow", "grey", "orange")
    steel, ring = paint(color, 0.5), paint(scaled(COLORS[color], 0.8), 0.5)
    parts = [
        cylinder(0, 0, 0, 0.29, 0.86, steel),
        cylinder(0, 0, 0.86, 0.26, 0.012, paint(scaled(COLORS[color], 0.6), 0.4)),
    ]
    parts += [cylinder(0, 0, z, 0.302, 0.035, ring) for z in (0.0, 0.28, 0.56, 0.83)]
    parts.append(cylinder(0.14, 0.05, 0.872, 0.035, 0.015, metal()))
    return Prop("barrel", f"{color} barrel", parts, color=color)


@builds("rack")
def rack(style: Style) -> Prop:
    rng = style.rng
    color = style.color("orange", "blue", "grey", "green", "red")
    length, height = rng.uniform(2.0, 2.6), 2.5
    post = paint(color, 0.3)
    beam = post if style.requested or rng.random() < 0.5 else paint("orange", 0.3)
    parts = [box(sx * (length / 2 - 0.04), sy * 0.4, 0, 0.08, 0.08, height, post) for sx in (-1, 1) for sy in (-1, 1)]
    for z in (0.14, 0.98, 1.82):
        parts += [
            box(0, 0, z, length - 0.16, 0.78, 0.04, paint((0.45, 0.42, 0.38))),
            box(0, -0.4, z - 0.05, length - 0.16, 0.05, 0.1, beam),
        ]
        parts += _shelf_load(rng, length - 0.3, 0.72, z + 0.04, 0.62)
    return Prop("rack", f"{color} storage rack", parts, color=color)


def _shelf_load(rng: Random, width: float, depth: float, z: float, height: float) -> list[Primitive]:
    """Boxes side by side on a shelf `width` wide, none touching the next."""
    parts: list[Primitive] = []
    x = -width / 2
    while x < width / 2 - 0.3:
        w = min(rng.uniform(0.42, 0.7), width / 2 - x)
        if rng.random() < 0.85:
            skin = (
                carton(rng)
                if rng.random() < 0.6
                else paint(rng.choice(["blue", "grey", "cream", "red", "teal", "white"]), 0.2)
            )
            parts.append(
                box(
                    x + w / 2,
                    rng.uniform(-0.04, 0.04),
                    z,
                    w - 0.05,
                    depth * rng.uniform(0.75, 0.9),
                    rng.uniform(0.28, height),
                    skin,
                )
            )
        x += w
    return parts


@builds("shelving")
def shelving(style: Style) -> Prop:
    rng = style.rng
    color = style.color("grey", "blue", "white", "dark grey")
    width, height = rng.uniform(1.2, 1.5), 1.85
    frame = paint(color, 0.4)
    parts = [box(sx * (width / 2 - 0.02), sy * 0.2, 0, 0.04, 0.04, height, frame) for sx in (-1, 1) for sy in (-1, 1)]
    tote = rng.choice(["blue", "red", "yellow", "green", "grey", "teal"])
    for z in (0.12, 0.68, 1.24, 1.8):
        parts.append(box(0, 0, z, width - 0.02, 0.4, 0.03, frame))
        if z < 1.5:
            count = 3
            for i in range(count):
                if rng.random() < 0.85:
                    x = (width - 0.1) * ((i + 0.5) / count - 0.5)
                    parts.append(
                        box(
                            x,
                            0,
                            z + 0.03,
                            (width - 0.1) / count - 0.04,
                            0.36,
                            0.24,
                            paint(tote if rng.random() < 0.7 else "grey", 0.25),
                        )
                    )
    return Prop("shelving", f"{color} shelving with totes", parts, color=color)


@builds("workbench")
def workbench(style: Style) -> Prop:
    rng = style.rng
    color = style.color("blue", "grey", "green", "red")
    width = rng.uniform(1.5, 1.9)
    frame = paint(color, 0.4)
    parts = [box(0, 0, 0.82, width, 0.7, 0.06, timber(rng, scale=0.2))]
    parts += [box(sx * (width / 2 - 0.06), sy * 0.28, 0, 0.07, 0.07, 0.82, frame) for sx in (-1, 1) for sy in (-1, 1)]
    parts += [
        box(0, 0, 0.2, width - 0.1, 0.6, 0.03, frame),
        box(width / 4, 0.02, 0.55, width / 2 - 0.2, 0.56, 0.27, frame),
    ]
    parts += [box(0, 0.33, 0.88, width, 0.03, 0.7, pattern((0.6, 0.6, 0.58), (0.4, 0.4, 0.4), Texture.TILES, 0.06))]
    for i in range(4):
        x = width * (-0.36 + 0.24 * i)
        parts += [
            box(x, 0.3, 1.15, 0.03, 0.02, 0.2, paint(rng.choice(["red", "yellow", "black", "blue"]))),
            box(x, 0.3, 1.35, 0.09, 0.02, 0.06, metal()),
        ]
    vise = [
        box(0, 0, 0, 0.16, 0.12, 0.1, paint("dark grey", 0.5)),
        box(0, -0.1, 0.04, 0.14, 0.05, 0.1, paint("dark grey", 0.5)),
        rod((0, -0.2, 0.08), (0, 0.0, 0.08), 0.014, metal()),
    ]
    things = [
        Prop("vise", "vise", vise).moved(-width / 2 + 0.2, -0.2, 0.88),
        build("toolbox", Style(rng)).moved(width / 2 - 0.35, 0.05, 0.88),
    ]
    return Prop("workbench", f"{color} workbench", parts, things, color)


@builds("cone")
def cone(style: Style) -> Prop:
    color = style.color("orange")
    body = paint(color, 0.2)
    band = paint((0.92, 0.92, 0.9), 0.2)
    parts = [box(0, 0, 0, 0.38, 0.38, 0.03, body)]
    radii = (0.15, 0.125, 0.09, 0.06, 0.03)
    heights = (0.03, 0.15, 0.32, 0.47, 0.66)
    for i in range(4):
        step = heights[i + 1] - heights[i]
        parts.append(cylinder(0, 0, heights[i], radii[i], step, (body, band)[i % 2], taper=radii[i + 1] / radii[i]))
    return Prop("cone", "traffic cone", parts, color=style.requested)


@builds("robot arm")
def robot_arm(style: Style) -> Prop:
    rng = style.rng
    color = style.color("orange", "yellow", "white", "blue", "red")
    shell, joint = paint(color, 0.5), paint("dark grey", 0.4)
    lean = rng.uniform(-0.15, 0.25)
    shoulder = (0.0, 0.0, 0.62)
    elbow = (0.0, 0.28 - lean, 1.38)
    wrist = (rng.uniform(-0.2, 0.2), -0.5 + rng.uniform(-0.1, 0.15), 1.3)
    hand = (wrist[0], wrist[1] - 0.05, 0.98)
    parts = [
        box(0, 0, 0, 0.62, 0.62, 0.05, joint),
        cylinder(0, 0, 0.05, 0.24, 0.16, joint),
        cylinder(0, 0, 0.21, 0.19, 0.3, shell, taper=0.85),
    ]
    parts += [rod((-0.17, 0, 0.62), (0.17, 0, 0.62), 0.15, joint), rod(shoulder, elbow, 0.11, shell, taper=0.85)]
    parts += [
        rod((-0.14, elbow[1], elbow[2]), (0.14, elbow[1], elbow[2]), 0.12, joint),
        rod(elbow, wrist, 0.09, shell, taper=0.75),
    ]
    parts += [
        ball(*wrist, 0.09, joint),
        rod(wrist, hand, 0.05, shell),
        box(hand[0], hand[1], hand[2] - 0.05, 0.18, 0.07, 0.05, joint),
    ]
    parts += [box(hand[0] + sx * 0.065, hand[1], hand[2] - 0.19, 0.025, 0.05, 0.14, metal()) for sx in (-1, 1)]
    return Prop("robot arm", f"{color} robot arm", parts, color=color)


@builds("forklift")
def forklift(style: Style) -> Prop:
    color = style.color("yellow", "orange", "red", "green")
    body, dark = paint(color, 0.5), paint((0.09, 0.09, 0.1), 0.3)
    parts: list[Primitive] = []
    for x in (-0.46, 0.46):
        parts += wheel(x, -0.45, 0.27, 0.2) + wheel(x, 0.75, 0.23, 0.18)
    parts += [
        box(0, 0.2, 0.24, 0.74, 1.5, 0.34, body),
        box(0, 0.72, 0.42, 1.04, 0.62, 0.5, body),
        box(0, 0.99, 0.32, 0.96, 0.12, 0.5, paint(scaled(COLORS[color], 0.8), 0.4)),
    ]
    parts += [box(0, 0.36, 0.6, 0.5, 0.46, 0.16, dark), box(0, 0.58, 0.74, 0.5, 0.1, 0.46, dark, pitch=-0.12)]
    parts += [rod((0, -0.28, 0.58), (0, -0.05, 0.98), 0.02, dark), rod((0, -0.09, 0.94), (0, -0.06, 0.98), 0.15, dark)]
    for x in (-0.46, 0.46):
        parts += [
            rod((x, -0.32, 0.58), (x, -0.22, 2.02), 0.032, dark),
            rod((x, 0.86, 0.9), (x, 0.66, 2.02), 0.032, dark),
        ]
    parts += [box(0, 0.22, 2.02, 1.0, 1.02, 0.05, dark), box(0, -0.46, 0.46, 0.84, 0.1, 0.14, dark)]
    for x in (-0.28, 0.28):
        parts += [box(x, -0.78, 0.06, 0.09, 0.1, 2.1, dark), box(x, -1.4, 0.05, 0.12, 1.1, 0.045, metal("dark grey"))]
    parts += [
        box(0, -0.84, 0.1, 0.9, 0.04, 0.34, dark),
        box(0, -0.78, 2.1, 0.64, 0.1, 0.06, dark),
        box(0, -0.78, 1.2, 0.64, 0.08, 0.06, dark),
    ]
    parts += [rod((0, -0.74, 0.1), (0, -0.74, 1.7), 0.03, metal()), ball(0.36, 0.45, 2.11, 0.055, lit("orange", 1.2))]
    return Prop("forklift", f"{color} forklift", parts, color=color)


@builds("conveyor")
def conveyor(style: Style) -> Prop:
    rng = style.rng
    color = style.color("blue", "grey", "green", "orange")
    length = rng.uniform(2.4, 3.2)
    frame = paint(color, 0.4)
    parts = [box(0, 0, 0.72, length, 0.62, 0.05, pattern((0.07, 0.07, 0.08), (0.12, 0.12, 0.13), Texture.STRIPES, 0.1))]
    parts += [box(0, sy * 0.34, 0.66, length, 0.05, 0.16, frame) for sy in (-1, 1)]
    parts += [box(sx * length * 0.38, sy * 0.3, 0, 0.07, 0.07, 0.68, frame) for sx in (-1, 1) for sy in (-1, 1)]
    parts += [box(sx * length * 0.38, 0, 0.2, 0.05, 0.6, 0.05, frame) for sx in (-1, 1)]
    parts += [rod((sx * length / 2, -0.31, 0.72), (sx * length / 2, 0.31, 0.72), 0.05, metal()) for sx in (-1, 1)]
    things = []
    for i in range(3):
        w = rng.uniform(0.3, 0.45)
        thing = [box(0, 0, 0, w, 0.36, rng.uniform(0.2, 0.36), carton(rng), yaw=rng.uniform(-0.15, 0.15))]
        things.append(
            Prop("box", "cardboard box", thing).moved(length * (-0.32 + 0.32 * i) + rng.uniform(-0.08, 0.08), 0, 0.77)
        )
    return Prop("conveyor", f"{color} conveyor", parts, things, color)


@builds("mobile robot")
def mobile_robot(style: Style) -> Prop:
    rng = style.rng
    color = style.color("blue", "white", "orange", "grey", "teal")
    body, dark = paint(color, 0.4), paint((0.07, 0.07, 0.08), 0.3)
    parts = [
        box(0, 0, 0.07, 0.62, 0.9, 0.2, body),
        box(0, 0, 0.27, 0.66, 0.94, 0.035, dark),
        box(0, 0, 0.03, 0.54, 0.8, 0.05, dark),
    ]
    parts += [rod((sx * 0.3, 0, 0.09), (sx * 0.33, 0, 0.09), 0.09, RUBBER) for sx in (-1, 1)]
    parts += [
        box(0, -0.452, 0.15, 0.5, 0.012, 0.03, lit((0.2, 0.8, 1.0), 1.2)),
        cylinder(0.2, -0.34, 0.305, 0.05, 0.06, dark),
    ]
    things = []
    if rng.random() < 0.7:
        tote = rng.choice(["blue", "red", "yellow", "grey"])
        shell = [
            box(0, 0, 0, 0.46, 0.42, 0.28, paint(tote, 0.25)),
            box(0, 0, 0.28, 0.5, 0.46, 0.03, paint(scaled(COLORS[tote], 0.8), 0.25)),
        ]
        things.append(Prop("tote", f"{tote} tote", shell, color=tote).moved(0, 0.12, 0.305))
    return Prop("mobile robot", f"{color} mobile robot", parts, things, color)


@builds("ladder")
def ladder(style: Style) -> Prop:
    color = style.color("yellow", "grey", "orange", "red")
    rail = paint(color, 0.4)
    step = metal((0.6, 0.61, 0.63))
    parts: list[Primitive] = []
    for x in (-0.24, 0.24):
        parts += [
            rod((x * 1.15, -0.42, 0.0), (x * 0.8, -0.02, 1.8), 0.026, rail),
            rod((x * 1.15, 0.42, 0.0), (x * 0.8, 0.02, 1.8), 0.022, rail),
        ]
    for i in range(5):
        share = (i + 1) / 6
        parts.append(box(0, -0.42 + 0.4 * share, 1.8 * share, 0.5 - 0.13 * share, 0.1, 0.03, step))
    parts.append(box(0, 0, 1.8, 0.42, 0.16, 0.04, paint("black")))
    return Prop("ladder", f"{color} ladder", parts, color=color)


@builds("trolley")
def trolley(style: Style) -> Prop:
    rng = style.rng
    color = style.color("blue", "grey", "red", "green")
    bed_, pipe = paint(color, 0.3), metal((0.6, 0.61, 0.63))
    parts = [box(0, 0, 0.18, 0.95, 0.58, 0.04, bed_)]
    parts += [rod((x - 0.02, y, 0.08), (x + 0.02, y, 0.08), 0.08, RUBBER) for x in (-0.38, 0.38) for y in (-0.22, 0.22)]
    parts += [rod((0.46, sy * 0.25, 0.2), (0.52, sy * 0.25, 0.98), 0.016, pipe) for sy in (-1, 1)]
    parts.append(rod((0.52, -0.26, 0.98), (0.52, 0.26, 0.98), 0.016, pipe))
    things = []
    z = 0.22
    for size in (0.5, 0.4)[: rng.randint(1, 2)]:
        height = rng.uniform(0.25, 0.35)
        parcel = [box(0, 0, 0, size * 1.2, size, height, carton(rng))]
        things.append(Prop("box", "cardboard box", parcel).moved(-0.05, 0, z, rng.uniform(-0.1, 0.1)))
        z += height
    return Prop("trolley", f"{color} trolley", parts, things, color)


@builds("bin")
def bin_(style: Style) -> Prop:
    color = style.color("green", "grey", "blue", "black")
    shell = paint(color, 0.3)
    parts = [
        box(0, 0, 0.05, 0.5, 0.55, 0.88, shell),
        box(0, 0.0, 0.93, 0.56, 0.62, 0.06, paint(scaled(COLORS[color], 0.7), 0.3)),
        box(0, -0.31, 0.9, 0.4, 0.03, 0.03, shell),
    ]
    parts += [rod((sx * 0.2 - 0.03, 0.26, 0.08), (sx * 0.2 + 0.03, 0.26, 0.08), 0.08, RUBBER) for sx in (-1, 1)]
    return Prop("bin", f"{color} bin", parts, color=color)


@builds("machine")
def machine(style: Style) -> Prop:
    rng = style.rng
    color = style.color("green", "blue", "white", "grey")
    shell, dark = paint(color, 0.4), paint("dark grey", 0.4)
    width = rng.uniform(1.3, 1.7)
    parts = [
        box(0, 0, 0, width, 0.8, 0.12, dark),
        box(0, 0.04, 0.12, width, 0.7, 1.5, shell),
        box(
            -width * 0.12,
            -0.32,
            0.62,
            width * 0.58,
            0.03,
            0.72,
            pattern((0.1, 0.13, 0.16), (0.2, 0.25, 0.3), Texture.PLAIN, 1.0, gloss=0.9),
        ),
        box(width * 0.34, -0.33, 0.7, width * 0.22, 0.06, 0.56, dark),
        box(width * 0.34, -0.365, 0.98, width * 0.17, 0.006, 0.2, lit((0.3, 0.75, 0.85), 0.9)),
        box(0, -0.315, 0.2, width * 0.8, 0.02, 0.3, paint(scaled(COLORS[color], 0.8), 0.3)),
        cylinder(width * 0.4, 0.2, 1.62, 0.03, 0.08, dark),
    ]
    parts += [
        cylinder(width * 0.4, 0.2, 1.7 + 0.07 * i, 0.035, 0.065, lit(c, 0.9))
        for i, c in enumerate(("green", "orange", "red"))
    ]
    parts += [
        rod((width * (0.3 + 0.05 * i), -0.365, 0.82), (width * (0.3 + 0.05 * i), -0.38, 0.82), 0.02, paint(c))
        for i, c in enumerate(("red", "green"))
    ]
    return Prop("machine", f"{color} machine", parts, color=color)


@builds("gas bottles")
def gas_bottles(style: Style) -> Prop:
    parts: list[Primitive] = []
    for x in (-0.18, 0.18):
        color = style.color("red", "blue", "green", "yellow", "grey")
        parts += [
            cylinder(x, 0, 0, 0.13, 1.15, paint(color, 0.5)),
            ball(x, 0, 1.15, 0.13, paint(color, 0.5), height=0.12),
            cylinder(x, 0, 1.25, 0.03, 0.1, metal()),
        ]
    parts.append(box(0, 0, 0.75, 0.7, 0.3, 0.04, paint("dark grey")))
    return Prop("gas bottles", "gas bottles", parts, color=style.requested)
