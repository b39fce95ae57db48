# SPDX-License-Identifier: Apache-2.0
"""What `lyra generate` shares with `lyra export`: encoding, scale from the camera's height, what robots need."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from usd_export.encodings.particle_field import HALF_WARNING
from usd_export.formats.ply import write_ply
from usd_export.info import scene_info
from usd_export.scene_reader import open_scene

from .conftest import Lyra
from .test_failures import a_cloud

PROMPT = "a small kitchen"


def test_a_photo_with_a_known_camera_height(lyra: Lyra, tiny_model: Path, photo: Path) -> None:
    """Scale, source and uncertainty are in the USD; no warning that the scale is assumed is left."""
    done = lyra(
        "generate", "--image", photo, "-o", "scene.usdz", "--model", tiny_model, "--camera-height", "1.60",
        "--no-collider", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["metric"] and summary["scale_source"].endswith("given by the user: 1.6 m")
    assert not any("scale is assumed" in warning for warning in summary["warnings"])
    low, high = (summary["trusted_viewpoints_m"][end][2] for end in ("min", "max"))
    assert low < 1.6 < high
    frame = scene_info(Path("scene.usdz"))["frame"]
    assert frame["metric"] and frame["scaleSource"] == summary["scale_source"]
    assert frame["scaleUncertainty"] == pytest.approx(0.01 / np.sqrt(12) / 1.6)
    record = open_scene("scene.usdz")[1]
    assert record.frame.apply(np.zeros((1, 3)))[0, 2] == pytest.approx(1.6, abs=1e-5)
    assert json.loads(Path("scene.json").read_text())["frame"]["scale_uncertainty"] == frame["scaleUncertainty"]


def test_cameras_robots_and_physics(lyra: Lyra, tiny_model: Path) -> None:
    done = lyra(
        "generate", PROMPT, "-o", "scene.usdz", "--model", tiny_model, "--preset", "outdoor",
        "--with-physics-scene", "--ros-map", "maps", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    stage = Usd.Stage.Open("scene.usdz")
    assert stage.GetPrimAtPath("/World/Scene/Robotics") and stage.GetPrimAtPath("/World/PhysicsScene")
    cameras = stage.GetPrimAtPath("/World/Scene/Cameras").GetChildren()
    assert [prim.GetName() for prim in cameras] == ["clockwise", "left", "right", "zoom_in"]
    assert all(len(UsdGeom.Xformable(prim).GetTimeSamples()) == 9 for prim in cameras)
    assert {path.name for path in Path("maps").iterdir()} == {"map.yaml", "map.pgm"}
    summary = json.loads(done.stdout)
    assert {"maps/map.yaml", "maps/map.pgm"} <= set(summary["files"])
    assert "robotics" in summary["seconds"]
    assert any("60.0 m" in note for note in summary["collider"]["notes"])


def test_a_folder_is_universal_unless_told_otherwise(lyra: Lyra, tiny_model: Path) -> None:
    for name, options in (("both", ()), ("one", ("--encoding", "nurec"))):
        done = lyra("generate", PROMPT, "-o", name, "--model", tiny_model, "--no-collider", *options)
        assert done.exit_code == 0, done.stderr
    assert Path("both/scene_isaac5.usda").exists()
    stage = Usd.Stage.Open("one/scene.usda")
    assert stage.GetPrimAtPath("/World/Scene/Gaussians").GetTypeName() == "Volume"
    assert not Path("one/scene_isaac5.usda").exists() and not Path("one/robotics.usdc").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--camera-height", "-1"), "must be positive"),
        (("--camera-height", "nan"), "must be positive"),
        (("--camera-height", "tall"), "--camera-height"),
        (("--camera-height", ""), "--camera-height"),
        (("--encoding", "universal"), "one encoding only"),
        (("--encoding", "mp3"), "particlefield"),
        (("--preset", "space"), "outdoor"),
        (("--ros-map", "maps", "--no-collider"), "needs a collider"),
        (("--ground-check", "--no-collider"), "--ground-check needs a collider"),
        (("--ros-map", "nowhere/maps"), "does not exist"),
    ],
)
def test_refused_before_any_work(lyra: Lyra, arguments: tuple[str, ...], expected: str) -> None:
    done = lyra("generate", PROMPT, "-o", "scene.usdz", *arguments)
    assert done.exit_code != 0
    assert expected in done.stderr and "Traceback" not in done.stderr
    assert list(Path().iterdir()) == []


def test_a_scene_without_a_place_for_robots_is_refused_if_asked(lyra: Lyra, tiny_model: Path) -> None:
    """The close look at a desk shows no floor."""
    arguments = ("generate", "a desk with a laptop and a mug", "-o", "scene.usdz", "--model", tiny_model)
    done = lyra(*arguments, "--ground-check")
    assert done.exit_code == 1 and "ground check: " in done.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("option", ["--with-physics-scene", "--encoding=nurec", "--ros-map=maps", "--ground-check"])
def test_splats_alone_hold_nothing_else(lyra: Lyra, option: str) -> None:
    done = lyra("generate", PROMPT, "-o", "scene.ply", option)
    assert done.exit_code == 1 and ".usdz or a folder" in done.stderr
    assert list(Path().iterdir()) == []


def test_the_price_of_half_precision_is_told(lyra: Lyra, capsys: pytest.CaptureFixture[str]) -> None:
    """By both commands, and once in the file."""
    from usd_export.__main__ import main

    write_ply("in.ply", a_cloud(60))
    done = lyra("export", "in.ply", "out.usdz", "--half", "--no-collider")
    assert f"note: {HALF_WARNING}" in done.stdout
    assert main(["in.ply", "twin.usdz", "--half", "--no-collider"]) == 0
    assert f"note: {HALF_WARNING}" in capsys.readouterr().err
    assert scene_info(Path("out.usdz"))["provenance"]["warnings"].count(HALF_WARNING) == 1
