# SPDX-License-Identifier: Apache-2.0
"""A lorry and a bicycle; cars and vans are in `outdoor`."""

from __future__ import annotations

import itertools
import math

from ..palette import COLORS, lit, metal, paint, pattern, scaled
from ..primitives import Primitive, Texture, box, rod
from .prop import Prop, Style, builds
from .wheels import RUBBER, wheel

_DARK = paint((0.06, 0.06, 0.07), 0.3)
_PANE = pattern((0.1, 0.14, 0.19), (0.1, 0.14, 0.19), Texture.PLAIN, 1.0, gloss=0.9)


@builds("truck")
def truck(style: Style) -> Prop:
    """A box lorry, 6.4 m long and 3.1 m high, with its cab towards -y."""
    color = style.color("white", "blue", "red", "yellow", "green", "orange")
    body = paint(color, 0.6)
    side = pattern("white", scaled(COLORS["white"], 0.85), Texture.CORRUGATED, 0.25, gloss=0.2)
    parts: list[Primitive] = [box(0, 0.3, 0.5, 0.9, 5.6, 0.18, _DARK), box(0, 0.95, 0.92, 2.3, 4.4, 2.15, side)]
    parts += [box(sx * 1.155, 0.95, 1.45, 0.012, 3.2, 0.5, body) for sx in (-1, 1)]
    parts += [box(0, 0.95, 0.78, 2.32, 4.42, 0.16, metal("dark grey")), *_cab(style, color)]
    for x in (-0.92, 0.92):
        parts += wheel(x, -2.2, 0.46, 0.28) + wheel(x, 2.0, 0.46, 0.3)
        parts += [box(x, 0.0, 0.48, 0.3, 1.6, 0.3, paint("grey", 0.3)), box(x, 3.0, 0.42, 0.5, 0.04, 0.4, RUBBER)]
        parts.append(box(x * 1.05, 3.17, 0.8, 0.3, 0.02, 0.12, lit((0.75, 0.06, 0.05), 0.8)))
    parts += [box(sx * 0.56, 3.16, 1.0, 1.08, 0.03, 1.98, paint((0.7, 0.71, 0.72), 0.3)) for sx in (-1, 1)]
    parts += [rod((sx * 0.12, 3.19, 1.02), (sx * 0.12, 3.19, 2.96), 0.016, metal()) for sx in (-1, 1)]
    parts += [box(0, 3.14, 0.5, 2.2, 0.1, 0.12, pattern("red", "white", Texture.HAZARD, 0.2))]
    return Prop("truck", f"{color} truck", parts, color=color)


def _cab(style: Style, color: str) -> list[Primitive]:
    body = paint(color, 0.6)
    parts = [box(0, -2.25, 0.5, 2.2, 1.75, 1.05, body), box(0, -2.15, 1.55, 2.16, 1.55, 0.95, body)]
    parts += [box(0, -2.93, 1.5, 1.98, 0.05, 0.88, _PANE, pitch=-0.12), box(0, -3.13, 0.42, 2.2, 0.08, 0.3, _DARK)]
    parts += [box(0, -3.14, 0.85, 1.5, 0.03, 0.42, _DARK), box(0, -2.5, 2.5, 2.0, 0.8, 0.2, body, pitch=0.2)]
    for x in (-1, 1):
        parts += [
            box(x * 1.085, -2.3, 1.55, 0.02, 0.95, 0.62, _PANE),
            box(x * 1.12, -3.0, 1.55, 0.12, 0.06, 0.5, _DARK),
        ]
        parts += [box(x * 0.88, -3.14, 0.72, 0.3, 0.03, 0.18, lit((0.95, 0.94, 0.88), 0.95))]
        parts.append(box(x * 1.1, -2.2, 0.42, 0.08, 1.1, 0.55, _DARK))
    return parts


@builds("bicycle")
def bicycle(style: Style) -> Prop:
    """A bicycle on its stand, seen from its side; it rides along -x."""
    color = style.color("red", "blue", "green", "yellow", "black", "teal")
    tube, dark, steel = paint(color, 0.6), paint("black", 0.2), metal()
    hub_front, hub_rear, crank = (-0.53, 0.0, 0.34), (0.5, 0.0, 0.34), (0.08, 0.0, 0.3)
    head, seat = (-0.36, 0.0, 0.84), (0.2, 0.0, 0.78)
    parts: list[Primitive] = []
    for hub in (hub_front, hub_rear):
        parts += _spoked(hub)
    parts += [
        rod(a, b, 0.018, tube)
        for a, b in ((head, crank), (head, seat), (crank, seat), (seat, hub_rear), (crank, hub_rear), (head, hub_front))
    ]
    parts += [rod(seat, (0.23, 0, 0.92), 0.014, steel), box(0.24, 0, 0.91, 0.26, 0.14, 0.05, dark)]
    parts += [rod(head, (-0.39, 0, 1.0), 0.015, steel), rod((-0.39, -0.26, 1.02), (-0.39, 0.26, 1.02), 0.013, steel)]
    parts += [rod((-0.39, sy * 0.26, 1.02), (-0.33, sy * 0.28, 1.02), 0.018, dark) for sy in (-1, 1)]
    parts += [
        rod((0.08, -0.12, 0.3), (0.08, 0.12, 0.3), 0.02, steel),
        rod((0.08, -0.05, 0.3), (0.08, -0.07, 0.3), 0.09, steel),
        rod((0.08, -0.1, 0.3), (0.16, -0.1, 0.17), 0.01, dark),
        rod((0.08, 0.1, 0.3), (0.0, 0.1, 0.43), 0.01, dark),
    ]
    parts += [box(0.16, -0.14, 0.16, 0.09, 0.08, 0.02, dark), box(0.0, 0.14, 0.42, 0.09, 0.08, 0.02, dark)]
    parts.append(rod((0.2, 0.02, 0.32), (0.26, 0.2, 0.008), 0.01, steel))
    return Prop("bicycle", f"{color} bicycle", parts, color=color)


def _spoked(hub: tuple[float, float, float], radius: float = 0.325) -> list[Primitive]:
    """A tyre of short rods and eight spokes."""
    x, y, z = hub
    rim = [(x + radius * math.cos(a), y, z + radius * math.sin(a)) for a in (math.pi * i / 8 for i in range(17))]
    parts = [rod(a, b, 0.02, RUBBER) for a, b in itertools.pairwise(rim)]
    parts += [rod(hub, rim[i], 0.004, metal()) for i in range(0, 16, 2)]
    parts.append(rod((x, y - 0.05, z), (x, y + 0.05, z), 0.025, metal()))
    return parts
