# SPDX-License-Identifier: Apache-2.0
"""What belongs in each kind of place, and which kind of place a seed stands for."""

from __future__ import annotations

from random import Random

from .further_rooms import FURTHER_ROOMS
from .primitives import Texture
from .room_theme import LAMP_ROW, RoomTheme

_SOFT = ("white", "cream", "grey", "teal", "blue", "green", "yellow", "pink", "orange")
_PLAIN = (Texture.PLAIN, Texture.PLAIN, Texture.SPECKLE, Texture.STRIPES)
_BESIDE_BED = ("nightstand", "nightstand")

_FIRST_ROOMS: dict[str, RoomTheme] = {
    "living room": RoomTheme(
        width=(4.6, 5.8),
        depth=(3.9, 4.8),
        height=(2.6, 2.9),
        hero=("sofa", "sofa", "tv stand"),
        wall=("bookshelf", "cabinet", "plant", "floor lamp", "tv stand", "plant", "dresser"),
        middle=("armchair", "stool", "armchair"),
        fixtures=("curtained window", "window", "picture", "picture", "wall shelf", "door", "clock"),
        floors=("wood", "wood", "carpet"),
        wall_colors=_SOFT,
        wall_textures=_PLAIN,
        ceiling="pendant lamp",
        rug=0.85,
        companions={"sofa": ("coffee table",), "tv stand": ("coffee table",)},
        wall_count=(4, 6),
        fixture_count=(4, 6),
    ),
    "bedroom": RoomTheme(
        width=(4.2, 5.2),
        depth=(3.9, 4.7),
        height=(2.6, 2.9),
        hero=("bed",),
        wall=("wardrobe", "dresser", "bookshelf", "floor lamp", "plant", "desk"),
        middle=("armchair", "stool"),
        fixtures=("curtained window", "picture", "picture", "window", "mirror", "door", "wall shelf"),
        floors=("wood", "wood", "carpet"),
        wall_colors=_SOFT,
        wall_textures=_PLAIN,
        middle_count=(0, 1),
        ceiling="pendant lamp",
        rug=0.8,
        companions={"bed": _BESIDE_BED},
        wall_count=(4, 5),
        fixture_count=(4, 5),
    ),
    "kitchen": RoomTheme(
        width=(4.2, 5.2),
        depth=(4.4, 5.2),
        height=(2.6, 2.9),
        hero=("counter",),
        wall=("fridge", "counter", "stove", "cabinet", "bin", "plant"),
        middle=("table", "table"),
        fixtures=("window", "picture", "clock", "wall shelf", "door", "window"),
        floors=("tile", "checker", "wood"),
        wall_colors=("white", "cream", "yellow", "teal", "green", "blue", "grey", "orange"),
        wall_textures=(Texture.PLAIN, Texture.PLAIN, Texture.TILES, Texture.BRICK),
        wall_count=(3, 4),
        middle_count=(1, 1),
        ceiling="pendant lamp",
        companions={"counter": ("fridge",), "table": ("chair",) * 4},
        fixture_count=(4, 5),
    ),
    "office": RoomTheme(
        width=(5.0, 6.2),
        depth=(4.4, 5.4),
        height=(2.6, 2.9),
        hero=("desk", "desk", "bookshelf"),
        wall=("desk", "bookshelf", "cabinet", "plant", "desk", "shelving", "bin", "dresser"),
        middle=("table", "desk", "armchair", "table"),
        fixtures=("window", "whiteboard", "picture", "clock", "wall tv", "door", "window"),
        floors=("carpet", "carpet", "wood", "tile"),
        wall_colors=("white", "cream", "grey", "teal", "blue", "green"),
        wall_textures=(Texture.PLAIN, Texture.SPECKLE),
        middle_count=(1, 2),
        companions={"desk": ("office chair",), "table": ("chair",) * 4},
        wall_count=(6, 8),
        fixture_count=(4, 6),
        lamps=LAMP_ROW,
    ),
    "warehouse": RoomTheme(
        width=(7.5, 9.5),
        depth=(7.5, 10.0),
        height=(4.6, 6.0),
        hero=("rack", "rack", "roller door"),
        wall=("rack", "rack", "rack", "shelving", "bin"),
        middle=(
            "pallet",
            "pallet",
            "forklift",
            "mobile robot",
            "barrel",
            "boxes",
            "crate",
            "cone",
            "trolley",
            "conveyor",
            "pillar",
        ),
        fixtures=("high window", "high window", "roller door", "sign", "fire extinguisher", "pipe", "fuse box"),
        floors=("concrete",),
        wall_colors=("grey", "white", "cream", "blue"),
        wall_textures=(Texture.CORRUGATED, Texture.BRICK, Texture.SPECKLE),
        wall_count=(3, 4),
        middle_count=(6, 8),
        ceiling="high bay lamp",
        eye=(1.6, 2.1),
        ceiling_color="dark grey",
        lamps=LAMP_ROW,
        openings=("high window",),
        aisle="rack",
        aisle_chance=0.45,
    ),
    "workshop": RoomTheme(
        width=(5.8, 7.2),
        depth=(4.8, 6.2),
        height=(3.2, 4.0),
        hero=("workbench", "machine", "shelving"),
        wall=("workbench", "machine", "shelving", "cabinet", "gas bottles", "rack", "bin", "barrel"),
        middle=(
            "robot arm",
            "robot arm",
            "conveyor",
            "crate",
            "trolley",
            "barrel",
            "ladder",
            "mobile robot",
            "cone",
            "stool",
        ),
        fixtures=("pipe", "fuse box", "window", "fire extinguisher", "clock", "door", "sign", "pipe", "whiteboard"),
        floors=("concrete", "concrete", "tile"),
        wall_colors=("grey", "white", "cream", "blue", "green"),
        wall_textures=(Texture.BRICK, Texture.SPECKLE, Texture.PLAIN),
        middle_count=(3, 5),
        ceiling="high bay lamp",
        eye=(1.45, 1.8),
        wall_count=(4, 6),
        lamps=LAMP_ROW,
    ),
    "corridor": RoomTheme(
        width=(2.7, 3.3),
        depth=(8.0, 11.0),
        height=(2.5, 2.9),
        hero=("door", "window"),
        wall=("plant", "boxes", "cabinet", "bin", "chair", "plant"),
        middle=("mobile robot", "trolley", "cone"),
        fixtures=(
            "door",
            "door",
            "door",
            "picture",
            "picture",
            "fire extinguisher",
            "sign",
            "clock",
            "radiator",
            "pipe",
        ),
        floors=("tile", "checker", "carpet", "concrete", "wood"),
        wall_colors=_SOFT,
        wall_textures=(Texture.PLAIN, Texture.SPECKLE, Texture.STRIPES),
        wall_count=(3, 4),
        middle_count=(0, 1),
        fixture_count=(6, 8),
        eye=(1.35, 1.6),
        lamps=LAMP_ROW,
        narrow=True,
    ),
}

ROOMS = _FIRST_ROOMS | FURTHER_ROOMS
FIRST_THEMES: tuple[str, ...] = (*_FIRST_ROOMS, "tabletop", "yard", "street")
THEMES: tuple[str, ...] = (*FIRST_THEMES, *FURTHER_ROOMS)

_MILLION = 1_000_000


def theme_of(seed: int) -> str:
    """The theme that a seed stands for.

    Published figures were measured on seeds from the beginning of a million (0, 1,000,000, 2,000,000), when there were
    ten themes. So the first half of every million keeps to those ten for good; the second half (500,000 .. 999,999,
    1,500,000 .. and so on) draws from all themes. What a million is for (training, held out, scored) stays the same.
    """
    return Random(seed).choice(FIRST_THEMES if seed % _MILLION < _MILLION // 2 else THEMES)


TABLE_THINGS = (
    "mug",
    "bowl",
    "vase",
    "books",
    "bottle",
    "blocks",
    "can",
    "table lamp",
    "apple",
    "laptop",
    "plate",
    "teapot",
    "plant pot",
    "toolbox",
)
"""Small things that seeds put on table tops; a longer list would change the worlds of published seeds."""
SMALL_THINGS = (*TABLE_THINGS, "microscope", "glassware", "centrifuge", "globe")
"""Small things that can be asked for."""
USED_IN = {"microscope": "laboratory", "glassware": "laboratory", "centrifuge": "laboratory", "globe": "classroom"}
"""Rooms where such small things are at home beside table tops."""
WALL_FIXTURES = (
    "door",
    "roller door",
    "window",
    "curtained window",
    "high window",
    "picture",
    "mirror",
    "clock",
    "wall shelf",
    "whiteboard",
    "wall tv",
    "radiator",
    "pipe",
    "fire extinguisher",
    "fuse box",
    "sign",
    "scenic window",
    "dock door",
    "garage door",
    "blackboard",
    "wall map",
    "towel rail",
    "safety shower",
    "tool board",
)
CEILING_FIXTURES = ("pendant lamp", "ceiling panel", "high bay lamp", "beam", "hanging sign")
AGAINST_WALL = (
    "sofa",
    "cabinet",
    "dresser",
    "wardrobe",
    "bookshelf",
    "bed",
    "counter",
    "stove",
    "fridge",
    "desk",
    "tv stand",
    "sink",
    "rack",
    "shelving",
    "workbench",
    "machine",
    "gas bottles",
    "floor lamp",
    "nightstand",
    "hospital bed",
    "vanity",
    "bathtub",
    "toilet",
    "shower",
    "washing machine",
    "lab bench",
    "fume hood",
    "chemical cabinet",
    "glovebox",
    "lockers",
    "shop shelf",
    "display cooler",
    "charging station",
    "tool chest",
)
OUTDOOR_ONLY = (
    "house",
    "shop",
    "street lamp",
    "traffic light",
    "shed",
    "hedge",
    "fence",
    "tree",
    "swing",
    "parasol",
    "van",
    "car",
)

YARD_THINGS = (
    "tree",
    "tree",
    "tree",
    "bush",
    "bush",
    "bush",
    "flower bed",
    "flower bed",
    "bench",
    "picnic table",
    "swing",
    "deck chair",
    "wheelbarrow",
    "parasol",
    "outdoor set",
    "barrel",
)
STREET_THINGS = ("tree", "bench", "mailbox", "hydrant", "bin", "cone", "bush", "street lamp", "traffic light")
