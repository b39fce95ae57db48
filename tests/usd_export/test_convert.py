# SPDX-License-Identifier: Apache-2.0
"""Conversions with everything a user may ask for, and the command line without torch."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Usd

from usd_export.__main__ import main
from usd_export.arguments import parse_conversion
from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.convert import Conversion, convert_scene
from usd_export.errors import UsdExportError
from usd_export.formats.ply import read_ply, write_ply
from usd_export.frame import Frame
from usd_export.info import scene_info
from usd_export.layout import PHYSICS_SCENE, ROBOTICS
from usd_export.placement.orientation import rotation_matrix
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene
from usd_export.spherical_harmonics import sh_basis

MakeCloud = Callable[..., GaussianCloud]
UNIT = 0.5  # metres per unit of the scan


def corner(degree: int = 0) -> GaussianCloud:
    """A floor of 4 x 4 m at y = -3 and a wall 2.5 m high, with +y up, in units of half a metre."""
    random = np.random.default_rng(4)
    floor, wall = random.uniform([-2, 0, -2], [2, 0, 2], (3000, 3)), random.uniform([-2, 0, 2], [2, 2.5, 2], (2000, 3))
    positions = np.concatenate([floor, wall]) / UNIT + [0, -3, 0]
    count = len(positions)
    return GaussianCloud(
        positions.astype(np.float32),
        np.full((count, 3), 0.04 / UNIT, np.float32),
        np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        np.full(count, 0.95, np.float32),
        random.normal(size=(count, (degree + 1) ** 2, 3)).astype(np.float32),
    )


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    write_ply(tmp_path / "scan.ply", corner())
    return tmp_path / "scan.ply"


def test_a_scan_becomes_metric_and_upright(scan: Path, tmp_path: Path) -> None:
    """The y axis of the scan points up and two of its points are 1.0 m apart."""
    out = tmp_path / "out.usdz"
    conversion = parse_conversion(scan, out, up="y", scale_ref="0,0,0:0,2,0=1.0")
    assert convert_scene(conversion) == [out]
    cloud, record, collider = open_scene(out)
    world = record.frame.apply(cloud.positions)
    np.testing.assert_allclose(world[:3000, 2], 0, atol=1e-5)
    np.testing.assert_allclose(world[:, 2].max(), 2.5, atol=0.01)
    np.testing.assert_allclose(np.ptp(world[:, :2], axis=0), 4, atol=0.01)
    assert record.frame.metric and record.frame.scale_uncertainty == pytest.approx(0.05 / np.sqrt(3))
    assert "warnings" not in record.provenance or not record.provenance["warnings"]
    assert collider is not None and collider.report.observed_floor_area > 10
    assert record.provenance["inputs"] == {"scan.ply": hashlib.sha256(scan.read_bytes()).hexdigest()}


def test_assumptions_are_warned_of_until_they_are_replaced(scan: Path, tmp_path: Path) -> None:
    convert_scene(Conversion(scan, tmp_path / "guess.usdz", collider=False))
    _, guessed, _ = open_scene(tmp_path / "guess.usdz")
    assert [text.partition(" is ")[0] for text in guessed.provenance["warnings"]] == ["scale", "vertical", "floor"]
    assert not guessed.frame.metric and guessed.frame.scale_uncertainty is None
    fixed = parse_conversion(
        tmp_path / "guess.usdz", tmp_path / "fixed.ply", up="-y", camera_height="1.5", collider=False
    )
    convert_scene(fixed)
    _, record, _ = open_scene(tmp_path / "fixed.ply")
    assert not any(text.startswith(("scale", "vertical")) for text in record.provenance["warnings"])
    assert "height of the camera" in record.frame.scale_source
    assert list(record.provenance["inputs"]) == ["guess.usdz", "scan.ply"]


def test_crop_and_recentre(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    scene = tmp_path / "scene.usdz"
    convert_scene(parse_conversion(scan, scene, up="y", scale_ref="0,0,0:2,0,0=1.0"))
    convert_scene(parse_conversion(scene, out, crop="0.5,-2.5,-0.1:2.5,0.5,1", recenter=True))
    cloud, record, collider = open_scene(out)
    world = record.frame.apply(cloud.positions)
    np.testing.assert_allclose(0.5 * (world.min(0) + world.max(0))[:2], 0, atol=0.03)
    np.testing.assert_allclose(np.ptp(world, axis=0), [1.5, 2.5, 1.0], atol=0.05)
    assert collider is not None
    mesh = record.frame.apply(collider.vertices)
    assert (np.ptp(mesh, axis=0) < [2.01, 3.01, 1.11]).all()
    assert "cropped" in collider.report.notes[-1]
    assert record.provenance["edits"] == ["cropped to 0.5, -2.5, -0.1 .. 2.5, 0.5, 1 m", "recentred"]


def test_a_rotation_turns_the_harmonics_of_a_ply(tmp_path: Path, frame: Frame) -> None:
    """PLY to PLY: the colour in a turned direction is the old colour, the positions turn the same way."""
    cloud, degrees = corner(degree=3), (0, 0, 120)
    write_ply(tmp_path / "in.ply", cloud)
    convert_scene(parse_conversion(tmp_path / "in.ply", tmp_path / "out.ply", up="z", rotate="0,0,120"))
    turned, rotation = read_ply(tmp_path / "out.ply"), rotation_matrix(degrees)
    moved = cloud.positions @ rotation.T
    np.testing.assert_allclose(turned.positions[:, :2], moved[:, :2], atol=1e-4)
    directions = np.random.default_rng(0).normal(size=(12, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    before = np.einsum("dk,nkc->ndc", sh_basis(directions, 3), cloud.sh)
    after = np.einsum("dk,nkc->ndc", sh_basis(directions @ rotation.T, 3), turned.sh)
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_collider_of_the_source_is_kept(
    make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path
) -> None:
    """It moves with everything else: one matrix."""
    write_scene(tmp_path / "in.usdz", make_cloud(), frame, collider=collider, provenance={"seed": 5})
    convert_scene(parse_conversion(tmp_path / "in.usdz", tmp_path / "out.usdz", up="-x", rotate="0,30,0"))
    _, record, mesh = open_scene(tmp_path / "out.usdz")
    assert mesh is not None
    np.testing.assert_allclose(mesh.vertices, collider.vertices, atol=1e-5)
    assert record.provenance["seed"] == 5
    assert record.frame.scale == pytest.approx(frame.scale)


def test_conversion_is_deterministic(scan: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / name / "out.usdz" for name in "ab"]
    for output in outputs:
        output.parent.mkdir()
        convert_scene(parse_conversion(scan, output, up="y", rotate="0,0,10", crop="-1,-1,-1:1,1,1", recenter=True))
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_the_input_is_never_overwritten(scan: Path) -> None:
    before = scan.read_bytes()
    with pytest.raises(UsdExportError, match="is the input itself"):
        convert_scene(Conversion(scan, scan))
    assert scan.read_bytes() == before


def test_a_failure_leaves_the_old_output(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "out.usdz").write_bytes(b"earlier and good")
    with pytest.raises(UsdExportError, match="no Gaussian lies in the box"):
        convert_scene(parse_conversion(scan, tmp_path / "out.usdz", crop="90,90,90:91,91,91"))
    assert (tmp_path / "out.usdz").read_bytes() == b"earlier and good"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.usdz", "scan.ply"]


def without_torch(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`python -m usd_export ...` where torch, and whatever needs it, cannot be imported."""
    code = """
import runpy, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "lyra_core", "diffusers", "typer"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, NoTorch())
runpy.run_module("usd_export", run_name="__main__", alter_sys=True)
"""
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=folder)


def test_the_command_line_works_without_torch(scan: Path, tmp_path: Path) -> None:
    done = without_torch("scan.ply", "out.usdz", "--up", "y", "--rotate", "-0.0,0,5", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "out.usdz\n")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["note", "note"]
    assert "scale is assumed" in done.stderr
    told = without_torch("info", "out.usdz", "--json", folder=tmp_path)
    facts = json.loads(told.stdout)
    assert facts["gaussians"] == 5000
    assert facts["colliders"][0]["triangles"] > 100
    assert "axis y of the input" in facts["frame"]["upSource"]
    checked = without_torch("check", "out.usdz", folder=tmp_path)
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "out.usdz: pass")
    (tmp_path / "cut.usdz").write_bytes((tmp_path / "out.usdz").read_bytes()[:-200])
    checked = without_torch("check", "cut.usdz", "--json", folder=tmp_path)
    assert (checked.returncode, json.loads(checked.stdout)["verdict"]) == (1, "fail")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["absent.ply", "out.usdz"], "absent.ply does not exist"),
        (["scan.ply", "out.blend"], "unknown suffix"),
        (["scan.ply", "out.usdz", "--rotate", "ninety"], "--rotate has 'ninety'"),
        (["scan.ply", "out.usdz", "--crop", "-1,0,0"], "--crop has '-1,0,0'"),
        (["scan.ply", "out.usdz", "--camera-height", "tall"], "--camera-height"),
        (["info", "absent.usdz"], "absent.usdz does not exist"),
        (["check", "absent.usdz"], "absent.usdz does not exist"),
    ],
)
def test_errors_are_one_line(
    scan: Path, arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(scan.parent)
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert expected in captured.err
    assert captured.err.count("\n") == 1
    assert sorted(path.name for path in scan.parent.iterdir()) == ["scan.ply"]


def test_help_is_light() -> None:
    code = (
        "import sys; from usd_export.__main__ import _parser; _parser().format_help();"
        "print([name for name in ('numpy', 'pxr', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_fewer_gaussians(scan: Path, tmp_path: Path) -> None:
    cloud = replace(corner(), opacities=np.linspace(0.1, 0.9, 5000, dtype=np.float32))
    write_ply(tmp_path / "graded.ply", cloud)
    convert_scene(parse_conversion(tmp_path / "graded.ply", tmp_path / "few.ply", up="z", max_gaussians=10))
    np.testing.assert_allclose(read_ply(tmp_path / "few.ply").opacities, cloud.opacities[-10:], atol=1e-5)


@pytest.mark.parametrize(
    ("output", "options", "encodings", "roots"),
    [
        ("s.usdz", [], ["particlefield"], ["s.usdz"]),
        ("s.usdz", ["--encoding", "nurec"], ["nurec"], ["s.usdz"]),
        ("folder", [], ["particlefield", "nurec"], ["scene.usda", "scene_isaac5.usda"]),
        ("folder", ["--encoding", "particlefield", "--half"], ["particlefield"], ["scene.usda"]),
    ],
)
def test_encodings(
    scan: Path,
    output: str,
    options: list[str],
    encodings: list[str],
    roots: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`auto` is everything in a folder and the particle field in a package."""
    monkeypatch.chdir(scan.parent)
    assert main(["scan.ply", output, "--up", "y", "--no-collider", *options]) == 0
    written = capsys.readouterr().out.splitlines()
    assert [Path(file).name for file in written[: len(roots)]] == roots
    found = [scene_info(file)["encodings"][0] for file in written[: len(roots)]]
    assert [facts["encoding"] for facts in found] == encodings
    assert all(facts["gaussians"] == 5000 for facts in found)
    assert (found[0]["precision"] == "half") == ("--half" in options or encodings == ["nurec"])


def test_impossible_encodings_are_refused_before_any_work(scan: Path, tmp_path: Path) -> None:
    for output, encoding in (("s.usdz", "universal"), ("s.ply", "nurec")):
        with pytest.raises(UsdExportError, match="encoding"):
            convert_scene(parse_conversion(tmp_path / "absent.ply", tmp_path / output, encoding=encoding))


def test_a_scene_that_is_ready_to_play(scan: Path, tmp_path: Path) -> None:
    """Physics scene, verified spawn poses, the map for ROS, and a collider of the size asked for."""
    conversion = parse_conversion(
        scan, tmp_path / "play.usdz", up="y", scale_ref="0,0,0:2,0,0=1.0", max_triangles=3000,
        with_physics_scene=True, ground_check=True, ros_map=tmp_path / "maps",
    )  # fmt: skip
    files = convert_scene(conversion)
    assert [file.name for file in files] == ["play.usdz", "map.yaml", "map.pgm"]
    assert all(file.is_file() for file in files)
    stage = Usd.Stage.Open(str(files[0]))
    assert stage.GetPrimAtPath(PHYSICS_SCENE).GetTypeName() == "PhysicsScene"
    assert stage.GetPrimAtPath(ROBOTICS)
    assert 100 < scene_info(files[0])["colliders"][0]["triangles"] <= 3000


def test_a_scene_without_ground_is_refused(
    make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path
) -> None:
    """A tetrahedron has no floor."""
    write_scene(tmp_path / "in.usdz", make_cloud(), frame, collider=collider)
    with pytest.raises(UsdExportError, match="ground check: there is no spawn pose"):
        convert_scene(parse_conversion(tmp_path / "in.usdz", tmp_path / "out.usdz", ground_check=True))
    assert [file.name for file in tmp_path.iterdir()] == ["in.usdz"]


@pytest.mark.parametrize("options", [{"collider": False}, {"output": "s.ply"}])
def test_a_ground_check_needs_a_collider(scan: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsdExportError, match="need a collider"):
        Conversion(scan, scan.parent / options.pop("output", "s.usdz"), ground_check=True, **options)
