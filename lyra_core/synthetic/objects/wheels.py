# SPDX-License-Identifier: Apache-2.0
"""Wheels and castors."""

from __future__ import annotations

from ..palette import metal, paint
from ..primitives import Primitive, box, rod

RUBBER = paint((0.04, 0.04, 0.045))


def wheel(x: float, y: float, radius: float, width: float) -> list[Primitive]:
    """A wheel that rolls along y, standing on z = 0. Sizes in metres."""
    return [
        rod((x - width / 2, y, radius), (x + width / 2, y, radius), radius, RUBBER),
        rod((x - width / 2 - 0.004, y, radius), (x + width / 2 + 0.004, y, radius), radius * 0.5, paint("grey", 0.5)),
    ]


def castors(half_x: float, half_y: float, radius: float = 0.05) -> list[Primitive]:
    """Four castors at (+-half_x, +-half_y) [m] that carry something at z = 2.4 radius."""
    parts: list[Primitive] = []
    for x in (-half_x, half_x):
        for y in (-half_y, half_y):
            parts.append(rod((x - 0.4 * radius, y, radius), (x + 0.4 * radius, y, radius), radius, RUBBER))
            parts.append(box(x, y, 1.2 * radius, 1.2 * radius, radius, 1.2 * radius, metal()))
    return parts
