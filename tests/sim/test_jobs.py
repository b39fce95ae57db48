# SPDX-License-Identifier: Apache-2.0
"""Job folders are whole or not there; a job's state follows its messages."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sim.fake_worker import write_scene

from lyra.sim.errors import LyraSimError
from lyra.sim.jobs import INPUT_BYTES, LOG_LINES, PROMPT_CHARACTERS, Job, JobState, create_job
from lyra.sim.protocol import (
    LOG_CHARACTERS,
    Cancelled,
    Failure,
    Heartbeat,
    Hello,
    Log,
    Message,
    Progress,
    Request,
    Result,
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "Küche 1.PNG"
    path.write_bytes(b"picture" * 400_000)  # more than one block of the copy
    return path


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return create_job(tmp_path / "scenes", Request(prompt="a kitchen"))


def hello() -> Hello:
    return Hello(pid=7, versions={}, device="cpu")


def progress(**changes: Any) -> Progress:
    return Progress(**{"phase": "paint", "step": 1, "total": 9, **changes})


# --------------------------------------------------------------------------------------------------------- creating


def test_a_text_job(tmp_path: Path) -> None:
    job = create_job(tmp_path / "a" / "scenes", Request(prompt="a kitchen", seed=3))
    assert job.folder == tmp_path / "a" / "scenes" / job.id
    assert [path.name for path in job.folder.iterdir()] == ["request.json"]
    assert json.loads((job.folder / "request.json").read_text()) == asdict(job.request)
    assert (job.request.seed, job.state, job.is_over) == (3, JobState.IDLE, False)


def test_a_picture_is_copied_and_hashed(tmp_path: Path, picture: Path) -> None:
    depth = tmp_path / "depth.npz"
    depth.write_bytes(b"depth")
    job = create_job(tmp_path / "scenes", Request(mode="image"), source=picture, depth=depth)
    content = picture.read_bytes()
    picture.unlink()
    assert job.request.input == "input.png"
    assert (job.folder / "input.png").read_bytes() == content
    assert job.request.input_sha256 == hashlib.sha256(content).hexdigest()
    assert job.request.depth == "depth.npz"
    assert (job.folder / "depth.npz").read_bytes() == b"depth"


@pytest.mark.parametrize("name", ["photo", "photo.a-b", "photo.überlang", "photo.jpegjpegjpeg", ".png"])
def test_odd_suffixes_do_not_get_into_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    job = create_job(tmp_path / "scenes", Request(mode="image"), source=tmp_path / name)
    assert job.request.input == "input.bin"


def test_jobs_get_names_of_their_own(tmp_path: Path) -> None:
    names = {create_job(tmp_path, Request(prompt="x")).id for _ in range(20)}
    assert len(names) == 20


def test_a_name_may_be_given_once(tmp_path: Path) -> None:
    assert create_job(tmp_path, Request(job="mine", prompt="x")).folder == tmp_path / "mine"
    with pytest.raises(LyraSimError, match="cannot be written"):
        create_job(tmp_path, Request(job="mine", prompt="y"))
    assert json.loads((tmp_path / "mine" / "request.json").read_text())["prompt"] == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"prompt": None}, "prompt is empty"),
        ({"prompt": " \n"}, "prompt is empty"),
        ({"prompt": "x" * (PROMPT_CHARACTERS + 1)}, "10,001 characters"),
        ({"prompt": "x" * 100_000}, "100,000 characters"),
        ({"prompt": "a \ud800"}, "not valid text"),
        ({"mode": "sound"}, "sound"),
        ({"mode": "image"}, "No picture is chosen"),
        ({"mode": "video"}, "No video is chosen"),
        ({"job": "../out"}, "name of a job"),
        ({"job": "-x"}, "name of a job"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"max_gaussians": 0}, "at least 1"),
        ({"camera_height_m": 0.0}, "camera height"),
        ({"camera_height_m": float("nan")}, "camera height"),
        ({"camera_height_m": float("inf")}, "camera height"),
    ],
)
def test_requests_no_worker_would_take(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(LyraSimError, match=text):
        create_job(tmp_path / "scenes", Request(**{"prompt": "a kitchen", **changes}))
    assert not (tmp_path / "scenes").exists()


def test_a_picture_does_not_go_with_a_text_job(tmp_path: Path, picture: Path) -> None:
    with pytest.raises(LyraSimError, match="Choose image"):
        create_job(tmp_path / "scenes", Request(prompt="a kitchen"), source=picture)


def test_the_longest_prompt_is_taken(tmp_path: Path) -> None:
    assert create_job(tmp_path, Request(prompt="ü" * PROMPT_CHARACTERS)).request.prompt == "ü" * PROMPT_CHARACTERS


def nothing_left(folder: Path) -> bool:
    return not folder.exists() or not any(folder.iterdir())


def test_a_picture_that_is_gone(tmp_path: Path, picture: Path) -> None:
    picture.unlink()
    with pytest.raises(LyraSimError, match=r"Küche 1\.PNG cannot be read"):
        create_job(tmp_path / "scenes", Request(mode="image"), source=picture)
    assert nothing_left(tmp_path / "scenes")


def test_a_depth_map_that_is_gone_takes_the_copied_picture_with_it(tmp_path: Path, picture: Path) -> None:
    with pytest.raises(LyraSimError, match=r"depth\.npz cannot be read"):
        create_job(tmp_path / "scenes", Request(mode="image"), source=picture, depth=tmp_path / "depth.npz")
    assert nothing_left(tmp_path / "scenes")


def test_a_picture_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")  # opening it would wait for a writer
    for source in (tmp_path, tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(LyraSimError, match="is not a file"):
            create_job(tmp_path / "scenes", Request(mode="image"), source=source)
    assert nothing_left(tmp_path / "scenes")


def test_a_picture_that_is_too_large(tmp_path: Path) -> None:
    source = tmp_path / "big.png"
    with source.open("wb") as file:
        file.truncate(INPUT_BYTES + 1)
    with pytest.raises(LyraSimError, match="smaller than 256 MiB"):
        create_job(tmp_path / "scenes", Request(mode="image"), source=source)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "scenes", Path("/proc/scenes")):
        with pytest.raises(LyraSimError, match=r"cannot be written.*Choose another output folder"):
            create_job(folder, Request(prompt="a kitchen"))


def test_a_full_disk(tmp_path: Path, picture: Path) -> None:
    """The system refuses to write beyond a limit, as it does when the disk is full."""
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "sys.path.append(sys.argv[1])\n"
        "from lyra.sim.jobs import create_job\n"
        "from lyra.sim.protocol import Request\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "create_job(Path(sys.argv[2]), Request(mode='image'), source=Path(sys.argv[3]))\n"
    )
    extension = Path(sys.modules["lyra.sim.errors"].__file__ or "").parents[2]
    arguments = [str(extension), str(tmp_path / "scenes"), str(picture)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("lyra.sim.errors.LyraSimError: No room is left in")
    assert nothing_left(tmp_path / "scenes")


# -------------------------------------------------------------------------------------------------------- observing


def test_messages_move_the_job_on(job: Job) -> None:
    job.state = JobState.STARTING
    job.observe(Log(level="raw", msg="a library talks"))
    assert job.state is JobState.STARTING
    job.observe(hello())
    assert job.state is JobState.RUNNING
    job.observe(progress(fraction=1.5, eta_s=-3.0))
    assert (job.phase, job.step, job.total, job.fraction, job.eta_s) == ("paint", 1, 9, 1.0, 0.0)
    job.observe(progress())
    assert (job.fraction, job.eta_s) == (None, None)


def test_cancelling_is_not_undone_by_late_messages(job: Job) -> None:
    job.state = JobState.CANCELLING
    for message in (hello(), progress(), Heartbeat()):
        job.observe(message)
    assert job.state is JobState.CANCELLING


def test_the_result_brings_the_manifest(job: Job) -> None:
    write_scene(job.folder, asdict(job.request))
    job.observe(Result(manifest="manifest.json"))
    assert job.outcome is JobState.DONE
    assert job.manifest is not None and job.manifest.job == job.id


def test_a_result_without_a_scene_is_a_failure(job: Job) -> None:
    job.observe(Result(manifest="manifest.json"))
    assert (job.outcome, job.manifest) == (JobState.FAILED, None)
    assert job.failure is not None and "manifest.json is gone" in job.failure.msg


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (Failure(code="no_gpu", msg="m"), JobState.FAILED),
        (Failure(code="cancelled", msg="m"), JobState.CANCELLED),
        (Cancelled(), JobState.CANCELLED),
    ],
)
def test_the_first_outcome_counts(job: Job, message: Message, outcome: JobState) -> None:
    job.observe(message)
    write_scene(job.folder, asdict(job.request))
    for later in (Result(manifest="manifest.json"), Cancelled(), Failure(code="internal", msg="later")):
        job.observe(later)
    assert (job.outcome, job.manifest) == (outcome, None)
    assert job.failure is None or job.failure.code == "no_gpu"


def test_the_log_is_bounded(job: Job) -> None:
    for number in range(LOG_LINES + 50):
        job.observe(Log(level="error", msg=f"{number} " + "x" * 100_000))
    assert len(job.log) == LOG_LINES
    assert job.log[0].startswith("error: 50 ")
    assert max(map(len, job.log)) == LOG_CHARACTERS


def test_elapsed_time_stops_at_the_end(job: Job) -> None:
    assert job.elapsed_s(5.0) == 0.0
    job.started_at = 10.0
    assert job.elapsed_s(12.5) == 2.5
    job.finish(JobState.FAILED, 13.0)
    assert job.elapsed_s(99.0) == 3.0
    assert job.is_over
