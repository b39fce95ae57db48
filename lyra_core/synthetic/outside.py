# SPDX-License-Identifier: Apache-2.0
"""Yards and streets under a sky."""

from __future__ import annotations

import math
from random import Random

from .lighting import Lighting
from .moods import outdoor_light
from .objects import CATALOG
from .palette import COLORS, mixed, paint, pattern, scaled
from .primitives import Material, Texture, box, cylinder, ellipsoid
from .request import Item, Request
from .space import Space
from .stage import Stage, View
from .themes import STREET_THINGS, YARD_THINGS

_GRASS = ((0.13, 0.29, 0.06), (0.26, 0.42, 0.11))
_FAR_GLASS = (0.2, 0.27, 0.35)
_HILLS = ((0.16, 0.3, 0.12), (0.22, 0.36, 0.16))


def lay_yard(rng: Random, request: Request) -> tuple[Stage, Lighting, str]:
    """A garden: lawn, path, a house or a shed behind, hedges and fences around."""
    view = View(
        (rng.uniform(-0.8, 0.8), 0.0, rng.uniform(1.5, 1.9)), rng.uniform(-0.12, 0.12), rng.uniform(-0.22, -0.15), 7.0
    )
    stage = Stage(rng, Space((-14, -6), (14, 30)), view, request)
    lawn = _ground(stage, "grass", pattern(*_GRASS, Texture.GRASS, 1.0, gloss=0.0))
    _hills(stage)
    stage.space.take(view.keep_out())
    back = rng.uniform(8.5, 10.5)
    _backdrop_of_yard(stage, back)
    _path(stage, back)
    for item in stage.wishes(set(CATALOG)):
        _demand(stage, item)
    asked = {i.name for i in request.items} | set(request.without)
    pool = [n for n in YARD_THINGS if n not in asked]
    for name in _varied(rng, pool, 2 if request.sparse else rng.randint(6, 8)):
        _scatter(stage, Item(name), 25, near=3.0, far=back - 1.0, gap=0.35)
    light, mood = outdoor_light(rng, request.mood, lawn, tuple(stage.glows[:3]), view.yaw)
    return stage, light, f"{mood} yard with a lawn"


def _ground(stage: Stage, name: str, material: Material) -> tuple[float, float, float]:
    stage.structure(name, box(0, 18, -1, 110, 70, 1, material))
    return material.color


def _hills(stage: Stage) -> None:
    """Woods on the horizon, so that the world has an end in every direction the camera can look."""
    rng = stage.rng
    for i in range(4):
        x = -33 + 22 * i + rng.uniform(-4, 4)
        green = pattern(*_HILLS, Texture.FOLIAGE, 3.0, gloss=0.0)
        stage.structure(
            "hill", ellipsoid(x, rng.uniform(40, 44), -1.5, (rng.uniform(15, 20), 6, rng.uniform(5, 9)), green)
        )


def _backdrop_of_yard(stage: Stage, back: float) -> None:
    """What closes the garden: a house, a shed, fences, hedges and trees behind them."""
    rng = stage.rng
    asked = {item.name for item in stage.request.items}
    main = "house" if "house" in asked or rng.random() < 0.65 else "shed"
    x = rng.uniform(-3.5, 3.5)
    wanted = next((i for i in stage.request.items if i.name == main), None)
    prop = stage.make(main, wanted.color(0) if wanted else None)
    y = back + 2.4 if main == "house" else back
    stage.add(prop, x, y, rng.uniform(-0.12, 0.12))
    barrier = "fence" if "fence" in asked or ("hedge" not in asked and rng.random() < 0.5) else "hedge"
    tint = next((i.color(0) for i in stage.request.items if i.name == barrier), None)
    panel = stage.make(barrier, tint)
    low, high = panel.bounds()
    step = high[0] - low[0]
    for sign in (-1, 1):
        for i in range(2):
            stage.try_add(panel, x + sign * (3.9 + step * (i + 0.5)), back + 0.6, 0.0, gap=0.0)
        for i in range(2 if len(panel.primitives) < 8 else 0):
            edge = 6.2 + 0.35 * (back - 8.5)
            stage.try_add(panel, sign * edge, back - 0.4 - step * (i + 0.5), -sign * math.pi / 2, gap=0.0)
    for _ in range(0 if "tree" in stage.request.without else 3):
        for _ in range(8):
            if stage.try_add(stage.make("tree"), rng.uniform(-10, 10), back + rng.uniform(2.0, 4.5), gap=0.1):
                break
    for name in {barrier, main} & asked:
        stage.deliver(name)


def _path(stage: Stage, back: float) -> None:
    rng = stage.rng
    stone = pattern(
        (0.55, 0.53, 0.49),
        (0.4, 0.39, 0.36),
        rng.choice([Texture.SPECKLE, Texture.BRICK, Texture.TILES]),
        0.5,
        gloss=0.0,
    )
    x = rng.choice([-1, 1]) * rng.uniform(0.6, 1.8)
    if rng.random() < 0.5:
        stage.structure("pavement", box(x, back / 2, -0.03, 1.1, back + 2, 0.045, stone))
        return
    for i in range(9):
        stage.structure(
            "pavement",
            cylinder(x + 0.25 * math.sin(i * 1.1), 1.8 + 0.95 * i, -0.03, rng.uniform(0.28, 0.36), 0.05, stone),
        )


def lay_street(rng: Random, request: Request) -> tuple[Stage, Lighting, str]:
    """A street between two rows of buildings, parked cars at the kerbs."""
    half_road = rng.uniform(3.0, 3.6)
    side = rng.choice([-1, 1])
    view = View(
        (side * rng.uniform(0.4, 1.4), 0.0, rng.uniform(1.5, 1.9)),
        side * rng.uniform(0.0, 0.12),
        rng.uniform(-0.2, -0.14),
        8.0,
    )
    stage = Stage(rng, Space((-20, -6), (20, 46)), view, request)
    road = pattern((0.2, 0.2, 0.21), (0.27, 0.27, 0.27), Texture.ASPHALT, 1.0, gloss=0.0)
    _ground(stage, "grass", pattern(*_GRASS, Texture.GRASS, 1.0, gloss=0.0))
    _roadway(stage, road, half_road)
    _hills(stage)
    stage.space.take(view.keep_out())
    _buildings(stage, half_road)
    for item in stage.wishes(set(CATALOG)):
        _demand(stage, item, half_road)
    asked = {i.name for i in request.items} | set(request.without)
    if not request.sparse:
        _parked(stage, half_road, asked)
    pool = [n for n in STREET_THINGS if n not in asked]
    for name in ["street lamp", "tree", "tree", "tree", *_varied(rng, pool, rng.randint(4, 6))]:
        if name not in asked:
            _kerbside(stage, Item(name), half_road, 20)
    light, mood = outdoor_light(rng, request.mood, road.color, tuple(stage.glows[:3]), view.yaw)
    return (
        stage,
        light,
        f"{mood} street with parked cars" if "car" in {p.name for p in stage.placed} else f"{mood} street",
    )


def _roadway(stage: Stage, road: Material, half_road: float) -> None:
    rng = stage.rng
    length, middle = 56.0, 20.0
    stage.structure("road", box(0, middle, -0.05, 2 * half_road, length, 0.06, road))
    paving = pattern((0.5, 0.49, 0.47), (0.36, 0.35, 0.34), Texture.TILES, rng.choice([0.5, 0.8]), gloss=0.0)
    kerb = paint((0.6, 0.59, 0.57))
    for sign in (-1, 1):
        stage.structure("pavement", box(sign * (half_road + 1.4), middle, -0.05, 2.6, length, 0.17, paving))
        stage.structure("pavement", box(sign * (half_road + 0.07), middle, -0.05, 0.16, length, 0.18, kerb))
    white = paint((0.78, 0.78, 0.74))
    for i in range(8):
        stage.structure("road", box(0, 1.5 + 4.2 * i, 0.0, 0.14, 2.0, 0.014, white))
    if rng.random() < 0.45:
        y = rng.uniform(5.0, 8.0)
        count = int(half_road * 2 / 0.9)
        for i in range(count):
            x = (i + 0.5 - count / 2) * 0.9
            stage.structure("road", box(x, y, 0.0, 0.45, 2.4, 0.016, white))


def _buildings(stage: Stage, half_road: float) -> None:
    """Houses or town buildings on both sides, fronts towards the road."""
    rng = stage.rng
    asked = {item.name for item in stage.request.items}
    kind = "house" if "house" in asked else "shop" if "shop" in asked else rng.choice(["house", "shop", "shop"])
    for sign in (-1, 1):
        y = rng.uniform(3.5, 5.0)
        for _ in range(2 if kind == "house" else 1):
            wanted = stage.wishes({kind})
            prop = stage.make(kind, wanted[0].color(0) if wanted else None)
            low, high = prop.bounds()
            half = (high[0] - low[0]) / 2
            setback = half_road + 2.7 + (1.6 if kind == "house" else 0.05) - low[1] - (1.0 if kind == "shop" else 0.0)
            stage.add(prop, sign * setback, y + half, -sign * math.pi / 2)
            y += 2 * half + rng.uniform(0.3, 1.2)
            if wanted:
                stage.deliver(kind)
        _far_row(stage, sign, half_road, y)
    end = rng.uniform(42, 45)
    _far_building(stage, rng.uniform(-3, 3), end, rng.uniform(9, 13), rng.uniform(7, 10))


def _far_row(stage: Stage, side: int, half_road: float, first: float) -> None:
    """Simple blocks that carry the street on towards the horizon."""
    y = max(first + 0.4, 9.0)
    while y < 34:
        length = stage.rng.uniform(6, 10)
        _far_building(stage, side * (half_road + 5.2), y + length / 2, 5.0, stage.rng.uniform(5, 9), length)
        y += length + stage.rng.uniform(0.2, 1.5)


def _far_building(stage: Stage, x: float, y: float, width: float, height: float, length: float = 4.0) -> None:
    rng = stage.rng
    color = mixed(
        COLORS[rng.choice(["cream", "grey", "red", "orange", "white", "brown", "teal"])], (0.6, 0.57, 0.53), 0.45
    )
    wall = pattern(color, _FAR_GLASS, Texture.FACADE, rng.uniform(2.2, 2.7), gloss=0.0)
    roof = paint(scaled(color, 0.55), 0.0)
    stage.structure(
        "shop", box(x, y, 0, width, length, height, wall), box(x, y, height, width + 0.4, length + 0.4, 0.3, roof)
    )


def _parked(stage: Stage, half_road: float, asked: set[str]) -> None:
    rng = stage.rng
    if {"car", "van"} & asked:
        return
    for sign in rng.sample([-1, 1], 2):
        y = rng.uniform(5.5, 8.5)
        for _ in range(rng.randint(1, 2) if sign > 0 else 1):
            prop = stage.make(rng.choice(["car", "car", "car", "van"]))
            yaw = 0.0 if sign < 0 else math.pi
            stage.try_add(prop, sign * (half_road - 1.05), y, yaw + rng.uniform(-0.03, 0.03), 0.01, gap=0.2)
            y += rng.uniform(5.4, 7.0)


def _kerbside(stage: Stage, item: Item, half_road: float, tries: int) -> bool:
    """Things that stand on the pavement."""
    prop = stage.make(item.name, item.color(0))
    for _ in range(tries):
        sign = stage.rng.choice([-1, 1])
        y = stage.rng.uniform(3.5, 16)
        x = sign * (half_road + stage.rng.uniform(0.55, 2.1))
        if abs(stage.view.bearing(x, y)[1]) < 0.66 and stage.try_add(prop, x, y, -sign * math.pi / 2, 0.12, gap=0.15):
            return True
    return False


def _demand(stage: Stage, item: Item, half_road: float | None = None) -> None:
    """Place a wanted thing where it is seen well."""
    if half_road is not None and item.name in STREET_THINGS and item.name != "cone":
        done = _kerbside(stage, item, half_road, 120)
    elif half_road is not None and item.name in ("car", "van", "truck"):
        done = _wanted_car(stage, item, half_road)
    else:
        done = _scatter(stage, item, 200, near=3.4, far=9.0, gap=0.15)
    if not done:
        stage.missing.append(item.name)


def _wanted_car(stage: Stage, item: Item, half_road: float) -> bool:
    prop = stage.make(item.name, item.color(0))
    for attempt in range(60):
        sign = stage.rng.choice([-1, 1])
        y = stage.rng.uniform(5.5, 8.0 + 0.2 * attempt)
        if stage.try_add(prop, sign * (half_road - 1.05), y, 0.0 if sign < 0 else math.pi, 0.01, gap=0.3):
            return True
    return False


def _scatter(stage: Stage, item: Item, tries: int, *, near: float, far: float, gap: float) -> bool:
    """Somewhere free in the field of view."""
    rng, view = stage.rng, stage.view
    prop = stage.make(item.name, item.color(0))
    big = prop.bounds()[1][2] > 2.3
    for _ in range(tries):
        depth = rng.uniform(max(near, 6.0), far) if big else rng.uniform(near, far)
        tangent = rng.uniform(-0.58, 0.58)
        if big and abs(tangent) < 0.18:
            continue
        x = view.eye[0] - math.sin(view.yaw) * depth + math.cos(view.yaw) * tangent * depth
        y = math.cos(view.yaw) * depth + math.sin(view.yaw) * tangent * depth
        if stage.try_add(prop, x, y, rng.uniform(-0.6, 0.6), gap=gap):
            return True
    return False


def _varied(rng: Random, pool: list[str], count: int) -> list[str]:
    """Names from the pool; only greenery comes more than once."""
    names: list[str] = []
    for name in rng.choices(pool, k=3 * count):
        if len(names) < count and (name not in names or name in ("tree", "bush", "flower bed")):
            names.append(name)
    return names
