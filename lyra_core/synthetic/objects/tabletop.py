# SPDX-License-Identifier: Apache-2.0
"""Small things that stand on tables, desks and shelves."""

from __future__ import annotations

import math

from ..lighting import Glow
from ..palette import COLORS, LAMP_LIGHT, display, lit, metal, paint, pattern, vary
from ..primitives import Texture, ball, box, cylinder, rod
from .prop import Prop, Style, builds

ANY_COLOR = tuple(COLORS)


@builds("mug")
def mug(style: Style) -> Prop:
    color = style.color("white", "red", "blue", "teal", "yellow", "green", "pink")
    glaze = paint(color, 0.6)
    parts = [
        cylinder(0, 0, 0, 0.042, 0.1, glaze, taper=1.08),
        cylinder(0, 0, 0.1, 0.039, 0.002, paint((0.1, 0.06, 0.03))),
        rod((0.042, 0, 0.075), (0.07, 0, 0.07), 0.007, glaze),
        rod((0.042, 0, 0.025), (0.07, 0, 0.03), 0.007, glaze),
        rod((0.07, 0, 0.025), (0.07, 0, 0.075), 0.007, glaze),
    ]
    return Prop("mug", f"{color} mug", parts, color=color)


@builds("bowl")
def bowl(style: Style) -> Prop:
    color = style.color("white", "blue", "teal", "cream")
    parts = [cylinder(0, 0, 0, 0.065, 0.075, paint(color, 0.6), taper=1.9)]
    for i in range(4):
        a = i * math.pi / 2 + style.rng.uniform(-0.2, 0.2)
        fruit = paint(style.rng.choice(["red", "orange", "green", "yellow"]), 0.4)
        parts.append(ball(0.055 * math.cos(a), 0.055 * math.sin(a), 0.09, 0.04, fruit))
    return Prop("bowl", "fruit bowl", parts, color=style.requested)


@builds("vase")
def vase(style: Style) -> Prop:
    color = style.color("white", "teal", "blue", "pink")
    glaze = paint(color, 0.6)
    leaf = pattern((0.1, 0.34, 0.12), (0.2, 0.5, 0.18), Texture.FOLIAGE, 0.15, gloss=0.0)
    parts = [cylinder(0, 0, 0, 0.05, 0.13, glaze, taper=1.4), cylinder(0, 0, 0.13, 0.07, 0.08, glaze, taper=0.5)]
    parts.append(ball(0, 0, 0.28, 0.085, leaf))
    for _ in range(3):
        a = style.rng.uniform(0, 6.28)
        bloom = paint(style.rng.choice(["red", "yellow", "pink", "white", "orange"]))
        parts.append(ball(0.07 * math.cos(a), 0.07 * math.sin(a), style.rng.uniform(0.29, 0.36), 0.035, bloom))
    return Prop("vase", f"{color} vase", parts, color=color)


@builds("books")
def books(style: Style) -> Prop:
    parts = []
    z = 0.0
    for _ in range(style.rng.randint(2, 4)):
        cover = paint(style.color(*ANY_COLOR), 0.15)
        yaw = style.rng.uniform(-0.4, 0.4)
        width, thick = style.rng.uniform(0.2, 0.25), style.rng.uniform(0.025, 0.045)
        parts.append(box(0, 0, z, width, 0.17, thick, cover, yaw=yaw))
        z += thick
    return Prop("books", "books", parts, color=style.requested)


@builds("bottle")
def bottle(style: Style) -> Prop:
    color = style.color("green", "brown", "teal", "blue")
    glass = paint(color, 0.9)
    cap = paint(style.rng.choice(["red", "white", "black"]))
    parts = [
        cylinder(0, 0, 0, 0.036, 0.16, glass),
        cylinder(0, 0, 0.04, 0.0365, 0.07, paint((0.85, 0.82, 0.7))),
        cylinder(0, 0, 0.16, 0.036, 0.05, glass, taper=0.4),
        cylinder(0, 0, 0.21, 0.0145, 0.05, cap),
    ]
    return Prop("bottle", f"{color} bottle", parts, color=color)


@builds("blocks")
def blocks(style: Style) -> Prop:
    rng = style.rng
    spots = [(-0.07, 0.0, 0.0), (0.02, 0.03, 0.0), (-0.02, 0.015, 0.06), (0.05, -0.08, 0.0)]
    parts = []
    for x, y, z in spots[: rng.randint(3, 4)]:
        toy = paint(style.color("red", "blue", "green", "yellow"), 0.2)
        parts.append(box(x, y, z, 0.06, 0.06, 0.06, toy, yaw=rng.uniform(-0.25, 0.25)))
    return Prop("blocks", "coloured blocks", parts, color=style.requested)


@builds("can")
def can(style: Style) -> Prop:
    color = style.color("red", "blue", "orange", "green")
    label = pattern(color, (0.9, 0.9, 0.9), Texture.BANDS, 0.06, gloss=0.7)
    parts = [cylinder(0, 0, 0, 0.035, 0.12, label), cylinder(0, 0, 0.12, 0.03, 0.004, metal())]
    return Prop("can", f"{color} can", parts, color=color)


@builds("table lamp")
def table_lamp(style: Style) -> Prop:
    color = style.color("brown", "white", "teal", "black")
    parts = [
        cylinder(0, 0, 0, 0.065, 0.02, paint(color, 0.3)),
        cylinder(0, 0, 0.02, 0.035, 0.2, paint(color, 0.3), taper=0.4),
        cylinder(0, 0, 0.21, 0.13, 0.16, lit(LAMP_LIGHT, 1.25), taper=0.65),
    ]
    return Prop(
        "table lamp", "table lamp", parts, color=style.requested, glows=[Glow((0, 0, 0.4), (0.7, 0.5, 0.28), 0.5)]
    )


@builds("apple")
def apple(style: Style) -> Prop:
    color = style.color("red", "green", "yellow")
    skin = paint(vary(COLORS[color], style.rng, 0.04), 0.5)
    return Prop(
        "apple",
        f"{color} apple",
        [ball(0, 0, 0.038, 0.04, skin, height=0.038), cylinder(0, 0, 0.07, 0.004, 0.02, paint("brown"))],
        color=color,
    )


@builds("laptop")
def laptop(style: Style) -> Prop:
    color = style.color("grey", "dark grey", "white")
    shell = paint(color, 0.5)
    picture = display(style.rng)
    parts = [
        box(0, 0, 0, 0.34, 0.23, 0.018, shell),
        box(0, 0.02, 0.018, 0.29, 0.11, 0.003, paint("black")),
        box(0, 0.145, 0.008, 0.34, 0.012, 0.23, shell, pitch=-0.25),
        box(0, 0.1375, 0.018, 0.315, 0.004, 0.205, picture, pitch=-0.25),
    ]
    return Prop("laptop", "laptop", parts, color=style.requested)


@builds("plate")
def plate(style: Style) -> Prop:
    color = style.color("white", "blue", "cream", "teal")
    china = paint(color, 0.6)
    food = paint(style.rng.choice([(0.6, 0.35, 0.12), (0.75, 0.5, 0.2), (0.45, 0.2, 0.1)]))
    parts = [
        cylinder(0, 0, 0, 0.07, 0.015, china, taper=1.6),
        cylinder(0, 0, 0.015, 0.075, 0.003, paint((0.9, 0.9, 0.88))),
    ]
    for i in range(3):
        a = 2.1 * i + style.rng.uniform(0, 1)
        parts.append(ball(0.03 * math.cos(a), 0.03 * math.sin(a), 0.024, 0.028, food, height=0.018))
    return Prop("plate", "plate", parts, color=style.requested)


@builds("teapot")
def teapot(style: Style) -> Prop:
    color = style.color("white", "blue", "red", "teal", "yellow")
    china = paint(color, 0.7)
    parts = [
        ball(0, 0, 0.075, 0.085, china, height=0.075),
        cylinder(0, 0, 0.145, 0.04, 0.012, china, taper=0.6),
        ball(0, 0, 0.165, 0.014, china),
        rod((0.07, 0, 0.06), (0.14, 0, 0.13), 0.018, china, taper=0.5),
        rod((-0.075, 0, 0.11), (-0.13, 0, 0.1), 0.008, china),
        rod((-0.13, 0, 0.1), (-0.125, 0, 0.045), 0.008, china),
        rod((-0.125, 0, 0.045), (-0.07, 0, 0.04), 0.008, china),
    ]
    return Prop("teapot", f"{color} teapot", parts, color=color)


@builds("toolbox")
def toolbox(style: Style) -> Prop:
    color = style.color("red", "blue", "yellow", "green")
    parts = [
        box(0, 0, 0, 0.42, 0.2, 0.16, paint(color, 0.4)),
        box(0, 0, 0.16, 0.42, 0.2, 0.03, paint("black")),
        rod((-0.12, 0, 0.24), (0.12, 0, 0.24), 0.012, paint("black")),
        rod((-0.12, 0, 0.18), (-0.12, 0, 0.24), 0.01, paint("black")),
        rod((0.12, 0, 0.18), (0.12, 0, 0.24), 0.01, paint("black")),
    ]
    return Prop("toolbox", f"{color} toolbox", parts, color=color)
