# SPDX-License-Identifier: Apache-2.0
"""`lyra generate` from end to end on a tiny model of real parts."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lyra_core.app.console import PhaseBars
from usd_export.scene_reader import open_scene

from .conftest import Lyra

PROMPT = "a small kitchen with a red fridge and a dragon"


def assert_same_scene(first: Path, second: Path) -> None:
    """Bit for bit: Gaussians and collider."""
    (cloud_a, _, mesh_a), (cloud_b, _, mesh_b) = open_scene(first), open_scene(second)
    for name in ("positions", "scales", "rotations", "opacities", "sh"):
        assert np.array_equal(getattr(cloud_a, name), getattr(cloud_b, name)), name
    assert mesh_a is not None and mesh_b is not None
    assert np.array_equal(mesh_a.vertices, mesh_b.vertices)
    assert np.array_equal(mesh_a.triangles, mesh_b.triangles)


def test_one_image_and_one_depth_map_are_all_that_leaves_the_prompt_stage(lyra: Lyra, tiny_model: Path) -> None:
    """The same seed gives the same bytes, and the two saved files give the same scene."""
    for name in ("a", "b"):
        done = lyra("generate", PROMPT, "-o", f"{name}.usdz", "--model", tiny_model, "--save-inputs", "inputs")
        assert done.exit_code == 0, done.stderr
    assert Path("a.usdz").read_bytes() == Path("b.usdz").read_bytes()
    done = lyra(
        "generate", "--image", "inputs/image.png", "--depth", "inputs/depth.npz", "-o", "c.usdz", "--model", tiny_model
    )
    assert done.exit_code == 0, done.stderr
    assert_same_scene(Path("a.usdz"), Path("c.usdz"))
    assert lyra("check", "a.usdz").exit_code == 0


def test_json_is_one_summary_on_stdout(lyra: Lyra, tiny_model: Path) -> None:
    done = lyra("generate", PROMPT, "-o", "a.ply", "--model", tiny_model, "--no-collider", "--json", "--seed", "3")
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["seed"] == 3 and summary["model"] == "tiny"
    assert sorted(Path(file).name for file in summary["files"]) == ["a.json", "a.ply", "a.preview.png"]
    assert all(Path(file).stat().st_size for file in summary["files"])
    assert summary["gaussians"] == len(open_scene("a.ply")[0])
    assert all(low < high for low, high in zip(*summary["bounds_m"].values(), strict=True))
    assert {"image", "gaussians", "write"} <= set(summary["seconds"]) and summary["peak_memory_mb"] > 0
    assert any("dragon" in warning for warning in summary["warnings"])
    provenance = json.loads(Path("a.json").read_text())
    assert provenance["image_source"] == "procedural-grammar"
    assert provenance["not_understood"] == ["dragon"]


def test_a_photo_says_that_its_geometry_is_a_guess(lyra: Lyra, tiny_model: Path, photo: Path) -> None:
    done = lyra(
        "generate", "--image", photo, "-o", "scene", "--model", tiny_model, "--no-collider",
        "--max-gaussians", "500", "--preview", "look.png", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["gaussians"] == 500
    assert any("guess" in warning for warning in summary["warnings"])
    assert any("assumed" in warning for warning in summary["warnings"])
    assert Path("scene/scene.usda").exists() and Path("scene.json").exists()
    assert Image.open("look.png").width > 1000


@pytest.mark.parametrize("prompt", ["a kitchen 🐉 mit キッチン", "кухня 🏠"])
def test_emoji_and_other_languages_are_listed_not_fatal(lyra: Lyra, tiny_model: Path, prompt: str) -> None:
    done = lyra("generate", prompt, "-o", "a.ply", "--model", tiny_model, "--no-collider", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["provenance"]["not_understood"]


def test_a_swallowed_interrupt_counts_at_the_next_step() -> None:
    """Imports and callbacks of libraries may catch everything; Ctrl-C must not be lost in them."""
    before = signal.getsignal(signal.SIGINT)
    with PhaseBars() as bars:
        bars("first", 0, 1)
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            bars("second", 0, 1)
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupt_leaves_nothing(tmp_path: Path, tiny_model: Path) -> None:
    """Ctrl-C after the first phase: exit code 130, one line, no file of any kind."""
    command = [sys.executable, "-m", "lyra_core.app.cli", "generate", PROMPT, "-o", str(tmp_path / "a.usdz")]
    running = subprocess.Popen([*command, "--model", str(tiny_model)], stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert "inputs" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "Traceback" not in errors and "interrupted" in errors
    assert list(tmp_path.iterdir()) == []


def test_kept_stages_are_not_made_again(lyra: Lyra, tiny_model: Path) -> None:
    """A scene in another encoding needs neither the picture nor the Gaussians once more."""
    arguments = ("generate", PROMPT, "--model", tiny_model, "--no-collider", "--keep-intermediates", "--json")
    first = json.loads(lyra(*arguments, "-o", "a.usdz").stdout)
    again = json.loads(lyra(*arguments, "-o", "a.usdz", "--encoding", "nurec").stdout)
    assert {"image", "depth", "gaussians", "colours"} <= set(first["seconds"])
    assert not {"image", "depth", "gaussians", "colours"} & set(again["seconds"])
    assert again["bounds_m"] == first["bounds_m"] and again["provenance"] == first["provenance"]
    assert set(json.loads(Path("a.stages/stages.json").read_text())) == {"view", "decoded", "gaussians"}
    other = json.loads(lyra(*arguments, "-o", "a.usdz", "--seed", "1").stdout)
    assert {"image", "gaussians"} <= set(other["seconds"])
