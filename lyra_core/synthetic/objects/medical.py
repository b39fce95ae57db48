# SPDX-License-Identifier: Apache-2.0
"""Things of hospitals."""

from __future__ import annotations

import itertools

from ..palette import COLORS, fabric, lit, metal, paint, pattern, scaled
from ..primitives import Primitive, Texture, ball, box, cylinder, oval, rod
from .prop import Prop, Style, builds
from .wheels import RUBBER, castors

_STEEL = (0.68, 0.7, 0.73)
_SHELL = (0.82, 0.83, 0.82)


@builds("hospital bed")
def hospital_bed(style: Style) -> Prop:
    """A bed on castors with its back raised; the head is at +y."""
    color = style.color("blue", "teal", "green", "white")
    linen, cover = fabric("white", style.rng), fabric(color, style.rng)
    shell, steel = paint(_SHELL, 0.4), metal(_STEEL)
    board = paint(scaled(COLORS[color], 0.9), 0.3)
    parts = castors(0.36, 0.86, 0.06)
    parts += [box(0, 0, 0.144, 0.78, 1.84, 0.09, shell), box(0, 0, 0.42, 0.86, 2.0, 0.07, shell)]
    parts += [box(0, y, 0.23, 0.34, 0.3, 0.19, paint("grey", 0.3)) for y in (-0.5, 0.45)]
    parts += [box(0, -0.37, 0.49, 0.86, 1.24, 0.14, linen), box(0, -0.42, 0.56, 0.92, 1.08, 0.12, cover)]
    parts += [box(0, 0.57, 0.69, 0.86, 0.78, 0.14, linen, pitch=0.55)]
    parts += [box(0, 0.7, 0.87, 0.58, 0.36, 0.12, linen, pitch=0.55)]
    for y, height in ((-1.04, 0.42), (1.04, 0.62)):
        parts += [box(0, y, 0.42, 0.9, 0.04, height, shell), box(0, y, 0.5, 0.66, 0.05, height - 0.16, board)]
    for x in (-0.45, 0.45):
        parts += [
            rod((x, y0, z), (x, y1, z), 0.014, steel) for y0, y1 in ((-0.55, 0.1), (0.25, 0.85)) for z in (0.62, 0.82)
        ]
        parts += [rod((x, y, 0.45), (x, y, 0.82), 0.014, steel) for y in (-0.55, -0.22, 0.1, 0.25, 0.55, 0.85)]
    return Prop("hospital bed", f"hospital bed with {color} cover", parts, color=color)


def _stand(height: float) -> list[Primitive]:
    """A pole on five castors."""
    steel = metal(_STEEL)
    parts: list[Primitive] = [
        cylinder(0, 0, 0.08, 0.018, height - 0.08, steel),
        cylinder(0, 0, 0.07, 0.05, 0.05, steel),
    ]
    for x, y in ((0.0, -0.26), (0.25, -0.08), (0.15, 0.21), (-0.15, 0.21), (-0.25, -0.08)):
        parts += [rod((0, 0, 0.1), (x, y, 0.07), 0.016, steel), ball(x, y, 0.03, 0.03, RUBBER)]
    return parts


@builds("iv stand")
def iv_stand(style: Style) -> Prop:
    """A drip stand with two bags and a pump."""
    steel = metal(_STEEL)
    fluid = paint(style.color("white", "cream", "yellow", "red"), 0.6)
    parts = _stand(1.95)
    parts += [rod((-0.2, 0, 1.95), (0.2, 0, 1.95), 0.01, steel)]
    for x, drop in ((-0.18, 0.0), (0.18, 0.05)):
        parts += [rod((x, 0, 1.95), (x, 0, 2.0), 0.008, steel), rod((x, 0, 1.88), (x, 0, 1.96), 0.005, steel)]
        parts += [
            oval(x, 0, 1.6 - drop, 0.075, 0.03, 0.28 + drop, fluid),
            cylinder(x, 0, 1.5 - drop, 0.016, 0.1, fluid),
        ]
        parts.append(rod((x, 0, 1.5 - drop), (0.0, -0.09, 1.2), 0.006, paint("white", 0.5)))
    parts += [box(0, -0.07, 1.02, 0.16, 0.12, 0.2, paint(_SHELL, 0.4))]
    parts += [box(0, -0.132, 1.12, 0.12, 0.006, 0.07, lit((0.2, 0.75, 0.5), 0.9))]
    return Prop("iv stand", "drip stand", parts, color=style.requested)


@builds("patient monitor")
def patient_monitor(style: Style) -> Prop:
    """A monitor on a rolling stand: three curves and their figures."""
    shell = paint(style.color("white", "grey", "cream"), 0.4)
    parts = _stand(1.12)
    parts += [box(0, -0.02, 0.75, 0.3, 0.22, 0.1, metal(_STEEL)), box(0, 0.02, 1.12, 0.44, 0.16, 0.36, shell)]
    parts += [box(0, -0.062, 1.15, 0.38, 0.008, 0.29, paint((0.01, 0.015, 0.02), 0.7))]
    for i, color in enumerate(((0.2, 0.95, 0.3), (0.3, 0.7, 1.0), (0.98, 0.85, 0.2))):
        z, glow = 1.36 - 0.085 * i, lit(color, 1.0)
        parts += [
            box(-0.06, -0.067, z, 0.24, 0.004, 0.008, glow),
            box(0.13, -0.067, z - 0.015, 0.07, 0.004, 0.04, glow),
        ]
        parts += [box(x, -0.067, z + 0.008, 0.009, 0.004, 0.035 - 0.01 * i, glow) for x in (-0.13, -0.05, 0.03)]
    parts += [rod((0.2, 0.0, 1.2), (0.27, -0.1, 0.8), 0.007, paint("grey"))]
    return Prop("patient monitor", "patient monitor", parts, color=style.requested)


@builds("wheelchair")
def wheelchair(style: Style) -> Prop:
    color = style.color("black", "blue", "red", "teal")
    cloth, steel = paint(color, 0.1), metal(_STEEL)
    parts = [box(0, 0, 0.46, 0.44, 0.42, 0.05, cloth), box(0, 0.21, 0.52, 0.44, 0.04, 0.42, cloth, pitch=-0.1)]
    for x in (-0.26, 0.26):
        parts += [rod((x - 0.015, 0.14, 0.3), (x + 0.015, 0.14, 0.3), 0.3, RUBBER)]
        parts += [rod((x - 0.018, 0.14, 0.3), (x + 0.018, 0.14, 0.3), 0.265, metal((0.5, 0.51, 0.54)))]
        parts += [rod((x - 0.03, 0.14, 0.3), (x + 0.03, 0.14, 0.3), 0.05, paint("black"))]
        parts += [rod((x * 0.85 - 0.015, -0.34, 0.09), (x * 0.85 + 0.015, -0.34, 0.09), 0.09, RUBBER)]
        x *= 0.86
        parts += [
            rod((x, -0.22, 0.48), (x, -0.4, 0.14), 0.012, steel),
            rod((x, -0.34, 0.14), (x, -0.2, 0.46), 0.012, steel),
        ]
        parts += [
            rod((x, 0.2, 0.3), (x, 0.28, 0.96), 0.013, steel),
            rod((x, 0.26, 0.93), (x, 0.4, 0.92), 0.018, RUBBER),
        ]
        parts += [
            box(x, -0.01, 0.66, 0.05, 0.34, 0.03, paint("black", 0.2)),
            rod((x, -0.16, 0.46), (x, -0.16, 0.67), 0.012, steel),
        ]
        parts.append(box(x * 0.6, -0.45, 0.1, 0.16, 0.14, 0.02, paint("dark grey")))
    return Prop("wheelchair", f"{color} wheelchair", parts, color=color)


@builds("overbed table")
def overbed_table(style: Style) -> Prop:
    """A table on a C-shaped frame that rolls over a bed."""
    top = paint(style.color("cream", "white", "brown"), 0.3)
    steel = metal(_STEEL)
    parts = [box(0, 0, 0.84, 0.84, 0.42, 0.03, top), box(0.36, 0, 0.1, 0.07, 0.06, 0.74, steel)]
    parts += [box(0.02, sy * 0.18, 0.07, 0.76, 0.05, 0.035, steel) for sy in (-1, 1)]
    parts += [box(0.36, 0, 0.07, 0.06, 0.36, 0.04, steel)]
    parts += [ball(x, sy * 0.18, 0.035, 0.035, RUBBER) for x in (-0.33, 0.36) for sy in (-1, 1)]
    parts += [
        cylinder(-0.2, 0.05, 0.87, 0.035, 0.11, paint((0.75, 0.85, 0.9), 0.7)),
        box(0.1, -0.02, 0.87, 0.32, 0.24, 0.015, paint("teal", 0.2)),
    ]
    return Prop("overbed table", "overbed table", parts, color=style.requested)


@builds("medical cart")
def medical_cart(style: Style) -> Prop:
    color = style.color("red", "blue", "white", "teal")
    shell, front = paint(color, 0.3), paint(scaled(COLORS[color], 1.12), 0.3)
    parts = castors(0.26, 0.17, 0.055)
    parts += [box(0, 0, 0.132, 0.64, 0.46, 0.76, shell), box(0, 0, 0.892, 0.7, 0.52, 0.03, paint(_SHELL, 0.4))]
    z = 0.16
    for height in (0.24, 0.16, 0.12, 0.1, 0.1):
        parts += [
            box(0, -0.235, z, 0.58, 0.02, height - 0.02, front),
            box(0, -0.252, z + height - 0.06, 0.3, 0.02, 0.02, metal()),
        ]
        z += height
    parts += [rod((0.39, -0.18, 0.84), (0.39, 0.18, 0.84), 0.014, metal(_STEEL))]
    parts += [rod((0.32, sy * 0.18, 0.84), (0.39, sy * 0.18, 0.84), 0.012, metal(_STEEL)) for sy in (-1, 1)]
    parts += [
        box(-0.14, 0.05, 0.922, 0.26, 0.24, 0.16, paint(_SHELL, 0.3)),
        box(-0.14, -0.072, 0.95, 0.16, 0.006, 0.09, lit((0.25, 0.7, 0.75), 0.9)),
    ]
    parts += [
        cylinder(x, 0.12, 0.922, 0.03, 0.13, paint(c, 0.6))
        for x, c in ((0.1, "blue"), (0.18, "white"), (0.26, "orange"))
    ]
    return Prop("medical cart", f"{color} medical cart", parts, color=color)


@builds("folding screen")
def folding_screen(style: Style) -> Prop:
    """Three curtained frames on castors."""
    color = style.color("teal", "green", "blue", "white", "cream")
    cloth = pattern(color, scaled(COLORS[color], 0.8), Texture.CORRUGATED, 0.1, gloss=0.0)
    steel = metal(_STEEL)
    parts: list[Primitive] = []
    corners = ((-0.84, -0.1), (-0.28, 0.1), (0.28, -0.1), (0.84, 0.1))
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        yaw = 0.343 if y1 > y0 else -0.343
        parts.append(box((x0 + x1) / 2, 0, 0.28, 0.54, 0.02, 1.36, cloth, yaw=yaw))
        parts += [rod((x0, y0, z), (x1, y1, z), 0.013, steel) for z in (0.26, 1.68)]
    for x, y in corners:
        parts += [rod((x, y, 0.05), (x, y, 1.68), 0.014, steel), ball(x, y, 0.035, 0.035, RUBBER)]
        parts.append(rod((x, y - 0.16, 0.06), (x, y + 0.16, 0.06), 0.012, steel))
    return Prop("folding screen", f"{color} folding screen", parts, color=color)
