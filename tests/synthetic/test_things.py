# SPDX-License-Identifier: Apache-2.0
"""Every thing of the catalogue holds together and stands on something; the sizes are those of the real thing."""

import random

import numpy as np
import pytest

from lyra_core.synthetic import lexicon
from lyra_core.synthetic.classes import CLASS_INDEX
from lyra_core.synthetic.objects import CATALOG, Prop, Style, build
from lyra_core.synthetic.objects.people import walker
from lyra_core.synthetic.themes import AGAINST_WALL, CEILING_FIXTURES, OUTDOOR_ONLY, WALL_FIXTURES, YARD_THINGS

TOUCHING = 0.025
"""Parts closer than this [m] hold each other; bounds of tilted parts are generous."""
AS_PUBLISHED = {"forklift"}
"""Its mast stands 20 cm before its body in the worlds that figures were measured on."""

SIZES = {
    "hospital bed": ((0.9, 1.1), (2.0, 2.3), (0.9, 1.3)),
    "iv stand": ((0.4, 0.7), (0.4, 0.7), (1.7, 2.3)),
    "patient monitor": ((0.4, 0.7), (0.4, 0.7), (1.3, 1.6)),
    "wheelchair": ((0.55, 0.7), (0.9, 1.1), (0.85, 1.0)),
    "bathtub": ((1.5, 1.8), (0.7, 0.8), (0.5, 0.8)),
    "toilet": ((0.35, 0.45), (0.6, 0.75), (0.75, 0.9)),
    "shower": ((0.8, 1.0), (0.8, 1.0), (1.9, 2.2)),
    "washing machine": ((0.58, 0.62), (0.55, 0.66), (0.82, 0.9)),
    "vanity": ((0.8, 1.0), (0.45, 0.55), (1.8, 2.1)),
    "lab bench": ((1.8, 2.5), (0.7, 0.8), (1.6, 1.9)),
    "fume hood": ((1.2, 1.8), (0.75, 0.95), (2.2, 2.6)),
    "microscope": ((0.15, 0.25), (0.2, 0.35), (0.35, 0.5)),
    "dock door": ((2.8, 3.4), (1.7, 2.2), (3.0, 3.4)),
    "truck": ((2.2, 2.55), (6.0, 7.0), (2.9, 3.5)),
    "pallet jack": ((0.5, 0.6), (1.4, 1.7), (1.2, 1.4)),
    "roll cage": ((0.7, 0.85), (0.6, 0.75), (1.6, 1.8)),
    "forklift": ((0.9, 1.2), (2.2, 3.2), (2.0, 2.3)),
    "mobile robot": ((0.5, 0.8), (0.8, 1.0), (0.28, 0.75)),
    "stairs": ((0.8, 1.1), (2.0, 2.7), (2.0, 2.3)),
    "school desk": ((0.6, 0.8), (0.8, 1.1), (0.7, 0.95)),
    "blackboard": ((2.4, 3.6), (0.05, 0.2), (1.1, 1.4)),
    "shop shelf": ((1.0, 1.35), (0.4, 0.6), (1.8, 2.1)),
    "shopping cart": ((0.5, 0.6), (0.8, 1.05), (0.95, 1.1)),
    "checkout": ((1.8, 2.5), (0.6, 0.9), (1.9, 2.4)),
    "person": ((0.5, 0.7), (0.2, 0.4), (1.65, 1.85)),
    "mannequin": ((0.5, 0.7), (0.2, 0.5), (1.7, 1.9)),
    "bicycle": ((1.6, 1.9), (0.4, 0.7), (0.95, 1.1)),
    "garage door": ((2.4, 3.0), (0.1, 0.25), (2.1, 2.5)),
    "tool chest": ((0.6, 0.85), (0.45, 0.55), (1.0, 1.4)),
    "tires": ((0.6, 1.1), (0.6, 0.72), (0.55, 0.9)),
}
"""Width, depth and height [m] between which catalogues list such things."""


def size(thing: Prop) -> np.ndarray:
    low, high = thing.bounds()
    return np.subtract(high, low)


@pytest.mark.parametrize("name", SIZES)
def test_things_are_as_large_as_in_the_real_world(name):
    low, high = np.array(SIZES[name]).T
    for seed in range(6):
        measured = size(build(name, Style(random.Random(seed))))
        assert (low <= measured).all() and (measured <= high).all(), measured


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_nothing_floats(name):
    """From the floor, the wall or the ceiling every part is reached through parts that touch."""
    for seed in range(3):
        thing = build(name, Style(random.Random(seed)))
        boxes = [p.bounds() for prop in thing.everything() for p in prop.primitives]
        low, high = (np.array([b[i] for b in boxes]) for i in (0, 1))
        held = low[:, 2] <= 0.012
        if name in WALL_FIXTURES:
            held |= high[:, 1] >= -0.04
        if name in AGAINST_WALL:
            held |= high[:, 1] >= high[:, 1].max() - 0.04
        if name in CEILING_FIXTURES:
            held = high[:, 2] >= -0.012
        assert held.any(), "it rests on nothing"
        touching = ((low[:, None] <= high[None] + TOUCHING) & (low[None] <= high[:, None] + TOUCHING)).all(-1)
        for _ in range(len(boxes)):
            held = held | touching[held].any(0)
        assert held.all() or name in AS_PUBLISHED, f"seed {seed}: {int((~held).sum())} parts float"


@pytest.mark.parametrize("name", sorted(set(CATALOG) - set(OUTDOOR_ONLY) - set(YARD_THINGS)))
def test_nothing_reaches_into_the_wall_behind_it_or_below_the_floor(name):
    low, high = build(name, Style(random.Random(2))).bounds()
    assert low[2] > -0.02 or name in CEILING_FIXTURES
    if name in WALL_FIXTURES:
        assert high[1] < 0.021


def test_every_thing_has_a_word_and_a_class():
    meanings = {
        name for word in lexicon.OBJECT_WORDS.values() for name in lexicon.BY_THEME.get(word, {"": word}).values()
    }
    unspoken = {"beam", "high window", "scenic window", "hanging sign"}
    assert set(CATALOG) - unspoken <= meanings
    for name in CATALOG:
        assert {part.name for part in build(name, Style(random.Random(0))).everything()} <= set(CLASS_INDEX)


@pytest.mark.parametrize("step", [-0.3, 0.0, 0.3])
def test_a_walker_keeps_both_feet_on_the_ground_and_its_height(step):
    body = walker(Style(random.Random(4)), step)
    low, high = body.bounds()
    assert low[2] == pytest.approx(0.0, abs=0.01)
    assert high[2] == pytest.approx(1.76, abs=0.03)
    feet = sorted((p.center[0], p.center[1]) for p in body.primitives if p.bounds()[1][2] < 0.1)
    assert len(feet) == 2
    assert feet[1][1] - feet[0][1] == pytest.approx(2 * step, abs=1e-6), "the right foot, at -x, is ahead (-y)"
