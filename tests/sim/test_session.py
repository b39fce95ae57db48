# SPDX-License-Identifier: Apache-2.0
"""A session in plain Python with real child processes: jobs, checks, exports, the stored scenes."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pxr import Usd
from sim.fake_worker import make_interpreter
from sim.started_kit import OUTPUT_DIR, WORKER_PYTHON, settings, store_scene
from usd_versions.stage_code import cloud, slab

from lyra.sim.errors import LyraSimError
from lyra.sim.host import PlainHost
from lyra.sim.jobs import JobState
from lyra.sim.protocol import ProbeReport
from lyra.sim.session import Session
from lyra.sim.settings_schema import Settings
from usd_export.frame import Frame
from usd_export.scene_writer import write_scene

FOREIGN = ("omni", "carb", "pxr", "isaacsim", "isaaclab", "torch", "numpy", "lyra_core", "usd_export")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session whose worker does what the prompt says: `do: crash`."""
    session = Session(PlainHost(settings(tmp_path)))
    yield session
    session.close()


def run(session: Session, prompt: str = "a small kitchen") -> JobState:
    """The state a job ends in."""
    job = session.generate(prompt)
    session.wait_for_job()
    return job.state


def running(session: Session, prompt: str) -> int:
    """Process id of a worker that has started."""
    job = session.generate(prompt)
    session.wait(lambda: any(line.startswith("worker ") for line in job.log))
    return next(int(line.split()[1]) for line in job.log if line.startswith("worker "))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("module", ["lyra.sim", "lyra.sim.api", "lyra.sim.session", "lyra.sim.stage_ops"])
def test_nothing_heavy_is_imported(module: str, extension_path: Path) -> None:
    code = f"import sys, {module}; sys.exit(' '.join(m for m in sys.modules if m.split('.')[0] in {FOREIGN}) or None)"
    environ = {**os.environ, "PYTHONPATH": str(extension_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------------------------------------- jobs


def test_a_job_becomes_the_latest_scene(session: Session) -> None:
    changes: list[JobState] = []
    session.on_change.append(lambda: changes.append(session.state))
    assert run(session) is JobState.DONE
    assert session.latest is not None
    assert session.latest.title == "a small kitchen"
    assert session.history == [session.latest]
    assert changes[0] is JobState.STARTING
    assert changes[-1] is JobState.DONE
    assert not session.busy


def test_options_reach_the_worker(session: Session) -> None:
    job = session.generate("a yard", seed=7, model="small", collider=False, camera_height_m=1.6)
    request = job.request
    assert (request.mode, request.seed, request.model, request.collider) == ("text", 7, "small", False)
    assert (request.camera_height_m, request.encoding) == (1.6, "universal")
    session.wait_for_job()
    assert session.latest is not None
    assert session.latest.manifest.collider is None


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("crash_import", "has no lyra-sim"),
        ("crash", "a number that is none"),
        ("killed", "SIGKILL"),
        ("partial", "crashed"),
        ("unfinished", "generate the scene again"),
        ("hostile", "outside of itself"),
        ("no_result", "without a result"),
        ("wrong_version", "protocol version 2"),
        ("out_of_memory", "choose mini"),
    ],
)
def test_after_a_failure_the_next_job_runs(session: Session, behaviour: str, words: str) -> None:
    assert run(session, f"do: {behaviour}") is JobState.FAILED
    assert words in session.message.text
    assert session.message.warning
    assert session.why_not_generate() is None
    assert run(session) is JobState.DONE
    assert len(session.history) == 1


@pytest.mark.parametrize("behaviour", ["noisy", "garbage", "huge_line"])
def test_noise_is_no_failure(session: Session, behaviour: str) -> None:
    assert run(session, f"do: {behaviour}") is JobState.DONE


def test_a_worker_that_hangs_is_ended_where_nobody_is_asked(tmp_path: Path) -> None:
    host = PlainHost({**settings(tmp_path), "/exts/lyra.sim/heartbeat_timeout_s": 1.0})
    session = Session(host)
    assert run(session, "do: silent") is JobState.FAILED
    assert "silent for more than 1 s" in session.message.text
    assert run(session) is JobState.DONE
    session.close()


@pytest.mark.parametrize("behaviour", ["slow", "endless"])
def test_cancel_leaves_no_process(session: Session, behaviour: str) -> None:
    pid = running(session, f"do: {behaviour}")
    session.cancel()
    assert session.state is JobState.CANCELLING
    if behaviour == "endless":
        session.kill()  # what a second press on Cancel does; waiting would take 5 s
    session.wait_for_job()
    assert session.state is JobState.CANCELLED
    assert not is_alive(pid)
    assert session.history == []
    assert run(session) is JobState.DONE


def test_one_job_at_a_time(session: Session) -> None:
    running(session, "do: slow")
    assert session.why_not_generate()
    with pytest.raises(LyraSimError, match="is being generated"):
        session.generate("another")
    session.cancel()
    session.wait_for_job()
    assert session.why_not_generate() is None


def test_close_ends_the_worker(session: Session) -> None:
    pid = running(session, "do: stubborn")
    session.close()
    assert not is_alive(pid)
    assert not session.busy
    assert session.state is JobState.CANCELLED
    with pytest.raises(LyraSimError, match="shutting down"):
        session.generate("another")


def test_a_warm_worker_is_kept_until_the_settings_change(session: Session) -> None:
    session.update_settings(keep_models_loaded=True)
    first = running(session, "a kitchen")
    session.wait_for_job()
    second = running(session, "a yard")
    session.wait_for_job()
    session.update_settings(last_input_dir="somewhere")
    third = running(session, "a hall")
    session.wait_for_job()
    session.update_settings(device="cpu")
    fourth = running(session, "a shed")
    session.wait_for_job()
    assert first == second == third != fourth
    assert len(session.history) == 4
    session.close()
    assert not is_alive(fourth)


def test_work_is_done_at_the_rate_of_the_setting(session: Session) -> None:
    session.update_settings(poll_hz=2.0)
    calls: list[float] = []
    session.generate("do: slow")
    session.on_change.append(lambda: calls.append(now))
    for now in (100.0, 100.1, 100.4, 100.5, 100.9, 101.0):
        session.tick(now)
    assert calls == [100.0, 100.5, 101.0]


# -------------------------------------------------------------------------------------------------------- bad input


@contextmanager
def no_space() -> Iterator[None]:
    """No file can grow, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "Describe the scene"),
        ({"prompt": "   "}, "Describe the scene"),
        ({"prompt": "x" * 100_000}, "100,000 characters"),
        ({"image": "omniverse://server/photo.png"}, "not on this computer"),
        ({"image": "photo.png", "video": "walk.mp4"}, "not both"),
        ({"image": "gone.png"}, "does not exist"),
        ({"prompt": "a yard", "camera_height_m": -1.0}, "must be in metres"),
    ],
)
def test_a_request_that_cannot_be_used(session: Session, tmp_path: Path, arguments: dict[str, str], words: str) -> None:
    with pytest.raises(LyraSimError, match=words):
        session.generate(**arguments)  # type: ignore[arg-type]
    assert words in session.message.text
    assert session.state is JobState.IDLE
    assert not (tmp_path / "scenes").exists()
    assert run(session) is JobState.DONE


def test_an_image_that_moved_after_it_was_picked(session: Session, tmp_path: Path) -> None:
    image = tmp_path / "photo.png"
    image.write_bytes(b"picture")
    job = session.generate(image=image)
    image.unlink()
    session.wait_for_job()
    assert job.state is JobState.DONE  # it was copied
    with pytest.raises(LyraSimError, match="Choose the file again"):
        session.generate(image=image)


def test_a_folder_that_cannot_be_written(session: Session, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    session.update_settings(output_dir=str(tmp_path / "file" / "scenes"))
    with pytest.raises(LyraSimError, match="cannot be written"):
        session.generate("a yard")
    assert session.history == []
    session.update_settings(output_dir=str(tmp_path / "scenes"))
    assert run(session) is JobState.DONE


def test_a_full_disk(session: Session) -> None:
    with no_space(), pytest.raises(LyraSimError, match="full"):
        session.generate("a yard")
    assert session.state is JobState.IDLE
    assert run(session) is JobState.DONE


def test_a_folder_that_is_no_folder_of_this_computer(session: Session) -> None:
    session.update_settings(output_dir="omniverse://server/scenes")
    assert session.history == []
    with pytest.raises(LyraSimError, match="not on this computer"):
        session.generate("a yard")


@pytest.mark.parametrize("python", ["gone", "folder", "text"])
def test_an_interpreter_that_is_none(session: Session, tmp_path: Path, python: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no program")
    working = session.settings.worker_python
    session.update_settings(worker_python=str(tmp_path / python))
    with pytest.raises(LyraSimError, match="Name"):
        session.generate("a yard")
    session.check_environment()
    assert isinstance(session.environment, LyraSimError)
    session.update_settings(worker_python=working)
    assert session.environment is None
    assert run(session) is JobState.DONE


def test_a_program_that_is_no_python(session: Session, tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    session.update_settings(worker_python=str(program))
    assert run(session) is JobState.FAILED
    assert "could not be started" in session.message.text


# --------------------------------------------------------------------------------------------------- the environment


def check(session: Session) -> ProbeReport | LyraSimError | None:
    session.check_environment()
    session.wait(lambda: not session.checking)
    return session.environment


def test_the_environment_is_reported(session: Session) -> None:
    report = check(session)
    assert isinstance(report, ProbeReport)
    assert [model.name for model in report.models] == ["mini"]


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("crash_import", "has no lyra-sim"),
        ("probe_old", "3.9"),
        ("probe_version", "version 2"),
        ("probe_silent", "no report"),
    ],
)
def test_an_environment_that_cannot_be_used(tmp_path: Path, behaviour: str, words: str) -> None:
    session = Session(PlainHost(settings(tmp_path, behaviour)))
    answer = check(session)
    assert isinstance(answer, LyraSimError)
    assert words in str(answer)
    session.close()


def test_close_ends_a_check(tmp_path: Path) -> None:
    session = Session(PlainHost(settings(tmp_path, "probe_hang")))
    session.check_environment()
    session.close()
    assert not session.checking
    assert "cancelled" in str(session.environment)


# ------------------------------------------------------------------------------------------------- settings, scenes


def test_settings_that_cannot_be_used_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    session = Session(PlainHost({"/exts/lyra.sim/poll_hz": "fast"}))
    assert session.settings.poll_hz == Settings().poll_hz
    assert "poll_hz" in caplog.text


def test_settings_that_change_elsewhere_count_from_the_next_action_on(tmp_path: Path) -> None:
    host = PlainHost(settings(tmp_path))
    session = Session(host)
    host.set_setting(OUTPUT_DIR, str(tmp_path / "elsewhere"))
    host.set_setting(WORKER_PYTHON, str(make_interpreter(tmp_path, "noisy")))
    assert run(session) is JobState.DONE
    assert session.job is not None
    assert session.job.folder.parent == tmp_path / "elsewhere"
    session.close()


def test_changed_settings_are_stored(session: Session) -> None:
    session.update_settings(device="cpu", encoding="nurec")
    assert session.host.get_setting("/persistent/exts/lyra.sim/device") == "cpu"
    assert session.host.get_setting("/exts/lyra.sim/encoding") == "nurec"
    assert session.chosen_encoding() == "nurec"
    assert session.chosen_encoding("particlefield") == "particlefield"


def test_history_shows_broken_folders_and_forgets_deleted_ones(session: Session, tmp_path: Path) -> None:
    kitchen = store_scene(tmp_path / "scenes" / "kitchen")
    broken = store_scene(tmp_path / "scenes" / "broken")
    (broken / "manifest.json").write_text("{}")
    assert [scene.folder for scene in session.history] == [kitchen]
    assert [folder for folder, _ in session.broken] == [broken]
    session.delete(session.history[0])
    assert session.history == []
    assert not kitchen.exists()


def test_spawning_needs_a_stage(session: Session, tmp_path: Path) -> None:
    store_scene(tmp_path / "scenes" / "kitchen")
    with pytest.raises(LyraSimError, match="No stage is open"):
        session.spawn(session.history[0])
    assert "No stage is open" in session.message.text


# ----------------------------------------------------------------------------------------------------------- export


@pytest.fixture
def exporting(tmp_path: Path) -> Iterator[Session]:
    """A session with one stored scene, a real one, whose worker is this Python."""
    folder = store_scene(tmp_path / "scenes" / "kitchen") / "scene"
    shutil.rmtree(folder)
    write_scene(folder, cloud(), Frame.identity(), collider=slab(), encoding="universal")
    session = Session(PlainHost({WORKER_PYTHON: sys.executable, OUTPUT_DIR: str(tmp_path / "scenes")}))
    yield session
    session.close()


def test_export_writes_a_package(exporting: Session, tmp_path: Path) -> None:
    export = exporting.export_usdz(exporting.history[0], tmp_path / "kitchen.usdz")
    assert exporting.exporting
    assert exporting.why_not_export()
    exporting.wait(lambda: not exporting.exporting)
    assert export.result == tmp_path / "kitchen.usdz"
    stage = Usd.Stage.Open(str(export.result))
    types = {prim.GetTypeName() for prim in stage.Traverse()}
    assert {"ParticleField3DGaussianSplat", "Mesh"} <= types


@pytest.mark.parametrize(
    ("target", "encoding", "words"),
    [
        ("omniverse://server/kitchen.usdz", "auto", "not on this computer"),
        ("kitchen.usd", "auto", "does not end in .usdz"),
        ("nowhere/kitchen.usdz", "auto", "does not exist"),
        ("folder.usdz", "auto", "is a folder"),
        ("kitchen.usdz", "ply", "There is no encoding"),
    ],
)
def test_a_target_that_cannot_be_used(
    exporting: Session, tmp_path: Path, target: str, encoding: str, words: str
) -> None:
    (tmp_path / "folder.usdz").mkdir()
    with pytest.raises(LyraSimError, match=words):
        exporting.export_usdz(exporting.history[0], target if "://" in target else tmp_path / target, encoding)
    assert words in exporting.message.text
    assert not exporting.exporting


def test_a_conversion_that_fails_says_why(exporting: Session, tmp_path: Path) -> None:
    scene = exporting.history[0]
    (scene.folder / "scene" / "scene.usda").write_text("#usda 1.0\n")
    target = tmp_path / "kitchen.usdz"
    target.write_bytes(b"older")
    export = exporting.export_usdz(scene, target)
    exporting.wait(lambda: not exporting.exporting)
    assert isinstance(export.result, LyraSimError)
    assert "kitchen.usdz was not written: " in exporting.message.text
    assert target.read_bytes() == b"older"


def test_close_ends_an_export(exporting: Session, tmp_path: Path) -> None:
    export = exporting.export_usdz(exporting.history[0], tmp_path / "kitchen.usdz")
    exporting.close()
    assert isinstance(export.result, LyraSimError)
    assert list(tmp_path.glob("*.usdz")) == []
