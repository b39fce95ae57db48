# SPDX-License-Identifier: Apache-2.0
"""Worlds: the same for a seed, honest in their words, and open where the camera moves."""

import random
import re

import numpy as np
import pytest
import torch

from lyra_core.errors import LyraError
from lyra_core.synthetic.contact_sheet import contact_sheet
from lyra_core.synthetic.grammar import CLASSES, FOV_X, THEMES, World, make_world, plural, render_world
from lyra_core.synthetic.moods import MOODS
from lyra_core.synthetic.objects import CATALOG, Style, build
from lyra_core.synthetic.palette import COLORS
from lyra_core.synthetic.space import Block, Space, block_of
from lyra_core.synthetic.themes import FIRST_THEMES, theme_of
from lyra_core.synthetic.tracer_torch import KernelsTorch

SEEDS = (11, 12)

PUBLISHED = {
    0: ["corridor", "kitchen", "living room", "office", "office", "street"],
    1_000_000: ["bedroom", "kitchen", "living room", "yard", "tabletop", "warehouse"],
    2_000_000: ["yard", "living room", "bedroom", "yard", "tabletop", "living room"],
}
CAPTION = (
    "a bright living room with green walls and carpet floor; in it a coffee table, a teal mug, books, a green rug, "
    "a dresser, a white vase and a floor lamp"
)
MIDDLE = (0.9477, 2.9130, 0.4978)


def fingerprint(world: World) -> tuple:
    packed = world.packed
    arrays = tuple(getattr(packed, name).tobytes() for name in ("center", "half", "rotation", "color", "object_id"))
    return (*arrays, world.caption, repr(world.lighting), world.camera.numpy().tobytes(), world.placed)


@pytest.mark.parametrize("theme", THEMES)
def test_a_seed_always_gives_the_same_world(theme):
    assert fingerprint(make_world(4, theme)) == fingerprint(make_world(4, theme))
    assert fingerprint(make_world(4, theme)) != fingerprint(make_world(5, theme))


def test_rendering_is_deterministic():
    world = make_world(6, "workshop")
    first, second = (render_world(world, world.base_camera(32, 18)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_seed_chooses_every_theme():
    assert {theme_of(seed) for seed in range(60)} == set(FIRST_THEMES)
    assert {theme_of(1_500_000 + number) for number in range(150)} == set(THEMES)
    assert make_world(7).theme == theme_of(7)


@pytest.mark.parametrize("first", [0, 1_000_000, 2_000_000])
def test_the_seeds_of_published_figures_keep_their_themes(first):
    """Measured figures and shipped weights name these worlds."""
    assert {theme_of(first + number) for number in range(0, 500_000, 991)} == set(FIRST_THEMES)
    assert PUBLISHED[first] == [theme_of(first + number) for number in range(6)]


def test_a_scored_world_is_what_it_was():
    world = make_world(2_000_001)
    assert world.caption == CAPTION
    middle = np.mean([thing.position for thing in world.placed], axis=0)
    np.testing.assert_allclose(middle, MIDDLE, atol=1e-3)


def test_unknown_themes_are_refused_with_the_known_ones():
    with pytest.raises(LyraError, match="corridor"):
        make_world(0, "space station")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_base_view_is_level_near_and_shows_the_ground(theme, seed):
    world = make_world(seed, theme)
    right, down, forward = world.camera[:3, 0], world.camera[:3, 1], world.camera[:3, 2]
    assert right[2] == 0, "the horizon is not level"
    assert -0.6 < forward[2] < 0 and down[2] < 0
    torch.testing.assert_close(torch.linalg.det(world.camera[:3, :3]), torch.tensor(1.0))
    assert world.fov_x == FOV_X
    view = render_world(world, world.base_camera(64, 36), supersample=1)
    names = {CLASSES[index] for index in view.class_id.unique().tolist()}
    assert names & {"floor", "grass", "road", "table"}
    assert view.z.min() > 0.5
    assert (view.class_id == 0).float().mean() < 0.3, "too much sky"
    ratio = float(view.z.median()) / world.focus_distance
    assert 0.5 < ratio < 1.6


@pytest.mark.parametrize("theme", THEMES)
def test_the_camera_can_move(theme):
    """0.3 median depths sideways, 0.2 up and 0.38 ahead stay clear of every surface."""
    world = make_world(SEEDS[0], theme)
    z = float(render_world(world, world.base_camera(48, 27), supersample=1).z.median())
    eye, axes = world.camera[:3, 3], world.camera[:3, :3]
    moves = [(axes[:, 0], 0.3), (-axes[:, 0], 0.3), (torch.tensor([0.0, 0.0, 1.0]), 0.2), (axes[:, 2], 0.38)]
    steps = torch.linspace(0, 1, 9)[:, None]
    points = torch.cat([eye + steps * reach * z * direction for direction, reach in moves])
    clearance = KernelsTorch(world.packed, torch.device("cpu")).clearance(points, 2.0)
    assert clearance.min() > 0.12


@pytest.mark.parametrize("theme", THEMES)
def test_captions_and_labels_name_what_is_there(theme):
    world = make_world(SEEDS[1], theme)
    assert world.caption.startswith(("a ", "an ")) and theme in world.caption
    ids = [thing.object_id for thing in world.placed]
    assert ids == list(range(1, len(ids) + 1))
    labels = {label for thing in world.placed for label in (thing.label, plural(thing.label)) if thing.label}
    listed = re.split(r", also |; in it |: |, ", world.caption, maxsplit=1)[1]
    for phrase in re.split(r", | and ", listed):
        words = re.sub(r"^(an?|two|three|four|five|six|seven|eight|nine|ten|\d+) ", "", phrase)
        assert words in labels, f"{phrase!r} is not in the world"


def test_ids_and_classes_of_pixels_are_those_of_placed_things():
    world = make_world(8, "kitchen")
    view = render_world(world, world.base_camera(96, 54), supersample=1)
    by_id = {thing.object_id: thing for thing in world.placed}
    seen = view.object_id.unique().tolist()
    assert len(seen) > 5
    for object_id in seen:
        if object_id:
            classes = view.class_id[view.object_id == object_id].unique().tolist()
            assert [CLASSES[index] for index in classes] == [by_id[object_id].name]


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_thing_stands_on_its_floor_and_takes_a_colour_or_none(name):
    thing = build(name, Style(random.Random(1), "purple"))
    low, high = thing.bounds()
    assert all(a < b for a, b in zip(low, high, strict=True))
    assert thing.color in ("purple", None)
    if low[2] < -0.1:
        assert high[2] <= 1e-6, "hangs from the ceiling"
    purple = np.array(COLORS["purple"])
    if thing.color:
        tints = [np.array(p.material.color) for prop in thing.everything() for p in prop.primitives]
        directions = [tint / np.linalg.norm(tint) @ purple / np.linalg.norm(purple) for tint in tints]
        assert max(directions) > 0.98, "nothing of it is purple"


def test_moods_change_the_light():
    assert {"dim", "sunny", "evening"} <= set(MOODS)


def test_blocks_overlap_only_when_they_do():
    a = Block(0, 0, 1, 1)
    assert a.overlaps(Block(1.5, 0, 1, 1)) and not a.overlaps(Block(2.1, 0, 1, 1))
    assert a.overlaps(Block(2.1, 0, 1, 1), gap=0.2)
    assert not a.overlaps(Block(1.9, 1.9, 0.6, 0.6, yaw=0.785)), "corners pass each other"
    assert not Block(0, 0, 1, 1, low=0, high=1).overlaps(Block(0, 0, 1, 1, low=1, high=2)), "one above the other"


def test_space_keeps_things_apart_and_inside():
    chair = build("chair", Style(random.Random(0)))
    space = Space((-1, -1), (1, 1))
    assert space.fits(block_of(chair, 0, 0))
    space.take(block_of(chair, 0, 0))
    assert not space.fits(block_of(chair, 0.3, 0))
    assert not space.fits(block_of(chair, 0.95, 0.95))


def test_the_contact_sheet_shows_two_worlds_per_theme():
    sheet = contact_sheet(32, 18)
    assert sheet.shape == (9 * 22 - 4, 4 * 36 - 4, 3) and sheet.dtype == np.uint8
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 500
