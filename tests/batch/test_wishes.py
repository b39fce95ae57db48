# SPDX-License-Identifier: Apache-2.0
"""Lists of scenes: what they ask for, and what is no good in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lyra_core.app.batch.wishes import BadLine, Wish, read_wishes
from lyra_core.errors import LyraError


def _read(folder: Path, *lines: object, name: str = "list.jsonl") -> tuple[list[Wish], list[BadLine]]:
    path = folder / name
    text = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return read_wishes(path)


def test_a_text_has_one_prompt_per_line(tmp_path: Path) -> None:
    wishes, bad = _read(tmp_path, "a small kitchen", "", "# not this one", "a street", name="list.txt")
    assert [wish.title for wish in wishes] == ["a small kitchen", "a street"]
    assert [wish.line for wish in wishes] == [1, 4]
    assert bad == []


def test_variations_have_seeds_and_names_of_their_own(tmp_path: Path) -> None:
    wishes, _ = _read(tmp_path, {"prompt": "a Yard, with 2 trees!", "seed": 5, "variations": 3})
    assert [wish.seed for wish in wishes] == [5, 6, 7]
    assert len({wish.name for wish in wishes}) == 3
    assert all(wish.name.startswith("a-yard-with-2-trees-") for wish in wishes)


def test_the_same_wish_is_made_once(tmp_path: Path) -> None:
    wishes, _ = _read(tmp_path, {"prompt": "a street"}, {"prompt": "a street", "variations": 2})
    assert [(wish.line, wish.seed) for wish in wishes] == [(1, 0), (2, 1)]


@pytest.mark.parametrize("change", [{"seed": 1}, {"quality": "draft"}, {"encoding": "nurec"}, {"prompt": "a yard"}])
def test_whatever_changes_the_scene_changes_its_key(tmp_path: Path, change: dict[str, object]) -> None:
    (one,), (other,) = (_read(tmp_path, {"prompt": "a street", **extra})[0] for extra in ({}, change))
    assert one.key != other.key


def test_the_model_of_a_wish_is_its_weights(tmp_path: Path, tiny_model: Path) -> None:
    (one,), _ = _read(tmp_path, {"prompt": "a street"})
    (other,), _ = _read(tmp_path, {"prompt": "a street", "model": str(tiny_model)})
    assert one.key != other.key


def test_pictures_are_known_by_their_content(tmp_path: Path) -> None:
    def wish(value: int) -> Wish:
        Image.fromarray(np.full((32, 64, 3), value, np.uint8)).save(tmp_path / "photo.png")
        (found,), _ = _read(tmp_path, {"image": "photo.png"})
        return found

    assert wish(10).key == wish(10).key != wish(20).key
    assert wish(10).text.image == tmp_path / "photo.png"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Expecting property name"),
        ("[1]", "no JSON object"),
        ({"prompt": "x", "image": "y.png"}, "either a prompt or an image"),
        ({}, "either a prompt or an image"),
        ({"prompt": " "}, "empty"),
        ({"prompt": "x", "depth": "d.npz"}, "belongs to an image"),
        ({"prompt": "x", "colour": "red"}, "colour"),
        ({"prompt": "x", "seed": -1}, "seed"),
        ({"prompt": "x", "variations": 10**9}, "variations"),
        ({"image": "missing.png"}, "missing.png cannot be read"),
        ('{"prompt": "' + "a" * 1_000_001 + '"}', "no prompt needs"),
    ],
)
def test_bad_lines_are_named_and_the_others_stand(tmp_path: Path, line: object, reason: str) -> None:
    wishes, bad = _read(tmp_path, {"prompt": "a street"}, line)
    assert [wish.title for wish in wishes] == ["a street"]
    assert [found.line for found in bad] == [2]
    assert reason in bad[0].reason


def test_bytes_that_are_no_text_are_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"a street\n\xff\xfe\n")
    wishes, bad = read_wishes(path)
    assert len(wishes) == 1
    assert "UTF-8" in bad[0].reason


def test_lists_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(LyraError, match="cannot be read"):
        read_wishes(tmp_path / "missing.jsonl")
    with pytest.raises(LyraError, match="asks for nothing"):
        _read(tmp_path, "# nothing")
    with pytest.raises(LyraError, match="unknown model"):
        _read(tmp_path, {"prompt": "a street", "model": "nobody"})
