# SPDX-License-Identifier: Apache-2.0
"""Input that must fail well: one line that says what to do, exit code not 0, older files untouched."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from usd_export.cloud import GaussianCloud
from usd_export.formats.ply import write_ply

from .conftest import Lyra


def assert_fails_well(done: Result, expected: str, folder: Path, before: dict[str, bytes]) -> None:
    assert done.exit_code not in (0, None)
    lines = done.stderr.strip().splitlines()
    assert "Traceback" not in done.stderr
    assert sum(line.startswith("lyra: ") for line in lines) == 1
    assert expected in lines[-1], lines[-1]
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder with a good earlier scene."""
    folder = tmp_path / "results"
    folder.mkdir()
    for name in ("scene.usdz", "scene.json", "scene.preview.png"):
        (folder / name).write_bytes(b"earlier and good")
    return folder


def broken_pictures(folder: Path, photo: Path) -> dict[str, Path]:
    paths = {name: folder / f"{name}.png" for name in ("missing", "empty", "truncated", "text", "dot")}
    paths["empty"].touch()
    paths["truncated"].write_bytes(photo.read_bytes()[:800])
    paths["text"].write_text("not a picture")
    Image.new("RGB", (1, 1)).save(paths["dot"])
    return paths


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("missing", "does not exist"),
        ("empty", "is empty"),
        ("truncated", "truncated"),
        ("text", "is not a picture"),
        ("dot", "1x1"),
    ],
)
def test_unusable_pictures(lyra: Lyra, tmp_path: Path, photo: Path, results: Path, name: str, expected: str) -> None:
    picture, before = broken_pictures(tmp_path, photo)[name], contents(results)
    done = lyra("generate", "--image", picture, "-o", results / "scene.usdz")
    assert_fails_well(done, expected, results, before)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([""], "prompt is empty"),
        (["   "], "prompt is empty"),
        ([], "either a prompt or --image"),
        (["a kitchen", "--image", "photo.png"], "either a prompt or --image"),
        (["a kitchen", "--depth", "depth.npz"], "--depth belongs to a picture"),
        (["a kitchen", "--model", "maxi"], "unknown model 'maxi'. Known: lyra, mini"),
        (["a kitchen", "--model", "../mini"], "unknown model"),
        (["a kitchen", "--preview", "look.docx"], "unknown suffix"),
        (["a kitchen", "--save-inputs", "nowhere/inputs"], "does not exist"),
        (["--image", "photo.png", "--depth", "absent.npz"], "does not exist"),
        (["--image", "photo.png", "--depth", "photo.png"], "shape"),
    ],
)
def test_unusable_requests(lyra: Lyra, photo: Path, results: Path, arguments: list[str], expected: str) -> None:
    before = contents(results)
    assert_fails_well(lyra("generate", *arguments, "-o", results / "scene.usdz"), expected, results, before)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("scene.blend", "suffix"),
        ("nowhere/scene.usdz", "does not exist"),
        ("results/scene.usdz/inner.usdz", "does not exist"),
    ],
)
def test_unusable_outputs(lyra: Lyra, results: Path, output: str, expected: str) -> None:
    before = contents(results)
    assert_fails_well(lyra("generate", "a kitchen", "-o", output), expected, results, before)


def test_a_file_where_the_folder_should_go(lyra: Lyra, results: Path) -> None:
    (results / "plain").write_text("a file")
    before = contents(results)
    assert_fails_well(lyra("generate", "a kitchen", "-o", results / "plain"), "is a file", results, before)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_read_only_folder(lyra: Lyra, results: Path) -> None:
    before = contents(results)
    results.chmod(0o555)
    try:
        assert_fails_well(lyra("generate", "a kitchen", "-o", results / "new.usdz"), "read-only", results, before)
    finally:
        results.chmod(0o755)


def test_the_released_model_says_which_files_it_wants(lyra: Lyra, results: Path) -> None:
    before = contents(results)
    done = lyra("generate", "a kitchen", "--model", "lyra", "-o", results / "scene.usdz")
    assert_fails_well(done, "lyra_static.pt", results, before)


def a_cloud(count: int = 8) -> GaussianCloud:
    rng = np.random.default_rng(0)
    return GaussianCloud(
        positions=rng.normal(size=(count, 3)).astype(np.float32),
        scales=np.full((count, 3), 0.05, np.float32),
        rotations=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        opacities=np.full(count, 0.8, np.float32),
        sh=np.zeros((count, 1, 3), np.float32),
    )


def damaged_ply(folder: Path, damage: str) -> Path:
    """A PLY of 8 Gaussians with 14 floats each after its header."""
    path = folder / f"{damage}.ply"
    write_ply(path, a_cloud())
    head, _, data = path.read_bytes().partition(b"end_header\n")
    rows = np.frombuffer(data, "<f4").reshape(8, -1).copy()
    if damage == "nan":
        rows[3, 0] = np.nan
    elif damage == "quaternion":
        rows[3, -4:] = 0
    elif damage == "properties":
        head = head.replace(b"property float scale_1\n", b"")
        rows = np.delete(rows, 8, axis=1)
    elif damage == "count":
        head = head.replace(b"element vertex 8", b"element vertex 9")
    elif damage == "huge":
        head = head.replace(b"element vertex 8", b"element vertex 8000000000000")
    elif damage == "lie":
        head = head.replace(b"binary_little_endian", b"ascii")
    path.write_bytes(head + b"end_header\n" + rows.tobytes())
    return path


@pytest.mark.parametrize("damage", ["nan", "quaternion", "properties", "count", "huge", "lie"])
def test_unusable_splat_files(lyra: Lyra, tmp_path: Path, results: Path, damage: str) -> None:
    source, before = damaged_ply(tmp_path, damage), contents(results)
    done = lyra("export", source, results / "scene.usdz")
    assert_fails_well(done, str(source), results, before)
    assert lyra("check", source).exit_code == 1


def test_debug_shows_where_it_happened(lyra: Lyra) -> None:
    done = lyra("generate", "--image", "absent.png", "-o", "scene.usdz", "--debug")
    assert done.exit_code == 1
    assert "Traceback" in done.stderr and "does not exist" in done.stderr
