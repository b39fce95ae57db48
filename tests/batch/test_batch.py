# SPDX-License-Identifier: Apache-2.0
"""Batches with a tiny real model: everything once, faults explained, nothing made twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pxr import Usd

from lyra_core.app.batch.processes import Patience
from lyra_core.app.batch.run import Effort, Report, run_batch
from lyra_core.app.batch.store import Store
from lyra_core.app.batch.wishes import BadLine, Wish, read_wishes
from lyra_core.errors import LyraError
from usd_export.rules.validation import check

QUICK = Effort(judge=False)
ROOT = Path(__file__).parents[2]


def wishes_of(folder: Path, model: Path, *lines: dict[str, Any]) -> tuple[list[Wish], list[BadLine]]:
    path = folder / "list.jsonl"
    path.write_text("".join(json.dumps({"model": str(model), **line}) + "\n" for line in lines), encoding="utf-8")
    return read_wishes(path)


def streets(folder: Path, model: Path, count: int) -> list[Wish]:
    return wishes_of(folder, model, {"prompt": "a street", "variations": count})[0]


def pages(root: Path) -> tuple[dict[str, Any], str]:
    catalog: dict[str, Any] = json.loads((root / "catalog.json").read_text(encoding="utf-8"))
    return catalog, (root / "index.html").read_text(encoding="utf-8")


def test_a_batch_makes_every_scene_and_the_next_run_none(tmp_path: Path, tiny_model: Path) -> None:
    root = tmp_path / "scenes"
    wishes, bad = wishes_of(tmp_path, tiny_model, {"prompt": "a <b>street</b>"}, {"prompt": "a yard"}, {"prompt": ""})
    first = run_batch(root, wishes, bad, Effort())
    assert (first.made, first.kept, first.left) == (2, 0, 0)
    assert list(first.failed) == ["line-000003"]
    catalog, page = pages(root)
    assert [entry["title"] for entry in catalog["scenes"]] == ["a <b>street</b>", "a yard"]
    assert all(entry["verdict"] in ("pass", "warning", "fail", "not run") for entry in catalog["scenes"])
    assert "a &lt;b&gt;street&lt;/b&gt;" in page
    assert "line-000003" in page
    for wish in wishes:
        folder = root / "scenes" / wish.name
        assert {path.name for path in folder.iterdir()} == {
            "scene.usdz", "scene.preview.png", "scene.json", "report", "wish.json",
        }  # fmt: skip
        assert [finding for finding in check(folder / "scene.usdz") if finding.severity == "error"] == []
    stamps = {wish.name: (root / "scenes" / wish.name).stat().st_mtime_ns for wish in wishes}
    second = run_batch(root, wishes, bad, Effort())
    assert (second.made, second.kept) == (0, 2)
    assert stamps == {wish.name: (root / "scenes" / wish.name).stat().st_mtime_ns for wish in wishes}


def test_the_catalogue_loads_one_scene_at_a_time(tmp_path: Path, tiny_model: Path) -> None:
    root, wishes = tmp_path / "scenes", streets(tmp_path, tiny_model, 2)
    run_batch(root, wishes, [], QUICK)
    stage = Usd.Stage.Open(str(root / "catalog.usda"))
    choice = stage.GetPrimAtPath("/Scenes").GetVariantSet("scene")
    assert len(choice.GetVariantNames()) == 2
    loaded = set()
    for name in choice.GetVariantNames():
        choice.SetVariantSelection(name)
        assert any(prim.GetTypeName() == "ParticleField3DGaussianSplat" for prim in stage.Traverse())
        loaded.add(tuple(stage.GetUsedLayers()[-1].identifier))
    assert len(loaded) == 2


def test_a_damaged_scene_is_made_again(tmp_path: Path, tiny_model: Path) -> None:
    root, wishes = tmp_path / "scenes", streets(tmp_path, tiny_model, 1)
    run_batch(root, wishes, [], QUICK)
    (root / "scenes" / wishes[0].name / "scene.usdz").unlink()
    assert run_batch(root, wishes, [], QUICK).made == 1
    assert Store(root).is_finished(wishes[0])


def test_a_picture_that_is_none_is_explained_and_the_others_are_made(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"no picture")
    wishes, _ = wishes_of(tmp_path, tiny_model, {"image": "photo.png"}, {"prompt": "a street"})
    report = run_batch(tmp_path / "scenes", wishes, [], QUICK)
    assert report.made == 1
    assert "photo.png" in report.failed[wishes[0].name]
    assert json.loads((tmp_path / "scenes" / "failures" / f"{wishes[0].name}.json").read_text())["line"] == 1


def _kill_workers() -> None:
    for worker in multiprocessing.active_children():
        worker.kill()


def _once(condition: Callable[[], bool], then: Callable[[], None]) -> threading.Thread:
    """Does something as soon as a condition holds."""

    def watch() -> None:
        while not condition():
            time.sleep(0.01)
        then()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_a_killed_worker_is_replaced_and_its_scene_made(tmp_path: Path, tiny_model: Path) -> None:
    root, wishes = tmp_path / "scenes", streets(tmp_path, tiny_model, 3)
    second = Store(root).workplace(wishes[1].name)
    killed = _once(second.exists, _kill_workers)
    told: list[str] = []
    report = run_batch(root, wishes, [], QUICK, tell=told.append)
    killed.join(10)
    assert report.complete
    assert report.made == 3
    assert any("SIGKILL" in line for line in told)
    assert sorted(path.name for path in (root / "scenes").iterdir()) == sorted(wish.name for wish in wishes)


def test_a_scene_that_ends_its_worker_each_time_is_put_aside(tmp_path: Path, tiny_model: Path) -> None:
    root, wishes = tmp_path / "scenes", streets(tmp_path, tiny_model, 2)
    poison = Store(root).workplace(wishes[0].name)
    stop = threading.Event()

    def murder() -> None:
        while not stop.is_set():
            if poison.exists():
                _kill_workers()
                shutil.rmtree(poison, ignore_errors=True)
            time.sleep(0.005)

    murderer = threading.Thread(target=murder, daemon=True)
    murderer.start()
    report = run_batch(root, wishes, [], Effort(judge=False, patience=Patience(tries=2)))
    stop.set()
    murderer.join(10)
    assert list(report.quarantined) == [wishes[0].name]
    assert Store(root).is_finished(wishes[1])
    again = run_batch(root, wishes, [], QUICK)
    assert (again.made, again.kept, len(again.quarantined)) == (0, 1, 1)
    (root / "quarantine" / f"{wishes[0].name}.json").unlink()
    assert run_batch(root, wishes, [], QUICK).complete


def test_stopping_finishes_what_is_running_and_starts_nothing_else(tmp_path: Path, tiny_model: Path) -> None:
    root, wishes = tmp_path / "scenes", streets(tmp_path, tiny_model, 3)
    asked = threading.Event()
    _once(Store(root).workplace(wishes[0].name).exists, asked.set)
    report = run_batch(root, wishes, [], QUICK, stopping=asked.is_set)
    assert (report.made, report.left) == (1, 2)
    assert len(pages(root)[0]["scenes"]) == 1
    assert run_batch(root, wishes, [], QUICK).made == 2


def test_two_runs_in_one_folder_are_refused(tmp_path: Path, tiny_model: Path) -> None:
    root, wishes = tmp_path / "scenes", streets(tmp_path, tiny_model, 1)
    refused: list[str] = []

    def second(phase: str, done: int, total: int) -> None:
        with pytest.raises(LyraError) as caught:
            run_batch(root, wishes, [], QUICK)
        refused.append(str(caught.value))

    assert run_batch(root, wishes, [], QUICK, progress=second).made == 1
    assert all(f"process {os.getpid()}" in text for text in refused)


def test_the_verb(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "list.txt").write_text("a street\n", encoding="utf-8")
    command = [sys.executable, "-m", "lyra_core.app.cli", "batch", "list.txt", "-o", "out", "--no-report", "--json"]
    done = subprocess.run(
        [*command, "--model", str(tiny_model)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    report = Report(**json.loads(done.stdout))
    assert (report.made, report.complete) == (1, True)
    (tmp_path / "bad.jsonl").write_text('{"prompt": ""}\n', encoding="utf-8")
    command[4] = "bad.jsonl"
    failed = subprocess.run([*command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
