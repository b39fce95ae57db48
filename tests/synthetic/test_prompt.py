# SPDX-License-Identifier: Apache-2.0
"""What the prompt reader makes of sentences."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lyra_core.errors import LyraError
from lyra_core.synthetic import lexicon
from lyra_core.synthetic.moods import MOODS
from lyra_core.synthetic.objects import CATALOG
from lyra_core.synthetic.palette import COLORS
from lyra_core.synthetic.prompt import MOST_OF_ONE_KIND, read_prompt, singular
from lyra_core.synthetic.themes import THEMES


def items(text: str) -> list[tuple]:
    return [(item.name, item.count, item.colors) for item in read_prompt(text).request.items]


@pytest.mark.parametrize(
    ("text", "theme", "expected"),
    [
        (
            "a warehouse aisle with blue shelves, three pallets and a forklift",
            "warehouse",
            [("rack", 2, ("blue",)), ("pallet", 3, ()), ("forklift", 1, ())],
        ),
        ("a small kitchen with a red fridge", "kitchen", [("fridge", 1, ("red",))]),
        ("red and blue barrels", "warehouse", [("barrel", 2, ("red", "blue"))]),
        (
            "three red and two blue barrels in a workshop",
            "workshop",
            [("barrel", 3, ("red",)), ("barrel", 2, ("blue",))],
        ),
        ("a workshop, red, yellow and green barrels", "workshop", [("barrel", 3, ("red", "yellow", "green"))]),
        ("a pair of yellow armchairs in a bedroom", "bedroom", [("armchair", 2, ("yellow",))]),
        ("living room with a couch that is teal", "living room", [("sofa", 1, ("teal",))]),
        ("a dark-blue car and a light grey van", "street", [("car", 1, ("blue",)), ("van", 1, ("grey",))]),
        ("3 mugs", "tabletop", [("mug", 3, ())]),
        ("several crates", "warehouse", [("crate", 4, ())]),
        ("a bedroom with bookshelves", "bedroom", [("bookshelf", 2, ())]),
        ("cardboard boxes in a corridor", "corridor", [("boxes", 1, ())]),
        ("an office with two desk chairs", "office", [("office chair", 2, ())]),
        ("a garden with a lamp post and a picnic table", "yard", [("street lamp", 1, ()), ("picnic table", 1, ())]),
        ("a kitchen with a wooden table", "kitchen", [("table", 1, ())]),
        ("hallway with a crimson door", "corridor", [("door", 1, ("red",))]),
        ("a 2x4 office", "office", []),
        (
            "a hospital room with two beds and a monitor",
            "hospital room",
            [("hospital bed", 2, ()), ("patient monitor", 1, ())],
        ),
        ("a loading dock with a truck and pallets", "loading dock", [("truck", 1, ()), ("pallet", 2, ())]),
        ("a supermarket aisle with blue shelves", "shop aisle", [("shop shelf", 2, ("blue",))]),
        (
            "a classroom with twelve desks and a chalkboard",
            "classroom",
            [("school desk", MOST_OF_ONE_KIND, ()), ("blackboard", 1, ())],
        ),
        ("a lab with microscopes and a yellow drum", "laboratory", [("microscope", 2, ()), ("barrel", 1, ("yellow",))]),
        ("a bathroom with a bath and red towels", "bathroom", [("bathtub", 1, ()), ("towel rail", 2, ("red",))]),
        (
            "a garage with a red car, bikes and car tyres",
            "garage",
            [("car", 1, ("red",)), ("bicycle", 2, ()), ("tires", 1, ())],
        ),
        ("a warehouse with stairs and two nurses", "warehouse", [("stairs", 1, ()), ("person", 2, ())]),
        ("a fume hood and a microscope", "laboratory", [("fume hood", 1, ()), ("microscope", 1, ())]),
    ],
)
def test_things_counts_and_colours(text, theme, expected):
    assert read_prompt(text).theme == theme
    assert items(text) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a lamp on a street", "street lamp"),
        ("a bedroom with a lamp", "floor lamp"),
        ("a still life with a lamp", "table lamp"),
        ("a bedroom with a bed", "bed"),
        ("a ward with a bed", "hospital bed"),
        ("an office with a monitor", "desk"),
        ("a supermarket with a trolley", "shopping cart"),
    ],
)
def test_a_word_means_what_the_place_makes_of_it(text, name):
    assert [item.name for item in read_prompt(text).request.items] == [name]


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("a bedroom with green walls", "wall_color", "green"),
        ("walls painted teal, a sofa", "wall_color", "teal"),
        ("a pink bedroom", "wall_color", "pink"),
        ("an office in blue", "wall_color", "blue"),
        ("kitchen, brick walls", "wall", "brick"),
        ("kitchen with a wooden floor", "floor", "wood"),
        ("a checkered red floor in a kitchen", "floor", "checker"),
        ("a checkered red floor in a kitchen", "floor_color", "red"),
        ("a sunny yard", "mood", "sunny"),
        ("a street at sunset", "mood", "evening"),
        ("a dimly lit workshop", "mood", "dim"),
        ("a cozy living room", "mood", "cosy"),
        ("a small kitchen", "size", 0.88),
        ("a large warehouse", "size", 1.18),
        ("a small mug on a tabletop", "size", 1.0),
        ("a warehouse aisle", "aisle", True),
        ("an empty corridor", "sparse", True),
        ("a street with trees and no cars", "without", ("car",)),
        ("a yard without a house or trees", "without", ("house", "tree")),
    ],
)
def test_finishes_light_size_and_refusals(text, field, value):
    assert getattr(read_prompt(text).request, field) == value


def test_words_without_meaning_are_listed_once_and_in_order():
    reading = read_prompt("a dragon 🐉 beside a dragon, qwerty, on a red sofa")
    assert reading.not_understood == ("dragon", "🐉", "qwerty")
    assert "dragon" in reading.notices[-1]
    assert "red" in reading.understood and "sofa" in reading.understood


@pytest.mark.parametrize(
    "text", ["eine Küche mit rotem Kühlschrank", "红色的冰箱", "🙂🙂", "кухня", "!!!", "kitchen\x00"]
)
def test_any_language_is_read(text):
    reading = read_prompt(text)
    assert reading.theme in THEMES and reading.theme_reason


def test_the_theme_is_explained():
    assert "kitchen" in read_prompt("a kitchen").theme_reason
    assert "fridge" in read_prompt("a fridge and a stove").theme_reason
    assert read_prompt("nothing known").theme_reason == "no place is named; the default"
    assert any("dormitory" in notice for notice in read_prompt("a dormitory").notices)


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_prompt_says_what_to_do(text):
    with pytest.raises(LyraError, match="describe a place"):
        read_prompt(text)


def test_what_cannot_be_done_is_said():
    assert items("fifty 50 chairs") == [("chair", MOST_OF_ONE_KIND, ())]
    assert any("50" in notice for notice in read_prompt("50 chairs").notices)
    assert any("own colour" in notice for notice in read_prompt("a red hedge in a yard").notices)
    assert any("no walls" in notice for notice in read_prompt("a yard with blue walls").notices)
    assert any("aisle" in notice for notice in read_prompt("a kitchen aisle").notices)


@pytest.mark.parametrize(
    ("plural", "expected"),
    [("boxes", "box"), ("shelves", "shelf"), ("bookshelves", "bookshelf"), ("benches", "bench"), ("bus", "bus"),
     ("trolleys", "trolley"), ("puppies", "puppy"), ("glass", "glass"), ("cars", "car")],
)  # fmt: skip
def test_singular(plural, expected):
    assert singular(plural) == expected


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1, max_size=80))
def test_any_text_is_read_or_refused(text):
    if not text.strip():
        with pytest.raises(LyraError):
            read_prompt(text)
        return
    reading = read_prompt(text)
    assert reading.theme in THEMES
    assert all(item.name in CATALOG and 1 <= item.count <= MOST_OF_ONE_KIND for item in reading.request.items)


TABLES = (
    lexicon.OBJECT_WORDS,
    lexicon.COLOR_WORDS,
    lexicon.NUMBER_WORDS,
    lexicon.THEME_WORDS,
    lexicon.MOOD_WORDS,
    ("with", "and", ",", "in", "is", "no", "walls", "floor", "aisle", "small", "0"),
)
WORDS = st.sampled_from([word for table in TABLES for word in table])


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=14))
def test_any_order_of_known_words_makes_a_buildable_request(words):
    reading = read_prompt(" ".join(words))
    assert not reading.not_understood
    request = reading.request
    assert request.mood in (None, *MOODS)
    assert {request.wall_color, request.floor_color} <= {None, *COLORS}
    assert all(item.name in CATALOG and set(item.colors) <= set(COLORS) for item in request.items)


def test_every_known_noun_is_a_thing_that_can_be_built():
    for word in set(lexicon.OBJECT_WORDS.values()):
        meanings = lexicon.BY_THEME.get(word, {"": word})
        assert set(meanings.values()) <= set(CATALOG)
