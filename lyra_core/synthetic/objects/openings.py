# SPDX-License-Identifier: Apache-2.0
"""Windows through which one sees outside."""

from __future__ import annotations

from ..palette import COLORS, paint, scaled
from ..primitives import Material, Primitive, Texture, box
from .prop import Prop, Style, builds

_SKIES = ((0.35, 0.6, 0.95), (0.55, 0.75, 0.98), (0.62, 0.72, 0.82))
_LANDS = ((0.16, 0.4, 0.12), (0.25, 0.42, 0.16), (0.3, 0.34, 0.3))


@builds("scenic window")
def scenic_window(style: Style) -> Prop:
    """A window onto hills or a town; to the labels it is a window like any other."""
    rng = style.rng
    casement = paint(style.requested or "white", 0.2)
    panes = rng.choice([2, 3])
    pane, height = 0.62, 1.15
    width = panes * pane + 0.12
    parts: list[Primitive] = [box(0, -0.015, 0.95, width, 0.03, height + 0.12, casement)]
    town = rng.random() < 0.4
    sky, land = rng.choice(_SKIES), rng.choice(_LANDS)
    view = Material(sky, land, Texture.PICTURE, 1.0, emission=1.0)
    parts.append(box(0, -0.028, 1.01, width - 0.06, 0.02, height, view))
    for i in range(panes if town else 0):
        parts += _skyline(style, pane * (i - (panes - 1) / 2), pane - 0.05)
    parts += [
        box(0, -0.045, 1.56, width - 0.08, 0.02, 0.04, casement),
        box(0, -0.08, 0.91, width + 0.1, 0.16, 0.04, casement),
    ]
    parts += [box(pane * (i - panes / 2), -0.045, 1.0, 0.05, 0.025, height + 0.02, casement) for i in range(panes + 1)]
    return Prop("window", "window", parts, color=style.requested)


def _skyline(style: Style, x: float, width: float) -> list[Primitive]:
    """Far houses in the lower half of one pane."""
    rng = style.rng
    parts: list[Primitive] = []
    for i in range(3):
        wall = scaled(COLORS[rng.choice(["cream", "grey", "orange", "white", "teal"])], 0.75)
        facade = Material(wall, (0.25, 0.32, 0.4), Texture.FACADE, 0.08, emission=0.85)
        parts.append(
            box(x + width * ((i + 0.5) / 3 - 0.5), -0.03, 1.01, width / 3, 0.024, rng.uniform(0.25, 0.6), facade)
        )
    return parts
