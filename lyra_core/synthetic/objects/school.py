# SPDX-License-Identifier: Apache-2.0
"""Things of classrooms."""

from __future__ import annotations

import itertools

from ..palette import COLORS, metal, paint, pattern, scaled, timber
from ..primitives import Primitive, Texture, ball, box, cylinder, ellipsoid, rod
from .prop import Prop, Style, build, builds

_CHALK = paint((0.82, 0.83, 0.8))


@builds("blackboard")
def blackboard(style: Style) -> Prop:
    """A chalkboard, 3 m wide, with lines of writing and a tray."""
    rng = style.rng
    slate = paint(rng.choice([(0.04, 0.14, 0.09), (0.03, 0.1, 0.08), (0.05, 0.055, 0.06)]), 0.1)
    wood = timber(rng, "oak")
    parts: list[Primitive] = [box(0, -0.02, 0.85, 3.0, 0.04, 1.25, wood), box(0, -0.042, 0.9, 2.9, 0.012, 1.15, slate)]
    parts += [box(0, -0.09, 0.82, 2.6, 0.12, 0.025, wood)]
    for i in range(5):
        x = -1.3
        while x < -0.1:
            length = rng.uniform(0.1, 0.32)
            parts.append(box(x + length / 2, -0.049, 1.86 - 0.16 * i, length, 0.004, 0.022, _CHALK))
            x += length + 0.07
    parts += _triangle(0.45, 1.15) if rng.random() < 0.5 else _plot(0.35, 1.1)
    parts += [
        rod((x, -0.1, 0.855), (x + 0.08, -0.1, 0.855), 0.008, paint(c))
        for x, c in ((-0.4, "white"), (-0.2, "yellow"), (0.1, "pink"))
    ]
    parts.append(box(0.6, -0.1, 0.845, 0.16, 0.06, 0.04, paint("brown")))
    return Prop("blackboard", "blackboard", parts)


def _triangle(x: float, z: float) -> list[Primitive]:
    corners = ((x, -0.049, z), (x + 0.8, -0.049, z), (x, -0.049, z + 0.6))
    return [rod(corners[i], corners[(i + 1) % 3], 0.009, _CHALK) for i in range(3)]


def _plot(x: float, z: float) -> list[Primitive]:
    points = [(x + 0.12 * i, -0.049, z + 0.04 + 0.016 * i * i) for i in range(7)]
    curve = [rod(a, b, 0.009, paint((0.85, 0.75, 0.2))) for a, b in itertools.pairwise(points)]
    return [
        rod((x, -0.049, z), (x + 0.9, -0.049, z), 0.008, _CHALK),
        rod((x, -0.049, z), (x, -0.049, z + 0.75), 0.008, _CHALK),
        *curve,
    ]


@builds("school desk")
def school_desk(style: Style) -> Prop:
    """A pupil's desk with its chair; the pupil sits at -y and looks to +y."""
    rng = style.rng
    steel = paint(style.requested or rng.choice(["dark grey", "blue", "green", "grey"]), 0.4)
    top = timber(rng, "birch", scale=0.2)
    parts = [box(0, 0.1, 0.72, 0.7, 0.5, 0.025, top), box(0, 0.12, 0.58, 0.6, 0.36, 0.015, steel)]
    parts += [box(x, 0.33, 0.58, 0.02, 0.02, 0.14, steel) for x in (-0.29, 0.29)]
    for x in (-0.31, 0.31):
        parts += [
            rod((x, 0.12, 0.04), (x, 0.12, 0.72), 0.018, steel),
            rod((x, -0.1, 0.02), (x, 0.33, 0.02), 0.016, steel),
        ]
    parts.append(rod((-0.31, 0.14, 0.3), (0.31, 0.14, 0.3), 0.014, steel))
    seat = [box(0, -0.38, 0.42, 0.4, 0.38, 0.02, top), box(0, -0.58, 0.62, 0.38, 0.02, 0.2, top, pitch=0.12)]
    for x in (-0.17, 0.17):
        seat += [
            rod((x, -0.22, 0.01), (x * 0.9, -0.26, 0.43), 0.013, steel),
            rod((x, -0.58, 0.01), (x * 0.9, -0.5, 0.43), 0.013, steel),
        ]
        seat.append(rod((x * 0.9, -0.52, 0.42), (x * 0.9, -0.595, 0.8), 0.012, steel))
    things = [Prop("chair", "", seat)]
    if rng.random() < 0.5:
        things.append(build("books", Style(rng)).moved(rng.uniform(-0.15, 0.15), 0.12, 0.745, rng.uniform(-0.3, 0.3)))
    return Prop("school desk", "school desk", parts, things, style.requested)


@builds("lockers")
def lockers(style: Style) -> Prop:
    rng = style.rng
    color = style.color("blue", "grey", "green", "red", "orange", "yellow")
    body, front = paint(scaled(COLORS[color], 0.8), 0.3), paint(color, 0.3)
    count = rng.randint(3, 4)
    width = 0.38 * count
    parts = [box(0, 0.01, 0.08, width, 0.46, 1.76, body), box(0, 0.02, 0, width - 0.04, 0.4, 0.08, paint("dark grey"))]
    for i in range(count):
        x = 0.38 * (i - (count - 1) / 2)
        parts += [box(x, -0.23, 0.1, 0.355, 0.02, 1.72, front), box(x + 0.12, -0.25, 0.95, 0.025, 0.025, 0.1, metal())]
        parts += [box(x, -0.242, 1.52 + 0.05 * j, 0.18, 0.006, 0.015, paint("black")) for j in range(4)]
        parts.append(box(x, -0.242, 1.36, 0.09, 0.006, 0.05, paint("white")))
    return Prop("lockers", f"{color} lockers", parts, color=color)


@builds("globe")
def globe(style: Style) -> Prop:
    sea = paint(style.color("blue", "teal"), 0.4)
    land = paint("green", 0.2)
    parts = [
        cylinder(0, 0, 0, 0.1, 0.02, paint("brown", 0.3)),
        cylinder(0, 0, 0.02, 0.015, 0.06, metal((0.7, 0.6, 0.3))),
    ]
    parts.append(ball(0, 0, 0.22, 0.14, sea))
    parts += [ellipsoid(x, y, z, half, land) for x, y, z, half in (
        (-0.04, -0.095, 0.26, (0.055, 0.045, 0.05)), (-0.02, -0.1, 0.18, (0.035, 0.04, 0.055)),
        (0.09, -0.06, 0.25, (0.05, 0.05, 0.045)), (0.09, 0.06, 0.2, (0.05, 0.05, 0.04)),
        (-0.09, 0.05, 0.25, (0.05, 0.06, 0.05)), (0.01, 0.1, 0.24, (0.05, 0.04, 0.05)),
    )]  # fmt: skip
    arc = [(0.155, 0.0, 0.22), (0.12, 0.0, 0.32), (0.0, 0.0, 0.375)]
    parts += [rod(a, b, 0.006, metal((0.7, 0.6, 0.3))) for a, b in itertools.pairwise(arc)]
    parts += [
        rod((0.155, 0, 0.22), (0.1, 0, 0.1), 0.006, metal((0.7, 0.6, 0.3))),
        rod((0.1, 0, 0.1), (0, 0, 0.07), 0.006, metal((0.7, 0.6, 0.3))),
    ]
    return Prop("globe", "globe", parts, color=style.requested)


@builds("wall map")
def wall_map(style: Style) -> Prop:
    """A map of the world, hung from a rod."""
    sea = pattern(style.color("teal", "blue"), (0.35, 0.55, 0.68), Texture.TILES, 0.2)
    parts: list[Primitive] = [
        box(0, -0.012, 1.1, 1.5, 0.02, 0.95, paint("cream")),
        box(0, -0.024, 1.15, 1.4, 0.006, 0.85, sea),
    ]
    parts += [rod((-0.8, -0.02, z), (0.8, -0.02, z), 0.02, paint("brown", 0.3)) for z in (1.08, 2.06)]
    lands = (
        (-0.45, 1.72, 0.19, 0.15, "green"),
        (-0.3, 1.4, 0.09, 0.18, "orange"),
        (0.05, 1.48, 0.12, 0.19, "yellow"),
        (0.06, 1.8, 0.12, 0.08, "pink"),
        (0.4, 1.74, 0.25, 0.16, "red"),
        (0.52, 1.36, 0.11, 0.08, "teal"),
    )
    parts += [ellipsoid(x, -0.026, z, (a, 0.006, b), paint(color)) for x, z, a, b, color in lands]
    return Prop("wall map", "map of the world", parts, color=style.requested)
