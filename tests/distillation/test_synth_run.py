# SPDX-License-Identifier: Apache-2.0
"""Making data sets with a tiny model: the same bytes however the work is split, killed and gone on with."""

from __future__ import annotations

import ast
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lyra_core.synthesis
from lyra_core.errors import LyraError
from lyra_core.images import write_image
from lyra_core.pipeline import LyraPipeline
from lyra_core.synthesis.check import check_dataset
from lyra_core.synthesis.engine import make_sample, sample_from_view
from lyra_core.synthesis.items import Item, from_pictures, from_prompts, from_worlds, read_prompts
from lyra_core.synthesis.job import Job
from lyra_core.synthesis.members import members
from lyra_core.synthesis.reading import open_dataset
from lyra_core.synthesis.run import Share, synthesize
from lyra_core.synthesis.sizes import forecast
from lyra_core.synthesis.workers import Effort
from lyra_core.teacher.image import BaseView

PROMPTS = ["a small kitchen with a red fridge", "a corridor with two doors", "a yard with a tree"]
ITEMS = tuple(from_prompts(PROMPTS, seed=4))
COMMAND = [sys.executable, "-m", "lyra_core.app.cli", "synthesize"]


def a_job(root: Path, model: Path, **options: Any) -> Job:
    return Job(root, str(model), **{"items": ITEMS, "samples_per_shard": 2, **options})


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a data set but the card, whose title is the folder's name."""
    files = (path for path in root.rglob("*") if path.is_file() and path.name != "README.md")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three samples in two shards, made in one go."""
    root = tmp_path_factory.mktemp("whole") / "data"
    report = synthesize(a_job(root, tiny_model))
    assert (report.made, report.kept, report.failed) == (3, 0, {})
    return root


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> LyraPipeline:
    return LyraPipeline.from_pretrained(str(tiny_model))


def test_a_data_set_holds_what_the_corridor_made(whole: Path, pipeline: LyraPipeline) -> None:
    dataset = open_dataset(whole)
    assert dataset.names == ["000000", "000001", "000002"]
    sample = dataset.load("000001")
    assert [view.path for view in sample.views] == ["left", "right", "zoom_in", "clockwise"]
    assert sample.about["prompt"] == PROMPTS[1]
    assert sample.about["depth_source"] == "exact"
    base = pipeline.base_view(PROMPTS[1], None, seed=5)
    conditioning = pipeline.condition(base.image, pipeline.estimate_depth(base))
    for view in sample.views:
        index = pipeline.preset.paths.index(view.path)
        expected = pipeline.teacher.tokenizer.normalize(conditioning.video.latents[index : index + 1]) / 2
        torch.testing.assert_close(torch.from_numpy(view.latents), expected[0])
        np.testing.assert_allclose(view.c2w, conditioning.cameras.c2w[index].numpy())
        np.testing.assert_allclose(view.frames / 255, conditioning.video.frames[index].numpy(), atol=0.51 / 255)
        np.testing.assert_allclose(view.depth, conditioning.video.z[index].numpy(), rtol=1e-3)
    assert sample.input is not None
    assert torch.from_numpy(sample.input.z[sample.input.mask]).median() == 1
    report = check_dataset(whole)
    assert (report.samples, report.errors, report.warnings) == (3, [], [])


def test_shares_of_two_machines_are_the_whole(whole: Path, tiny_model: Path, tmp_path: Path) -> None:
    for part in (1, 0):
        synthesize(a_job(tmp_path / str(part), tiny_model), Share(part, 2))
    assert {path.name for path in (tmp_path / "1").glob("*.tar")} == {"shard-00001.tar"}
    assert check_dataset(tmp_path / "1").errors == [
        "2 samples are not here yet, the first is 000000: run the command of this folder again"
    ]
    shutil.copytree(tmp_path / "1", tmp_path / "0", dirs_exist_ok=True)
    assert contents(tmp_path / "0") == contents(whole)


def test_worker_processes_make_the_same_bytes(whole: Path, tiny_model: Path, tmp_path: Path) -> None:
    report = synthesize(a_job(tmp_path / "data", tiny_model), effort=Effort(workers=2))
    assert report.made == 3
    assert contents(tmp_path / "data") == contents(whole)
    card = (tmp_path / "data" / "README.md").read_text(encoding="utf-8")
    assert "3 samples." in card
    assert "exact (3)" in card


def test_a_killed_run_goes_on(whole: Path, tiny_model: Path, tmp_path: Path) -> None:
    root, prompts = tmp_path / "data", tmp_path / "prompts.txt"
    prompts.write_text("# three places\n" + "\n\n".join(PROMPTS), encoding="utf-8")
    command = [*COMMAND, "--prompts", str(prompts), "--seed", "4", "-o", str(root), "--per-shard", "2"]
    command += ["--model", str(tiny_model)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 300
    while not (root / "pending" / "000000.tar").exists():
        assert running.poll() is None and time.monotonic() < deadline, running.communicate()
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    assert not (root / "shard-00001.tar").exists()
    for name in ("pending/.000002.9.part.tar", ".shard-00001.9.part.tar"):  # as a kill while writing leaves them
        (root / name).write_bytes(b"half")
    done = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["kept"] >= 1 and summary["kept"] + summary["made"] == 3
    assert contents(root) == contents(whole)


def test_a_killed_worker_stops_the_run_and_loses_nothing(tiny_model: Path, tmp_path: Path) -> None:
    items = tuple(from_prompts([f"a room with {count} chairs" for count in range(1, 9)]))
    job = a_job(tmp_path / "data", tiny_model, items=items, samples_per_shard=8)

    def kill_one(phase: str, step: int, total: int) -> None:
        if step == 1:
            for worker in multiprocessing.active_children()[:1]:
                assert worker.pid is not None
                os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(LyraError, match="a worker process was killed"):
        synthesize(job, effort=Effort(workers=2), progress=kill_one)
    assert not list(job.root.glob("*.tar"))
    report = synthesize(job)
    assert report.kept >= 1
    assert report.kept + report.made == 8
    assert check_dataset(job.root).errors == []


def test_a_finished_set_is_left_alone_and_other_settings_are_refused(whole: Path, tiny_model: Path) -> None:
    before = contents(whole)
    report = synthesize(a_job(whole, tiny_model))
    assert (report.made, report.kept) == (0, 3)
    assert contents(whole) == before
    with pytest.raises(LyraError, match=r"other settings \(count, items_sha256\)"):
        synthesize(a_job(whole, tiny_model, items=ITEMS[:2]))
    with pytest.raises(LyraError, match="samples_per_shard"):
        synthesize(a_job(whole, tiny_model, samples_per_shard=3))
    with pytest.raises(LyraError, match="unknown model"):
        synthesize(a_job(whole, tiny_model.with_name("absent.yaml")))


def test_a_deleted_shard_is_made_again(whole: Path, tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "data")
    tar = tmp_path / "data" / "shard-00001.tar"
    tar.write_bytes(tar.read_bytes()[:-600] + bytes(600)[:-1] + b"x")
    (finding,) = check_dataset(tmp_path / "data").errors
    assert "shard-00001.tar is damaged" in finding
    tar.unlink()
    assert synthesize(a_job(tmp_path / "data", tiny_model)).made == 1
    assert contents(tmp_path / "data") == contents(whole)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures, the first of them damaged."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    write_image(folder / "b.png", torch.rand(64, 128, 3, generator=generator))
    (folder / "a room.png").write_bytes((folder / "b.png").read_bytes()[:500])
    return folder


def test_failures_are_recorded_retried_and_never_replaced(pictures: Path, tiny_model: Path, tmp_path: Path) -> None:
    job = a_job(tmp_path / "data", tiny_model, items=tuple(from_pictures(pictures)), source="pictures")
    for attempt in (1, 2):
        report = synthesize(job)
        assert report.made == (1 if attempt == 1 else 0)
        assert "damaged or truncated" in report.failed["000000_a-room"]
    record = json.loads((job.root / "failures" / "000000_a-room.json").read_bytes())
    assert record["attempts"] == 2
    assert not list(job.root.glob("*.tar"))
    assert any("000000_a-room could not be made" in text for text in check_dataset(job.root).errors)
    card = (job.root / "README.md").read_text(encoding="utf-8")
    assert "Samples that could not be made: 1. None was replaced" in card
    shutil.copy(pictures / "b.png", pictures / "a room.png")
    assert synthesize(job).made == 1
    assert open_dataset(job.root).names == ["000000_a-room", "000001_b"]
    assert open_dataset(job.root).about("000001_b")["depth_source"] == "embedded"
    assert not list((job.root / "failures").iterdir())
    assert check_dataset(job.root).errors == []


def test_accepted_failures_close_the_shard_and_stay_named(pictures: Path, tiny_model: Path, tmp_path: Path) -> None:
    job = a_job(tmp_path / "data", tiny_model, items=tuple(from_pictures(pictures)), source="pictures")
    report = synthesize(job, effort=Effort(accept_failures=True))
    assert set(report.failed) == {"000000_a-room"}
    assert open_dataset(job.root).names == ["000001_b"]
    index = json.loads((job.root / "shard-00000.json").read_bytes())
    assert "truncated" in index["failed"]["000000_a-room"]
    assert len(check_dataset(job.root).errors) == 1


def test_nothing_but_the_picture_and_its_depth_enters_a_sample(pipeline: LyraPipeline) -> None:
    """The sample of a prompt is that of its one view: of the world behind it nothing else is seen."""
    sample = make_sample(pipeline, ITEMS[0])
    base = pipeline.base_view(PROMPTS[0], None, seed=ITEMS[0].seed)
    assert base.depth is not None
    copy = BaseView(base.image.clone(), replace(base.depth, z=base.depth.z.clone()), base.source, (), base.notes)
    again = sample_from_view(pipeline, ITEMS[0], copy)
    again = replace(again, about=sample.about)
    assert list(members(again, "png")) == list(members(sample, "png"))


def test_only_captions_of_procedural_worlds_are_within_reach() -> None:
    """No module of the data engine but the one that writes prompts can render a world."""
    folder = Path(next(iter(lyra_core.synthesis.__path__)))
    reaching = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.startswith(("lyra_core.synthetic", "lyra_core.rendering")) for name in names):
                reaching.add(path.name)
    assert reaching == {"items.py"}


def test_published_folders_of_a_model_are_sound(whole: Path, tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="writing .mp4 needs PyAV")
    job = a_job(tmp_path / "sdg", tiny_model, layout="folders")
    assert synthesize(job, Share(0, 2)).made == 2
    assert synthesize(job).made == 1
    assert synthesize(job).kept == 3
    assert sorted(path.name for path in job.root.iterdir()) == ["0", "1", "4", "5", "flag"]
    report = check_dataset(job.root)
    assert (report.samples, report.errors) == (3, [])
    for name in open_dataset(whole).names:
        shard, folder = open_dataset(whole).load(name), open_dataset(job.root).load(name)
        for ours, theirs in zip(folder.views, shard.views, strict=True):
            for field in ("depth", "known", "c2w", "intrinsics", "latents"):
                np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field), err_msg=field)


def test_worlds_give_captions_and_files_give_lines(tmp_path: Path) -> None:
    worlds = from_worlds(7, 2)
    assert [item.seed for item in worlds] == [7, 8]
    assert worlds == from_worlds(7, 2)
    assert all(len(item.prompt or "") > 20 for item in worlds)
    (tmp_path / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(LyraError, match="holds no prompt"):
        read_prompts(tmp_path / "empty.txt")
    with pytest.raises(LyraError, match="holds no picture"):
        from_pictures(tmp_path)


@pytest.mark.parametrize("text", ["2/2", "-1/2", "1", "a/b", "0/0"])
def test_parts_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(LyraError, match="is no part"):
        Share.parse(text)
    assert Share.parse("1/2") == Share(1, 2)


def test_the_forecast_knows_latents_exactly(whole: Path, tiny_model: Path) -> None:
    plan = forecast(a_job(whole, tiny_model), 3)
    sample = open_dataset(whole).load("000000")
    arrays = [array for view in sample.views for array in (view.latents, view.c2w, view.intrinsics)]
    assert plan.latents == sum(array.nbytes for array in arrays if array is not None)
    assert plan.total == 3 * plan.sample


def test_the_command_line_refuses_two_sources(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--worlds", "2", "--images", str(tmp_path), "-o", str(tmp_path / "x")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "give exactly one of --prompts, --worlds, --images, --llm and --vipe" in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_prompt_that_cannot_be_served_fails_alone(tiny_model: Path, tmp_path: Path) -> None:
    items = (Item(name="000000", seed=0, prompt="  "), ITEMS[1])
    report = synthesize(a_job(tmp_path / "data", tiny_model, items=items))
    assert list(report.failed) == ["000000"]
    assert report.made == 1
