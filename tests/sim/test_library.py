# SPDX-License-Identifier: Apache-2.0
"""The library lists what is whole, names what is broken, and deletes nothing outside of its folder."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sim.fake_worker import write_scene

from lyra.sim.errors import LyraSimError
from lyra.sim.library import SceneLibrary
from lyra.sim.protocol import Request


def store(root: Path, name: str, age_s: int = 0, **request: Any) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    write_scene(folder, asdict(Request(**{"job": name, "prompt": f"prompt of {name}", **request})))
    os.utime(folder / "manifest.json", (2e9 - age_s, 2e9 - age_s))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "scenes"


def titles(root: Path) -> list[str]:
    return [scene.title for scene in SceneLibrary(root).scenes()]


def test_no_folder_is_no_scene(root: Path) -> None:
    library = SceneLibrary(root)
    assert (library.scenes(), library.broken, library.total_bytes()) == ([], [], 0)


def test_the_newest_comes_first(root: Path) -> None:
    for name, age_s in (("b", 20), ("a", 30), ("c", 10)):
        store(root, name, age_s)
    scenes = SceneLibrary(root).scenes()
    assert [scene.folder.name for scene in scenes] == ["c", "b", "a"]
    assert scenes[0].manifest.job == "c"
    assert scenes[0].thumbnail == root / "c" / "preview.png"


def test_unfinished_jobs_are_left_out(root: Path) -> None:
    store(root, "whole")
    (root / "running").mkdir()
    (root / "running" / "request.json").write_text("{}")
    (root / ".half.part").mkdir()
    (root / "worker.log").write_text("a file")
    library = SceneLibrary(root)
    assert [scene.folder.name for scene in library.scenes()] == ["whole"]
    assert library.broken == []


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("a kitchen\nwith\ta fridge", "a kitchen with a fridge"),
        ("x" * 200, "x" * 79 + "…"),
        ("red\x1b[31m\u202e alert", "red [31m alert"),
        (None, "image s"),
    ],
)
def test_titles_are_one_short_line(root: Path, prompt: str | None, title: str) -> None:
    store(root, "s", prompt=prompt, mode="text" if prompt else "image")
    assert titles(root) == [title]


def test_a_scene_without_its_preview_is_still_a_scene(root: Path) -> None:
    (store(root, "s") / "preview.png").unlink()
    assert [scene.thumbnail for scene in SceneLibrary(root).scenes()] == [None]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        '{"v": 1}',
        '{"v":' * 100_000,
        json.dumps({"v": 1, "usd": "../../../etc/passwd"}),
    ],
)
def test_broken_manifests_are_named(root: Path, content: str) -> None:
    store(root, "good")
    (store(root, "bad") / "manifest.json").write_text(content)
    library = SceneLibrary(root)
    assert [scene.folder.name for scene in library.scenes()] == ["good"]
    ((folder, reason),) = library.broken
    assert folder == root / "bad" and str(folder) in reason


def test_a_hostile_manifest_shows_nothing_from_outside(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    for name, path in (("up", "../../secret.png"), ("absolute", str(secret)), ("link", "preview.png")):
        folder = store(root, name)
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "preview": path}))
    (root / "link" / "preview.png").unlink()
    (root / "link" / "preview.png").symlink_to(secret)
    library = SceneLibrary(root)
    assert library.scenes() == []
    assert {folder.name for folder, _ in library.broken} == {"up", "absolute", "link"}


def test_a_manifest_that_is_a_pipe_or_a_link(root: Path) -> None:
    store(root, "good")
    for name in ("pipe", "linked", "loop"):
        (store(root, name) / "manifest.json").unlink()
    os.mkfifo(root / "pipe" / "manifest.json")
    (root / "linked" / "manifest.json").symlink_to(root / "good" / "manifest.json")
    (root / "loop" / "manifest.json").symlink_to(root / "loop" / "manifest.json")
    library = SceneLibrary(root)
    assert [scene.folder.name for scene in library.scenes()] == ["good"]
    assert {folder.name for folder, _ in library.broken} == {"pipe", "linked", "loop"}


def test_linked_folders_are_not_followed(root: Path, tmp_path: Path) -> None:
    elsewhere = store(tmp_path, "elsewhere")
    root.mkdir()
    (root / "linked").symlink_to(elsewhere)
    assert titles(root) == []


# --------------------------------------------------------------------------------------------------------- deleting


def test_delete(root: Path) -> None:
    store(root, "kept")
    store(root, "gone")
    library = SceneLibrary(root)
    library.delete(next(scene for scene in library.scenes() if scene.folder.name == "gone"))
    assert [path.name for path in root.iterdir()] == ["kept"]


def test_a_broken_scene_can_be_deleted(root: Path) -> None:
    (store(root, "bad") / "manifest.json").write_text("{")
    library = SceneLibrary(root)
    library.scenes()
    library.delete(library.broken[0][0])
    assert not any(root.iterdir())


def test_links_in_a_scene_are_deleted_not_followed(root: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    (store(root, "s") / "link").symlink_to(precious)
    library = SceneLibrary(root)
    library.delete(library.scenes()[0])
    assert (precious / "file").read_text() == "x"


def test_nothing_outside_is_deleted(root: Path, tmp_path: Path) -> None:
    outside = store(tmp_path, "outside")
    inner = store(root, "inner")
    (root / "linked").symlink_to(outside)
    library = SceneLibrary(root)
    for folder in (outside, root, root / "..", root / ".", root / "linked", inner / "scene", Path("/"), Path()):
        with pytest.raises(LyraSimError, match="is not a scene in"):
            library.delete(folder)
    assert (outside / "manifest.json").exists() and (inner / "manifest.json").exists()


def test_what_is_already_gone_is_told(root: Path) -> None:
    store(root, "s")
    library = SceneLibrary(root)
    (scene,) = library.scenes()
    library.delete(scene)
    with pytest.raises(LyraSimError, match="cannot be deleted"):
        library.delete(scene)


def test_total_bytes(root: Path, tmp_path: Path) -> None:
    folder = store(root, "s")
    before = SceneLibrary(root).total_bytes()
    assert before == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    (root / "running").mkdir()
    (root / "running" / "input.png").write_bytes(b"x" * 1000)
    large = tmp_path / "large"
    large.write_bytes(b"x" * 50_000)
    (root / "running" / "link").symlink_to(large)
    assert 1000 < SceneLibrary(root).total_bytes() - before < 10_000
