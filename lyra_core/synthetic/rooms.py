# SPDX-License-Identifier: Apache-2.0
"""Rooms: sizes, shell, finishes and light; `furnishing` fills them."""

from __future__ import annotations

import math
from functools import cache
from random import Random

from .furnishing import Furnisher
from .lighting import Lighting
from .moods import indoor_light
from .objects import Style, build
from .palette import COLORS, WOODS, mixed, paint, pattern, scaled, vary
from .places import Room, floor_area
from .primitives import Material, Primitive, Texture, Vector, box
from .request import Request
from .room_theme import RoomTheme
from .space import Space
from .stage import Stage, View
from .themes import OUTDOOR_ONLY, ROOMS

_TEXTURE_SCALE = {
    Texture.PLAIN: 1.0,
    Texture.SPECKLE: 1.2,
    Texture.STRIPES: 0.35,
    Texture.BRICK: 0.45,
    Texture.TILES: 0.3,
    Texture.CORRUGATED: 0.3,
}
_HUGE = 4.0  # floor area [m^2] of a thing that needs a larger room
_LONGEST = 1.85  # depth of a room over the length of the longest thing that is wanted in it
_DADO = 1.1  # height [m] of a painted lower half of the walls
_WALL_WORDS = {"brick": Texture.BRICK, "striped": Texture.STRIPES, "tiled": Texture.TILES, "plain": Texture.PLAIN}


def lay_room(rng: Random, name: str, request: Request) -> tuple[Stage, Lighting, str]:
    """Build one room of theme `name`; returns the stage, its light and the words that describe it."""
    theme = ROOMS[name]
    room, view = _measure(rng, theme, request)
    stage = Stage(rng, Space((-room.width / 2, -room.behind), (room.width / 2, room.depth)), view, request)
    floor = _build_shell(stage, theme, room)
    stage.space.take(view.keep_out(0.25 if theme.narrow else 0.45))
    Furnisher(stage, theme, room, name).furnish()
    lamp = _lamp(rng, room, theme)
    word = request.mood or (rng.choice(theme.moods) if theme.moods else None)
    light, mood = indoor_light(rng, word, lamp, min(room.width, 7.0), floor, tuple(stage.glows[:3]))
    floor_words = " ".join(filter(None, (request.floor_color, room.floor)))
    return stage, light, f"{mood} {name} with {room.wall_color} walls and {floor_words} floor"


def _measure(rng: Random, theme: RoomTheme, request: Request) -> tuple[Room, View]:
    factor = request.size
    width, depth = rng.uniform(*theme.width) * factor, rng.uniform(*theme.depth) * factor
    aisle = _has_aisle(rng, theme, request)
    if aisle and not theme.narrow:
        width, depth = rng.uniform(5.8, 6.4), rng.uniform(8.6, 10.0)
    height = rng.uniform(*theme.height)
    if any(floor_area(item.name) > _HUGE for item in request.items):
        width, depth = max(width, 7.5), max(depth, 8.5)
    for item in request.items:
        length, top = _longest_and_top(item.name)
        if item.name not in OUTDOOR_ONLY:
            depth, height = max(depth, _LONGEST * length), max(height, top + 0.2)
    focus = 0.42 * depth if theme.narrow else 0.85 * depth if depth < 7 else 0.7 * depth
    room = Room(
        width,
        depth,
        height,
        behind=0.6 + 0.3 * focus,
        wall_color=request.wall_color or rng.choice(theme.wall_colors),
        floor=request.floor or rng.choice(theme.floors),
        aisle=aisle,
    )
    straight = theme.narrow or aisle
    yaw = rng.uniform(-0.05, 0.05) if straight else rng.uniform(-0.2, 0.2)
    x = rng.uniform(-0.03, 0.03) * width if straight else math.sin(yaw) * depth * 0.45
    room_left = max(0.0, width / 2 - 0.3 * focus - 0.5)
    x = max(-room_left, min(room_left, x))
    eye = (x, 0.0, rng.uniform(*theme.eye))
    return room, View(eye, yaw, rng.uniform(-0.2, -0.1), focus)


def _has_aisle(rng: Random, theme: RoomTheme, request: Request) -> bool:
    if not theme.aisle or theme.aisle_chance == 1:
        return bool(theme.aisle)
    return request.aisle or (not request.items and rng.random() < theme.aisle_chance)


@cache
def _longest_and_top(name: str) -> tuple[float, float]:
    """Longest side on the floor and height above it [m] of a thing of this class, roughly."""
    low, high = build(name, Style(Random(0))).bounds()
    return max(high[0] - low[0], high[1] - low[1]), high[2]


def _build_shell(stage: Stage, theme: RoomTheme, room: Room) -> Vector:
    """Walls, floor, ceiling and skirting boards; returns the floor's albedo."""
    rng, request = stage.rng, stage.request
    width, length, height, middle = room.width, room.depth + room.behind, room.height, room.middle
    wall = _wall_material(rng, theme, room, request)
    shell = box(0, middle, 0, width, length, height, wall)
    stage.structure("wall", Primitive(shell.kind, shell.center, shell.half, wall, hollow=True))
    floor = _floor_material(rng, room.floor, request.floor_color)
    stage.structure("floor", box(0, middle, -0.05, width - 0.002, length - 0.002, 0.062, floor))
    top = paint((0.84, 0.84, 0.82) if theme.ceiling_color == "white" else (0.3, 0.31, 0.33), 0.0)
    stage.structure("ceiling", box(0, middle, height - 0.012, width - 0.002, length - 0.002, 0.05, top))
    board = paint(COLORS["white"] if room.wall_color != "white" else (0.55, 0.55, 0.54), 0.1)
    for side in (-1, 1):
        stage.structure("wall", box(side * (width / 2 - 0.005), middle, 0, 0.025, length, 0.09, board))
        y = middle + side * (length / 2 - 0.005)
        stage.structure("wall", box(0, y, 0, width, 0.025, 0.09, board))
    if theme.dado and rng.random() < 0.6:
        _paint_dado(stage, room, rng.choice(theme.dado))
    if theme.ceiling_color != "white":
        steel = paint((0.42, 0.44, 0.47), 0.3)
        for i in range(3):
            y = room.depth * (0.4 + 0.25 * i)
            stage.structure("ceiling", box(0, y, height - 0.35, width, 0.14, 0.33, steel))
    return mixed(floor.color, floor.accent, 0.4)


def _paint_dado(stage: Stage, room: Room, color: str) -> None:
    """A coat of paint, 3 mm thick, on the lower half of the walls."""
    coat = paint(mixed(COLORS[color], (0.85, 0.84, 0.8), 0.35), 0.15)
    length = room.depth + room.behind
    for side in (-1, 1):
        stage.structure("wall", box(side * room.width / 2, room.middle, 0, 0.006, length, _DADO, coat))
        stage.structure("wall", box(0, room.middle + side * length / 2, 0, room.width, 0.006, _DADO, coat))


def _wall_material(rng: Random, theme: RoomTheme, room: Room, request: Request) -> Material:
    texture = _WALL_WORDS[request.wall] if request.wall else rng.choice(theme.wall_textures)
    color = COLORS[room.wall_color]
    if room.wall_color not in ("white", "cream", "black", "dark grey"):
        color = mixed(color, (0.85, 0.84, 0.8), 0.15 if request.wall_color else 0.3)
    if texture is Texture.BRICK:
        accent: Vector = (0.72, 0.7, 0.66)
    elif texture is Texture.TILES:
        accent = scaled(color, 0.72)
    else:
        accent = vary(color, rng, 0.05)
    return pattern(color, accent, texture, _TEXTURE_SCALE[texture], gloss=0.0)


def _floor_material(rng: Random, kind: str, color: str | None) -> Material:
    tint = COLORS[color] if color else None
    if kind == "wood":
        light, dark = WOODS[rng.choice(list(WOODS))]
        return pattern(tint or light, scaled(tint, 0.7) if tint else dark, Texture.WOOD, 0.16, gloss=0.15)
    if kind == "carpet":
        tint = tint or COLORS[rng.choice(["grey", "blue", "red", "cream", "teal", "brown"])]
        return pattern(tint, vary(tint, rng, 0.08), Texture.SPECKLE, 0.4, gloss=0.0)
    if kind == "tile":
        tint = tint or COLORS[rng.choice(["white", "cream", "grey"])]
        return pattern(tint, scaled(tint, 0.6), Texture.TILES, rng.uniform(0.35, 0.6), gloss=0.4)
    if kind == "checker":
        tint = tint or COLORS[rng.choice(["black", "red", "teal", "grey", "blue"])]
        return pattern("white", tint, Texture.CHECKER, rng.uniform(0.35, 0.55), gloss=0.3)
    tint = tint or (0.5, 0.5, 0.48)
    return pattern(tint, scaled(tint, 0.8), Texture.SPECKLE, 1.5, gloss=0.15)


def _lamp(rng: Random, room: Room, theme: RoomTheme) -> Vector:
    """Where the key light hangs: off to one side, a little towards the camera, so that shadows fall visibly."""
    side = rng.choice([-1, 1]) * rng.uniform(0.12, 0.26)
    along = rng.uniform(0.3, 0.5) * room.depth if not theme.narrow else 0.4 * room.depth
    return (side * room.width, along, room.height - 0.45 if room.height < 3.5 else room.height - 1.1)
