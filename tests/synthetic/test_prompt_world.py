# SPDX-License-Identifier: Apache-2.0
"""Prompts become worlds in which the wanted things can be seen."""

import pytest
import torch

from lyra_core.synthetic.grammar import CLASSES, make_world, render_world
from lyra_core.synthetic.prompt_world import world_from_prompt
from lyra_core.synthetic.request import Item, Request


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a warehouse aisle with blue shelves, three pallets and a forklift",
         {("rack", "blue"): 2, ("pallet", None): 3, ("forklift", None): 1}),
        ("a small kitchen with a red fridge", {("fridge", "red"): 1}),
        ("three red and two blue barrels in a workshop", {("barrel", "red"): 3, ("barrel", "blue"): 2}),
        ("a bedroom with green walls and a pair of yellow armchairs", {("armchair", "yellow"): 2, ("bed", None): 1}),
        ("two blue mugs, 3 apples and a laptop on a table",
         {("mug", "blue"): 2, ("apple", None): 3, ("laptop", None): 1}),
        ("a street with a blue car and a yellow van", {("car", "blue"): 1, ("van", "yellow"): 1}),
        ("a garden with a bench and flowers", {("bench", None): 1, ("flower bed", None): 1}),
        ("an office with a whiteboard and a white mug", {("whiteboard", None): 1, ("mug", "white"): 1}),
    ],
)  # fmt: skip
def test_wanted_things_are_in_view(text, expected):
    world, reading = world_from_prompt(text, 0)
    assert not reading.notices
    ids = render_world(world, world.base_camera(176, 99), supersample=1).object_id
    visible = [thing for thing in world.placed if (ids == thing.object_id).sum() >= 12]
    for (name, color), count in expected.items():
        found = [thing for thing in visible if thing.name == name and color in (None, thing.color)]
        assert len(found) >= count, f"{count} x {color} {name} wanted, {len(found)} in view"


def test_a_requested_count_is_exact():
    world, _ = world_from_prompt("a warehouse with three pallets and two barrels", 1)
    assert sum(thing.name == "pallet" for thing in world.placed) == 3
    assert sum(thing.name == "barrel" for thing in world.placed) == 2


def test_the_red_fridge_is_red_in_the_picture():
    world, _ = world_from_prompt("a small kitchen with a red fridge", 0)
    view = render_world(world, world.base_camera(96, 54), supersample=1)
    fridge = next(thing.object_id for thing in world.placed if thing.name == "fridge")
    red, green, blue = view.rgb[view.object_id == fridge].mean(0)
    assert red > 1.5 * green and red > 1.5 * blue


def test_walls_and_floor_take_the_wanted_colour():
    world, _ = world_from_prompt("a bedroom with green walls and a blue carpet floor", 2)
    view = render_world(world, world.base_camera(96, 54), supersample=1)
    wall = view.rgb[view.class_id == CLASSES.index("wall")].median(0).values
    floor = view.rgb[view.class_id == CLASSES.index("floor")].median(0).values
    assert wall.argmax() == 1 and floor.argmax() == 2


def test_small_and_large_and_aisle_change_the_room():
    def width(text: str) -> float:
        world = world_from_prompt(text, 3)[0]
        return float(world.packed.half[world.packed.hollow][0, 0])

    assert width("a small office") < width("an office") < width("a large office")
    assert width("a warehouse aisle") < width("a large warehouse")


def test_what_has_no_place_is_reported():
    _, reading = world_from_prompt("a corridor with a house", 0)
    assert any("house" in notice for notice in reading.notices)


def test_refused_things_stay_away():
    world, _ = world_from_prompt("a street without cars, vans or trees", 0)
    assert not {thing.name for thing in world.placed} & {"car", "van", "tree"}


def test_prompt_worlds_are_deterministic():
    first, second = (world_from_prompt("a cosy living room with a purple sofa", 5)[0] for _ in range(2))
    assert first.caption == second.caption and torch.equal(first.camera, second.camera)
    assert first.packed.center.tobytes() == second.packed.center.tobytes()
    assert world_from_prompt("a cosy living room with a purple sofa", 6)[0].caption != first.caption


def test_progress_is_reported():
    calls = []
    world_from_prompt("a yard", 0, lambda *step: calls.append(step))
    assert calls[0][0] == "world" and calls[-1][1] == calls[-1][2]


def test_requests_can_be_made_without_words():
    world = make_world(1, "kitchen", Request(items=(Item("stool", 2, ("red", "yellow")),), mood="dim"))
    assert {thing.color for thing in world.placed if thing.name == "stool"} == {"red", "yellow"}
    assert " dim " in world.caption
