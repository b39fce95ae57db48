# SPDX-License-Identifier: Apache-2.0
"""The client against real child processes that misbehave: every end is told, nothing waits, no orphan stays."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sim.fake_worker import make_interpreter

from fake_kit.block_guard import BlockGuard
from lyra.sim._process import (
    CHARACTERS_PER_CALL,
    LINE_BYTES,
    LINES_PER_CALL,
    ChildProcess,
    ProcessTree,
    popen_options,
)
from lyra.sim.errors import LyraSimError
from lyra.sim.jobs import Job, JobState, create_job
from lyra.sim.protocol import Artifact, Cancelled, Message, ProbeReport, Request, Result
from lyra.sim.worker_client import (
    EXIT_AFTER_S,
    KILL_AFTER_S,
    TERMINATE_AFTER_S,
    Probe,
    WorkerClient,
    scrubbed_environment,
)

PATIENCE_S = 60.0
"""When a test gives up [s]; nothing below depends on how long anything takes."""


class Clock:
    """A clock that tests can put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Bench:
    """A client for one behaviour, with the loop that Kit's update event is elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.clients: list[WorkerClient] = []
        self.messages: list[Message] = []
        self.guard = BlockGuard()

    def client(self, behaviour: str = "ok", **options: object) -> WorkerClient:
        client = WorkerClient(
            make_interpreter(self.folder, behaviour),
            environ=os.environ,
            clock=self.clock,
            **options,  # type: ignore[arg-type]
        )
        self.clients.append(client)
        return client

    def job(self, prompt: str = "a kitchen") -> Job:
        return create_job(self.folder / "scenes", Request(prompt=prompt))

    def until(self, client: WorkerClient, done: Callable[[], object]) -> None:
        """Poll like Kit does until something holds; every call into the client is watched for blocking calls."""
        end = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end, "it never happened"
            with self.guard.watching():
                self.messages += client.poll()
            time.sleep(0.005)

    def run(self, behaviour: str, prompt: str = "a kitchen", **options: object) -> Job:
        client, job = self.client(behaviour, **options), self.job(prompt)
        with self.guard.watching():
            client.start(job)
        self.until(client, lambda: not client.busy)
        return job


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    before = unreaped()
    bench = Bench(tmp_path)
    bench.guard.install()
    try:
        yield bench
    finally:
        bench.guard.uninstall()
        for client in bench.clients:
            client.close()
    assert bench.guard.calls == []
    assert living_in(tmp_path) == []
    assert unreaped() <= before
    assert not [thread.name for thread in threading.enumerate() if thread.name == "lyra-worker-output"]


def living_in(folder: Path) -> list[str]:
    """Processes whose command line or working folder names a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(folder) in command or (process / "cwd").readlink().is_relative_to(folder):
                found.append(command)
        except OSError:
            continue
    return found


def unreaped() -> set[int]:
    """Children of this process that ended and that nobody asked how."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                found.add(int(process.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# ------------------------------------------------------------------------------------------------------ ways to end


def test_a_job_that_works(bench: Bench) -> None:
    job = bench.run("ok")
    assert (job.state, job.failure) == (JobState.DONE, None)
    assert job.manifest is not None and job.manifest.prompt == "a kitchen"
    assert (job.phase, job.step, job.total) == ("paint", 2, 3)
    assert job.fraction == pytest.approx(2 / 3)
    assert job.eta_s is None and job.responding
    assert [message.seq for message in bench.messages] == list(range(len(bench.messages)))
    assert sum(isinstance(message, Artifact) for message in bench.messages) == 4
    assert isinstance([m for m in bench.messages if type(m).__name__ != "Heartbeat"][-1], Result)
    assert job.elapsed_s(bench.clock() + 1000) == job.elapsed_s(bench.clock())


def test_foreign_output_is_kept_as_log(bench: Bench) -> None:
    job = bench.run("noisy")
    assert job.state is JobState.DONE
    log = list(job.log)
    assert "Loading weights..." in log
    assert " 90%|## |" in log
    assert "warning: the picture is dark" in log
    assert any("not " in line and "UTF-8" in line for line in log)


def test_garbage_is_never_fatal(bench: Bench) -> None:
    job = bench.run("garbage")
    assert job.state is JobState.DONE
    assert "[1, 2]" in job.log


def test_a_huge_line_is_cut(bench: Bench) -> None:
    job = bench.run("huge_line")
    assert job.state is JobState.DONE
    (line,) = [line for line in job.log if "1 MiB" in line]
    assert len(line) < 300


def test_a_flood_does_not_get_in(bench: Bench) -> None:
    client, job = bench.client("flood"), bench.job()
    client.start(job)
    sizes = []
    while client.busy:
        with bench.guard.watching():
            sizes.append(len(client.poll()))
    assert job.state is JobState.DONE
    assert max(sizes) <= LINES_PER_CALL
    assert sum(sizes) >= 100_000
    assert len(job.log) == job.log.maxlen


def test_an_endless_flood_waits_for_us_and_ends_on_demand(bench: Bench) -> None:
    client, job = bench.client("endless"), bench.job()
    client.start(job)
    bench.until(client, lambda: len(job.log) == job.log.maxlen)
    client.cancel()
    bench.clock.ahead += TERMINATE_AFTER_S
    bench.until(client, lambda: not client.busy)
    assert job.state is JobState.CANCELLED


def test_a_crash_shows_the_end_of_the_log(bench: Bench) -> None:
    job = bench.run("crash")
    assert job.state is JobState.FAILED
    assert job.failure is not None and job.failure.code == "internal"
    assert "exit status 1" in job.failure.msg
    assert "the decoder met a number that is none" in job.failure.msg
    assert "worker.log" in job.failure.hint and job.failure.retryable
    assert any("Traceback" in line for line in job.log)


def test_a_python_without_lyra_sim_says_how_to_install_it(bench: Bench) -> None:
    job = bench.run("crash_import")
    assert job.state is JobState.FAILED
    assert job.failure is not None and "pip install" in job.failure.hint


def test_a_killed_worker_is_told_apart(bench: Bench) -> None:
    job = bench.run("killed")
    assert job.failure is not None
    assert "SIGKILL" in job.failure.msg and "memory" in job.failure.hint


def test_a_worker_ended_from_outside(bench: Bench) -> None:
    client, job = bench.client("deaf"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.step == 1)
    os.kill(worker_pid(job), signal.SIGTERM)
    bench.until(client, lambda: not client.busy)
    assert job.failure is not None and "SIGTERM" in job.failure.msg


def worker_pid(job: Job) -> int:
    """As said in its first message."""
    return next(int(line.split()[1]) for line in job.log if line.startswith("worker "))


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        ("partial", "exit status 1"),
        ("no_result", "without a result"),
        ("unfinished", r"manifest\.json is gone"),
        ("hostile", "outside of itself"),
    ],
)
def test_half_a_scene_is_no_scene(bench: Bench, behaviour: str, text: str) -> None:
    job = bench.run(behaviour)
    assert (job.state, job.manifest) == (JobState.FAILED, None)
    assert job.failure is not None
    with pytest.raises(LyraSimError, match=text):
        raise LyraSimError(job.failure.msg)


def test_the_error_of_the_worker_is_passed_on(bench: Bench) -> None:
    job = bench.run("out_of_memory")
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert (job.failure.code, job.failure.hint, job.failure.retryable) == ("out_of_memory", "choose mini", True)


def test_another_protocol_version_ends_the_worker(bench: Bench) -> None:
    job = bench.run("wrong_version")
    assert job.state is JobState.FAILED
    assert job.failure is not None and "Update" in job.failure.hint


def test_children_of_the_worker_end_with_it(bench: Bench) -> None:
    job = bench.run("family")
    assert job.state is JobState.DONE
    child = int((job.folder / "child.pid").read_text())
    bench.until(bench.clients[0], lambda: not is_alive(child))


def test_a_worker_that_hangs_at_its_exit_is_killed(bench: Bench) -> None:
    client, job = bench.client("hang_at_exit"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.outcome is JobState.DONE)
    bench.until(client, lambda: client.poll() is not None)
    assert client.busy
    bench.clock.ahead += EXIT_AFTER_S + 1
    bench.until(client, lambda: not client.busy)
    assert job.state is JobState.DONE and job.manifest is not None


def test_an_interpreter_that_is_none(bench: Bench, tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("no program")
    for interpreter in (tmp_path / "missing", plain, tmp_path, tmp_path / "a\0b"):
        client, job = WorkerClient(interpreter, environ=os.environ), bench.job()
        client.start(job)  # unwatched: `Popen` itself reaps the child that could not become the program
        assert job.state is JobState.FAILED and not client.busy
        assert job.failure is not None and str(interpreter) in job.failure.msg
        assert "worker_python" in job.failure.hint


def test_a_job_folder_that_is_gone(bench: Bench) -> None:
    client, job = bench.client(), bench.job()
    job.folder.rename(job.folder.with_name("elsewhere"))
    client.start(job)
    assert job.state is JobState.FAILED
    assert job.failure is not None and "No such file" in job.failure.msg


def test_the_client_can_be_used_again_at_once(bench: Bench) -> None:
    client = bench.client()
    for prompt in ("do: crash", "do: ok", "do: killed", "do: ok"):
        job = bench.job(prompt)
        client.start(job)
        bench.until(client, lambda: not client.busy)
        assert job.state is (JobState.DONE if prompt == "do: ok" else JobState.FAILED)


def test_one_job_at_a_time(bench: Bench) -> None:
    client = bench.client("slow")
    client.start(bench.job())
    with pytest.raises(LyraSimError, match="Wait for it or cancel it"):
        client.start(bench.job())


# ------------------------------------------------------------------------------------------- cancelling and silence


def test_cancel_by_the_file(bench: Bench) -> None:
    client, job = bench.client("slow"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.phase == "load")
    assert job.state is JobState.RUNNING and job.fraction is None
    with bench.guard.watching():
        client.cancel()
    assert job.state is JobState.CANCELLING and client.busy
    bench.until(client, lambda: not client.busy)
    assert job.state is JobState.CANCELLED and job.failure is None
    assert any(isinstance(message, Cancelled) for message in bench.messages)


def test_cancel_before_the_worker_is_up(bench: Bench) -> None:
    client, job = bench.client("slow"), bench.job()
    client.start(job)
    client.cancel()
    client.cancel()
    bench.until(client, lambda: not client.busy)
    assert job.state is JobState.CANCELLED


def test_cancel_when_there_is_nothing_to_cancel(bench: Bench) -> None:
    client = bench.client()
    client.cancel()
    client.kill()
    job = bench.job()
    client.start(job)
    bench.until(client, lambda: not client.busy)
    client.cancel()
    assert job.state is JobState.DONE and not (job.folder / "cancel").exists()


def test_a_worker_that_does_not_look_at_the_file_gets_sigterm(bench: Bench) -> None:
    client, job = bench.client("deaf"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.step == 1)
    client.cancel()
    heard = len(bench.messages)
    bench.until(client, lambda: len(bench.messages) > heard + 3)
    assert job.state is JobState.CANCELLING
    bench.clock.ahead += TERMINATE_AFTER_S
    bench.until(client, lambda: not client.busy)
    assert job.state is JobState.CANCELLED


def test_a_worker_that_ignores_sigterm_is_killed(bench: Bench) -> None:
    client, job = bench.client("stubborn"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.step == 1)
    client.cancel()
    bench.clock.ahead += TERMINATE_AFTER_S
    heard = len(bench.messages)
    bench.until(client, lambda: len(bench.messages) > heard + 3)
    assert job.state is JobState.CANCELLING
    bench.clock.ahead += KILL_AFTER_S - TERMINATE_AFTER_S
    bench.until(client, lambda: not client.busy)
    assert job.state is JobState.CANCELLED


def test_cancel_when_the_folder_is_gone_ends_the_worker(bench: Bench) -> None:
    client, job = bench.client("deaf"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.step == 1)
    job.folder.rename(job.folder.with_name("elsewhere"))
    client.cancel()
    bench.until(client, lambda: not client.busy)
    assert job.state is JobState.CANCELLED


def test_kill(bench: Bench) -> None:
    client, job = bench.client("stubborn"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.step == 1)
    with bench.guard.watching():
        client.kill()
    bench.until(client, lambda: not client.busy)
    assert job.state is JobState.CANCELLED


def test_a_silent_worker_counts_as_not_responding(bench: Bench) -> None:
    client, job = bench.client("silent"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.state is JobState.RUNNING)
    assert job.responding
    bench.clock.ahead += 61.0
    bench.until(client, lambda: not job.responding)
    assert client.busy
    client.kill()
    bench.until(client, lambda: not client.busy)


def test_heartbeats_count_as_responding(bench: Bench) -> None:
    client, job = bench.client("slow"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.phase == "load")
    bench.clock.ahead += 61.0
    heard = len(bench.messages)
    bench.until(client, lambda: len(bench.messages) > heard + 1)
    assert job.responding
    client.cancel()


def test_close_leaves_nothing(bench: Bench) -> None:
    client, job = bench.client("stubborn"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.step == 1)
    pid = worker_pid(job)
    with bench.guard.watching(shutdown=True):
        client.close(1.0)
    assert not is_alive(pid)
    assert job.state is JobState.CANCELLED and not client.busy


def test_close_without_waiting_is_finished_by_poll(bench: Bench) -> None:
    client, job = bench.client("stubborn"), bench.job()
    client.start(job)
    bench.until(client, lambda: job.step == 1)
    pid = worker_pid(job)
    with bench.guard.watching():
        client.close(0)
    assert job.state is JobState.CANCELLED
    bench.until(client, lambda: not Path(f"/proc/{pid}").exists())


def test_close_under_a_flood(bench: Bench) -> None:
    client, job = bench.client("endless"), bench.job()
    client.start(job)
    bench.until(client, lambda: len(job.log) > 10)
    with bench.guard.watching(shutdown=True):
        client.close(2.0)
    assert job.state is JobState.CANCELLED


def test_the_worker_dies_with_its_parent(bench: Bench) -> None:
    """The application crashes: nobody closes anything, but the worker's input ends."""
    job = bench.job("do: slow")
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "sys.path.append(sys.argv[1])\n"
        "from lyra.sim.jobs import Job\n"
        "from lyra.sim.protocol import Request\n"
        "from lyra.sim.worker_client import WorkerClient\n"
        "folder = Path(sys.argv[3])\n"
        "job = Job(folder, Request.from_json((folder / 'request.json').read_text()))\n"
        "client = WorkerClient(Path(sys.argv[2]), environ=os.environ)\n"
        "client.start(job)\n"
        "while not job.phase:\n"
        "    client.poll(); time.sleep(0.01)\n"
        "print(next(line.split()[1] for line in job.log), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    extension = Path(sys.modules["lyra.sim.errors"].__file__ or "").parents[2]
    arguments = [str(extension), str(make_interpreter(bench.folder)), str(job.folder)]
    parent = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    end = time.monotonic() + PATIENCE_S
    while is_alive(int(parent.stdout)):
        assert time.monotonic() < end, "the worker outlived its parent"
        time.sleep(0.01)


# ----------------------------------------------------------------------------------------------------------- waiting


def test_wait_blocks_until_the_job_is_over(bench: Bench) -> None:
    client, rounds = bench.client(), []
    client.start(bench.job())
    job = client.wait(lambda: rounds.append(client.busy))
    assert job.state is JobState.DONE
    assert rounds and all(rounds)


def test_wait_kills_a_worker_that_does_not_respond(bench: Bench) -> None:
    client = bench.client("silent", heartbeat_timeout_s=60.0)
    client.start(bench.job())

    def forward() -> None:
        bench.clock.ahead += 61.0 if client.job and client.job.state is JobState.RUNNING else 0.0

    job = client.wait(forward)
    assert job.state is JobState.FAILED
    assert job.failure is not None and "silent for more than 60 s" in job.failure.msg


def test_an_interrupt_ends_the_worker(bench: Bench) -> None:
    client, job = bench.client("slow"), bench.job()
    client.start(job)

    def interrupt() -> None:
        if job.phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.wait(interrupt)
    assert job.state is JobState.CANCELLED
    assert not is_alive(worker_pid(job))


def test_wait_without_a_job(bench: Bench) -> None:
    with pytest.raises(LyraSimError, match="No job"):
        bench.client().wait()


# -------------------------------------------------------------------------------------------------------- warm worker


def test_a_warm_worker_takes_job_after_job(bench: Bench) -> None:
    client, pids = bench.client(warm=True), set()
    for prompt in ("one", "do: noisy", "three"):
        job = bench.job(prompt)
        client.start(job)
        bench.until(client, lambda: not client.busy)
        assert job.state is JobState.DONE and job.manifest is not None and job.manifest.job == job.id
        pids.add(worker_pid(job))
    assert len(pids) == 1 and is_alive(pids.pop())


def test_a_warm_worker_survives_a_cancel(bench: Bench) -> None:
    client, first, second = bench.client(warm=True), bench.job("do: slow"), bench.job()
    client.start(first)
    bench.until(client, lambda: first.phase == "load")
    client.cancel()
    bench.until(client, lambda: not client.busy)
    client.start(second)
    bench.until(client, lambda: not client.busy)
    assert (first.state, second.state) == (JobState.CANCELLED, JobState.DONE)
    assert worker_pid(first) == worker_pid(second)


def test_a_warm_worker_that_crashed_is_replaced(bench: Bench) -> None:
    client, first, second = bench.client(warm=True), bench.job("do: crash"), bench.job()
    client.start(first)
    bench.until(client, lambda: not client.busy)
    assert first.failure is not None and "the decoder met" in first.failure.msg
    client.start(second)
    bench.until(client, lambda: not client.busy)
    assert second.state is JobState.DONE
    assert worker_pid(first) != worker_pid(second)


def test_a_warm_worker_that_left_because_it_was_idle_is_replaced(bench: Bench) -> None:
    client, first, second = bench.client(warm=True, idle_timeout_s=0.05), bench.job(), bench.job()
    client.start(first)
    bench.until(client, lambda: not client.busy)
    pid = worker_pid(first)
    while is_alive(pid):
        time.sleep(0.01)
    # Not polled meanwhile: the client finds out when it hands the job over.
    client.start(second)
    bench.until(client, lambda: not client.busy)
    assert second.state is JobState.DONE


def test_a_warm_worker_that_is_closing_is_replaced(bench: Bench) -> None:
    client, first, second = bench.client("closing", warm=True), bench.job(), bench.job()
    for job in (first, second):
        client.start(job)
        bench.until(client, lambda: not client.busy)
        assert job.state is JobState.DONE
    assert worker_pid(first) != worker_pid(second)


def test_an_idle_warm_worker_is_reaped(bench: Bench) -> None:
    client, job = bench.client(warm=True, idle_timeout_s=0.05), bench.job()
    client.start(job)
    bench.until(client, lambda: not client.busy)
    pid = worker_pid(job)
    bench.until(client, lambda: not Path(f"/proc/{pid}").exists())


def test_killing_an_idle_warm_worker(bench: Bench) -> None:
    client, first, second = bench.client(warm=True), bench.job(), bench.job()
    client.start(first)
    bench.until(client, lambda: not client.busy)
    client.kill()
    client.start(second)
    bench.until(client, lambda: not client.busy)
    assert (first.state, second.state) == (JobState.DONE, JobState.DONE)


def test_the_folder_of_a_warm_job_may_be_deleted(bench: Bench) -> None:
    client, job = bench.client(warm=True), bench.job()
    client.start(job)
    bench.until(client, lambda: not client.busy)
    assert not (job.folder / "worker.log").exists()
    assert (job.folder.parent / "worker.log").exists()


# ------------------------------------------------------------------------------------------- environment and platform


def test_the_environment_is_scrubbed() -> None:
    kit = {
        "PATH": "/bin",
        "HOME": "/home/u",
        "HF_HOME": "/hf",
        "TMPDIR": "/t",
        "https_proxy": "p",
        "SystemRoot": "C:\\Windows",
        "CUDA_VISIBLE_DEVICES": "1",
    }
    noise = {
        "PYTHONPATH": "x",
        "PYTHONHOME": "x",
        "PYTHONSTARTUP": "x",
        "PYTHONINSPECT": "1",
        "LD_PRELOAD": "x",
        "LD_LIBRARY_PATH": "x",
        "CARB_APP_PATH": "x",
        "EXP_PATH": "x",
        "ISAAC_PATH": "x",
        "OMNI_KIT_ALLOW_ROOT": "1",
        "PythonPath": "x",
    }
    own = {"PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}
    assert scrubbed_environment({**kit, **noise}, "") == {**kit, **own}


@pytest.mark.parametrize(("device", "visible"), [("cpu", ""), ("0", "0"), ("cuda:1", "1"), ("2,3", "2,3")])
def test_the_device_becomes_a_variable(device: str, visible: str) -> None:
    assert scrubbed_environment({"CUDA_VISIBLE_DEVICES": "7"}, device)["CUDA_VISIBLE_DEVICES"] == visible


def test_modules_in_the_job_folder_are_not_imported(bench: Bench) -> None:
    """`python -m` would put the current folder, which holds the user's file, first."""
    job = bench.job()
    (job.folder / "json.py").write_text("raise SystemExit('imported from the job folder')")
    client = WorkerClient(Path(sys.executable), environ=os.environ, module="json.tool")
    bench.clients.append(client)
    client.start(job)
    bench.until(client, lambda: not client.busy)
    assert job.failure is not None and "imported from the job folder" not in job.failure.msg


def test_the_windows_process_group() -> None:
    new_group, no_window = 0x200, 0x08000000
    assert popen_options("win32") == {"creationflags": new_group | no_window}
    assert popen_options("linux") == {"start_new_session": True}


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)


def test_windows_terminates_the_child() -> None:
    process = sleeper()
    ProcessTree(process, {}, "win32").terminate()
    assert process.wait(PATIENCE_S) == -signal.SIGTERM


def test_windows_kills_the_tree_with_its_own_tool(tmp_path: Path) -> None:
    (tmp_path / "System32").mkdir()
    tool, calls = tmp_path / "System32" / "taskkill.exe", tmp_path / "calls"
    tool.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\nkill -9 "$4"\n')
    tool.chmod(0o755)
    process = sleeper()
    tree = ProcessTree(process, {"SystemRoot": str(tmp_path)}, "win32")
    tree.kill()
    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    tree.sweep()
    assert calls.read_text() == f"/F /T /PID {process.pid}\n"


def test_windows_without_its_tool_still_kills_the_child(tmp_path: Path) -> None:
    process = sleeper()
    ProcessTree(process, {"SystemRoot": str(tmp_path)}, "win32").kill()
    assert process.wait(PATIENCE_S) == -signal.SIGKILL


def test_one_call_hands_out_a_limited_amount(tmp_path: Path) -> None:
    code = f"print(('z' * {LINE_BYTES - 10} + chr(10)) * 8 + ('short' + chr(10)) * 5000, end='')"
    with (tmp_path / "log").open("wb") as log:
        child = ChildProcess([sys.executable, "-c", code], environ=os.environ, cwd=tmp_path, stderr=log)
    calls, end = [], time.monotonic() + PATIENCE_S
    while not (child.reap() is not None and child.drained):
        calls.append(child.lines())
        assert time.monotonic() < end
    assert sum(map(len, calls)) == 5008
    assert max(map(len, calls)) <= LINES_PER_CALL
    assert max(sum(map(len, lines)) for lines in calls) < CHARACTERS_PER_CALL + LINE_BYTES
    child.close(1.0)


# ------------------------------------------------------------------------------------------------------------- probe


class Probing:
    """Runs probes to their end, watched for blocking calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.guard = BlockGuard()

    def start(self, interpreter: Path) -> Probe:
        with self.guard.watching():
            return Probe(interpreter, os.environ, clock=self.clock)

    def finish(self, probe: Probe) -> ProbeReport | LyraSimError:
        end = time.monotonic() + PATIENCE_S
        while True:
            with self.guard.watching():
                result = probe.poll()
            if result is not None:
                return result
            assert time.monotonic() < end
            time.sleep(0.005)

    def ask(self, behaviour: str) -> ProbeReport | LyraSimError:
        return self.finish(self.start(make_interpreter(self.folder, behaviour)))


@pytest.fixture
def probing(tmp_path: Path) -> Iterator[Probing]:
    before = unreaped()
    probing = Probing(tmp_path)
    probing.guard.install()
    try:
        yield probing
    finally:
        probing.guard.uninstall()
    assert probing.guard.calls == []
    assert living_in(tmp_path) == []
    assert unreaped() <= before


def test_a_good_environment(probing: Probing) -> None:
    report = probing.ask("ok")
    assert isinstance(report, ProbeReport)
    assert report.gpus[0].name == "Test GPU" and report.problems == ()


def test_an_environment_with_problems_is_still_a_report(probing: Probing) -> None:
    report = probing.ask("probe_problems")
    assert isinstance(report, ProbeReport)
    assert report.problems == ("no graphics card",) and not report.cuda


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        ("crash_import", "pip install"),
        ("probe_incomplete", "lacks the module torch"),
        ("probe_syntax", "needs 3.11 or newer"),
        ("probe_old", "is Python 3.9.18; lyra-sim needs 3.11 or newer"),
        ("probe_garbage", "cannot be read"),
        ("probe_silent", "printed no report"),
        ("probe_version", "protocol version 2"),
        ("probe_malformed", "Update lyra-sim"),
    ],
)
def test_a_bad_environment_says_what_to_do(probing: Probing, behaviour: str, text: str) -> None:
    error = probing.ask(behaviour)
    assert isinstance(error, LyraSimError)
    assert text in str(error)


def test_a_program_that_is_no_python(probing: Probing) -> None:
    error = probing.finish(probing.start(Path("/bin/true")))
    assert isinstance(error, LyraSimError) and "printed no report" in str(error)


def test_a_real_python_without_lyra_sim(probing: Probing, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    error = probing.finish(probing.start(bare))
    assert isinstance(error, LyraSimError) and f"{bare} has no lyra-sim" in str(error)


def test_a_program_that_cannot_be_started(probing: Probing, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path, tmp_path / "a\0b"):
        error = Probe(path, os.environ).poll()  # unwatched: `Popen` itself reaps the child it could not start
        assert isinstance(error, LyraSimError) and "could not be started" in str(error)


@pytest.mark.parametrize("behaviour", ["probe_hang", "probe_flood"])
def test_a_check_that_does_not_end_is_ended(probing: Probing, behaviour: str) -> None:
    probe = probing.start(make_interpreter(probing.folder, behaviour))
    assert probe.poll() is None
    probing.clock.ahead += 61.0
    error = probing.finish(probe)
    assert isinstance(error, LyraSimError) and "no answer within 60 s" in str(error)


def test_a_check_can_be_cancelled(probing: Probing) -> None:
    probe = probing.start(make_interpreter(probing.folder, "probe_hang"))
    with probing.guard.watching():
        probe.cancel()
    error = probing.finish(probe)
    assert isinstance(error, LyraSimError) and "cancelled" in str(error)
    probe.cancel()


def test_a_check_can_be_closed(probing: Probing) -> None:
    probe = probing.start(make_interpreter(probing.folder, "probe_hang"))
    with probing.guard.watching(shutdown=True):
        probe.close()
    assert isinstance(probe.poll(), LyraSimError)
