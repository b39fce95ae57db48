# SPDX-License-Identifier: Apache-2.0
"""Things of bathrooms."""

from __future__ import annotations

from ..palette import COLORS, fabric, metal, paint, pattern, scaled, timber
from ..primitives import Primitive, Texture, ball, box, cylinder, oval, rod
from .prop import Prop, Style, builds

_CERAMIC = paint("white", 0.8)
_CHROME = metal((0.72, 0.74, 0.77))


@builds("bathtub")
def bathtub(style: Style) -> Prop:
    """A tub with water in it, 1.7 m long."""
    skin = paint(style.requested, 0.5) if style.requested else _CERAMIC
    water = pattern((0.42, 0.66, 0.7), (0.5, 0.74, 0.78), Texture.SPECKLE, 0.3, gloss=0.9)
    parts = [box(0, sy * 0.335, 0.05, 1.66, 0.07, 0.5, skin) for sy in (-1, 1)]
    parts += [box(sx * 0.775, 0, 0.05, 0.11, 0.6, 0.5, skin) for sx in (-1, 1)]
    parts += [box(0, sy * 0.34, 0.55, 1.72, 0.09, 0.035, _CERAMIC) for sy in (-1, 1)]
    parts += [box(sx * 0.79, 0, 0.55, 0.14, 0.6, 0.035, _CERAMIC) for sx in (-1, 1)]
    parts += [box(0, 0, 0, 1.6, 0.66, 0.1, paint("grey")), box(0, 0, 0.1, 1.46, 0.62, 0.08, _CERAMIC)]
    if style.rng.random() < 0.6:
        parts.append(box(0, 0, 0.18, 1.45, 0.61, 0.22, water))
    parts += [box(0.6, 0, 0.2, 0.3, 0.6, 0.28, _CERAMIC, roll=-0.9)]
    parts += [
        rod((-0.78, 0, 0.58), (-0.78, 0, 0.72), 0.018, _CHROME),
        rod((-0.78, 0, 0.72), (-0.6, 0, 0.7), 0.016, _CHROME),
    ]
    parts += [ball(-0.78, sy * 0.09, 0.62, 0.03, _CHROME) for sy in (-1, 1)]
    return Prop(
        "bathtub", "bathtub" if not style.requested else f"{style.requested} bathtub", parts, color=style.requested
    )


@builds("toilet")
def toilet(style: Style) -> Prop:
    """A toilet with its cistern at the wall and the lid up."""
    seat = paint(style.requested or style.rng.choice(["white", "white", "black", "brown"]), 0.6)
    parts = [
        oval(0, 0.0, 0, 0.12, 0.2, 0.2, _CERAMIC, taper=0.85),
        oval(0, -0.08, 0.18, 0.11, 0.17, 0.21, _CERAMIC, taper=1.6),
    ]
    parts += [box(0, 0.16, 0.1, 0.26, 0.3, 0.28, _CERAMIC)]
    parts += [
        oval(0, -0.08, 0.39, 0.185, 0.265, 0.025, seat),
        oval(0, -0.09, 0.405, 0.115, 0.18, 0.014, paint((0.3, 0.42, 0.48), 0.9)),
    ]
    parts += [box(0, 0.26, 0.38, 0.4, 0.17, 0.4, _CERAMIC), box(0, 0.26, 0.78, 0.43, 0.2, 0.035, _CERAMIC)]
    parts += [cylinder(0, 0.26, 0.815, 0.03, 0.012, _CHROME)]
    lid = cylinder(0, 0.14, 0.6, 0.19, 0.025, seat, pitch=1.45)
    parts += [lid, box(0, 0.145, 0.43, 0.38, 0.025, 0.16, seat, pitch=-0.12)]
    return Prop("toilet", "toilet", parts, color=style.requested)


@builds("shower")
def shower(style: Style) -> Prop:
    """A shower tray between a tiled wall and a drawn-back curtain."""
    color = style.color("white", "teal", "blue", "green", "yellow")
    tile = pattern((0.74, 0.78, 0.8), (0.5, 0.54, 0.56), Texture.TILES, 0.15, gloss=0.5)
    cloth = pattern(color, scaled(COLORS[color], 0.75), Texture.CORRUGATED, 0.09, gloss=0.1)
    parts = [
        box(0, 0, 0, 0.92, 0.92, 0.12, _CERAMIC),
        box(0, 0, 0.12, 0.78, 0.78, 0.004, paint((0.6, 0.63, 0.65), 0.6)),
    ]
    parts += [cylinder(0, 0, 0.124, 0.05, 0.006, _CHROME), box(0, 0.45, 0.12, 0.92, 0.03, 2.0, tile)]
    parts += [rod((x, -0.44, 0.12), (x, -0.44, 2.08), 0.018, _CHROME) for x in (-0.45, 0.45)]
    parts += [rod((x, -0.44, 2.08), (x, 0.44, 2.08), 0.014, _CHROME) for x in (-0.45, 0.45)]
    parts += [rod((-0.45, -0.44, 2.08), (0.45, -0.44, 2.08), 0.014, _CHROME)]
    parts += [box(0.3, -0.44, 0.2, 0.28, 0.07, 1.86, cloth), box(-0.44, 0.31, 0.2, 0.07, 0.24, 1.86, cloth)]
    parts += [
        rod((-0.1, 0.42, 1.0), (-0.1, 0.42, 2.02), 0.012, _CHROME),
        rod((-0.1, 0.42, 2.02), (-0.1, 0.12, 2.05), 0.012, _CHROME),
    ]
    parts += [
        cylinder(-0.1, 0.1, 1.98, 0.11, 0.05, _CHROME, taper=0.3),
        rod((-0.2, 0.4, 1.08), (0.0, 0.4, 1.08), 0.025, _CHROME),
    ]
    return Prop("shower", f"shower with a {color} curtain", parts, color=color)


@builds("washing machine")
def washing_machine(style: Style) -> Prop:
    color = style.color("white", "white", "grey", "black")
    shell = paint(color, 0.5)
    parts = [
        box(0, 0.02, 0.01, 0.6, 0.58, 0.84, shell),
        box(0, -0.275, 0.72, 0.59, 0.02, 0.12, paint(scaled(COLORS[color], 0.85), 0.5)),
    ]
    parts += [
        rod((0, -0.26, 0.4), (0, -0.3, 0.4), 0.2, metal((0.6, 0.62, 0.65))),
        rod((0, -0.28, 0.4), (0, -0.315, 0.4), 0.155, paint((0.03, 0.04, 0.06), 0.9)),
    ]
    parts += [
        rod((0.05, -0.28, 0.78), (0.05, -0.31, 0.78), 0.035, metal()),
        box(-0.19, -0.288, 0.745, 0.18, 0.01, 0.07, paint("grey", 0.3)),
    ]
    parts += [
        box(0.2, -0.288, 0.76, 0.13, 0.006, 0.045, paint((0.02, 0.05, 0.08), 0.9)),
        box(0, 0.02, 0.85, 0.61, 0.6, 0.02, shell),
    ]
    parts += [box(0, 0.02, 0, 0.54, 0.5, 0.01, paint("black"))]
    return Prop("washing machine", f"{color} washing machine", parts, color=color)


@builds("laundry basket")
def laundry_basket(style: Style) -> Prop:
    rng = style.rng
    color = style.color("cream", "white", "brown", "teal")
    wicker = pattern(color, scaled(COLORS[color], 0.6), Texture.WEAVE, 0.08, gloss=0.0)
    parts = [cylinder(0, 0, 0, 0.2, 0.5, wicker, taper=1.2), cylinder(0, 0, 0.5, 0.25, 0.03, wicker)]
    for i in range(3):
        cloth = fabric(rng.choice(["red", "blue", "white", "yellow", "pink", "teal"]), rng)
        parts.append(ball((-0.09, 0.08, 0.0)[i], (0.04, 0.06, -0.09)[i], 0.53, 0.12, cloth, height=0.07))
    return Prop("laundry basket", f"{color} laundry basket", parts, color=color)


@builds("towel rail")
def towel_rail(style: Style) -> Prop:
    """A ladder-shaped radiator on the wall with two towels."""
    rng = style.rng
    parts: list[Primitive] = [rod((x, -0.06, 0.6), (x, -0.06, 1.7), 0.018, _CHROME) for x in (-0.25, 0.25)]
    parts += [rod((-0.25, -0.06, 0.66 + 0.11 * i), (0.25, -0.06, 0.66 + 0.11 * i), 0.011, _CHROME) for i in range(10)]
    parts += [rod((x, 0, z), (x, -0.06, z), 0.012, _CHROME) for x in (-0.25, 0.25) for z in (0.75, 1.55)]
    for z, names in ((1.3, ("red", "teal", "blue", "yellow", "pink")), (0.85, ("white", "cream", "green"))):
        parts.append(box(0, -0.085, z, 0.4, 0.05, 0.34, fabric(style.color(*names), rng)))
    return Prop("towel rail", "towel rail", parts, color=style.requested)


@builds("vanity")
def vanity(style: Style) -> Prop:
    """A washbasin on a cabinet, with a mirror on its back board."""
    body = paint(style.requested, 0.2) if style.requested else timber(style.rng)
    front = paint(scaled(body.color, 1.1), 0.2)
    glass = metal((0.66, 0.74, 0.78))
    parts = [box(0, 0.0, 0.25, 0.86, 0.46, 0.53, body), box(0, -0.01, 0.78, 0.92, 0.5, 0.05, _CERAMIC)]
    parts += [box(sx * 0.215, -0.235, 0.28, 0.41, 0.02, 0.47, front) for sx in (-1, 1)]
    parts += [rod((sx * 0.06, -0.25, 0.44), (sx * 0.06, -0.25, 0.58), 0.008, _CHROME) for sx in (-1, 1)]
    parts += [box(0, 0.0, 0, 0.8, 0.4, 0.25, paint(scaled(body.color, 0.5)))]
    parts += [
        oval(0, -0.04, 0.83, 0.19, 0.13, 0.1, _CERAMIC, taper=1.25),
        oval(0, -0.04, 0.925, 0.2, 0.135, 0.006, paint((0.55, 0.6, 0.62), 0.7)),
    ]
    parts += [
        rod((0, 0.17, 0.83), (0, 0.17, 1.06), 0.016, _CHROME),
        rod((0, 0.17, 1.06), (0, 0.04, 1.03), 0.013, _CHROME),
    ]
    parts += [
        cylinder(-0.34, 0.08, 0.83, 0.03, 0.15, paint("teal", 0.5)),
        cylinder(0.34, 0.1, 0.83, 0.035, 0.1, paint("white", 0.5)),
    ]
    parts += [box(0, 0.235, 0.8, 0.92, 0.03, 1.2, paint((0.7, 0.72, 0.72), 0.4))]
    parts += [box(0, 0.215, 1.15, 0.8, 0.02, 0.8, _CHROME), box(0, 0.203, 1.17, 0.76, 0.008, 0.76, glass)]
    return Prop("vanity", "washbasin with a mirror", parts, color=style.requested)
