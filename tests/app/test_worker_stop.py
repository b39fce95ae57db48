# SPDX-License-Identifier: Apache-2.0
"""The end of a worker that is no longer wanted: cancelled, told to stop, or alone in the world."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .running_worker import COMMAND, RunningWorker, make_job, names

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

LIMIT = 60.0
"""Patience with processes of a loaded machine [s]; no measurement."""


def _cancel_file(worker: RunningWorker, folder: Path) -> None:
    (folder / "cancel").touch()


def _terminate(worker: RunningWorker, folder: Path) -> None:
    worker.process.send_signal(signal.SIGTERM)


def _interrupt(worker: RunningWorker, folder: Path) -> None:
    worker.process.send_signal(signal.SIGINT)


def _hang_up(worker: RunningWorker, folder: Path) -> None:
    worker.hang_up()


@pytest.mark.parametrize("stop", [_cancel_file, _terminate, _interrupt, _hang_up])
def test_a_stopped_job_leaves_only_its_log(
    tiny_model: Path, tmp_path: Path, stop: Callable[[RunningWorker, Path], None]
) -> None:
    folder = make_job(tmp_path / "job", model=str(tiny_model))
    with RunningWorker("--job", folder) as worker:
        worker.until("progress", phase="inputs")
        assert (folder / "scene.part").is_dir()
        stop(worker, folder)
        assert worker.last()["type"] == "cancelled"
        assert worker.process.returncode == 130
    assert names(folder) - {"cancel"} == {"request.json", "worker.log"}
    assert "Traceback" not in (folder / "worker.log").read_text()


def test_cancelled_midway_with_the_shipped_model(tmp_path: Path) -> None:
    folder = make_job(tmp_path / "job")
    with RunningWorker("--job", folder) as worker:
        worker.until("progress", phase="warp")
        (folder / "cancel").touch()
        assert worker.last()["type"] == "cancelled"
    assert worker.process.returncode == 130
    assert names(folder) == {"request.json", "worker.log", "cancel"}


@pytest.mark.parametrize("stop", [_terminate, _hang_up])
def test_a_warm_worker_is_stopped_in_the_middle_of_a_job(
    tiny_model: Path, tmp_path: Path, stop: Callable[[RunningWorker, Path], None]
) -> None:
    folder = make_job(tmp_path / "job", model=str(tiny_model))
    with RunningWorker("--serve") as worker:
        worker.order(folder)
        worker.until("progress", phase="inputs")
        stop(worker, folder)
        assert worker.last()["type"] == "cancelled"
        assert worker.process.returncode == 130
    assert names(folder) == {"request.json", "worker.log"}


def test_an_idle_warm_worker_is_told_to_stop() -> None:
    with RunningWorker("--serve") as worker:
        worker.until("heartbeat")
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait() == 0


BUSY = """
import hashlib, sys
from pathlib import Path
from lyra_core.app.jobs.output import MessageWriter, take_stdout
from lyra_core.app.jobs.watch import Watch
from lyra_core.app.worker_protocol import Log

writer = MessageWriter(take_stdout())
watch = Watch(writer)
watch.start()
writer.begin("busy")
half = Path("half")
half.touch()
watch.begin(Path.cwd(), half.unlink)
writer.send(Log(level="info", msg="busy"))
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


@pytest.mark.parametrize("stop", [_terminate, _hang_up])
def test_a_compiled_function_that_does_not_come_back_is_cut_off(
    tmp_path: Path, stop: Callable[[RunningWorker, Path], None]
) -> None:
    """The main thread is in C for many minutes; heartbeats go on, the end comes all the same."""
    with RunningWorker(command=(sys.executable, "-c", BUSY), folder=tmp_path) as worker:
        worker.until("heartbeat")
        stop(worker, tmp_path)
        assert worker.last()["type"] == "cancelled"
        assert worker.process.returncode == 130
    assert list(tmp_path.iterdir()) == []


def gone(process: int) -> bool:
    """Whether a process has ended; one that nobody waits for stays as a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for the process in /proc")
@pytest.mark.parametrize("keeps_stdin", [False, True])
def test_a_killed_parent_takes_the_worker_along(tiny_model: Path, tmp_path: Path, keeps_stdin: bool) -> None:
    """Even when somebody else keeps the pipe to the worker open, so that it does not end."""
    folder = make_job(tmp_path / "job", model=str(tiny_model))
    reader, writer = os.pipe()
    code = f"""
import subprocess, sys, time
worker = subprocess.Popen({[*COMMAND, "--job", str(folder)]!r}, stdin={reader if keeps_stdin else "subprocess.PIPE"},
                          stdout=subprocess.PIPE)
for line in worker.stdout:
    if b'"inputs"' in line:
        break
print(worker.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, pass_fds=(reader,) if keeps_stdin else ()
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    limit = time.monotonic() + LIMIT
    while not gone(worker) and time.monotonic() < limit:
        time.sleep(0.05)
    assert gone(worker)
    os.close(reader)
    os.close(writer)
    assert names(folder) == {"request.json", "worker.log"}


def test_the_thread_that_started_it_may_end(tmp_path: Path) -> None:
    """Linux sends the signal for a dead parent also when only that thread of it has ended."""
    started: list[RunningWorker] = []
    thread = threading.Thread(target=lambda: started.append(RunningWorker("--serve")))
    thread.start()
    thread.join()
    with started[0] as worker:
        worker.until("heartbeat")
        worker.until("heartbeat")
        assert not any(message["type"] == "cancelled" for message in worker.messages)
        worker.hang_up()
        assert worker.process.wait() == 0
