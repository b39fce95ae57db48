# SPDX-License-Identifier: Apache-2.0
"""The rooms of work, care, learning, trade and home: what they must hold, and that one can walk through them."""

import random

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from lyra_core.synthetic.grammar import make_world
from lyra_core.synthetic.request import Item, Request
from lyra_core.synthetic.rooms import lay_room
from lyra_core.synthetic.stage import Stage
from lyra_core.synthetic.themes import FURTHER_ROOMS, ROOMS

SEEDS = (21, 22, 23, 24)
CELL = 0.1
ROBOT = 3  # radius of a small robot in cells

NEEDED = {
    "laboratory": [("fume hood",), ("lab bench",)],
    "loading dock": [("dock door", "roller door")],
    "hospital room": [("hospital bed",), ("patient monitor", "iv stand", "nightstand"), ("sink",)],
    "classroom": [("blackboard", "whiteboard"), ("school desk",), ("desk",)],
    "shop aisle": [("shop shelf",), ("hanging sign",)],
    "bathroom": [("vanity",), ("toilet",), ("bathtub", "shower")],
    "garage": [("workbench",), ("car", "bicycle")],
}


def stage_of(theme: str, seed: int, request: Request | None = None) -> Stage:
    return lay_room(random.Random(f"{seed}/{theme}"), theme, request or Request())[0]


@pytest.mark.parametrize("theme", FURTHER_ROOMS)
def test_a_room_holds_what_makes_it_one(theme):
    for seed in SEEDS:
        names = {thing.name for thing in stage_of(theme, seed).placed}
        for group in NEEDED[theme]:
            assert names & set(group), f"seed {seed}: none of {group}"


@pytest.mark.parametrize("theme", FURTHER_ROOMS)
def test_a_robot_can_drive_through_the_room(theme):
    """From below the camera most of the floor that is wide enough for a robot is reached, up to the far third."""
    for seed in SEEDS:
        stage = stage_of(theme, seed)
        free = floor_plan(stage)
        wide = ~binary_dilation(~free, iterations=ROBOT)
        wide[:ROBOT], wide[-ROBOT:], wide[:, :ROBOT], wide[:, -ROBOT:] = False, False, False, False
        regions, _ = label(wide)
        start = np.argwhere(wide)[np.abs(np.argwhere(wide) - cell(stage, stage.view.eye[:2])).sum(1).argmin()]
        reached = regions == regions[tuple(start)]
        assert reached.sum() > 0.75 * wide.sum()
        farthest = stage.space.low[1] + CELL * np.argwhere(reached)[:, 1].max()
        assert farthest > (0.4 if ROOMS[theme].row else 0.6) * stage.space.high[1]


def floor_plan(stage: Stage) -> np.ndarray:
    """Cells [X, Y] of the floor with nothing lower than a tall robot above them."""
    (x0, y0), (x1, y1) = stage.space.low, stage.space.high
    x, y = np.meshgrid(np.arange(x0, x1, CELL) + CELL / 2, np.arange(y0, y1, CELL) + CELL / 2, indexing="ij")
    free = np.ones(x.shape, bool)
    for block in stage.space.blocks:
        if block.low < 0.5:
            c, s = np.cos(block.yaw), np.sin(block.yaw)
            u, v = c * (x - block.x) + s * (y - block.y), -s * (x - block.x) + c * (y - block.y)
            free &= (np.abs(u) > block.half_x) | (np.abs(v) > block.half_y)
    return free


def cell(stage: Stage, point: tuple[float, float]) -> np.ndarray:
    return ((np.array(point) - stage.space.low) / CELL).astype(int)


@pytest.mark.parametrize("theme", FURTHER_ROOMS)
def test_nothing_stands_in_anything_else_or_in_a_wall(theme):
    for seed in SEEDS:
        stage = stage_of(theme, seed)
        air = stage.view.keep_out(0.25 if ROOMS[theme].narrow else 0.45)  # lamps may hang above the camera
        blocks = [block for block in stage.space.blocks if block != air]
        same_spot = 1e-6  # a door and the way through it share their centre
        for i, one in enumerate(blocks):
            for other in blocks[:i]:
                apart = abs(one.x - other.x) + abs(one.y - other.y)
                assert apart < same_spot or not one.overlaps(other, -1e-4), f"seed {seed}"
        (x0, y0), (x1, y1) = stage.space.low, stage.space.high
        for solid, object_id, _ in stage.solids:
            low, high = solid.bounds()
            if object_id:
                assert low[0] > x0 - 0.06 and low[1] > y0 - 0.06 and high[0] < x1 + 0.06 and high[1] < y1 + 0.06


@pytest.mark.parametrize(
    ("theme", "item"),
    [
        ("hospital room", Item("hospital bed", 3, ("green",))),
        ("classroom", Item("school desk", 6)),
        ("loading dock", Item("dock door", 2, ("blue",))),
        ("loading dock", Item("truck", 1, ("red",))),
        ("bathroom", Item("bathtub", 1)),
        ("garage", Item("bicycle", 2, ("red", "teal"))),
        ("warehouse", Item("stairs", 1)),
    ],
)
def test_a_wanted_count_is_exact(theme, item):
    for seed in SEEDS:
        world = make_world(seed, theme, Request(items=(item,)))
        found = [thing for thing in world.placed if thing.name == item.name]
        assert len(found) == item.count
        assert {thing.color for thing in found} >= set(item.colors)


def test_refused_and_sparse_rooms_stay_empty():
    assert "school desk" not in {t.name for t in stage_of("classroom", 21, Request(without=("school desk",))).placed}
    assert "truck" not in {t.name for t in stage_of("loading dock", 22, Request(without=("truck",))).placed}
    for theme in ("laboratory", "garage"):
        bare, full = (
            sum(len(stage_of(theme, seed, Request(sparse=s)).placed) for seed in SEEDS) for s in (True, False)
        )
        assert bare < full


def test_a_truck_gets_a_hall_that_is_long_and_high_enough():
    stage = stage_of("workshop", 5, Request(items=(Item("truck"),)))
    assert stage.space.high[1] > 10 and not stage.missing
    assert max(solid.bounds()[1][2] for solid, object_id, _ in stage.solids if object_id) > 3
