# SPDX-License-Identifier: Apache-2.0
"""Stages that are kept: what is recalled, what is made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lyra_core.checkpoints import MANIFEST_NAME, Checkpoints, StageResult


def made(value: float) -> Callable[[], StageResult]:
    return lambda: StageResult({"x": torch.full((3,), value)}, {"note": f"made {value:g}"})


def never() -> StageResult:
    raise AssertionError("the stage was made again")


def test_a_stage_is_recalled_for_the_same_inputs(tmp_path: Path) -> None:
    inputs = {"seed": 1, "image": torch.rand(2, 3), "depth": {"z": torch.ones(2), "metric": True}, "prompt": None}
    first = Checkpoints(tmp_path / "stages")("view", inputs, made(1))
    again = Checkpoints(tmp_path / "stages")
    found = again("view", inputs, never)
    assert found.tensors["x"].equal(first.tensors["x"]) and found.about == first.about
    assert again.recalled == ["view"]


@pytest.mark.parametrize(
    "change", [{"seed": 2}, {"image": torch.ones(3)}, {"image": torch.zeros(2, dtype=torch.float64)}, {"more": 1}]
)
def test_other_inputs_make_it_again(tmp_path: Path, change: dict[str, object]) -> None:
    inputs = {"seed": 1, "image": torch.zeros(3)}
    Checkpoints(tmp_path)("view", inputs, made(1))
    assert Checkpoints(tmp_path)("view", inputs | change, made(2)).about == {"note": "made 2"}
    assert Checkpoints(tmp_path)("view", inputs | change, never).about == {"note": "made 2"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("view.safetensors", None),
        ("view.safetensors", b""),
        ("view.safetensors", b"\0" * 200),
        (MANIFEST_NAME, b"{"),
        (MANIFEST_NAME, b"[1]"),
        (MANIFEST_NAME, b'{"view": {"inputs": 3}}'),
    ],
)
def test_damaged_results_are_made_again(tmp_path: Path, name: str, content: bytes | None) -> None:
    Checkpoints(tmp_path)("view", {"seed": 1}, made(1))
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    stages = Checkpoints(tmp_path)
    assert stages("view", {"seed": 1}, made(2)).about == {"note": "made 2"}
    assert stages.recalled == []
    assert Checkpoints(tmp_path)("view", {"seed": 1}, never).about == {"note": "made 2"}


def test_the_manifest_tells_inputs_and_hashes(tmp_path: Path) -> None:
    Checkpoints(tmp_path)("view", {"seed": 1, "image": torch.zeros(2, 3)}, made(1))
    entry = json.loads((tmp_path / MANIFEST_NAME).read_text())["view"]
    assert entry["inputs"]["seed"] == 1
    assert entry["inputs"]["image"].startswith("float32 [2, 3] ")
    assert len(entry["sha256"]) == 64


def test_removing_leaves_files_of_others(tmp_path: Path) -> None:
    stages = Checkpoints(tmp_path / "stages")
    stages.remove()
    stages("view", {}, made(1))
    stages("video_0", {}, made(2))
    (tmp_path / "stages" / "notes.txt").write_text("mine")
    stages.remove()
    assert [path.name for path in (tmp_path / "stages").iterdir()] == ["notes.txt"]
    (tmp_path / "stages" / "notes.txt").unlink()
    stages.remove()
    assert not (tmp_path / "stages").exists()
