# SPDX-License-Identifier: Apache-2.0
"""A table seen from close by, with small things on it."""

from __future__ import annotations

import math
from random import Random

from .lighting import Lighting
from .moods import indoor_light
from .palette import COLORS, fabric, mixed, paint, pattern, scaled, timber, vary
from .primitives import Material, Primitive, Texture, box, cylinder
from .request import Item, Request
from .space import Block, Space
from .stage import Stage, View
from .themes import SMALL_THINGS, TABLE_THINGS

_TOP = 0.74


def lay_tabletop(rng: Random, request: Request) -> tuple[Stage, Lighting, str]:
    """Build one table scene; returns the stage, its light and the words that describe it."""
    width, depth = rng.uniform(1.3, 1.6), rng.uniform(0.8, 0.95)
    eye = (rng.uniform(-0.12, 0.12), -0.42 - depth / 2, _TOP + rng.uniform(0.48, 0.62))
    view = View(eye, rng.uniform(-0.06, 0.06), rng.uniform(-0.5, -0.42), 1.2)
    stage = Stage(
        rng, Space((-width / 2 + 0.04, -depth / 2 + 0.03), (width / 2 - 0.04, depth / 2 - 0.04)), view, request
    )
    wall_color = request.wall_color or rng.choice(
        ["white", "cream", "grey", "teal", "blue", "green", "yellow", "pink", "orange"]
    )
    _build_room(stage, wall_color, depth)
    top = _table_top(rng)
    _build_table(stage, top, width, depth)
    stage.space.take(Block(eye[0], eye[1] + 0.2, 0.55, 0.55, 0.0, eye[2] - 0.3, 3.0))
    _set(stage)
    lamp = (rng.choice([-1, 1]) * rng.uniform(0.5, 1.0), rng.uniform(-0.6, 0.3), _TOP + 1.35)
    light, mood = indoor_light(rng, request.mood, lamp, 1.2, mixed(top.color, top.accent, 0.4), tuple(stage.glows[:3]))
    return stage, light, f"{mood} tabletop before {wall_color} walls"


def _build_room(stage: Stage, wall_color: str, depth: float) -> None:
    rng = stage.rng
    color = COLORS[wall_color]
    if wall_color not in ("white", "cream"):
        color = mixed(color, (0.85, 0.84, 0.8), 0.3)
    texture, scale = rng.choice(
        [
            (Texture.PLAIN, 1.0),
            (Texture.SPECKLE, 0.8),
            (Texture.TILES, 0.25),
            (Texture.BRICK, 0.4),
            (Texture.STRIPES, 0.3),
        ]
    )
    wall = pattern(
        color, scaled(color, 0.78) if texture is Texture.TILES else vary(color, rng, 0.06), texture, scale, gloss=0.0
    )
    far = depth / 2 + rng.uniform(0.25, 0.6)
    near, half_width = -3.0, 2.0
    shell = box(0, (far + near) / 2, 0, 2 * half_width, far - near, 2.6, wall)
    stage.structure("wall", Primitive(shell.kind, shell.center, shell.half, wall, hollow=True))
    stage.structure(
        "floor",
        box(0, (far + near) / 2, -0.05, 2 * half_width - 0.01, far - near - 0.01, 0.062, timber(rng, scale=0.16)),
    )
    name = rng.sample(["picture", "window", "wall shelf", "none"], 1)[0]
    if name != "none":
        stage.record(stage.make(name).moved(rng.uniform(-0.6, 0.6), far))


def _table_top(rng: Random) -> Material:
    if rng.random() < 0.7:
        return timber(rng, scale=0.16, gloss=0.3)
    return rng.choice(
        [paint("white", 0.3), pattern((0.7, 0.69, 0.67), (0.55, 0.54, 0.52), Texture.SPECKLE, 0.3, gloss=0.5)]
    )


def _build_table(stage: Stage, top: Material, width: float, depth: float) -> None:
    rng = stage.rng
    leg = paint(mixed(top.color, top.accent, 0.6))
    stage.structure("table", box(0, 0, _TOP - 0.05, width, depth, 0.05, top))
    for sx in (-1, 1):
        for sy in (-1, 1):
            stage.structure(
                "table", box(sx * (width / 2 - 0.06), sy * (depth / 2 - 0.06), 0, 0.07, 0.07, _TOP - 0.05, leg)
            )
    choice = rng.random()
    if choice < 0.25:
        color = rng.choice(["red", "blue", "teal", "cream", "green"])
        cloth = pattern(
            color, vary(COLORS[color], rng, 0.15), rng.choice([Texture.CHECKER, Texture.STRIPES, Texture.WEAVE]), 0.06
        )
        stage.structure("table", box(0, 0, _TOP, 0.42 * width, depth * 0.98, 0.003, cloth))
    elif choice < 0.5:
        mat = fabric(rng.choice(["grey", "blue", "red", "green", "cream"]), rng)
        stage.structure("table", box(0, -0.12, _TOP, 0.46, 0.32, 0.003, mat))
    elif choice < 0.6:
        stage.structure("table", cylinder(0, 0, _TOP, 0.3, 0.004, fabric("white", rng)))


def _set(stage: Stage) -> None:
    """Wanted things first; then tall things to the back, small ones to the front."""
    rng = stage.rng
    wanted = stage.wishes(set(SMALL_THINGS))
    extra = max(0, rng.randint(7, 10) - len(wanted)) if not stage.request.sparse else 0
    asked = {item.name for item in wanted} | set(stage.request.without)
    names = [n for n in rng.sample(TABLE_THINGS, min(len(TABLE_THINGS), extra + 2)) if n not in asked][:extra]
    names += [rng.choice(["mug", "apple", "can", "bottle"]) for _ in range(extra - len(names))]
    for item in wanted:
        if not _put(stage, item, 300):
            stage.missing.append(item.name)
    for name in names:
        if name not in asked:
            _put(stage, Item(name), 25)


def _put(stage: Stage, item: Item, tries: int) -> bool:
    rng = stage.rng
    prop = stage.make(item.name, item.color(0))
    tall = prop.bounds()[1][2] > 0.2
    (x0, y0), (x1, y1) = stage.space.low, stage.space.high
    for _ in range(tries):
        share = rng.uniform(0.45, 1.0) if tall else rng.uniform(0.05, 0.8)
        y = y0 + share * (y1 - y0)
        x = rng.uniform(x0, x1) * 0.95
        yaw = rng.uniform(-0.5, 0.5) if item.name in ("laptop", "books", "toolbox") else rng.uniform(-math.pi, math.pi)
        tangent = stage.view.bearing(x, y)[1]
        if abs(tangent) < 0.6 and stage.try_add(prop, x, y, yaw, _TOP + 0.004, gap=0.015):
            return True
    return False
