# SPDX-License-Identifier: Apache-2.0
"""Figures of human size."""

from __future__ import annotations

from ..palette import COLORS, fabric, metal, paint, scaled
from ..primitives import Material, Primitive, Vector, ball, box, cylinder, oval, rod
from .prop import Prop, Style, builds

_SKINS: tuple[Vector, ...] = ((0.72, 0.5, 0.38), (0.55, 0.34, 0.22), (0.32, 0.18, 0.11), (0.8, 0.6, 0.48))
_HAIR: tuple[Vector, ...] = ((0.05, 0.04, 0.035), (0.2, 0.11, 0.06), (0.5, 0.34, 0.15), (0.45, 0.44, 0.43))


def figure(skin: Material, top: Material, trousers: Material, shoes: Material, step: float = 0.0) -> list[Primitive]:
    """A body 1.74 m tall that faces -y.

    Args:
        skin, top, trousers, shoes: materials.
        step: how far [m] the right foot (at -x) is ahead of the hip; the other foot is as far behind, the arms swing
            against the legs. 0 stands, about 0.3 walks.
    """
    parts = [oval(0, 0, 0.84, 0.15, 0.105, 0.2, trousers, taper=0.95), oval(0, 0, 1.0, 0.14, 0.1, 0.42, top, taper=1.3)]
    parts += [rod((-0.15, 0, 1.4), (0.15, 0, 1.4), 0.075, top)]
    parts += [cylinder(0, 0, 1.42, 0.055, 0.1, skin), ball(0, -0.01, 1.61, 0.098, skin, height=0.13)]
    for side in (-1, 1):
        parts += _leg(side, -side * -step, trousers, shoes) + _arm(side, -side * step, skin, top)
    return parts


def _leg(side: int, forward: float, trousers: Material, shoes: Material) -> list[Primitive]:
    """`forward` [m] is how far the foot is behind the hip (+y)."""
    knee = (side * 0.095, 0.5 * forward - 0.35 * abs(forward), 0.48)
    foot = (side * 0.1, forward, 0.07)
    return [
        rod((side * 0.085, 0, 0.9), knee, 0.082, trousers, taper=0.8),
        rod(knee, foot, 0.068, trousers, taper=0.75),
        box(foot[0], foot[1] - 0.05, 0.0, 0.09, 0.26, 0.075, shoes),
    ]


def _arm(side: int, back: float, skin: Material, top: Material) -> list[Primitive]:
    elbow = (side * 0.25, 0.45 * back + 0.03, 1.14)
    hand = (side * 0.255, 0.9 * back - 0.07, 0.88)
    return [
        ball(side * 0.2, 0, 1.4, 0.075, top),
        rod((side * 0.2, 0, 1.39), elbow, 0.055, top, taper=0.85),
        rod(elbow, hand, 0.046, top, taper=0.8),
        ball(hand[0], hand[1] - 0.01, hand[2] - 0.05, 0.045, skin, height=0.075),
    ]


@builds("person")
def person(style: Style) -> Prop:
    """A clothed human who stands."""
    return walker(style, 0.0)


def walker(style: Style, step: float) -> Prop:
    """A clothed human in the middle of a step, see `figure`."""
    rng = style.rng
    color = style.color("red", "blue", "teal", "white", "green", "yellow", "grey", "orange")
    skin, hair = paint(rng.choice(_SKINS)), paint(rng.choice(_HAIR))
    trousers = fabric(rng.choice(["blue", "dark grey", "brown", "black"]), rng)
    parts = figure(skin, fabric(color, rng), trousers, paint("black", 0.2), step)
    parts += [ball(0, 0.018, 1.655, 0.103, hair, height=0.105), ball(0, -0.108, 1.6, 0.016, skin)]
    parts += [ball(side * 0.037, -0.098, 1.625, 0.011, paint("black", 0.5)) for side in (-1, 1)]
    if rng.random() < 0.35:
        parts += _long_hair(hair)
    return Prop("person", f"person in {color}", parts, color=color)


def _long_hair(hair: Material) -> list[Primitive]:
    return [oval(0, 0.045, 1.43, 0.1, 0.06, 0.24, hair, taper=0.95)]


@builds("mannequin")
def mannequin(style: Style) -> Prop:
    """A shop-window figure on a plate: one colour, no face."""
    rng = style.rng
    shell = paint(rng.choice(["white", "cream", "grey", "black"]), 0.5)
    color = style.color("red", "blue", "teal", "yellow", "green", "pink", "purple")
    top, skirt = fabric(color, rng), fabric(scaled(COLORS[color], 0.6), rng)
    body = [p.moved(0, 0, 0.03) for p in figure(shell, top, shell, shell)]
    parts = [cylinder(0, 0, 0, 0.24, 0.03, metal()), rod((0, 0.16, 0.03), (0, 0.1, 0.95), 0.014, metal()), *body]
    if rng.random() < 0.5:
        parts.append(cylinder(0, 0, 0.55, 0.25, 0.5, skirt, taper=0.62))
    else:
        parts.append(oval(0, 0, 0.84, 0.175, 0.125, 0.23, skirt, taper=0.95))
    return Prop("mannequin", f"mannequin in {color}", parts, color=color)
