# SPDX-License-Identifier: Apache-2.0
"""Things of loading docks and of halls where goods and robots move."""

from __future__ import annotations

from ..palette import COLORS, fabric, lit, metal, paint, pattern, scaled
from ..primitives import Material, Primitive, Texture, ball, box, cylinder, rod
from .industrial import carton
from .prop import Prop, Style, builds
from .wheels import RUBBER, castors

_DARK = paint((0.07, 0.07, 0.08), 0.2)
_STRIPES = pattern("yellow", "black", Texture.HAZARD, 0.2)


@builds("dock door")
def dock_door(style: Style) -> Prop:
    """A sectional door with foam seals, guards, a signal lamp and the leveller plate before it; fixed to a wall."""
    rng = style.rng
    color = style.color("white", "grey", "blue", "orange")
    leaf = pattern(COLORS[color], scaled(COLORS[color], 0.72), Texture.SIDING, 0.5, gloss=0.2)
    pane = Material((0.7, 0.84, 0.97), (0.35, 0.37, 0.4), Texture.WINDOW, 0.3, emission=1.0)
    steel = pattern((0.34, 0.35, 0.37), (0.27, 0.28, 0.3), Texture.CHECKER, 0.05, gloss=0.4)
    parts = [box(0, -0.03, 0.03, 2.5, 0.06, 2.87, leaf), box(0, -0.08, 2.9, 3.1, 0.18, 0.34, _DARK)]
    parts += [box(x, -0.065, 1.62, 0.5, 0.02, 0.26, pane) for x in (-0.62, 0.62)]
    parts += [box(sx * 1.38, -0.08, 0, 0.28, 0.16, 2.9, _DARK) for sx in (-1, 1)]
    parts += [cylinder(sx * 1.4, -0.3, 0, 0.08, 1.0, paint("yellow", 0.3)) for sx in (-1, 1)]
    parts += [cylinder(sx * 1.4, -0.3, z, 0.083, 0.12, paint("black")) for sx in (-1, 1) for z in (0.3, 0.65)]
    parts += [box(0, -0.98, 0, 2.1, 1.84, 0.022, steel)]
    parts += [box(sx * 1.1, -0.98, 0, 0.12, 1.84, 0.024, _STRIPES) for sx in (-1, 1)]
    parts += [box(0, -0.19, 3.0, 0.34, 0.02, 0.2, paint("yellow")), *_digit(rng.randint(1, 3))]
    parts += [box(1.64, -0.06, 1.5, 0.14, 0.12, 0.34, _DARK)]
    on = rng.randrange(2)
    for i, light in enumerate(((0.1, 0.75, 0.25), (0.85, 0.08, 0.06))):
        shine = lit(light, 1.1) if i == on else paint(scaled(light, 0.3))
        parts.append(rod((1.64, -0.11, 1.59 + 0.15 * i), (1.64, -0.135, 1.59 + 0.15 * i), 0.05, shine))
    return Prop("dock door", f"{color} dock door", parts, color=color)


def _digit(count: int) -> list[Primitive]:
    """The door's number, in strokes."""
    return [box(0.07 * (i - (count - 1) / 2), -0.202, 3.04, 0.025, 0.006, 0.12, paint("black")) for i in range(count)]


@builds("pallet jack")
def pallet_jack(style: Style) -> Prop:
    """A hand pallet truck; its forks point to -y."""
    color = style.color("yellow", "red", "blue", "orange")
    body = paint(color, 0.4)
    parts = [box(sx * 0.19, -0.22, 0.07, 0.16, 1.15, 0.05, body) for sx in (-1, 1)]
    parts += [rod((sx * 0.19 - 0.05, -0.7, 0.04), (sx * 0.19 + 0.05, -0.7, 0.04), 0.04, RUBBER) for sx in (-1, 1)]
    parts += [box(0, 0.38, 0.08, 0.54, 0.16, 0.3, body), cylinder(0, 0.44, 0.18, 0.06, 0.36, metal())]
    parts += [rod((sx * 0.06, 0.47, 0.1), (sx * 0.11, 0.47, 0.1), 0.1, RUBBER) for sx in (-1, 1)]
    parts += [
        rod((0, 0.46, 0.45), (0, 0.68, 1.16), 0.022, _DARK),
        rod((-0.15, 0.68, 1.18), (0.15, 0.68, 1.18), 0.018, _DARK),
    ]
    parts += [rod((sx * 0.15, 0.68, 1.18), (sx * 0.12, 0.73, 1.3), 0.016, _DARK) for sx in (-1, 1)]
    parts += [rod((-0.13, 0.73, 1.3), (0.13, 0.73, 1.3), 0.018, _DARK)]
    return Prop("pallet jack", f"{color} pallet jack", parts, color=color)


@builds("roll cage")
def roll_cage(style: Style) -> Prop:
    """A wire cage on castors, filled with parcels."""
    rng = style.rng
    color = style.color("blue", "grey", "green", "red")
    frame, wire = paint(color, 0.4), metal((0.55, 0.57, 0.6))
    parts = [*castors(0.32, 0.26, 0.06), box(0, 0, 0.14, 0.8, 0.68, 0.05, frame)]
    posts = [(sx * 0.38, sy * 0.32) for sx in (-1, 1) for sy in (-1, 1)]
    parts += [rod((x, y, 0.18), (x, y, 1.7), 0.016, frame) for x, y in posts]
    for x in (-0.38, 0.38):
        parts += [rod((x, -0.32, z), (x, 0.32, z), 0.007, wire) for z in (0.5, 0.8, 1.1, 1.4, 1.7)]
        parts += [rod((x, y, 0.18), (x, y, 1.7), 0.006, wire) for y in (-0.16, 0.0, 0.16)]
    parts += [rod((-0.38, 0.32, z), (0.38, 0.32, z), 0.007, wire) for z in (0.5, 0.8, 1.1, 1.4, 1.7)]
    parts += [rod((x, 0.32, 0.18), (x, 0.32, 1.7), 0.006, wire) for x in (-0.2, 0.0, 0.2)]
    parts += [rod((-0.38, -0.32, z), (0.38, -0.32, z), 0.01, frame) for z in (0.62, 1.7)]
    z = 0.19
    for _ in range(rng.randint(2, 4)):
        height = rng.uniform(0.24, 0.34)
        split = rng.uniform(-0.1, 0.1)
        parts += [box((split - 0.36) / 2, 0, z, 0.34 + split, 0.54, height, carton(rng))]
        parts += [box((split + 0.37) / 2, 0.01, z, 0.33 - split, 0.52, height - 0.02, carton(rng))]
        z += height
    return Prop("roll cage", f"{color} roll cage", parts, color=color)


@builds("totes")
def totes(style: Style) -> Prop:
    """Two or three stacks of plastic totes with folded lids."""
    rng = style.rng
    color = style.color("blue", "red", "grey", "yellow", "green", "teal")
    shell, rim = paint(color, 0.3), paint(scaled(COLORS[color], 0.75), 0.3)
    parts: list[Primitive] = []
    for x in (-0.43, 0.0, 0.43)[: rng.randint(2, 3)]:
        for level in range(rng.randint(1, 4)):
            z = 0.32 * level
            parts += [box(x, 0, z, 0.37, 0.56, 0.28, shell), box(x, 0, z + 0.28, 0.4, 0.6, 0.04, rim)]
            parts += [
                box(x, -0.285, z + 0.17, 0.13, 0.012, 0.05, rim),
                box(x, -0.284, z + 0.06, 0.12, 0.008, 0.06, paint("white")),
            ]
    return Prop("totes", f"{color} totes", parts, color=color)


@builds("bollard")
def bollard(style: Style) -> Prop:
    color = style.color("yellow", "orange", "red")
    body = paint(color, 0.3)
    parts = [
        cylinder(0, 0, 0, 0.15, 0.02, metal()),
        cylinder(0, 0, 0.02, 0.085, 0.98, body),
        ball(0, 0, 1.0, 0.085, body, height=0.05),
    ]
    parts += [cylinder(0, 0, z, 0.088, 0.14, paint("black")) for z in (0.3, 0.68)]
    return Prop("bollard", f"{color} bollard", parts, color=color)


@builds("charging station")
def charging_station(style: Style) -> Prop:
    """Where a mobile robot docks; stands at a wall."""
    color = style.color("white", "grey", "blue", "orange")
    shell = paint(color, 0.4)
    parts = [
        box(0, 0.08, 0, 0.5, 0.16, 1.0, shell),
        box(0, -0.16, 0, 0.6, 0.5, 0.03, _DARK),
        box(0, -0.02, 0.08, 0.36, 0.06, 0.16, _DARK),
    ]
    parts += [box(sx * 0.08, -0.06, 0.13, 0.05, 0.03, 0.05, metal((0.75, 0.55, 0.2))) for sx in (-1, 1)]
    parts += [
        box(0, -0.004, 0.32, 0.4, 0.012, 0.02, lit((0.2, 0.9, 0.4), 1.1)),
        box(0, -0.004, 0.7, 0.2, 0.012, 0.2, paint("yellow")),
    ]
    parts += [
        box(-0.02, -0.012, 0.8, 0.03, 0.008, 0.09, paint("black"), roll=-0.35),
        box(0.02, -0.012, 0.72, 0.03, 0.008, 0.09, paint("black"), roll=-0.35),
    ]
    parts += [box(0, -0.012, 0.793, 0.09, 0.008, 0.02, paint("black"))]
    return Prop("charging station", f"{color} charging station", parts, color=color)


@builds("safety fence")
def safety_fence(style: Style) -> Prop:
    """Two panels of machine guarding, 2 m high."""
    color = style.color("yellow", "orange", "red", "blue")
    post = paint(color, 0.3)
    parts = [box(x, 0, 0, 0.06, 0.06, 2.0, post) for x in (-1.0, 0.0, 1.0)]
    parts += [box(x, 0, 0, 0.14, 0.14, 0.012, post) for x in (-1.0, 0.0, 1.0)]
    for x in (-0.5, 0.5):
        parts += [box(x, 0, z, 0.9, 0.03, 0.03, _DARK) for z in (0.15, 1.05, 1.94)]
        parts += [box(x + 0.09 * i, 0, 0.15, 0.008, 0.008, 1.8, _DARK) for i in range(-5, 6)]
    parts += [
        box(0.5, -0.022, 1.3, 0.26, 0.01, 0.26, paint("yellow")),
        box(0.5, -0.03, 1.36, 0.03, 0.006, 0.13, paint("black")),
    ]
    return Prop("safety fence", f"{color} safety fence", parts, color=color)


@builds("stairs")
def stairs(style: Style) -> Prop:
    """Steel steps up to a platform 1.2 m high, with handrails; one climbs from -y to +y."""
    color = style.color("yellow", "grey", "blue", "red")
    rail = paint(color, 0.3)
    tread = pattern((0.4, 0.41, 0.43), (0.3, 0.31, 0.33), Texture.CHECKER, 0.05, gloss=0.3)
    count, rise, going, foot = 6, 0.2, 0.27, -1.2
    parts: list[Primitive] = []
    for i in range(count - 1):
        parts.append(box(0, foot + going * (i + 0.5), rise * (i + 1) - 0.04, 0.82, going + 0.02, 0.04, tread))
        parts.append(box(0, foot + going * i, rise * (i + 1) - 0.03, 0.82, 0.03, 0.03, paint("yellow")))
    top, height = foot + going * (count - 1), rise * count
    parts.append(box(0, top + 0.5, height - 0.05, 0.9, 1.0, 0.05, tread))
    for x in (-0.43, 0.43):
        parts.append(rod((x, foot, 0.06), (x, top, height - 0.05), 0.04, rail))
        parts += [box(x, y, 0, 0.06, 0.06, height, rail) for y in (top + 0.06, top + 0.94)]
        parts += [
            rod((x, foot, 0.1), (x, foot, 1.0), 0.02, rail),
            rod((x, foot, 1.0), (x, top, height + 0.95), 0.02, rail),
        ]
        for z in (height + 0.5, height + 0.95):
            parts.append(rod((x, top, z), (x, top + 0.97, z), 0.02, rail))
        parts += [rod((x, y, height), (x, y, height + 0.95), 0.02, rail) for y in (top, top + 0.5, top + 0.97)]
    parts += [rod((-0.43, top + 0.97, z), (0.43, top + 0.97, z), 0.02, rail) for z in (height + 0.5, height + 0.95)]
    return Prop("stairs", f"{color} stairs", parts, color=color)


@builds("laundry cart")
def laundry_cart(style: Style) -> Prop:
    """A tub on castors full of linen."""
    rng = style.rng
    color = style.color("blue", "white", "yellow", "green")
    shell = paint(color, 0.3)
    parts = [*castors(0.36, 0.22, 0.06), box(0, 0, 0.144, 0.9, 0.6, 0.03, _DARK)]
    parts += [box(sx * 0.44, 0, 0.17, 0.03, 0.6, 0.55, shell) for sx in (-1, 1)]
    parts += [box(0, sy * 0.285, 0.17, 0.88, 0.03, 0.55, shell) for sy in (-1, 1)]
    linen = fabric("white", rng)
    parts += [box(0, 0, 0.17, 0.86, 0.56, 0.4, linen)]
    parts += [ball(x, y, 0.62, 0.2, linen, height=0.13) for x, y in ((-0.2, 0.05), (0.15, -0.04))]
    return Prop("laundry cart", f"{color} laundry cart", parts, color=color)
