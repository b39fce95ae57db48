# SPDX-License-Identifier: Apache-2.0
"""One picture with two worlds of every theme: `python -m lyra_core.synthetic.contact_sheet OUT.png`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from .grammar import make_world, render_world
from .themes import THEMES

_SEEDS = {
    "living room": (53, 55),
    "bedroom": (52, 55),
    "kitchen": (53, 55),
    "office": (50, 55),
    "warehouse": (53, 56),
    "workshop": (53, 52),
    "corridor": (56, 53),
    "tabletop": (55, 51),
    "yard": (52, 51),
    "street": (51, 53),
    "laboratory": (101, 104),
    "loading dock": (102, 100),
    "hospital room": (101, 105),
    "classroom": (102, 101),
    "shop aisle": (100, 105),
    "bathroom": (104, 101),
    "garage": (100, 103),
}
_COLUMNS = 4
_GAP = 4


def contact_sheet(width: int = 320, height: int = 180) -> np.ndarray:
    """The sheet as uint8 [H, W, 3]; `width` and `height` [pixels] are those of one world."""
    tiles = [_tile(theme, seed, width, height) for theme in THEMES for seed in _SEEDS[theme]]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % _COLUMNS)
    rows = [np.concatenate(tiles[i : i + _COLUMNS], 1) for i in range(0, len(tiles), _COLUMNS)]
    return np.concatenate(rows, 0)[:-_GAP, :-_GAP]


def _tile(theme: str, seed: int, width: int, height: int) -> np.ndarray:
    world = make_world(seed, theme)
    rgb = render_world(world, world.base_camera(width, height), supersample=3).rgb.numpy()
    tile = np.full((height + _GAP, width + _GAP, 3), 255, np.uint8)
    tile[:height, :width] = np.round(rgb * 63) * 4  # six bits per channel keep the file small
    return tile


def main() -> None:
    """Write the sheet to the path given on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m lyra_core.synthetic.contact_sheet OUT.png")
    Image.fromarray(contact_sheet()).save(Path(sys.argv[1]), optimize=True)


if __name__ == "__main__":
    main()
