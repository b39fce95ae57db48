# SPDX-License-Identifier: Apache-2.0
"""Runs jobs in a worker process, and asks a Python what it has. Nothing here waits, except `close` and `wait`."""

from __future__ import annotations

import json
import re
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ._process import ChildProcess, scrubbed_environment
from .errors import LyraSimError
from .jobs import Job, JobState
from .protocol import (
    CANCEL_FILE,
    LOG_FILE,
    VERSION,
    Failure,
    Log,
    Message,
    ProbeReport,
    ProtocolError,
    parse_line,
    parse_probe,
)

__all__ = ["Probe", "WorkerClient", "scrubbed_environment"]

WORKER_MODULE = "lyra_core.app.worker"
OLDEST_PYTHON = (3, 11)

TERMINATE_AFTER_S = 5.0
"""From a request to cancel to SIGTERM [s]."""
KILL_AFTER_S = 15.0
"""From a request to cancel to SIGKILL [s]."""
EXIT_AFTER_S = 10.0
"""How long a worker may take to exit after its last message [s]; a driver can hang while it shuts down."""
DRAIN_S = 2.0
"""How long output is awaited after the worker is gone [s]: a process that left its group may hold the pipe open."""

_TAIL_BYTES = 16 << 10
_TAIL_LINES = 20
_SHOWN_LINES = 5


@dataclass
class _Run:
    """What happened to the worker in the current job; times are of the client's clock [s]."""

    heard_at: float = 0.0
    cancelled_at: float | None = None
    ended_at: float | None = None
    exited_at: float | None = None
    terminated: bool = False
    killed: bool = False
    reused: bool = False
    """The job was given to a worker that was warm, and it has not answered yet."""


class WorkerClient:
    """Runs one job at a time in a process of its own.

    Call `poll` regularly, about ten times a second: it takes in messages, watches over the worker and reaps it.

    Args:
        interpreter: A Python that has lyra-sim.
        environ: Environment of the application; it is scrubbed here.
        device: See `scrubbed_environment`.
        heartbeat_timeout_s: Silence after which a job counts as not responding [s].
        warm: Keep the worker and its models between jobs.
        idle_timeout_s: How long a warm worker waits for the next job [s].
        module: Module of the worker.
        clock: Monotonic time [s].

    Attributes:
        job: The current or the last job.
    """

    def __init__(
        self,
        interpreter: Path,
        *,
        environ: Mapping[str, str],
        device: str = "",
        heartbeat_timeout_s: float = 60.0,
        warm: bool = False,
        idle_timeout_s: float = 600.0,
        module: str = WORKER_MODULE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.job: Job | None = None
        self._interpreter = interpreter
        self._environ = scrubbed_environment(environ, device)
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._warm = warm
        self._idle_timeout_s = idle_timeout_s
        self._module = module
        self._clock = clock
        self._process: ChildProcess | None = None
        self._retired: list[ChildProcess] = []
        self._log_file = Path()
        self._log_start = 0
        self._run = _Run()

    @property
    def busy(self) -> bool:
        """Whether a job runs or its process is not gone yet."""
        return self.job is not None and not self.job.is_over

    def start(self, job: Job) -> None:
        """Start a job and return at once. If that fails, the job has failed and says why.

        Raises LyraSimError if another job runs.
        """
        if self.busy:
            raise LyraSimError("A scene is being generated. Wait for it or cancel it.")
        self.job = job
        job.state = JobState.STARTING
        job.started_at = self._clock()
        self._run = _Run(heard_at=job.started_at)
        if not self._hand_over(job):
            self._launch(job)

    def poll(self) -> list[Message]:
        """Messages that have arrived, a limited number per call; brings the job up to date."""
        self._retired = [process for process in self._retired if process.reap() is None]
        if self._process is None:
            return []
        messages = self._receive(self._process)
        now = self._clock()
        if self.job is not None and self.busy:
            self._watch(self.job, self._process, now)
        self._reap(self._process, now)
        return messages

    def cancel(self) -> None:
        """Ask the worker to give up the job. `poll` sees to it: by a file, after 5 s SIGTERM, 10 s later SIGKILL."""
        job = self.job
        if job is None or job.state not in (JobState.STARTING, JobState.RUNNING) or job.outcome is not None:
            return
        job.state, job.eta_s = JobState.CANCELLING, None
        self._run.cancelled_at = self._clock()
        try:
            (job.folder / CANCEL_FILE).touch()
        except OSError:
            self._run.cancelled_at -= TERMINATE_AFTER_S  # a worker that cannot be told is ended right away

    def kill(self) -> None:
        """End the worker now; its job counts as cancelled."""
        if self._process is None:
            return
        self._process.kill()
        if self.busy:
            self._run.killed = True
        else:
            self._drop()

    def close(self, timeout_s: float = 3.0) -> None:
        """End the worker and wait for it, at most `timeout_s` [s].

        0 kills it and does not wait, which a window may do; then go on calling `poll`, which reaps it.
        """
        deadline = time.monotonic() + timeout_s
        if self._process is not None:
            self._retired.append(self._process)
            self._process = None
        for process in self._retired:
            process.close(max(0.0, deadline - time.monotonic()))
        self._retired = [process for process in self._retired if process.reap() is None]
        if self.job is not None and self.busy:
            self.job.finish(self.job.outcome or JobState.CANCELLED, self._clock())

    def wait(self, poll_fn: Callable[[], None] | None = None, interval_s: float = 0.05) -> Job:
        """Block until the job is over; for scripts without a window.

        A worker that stops responding is killed here, because nobody is asked. If `poll_fn` raises or the user
        interrupts, the worker is ended first.

        Args:
            poll_fn: Called every round, for example `simulation_app.update`.
            interval_s: Pause between rounds [s].
        """
        if self.job is None:
            raise LyraSimError("No job was started.")
        pause = threading.Event()
        try:
            while True:
                self.poll()
                if not self.busy:
                    return self.job
                if not self.job.responding:
                    self._give_up(self.job)
                if poll_fn is not None:
                    poll_fn()
                pause.wait(interval_s)
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------------------------------------------------ starting

    def _hand_over(self, job: Job) -> bool:
        """Give the job to the warm worker; false if there is none that takes it."""
        if self._process is None:
            return False
        if self._process.reap() is None:
            try:
                self._send(self._process, job)
                self._log_start = _size(self._log_file)
                self._run.reused = True
                return True
            except OSError:
                pass  # it is about to exit because it was idle for too long
        self._drop()
        return False

    def _start_afresh(self, job: Job) -> None:
        """The warm worker ran into its idle time-out at the very moment the job was sent."""
        self._drop()
        self._run.reused, self._run.exited_at = False, None
        self._launch(job)

    def _drop(self) -> None:
        """Have nothing to do with the process any more, except that `poll` or `close` reaps it."""
        if self._process is not None:
            self._process.close(0)
            self._retired.append(self._process)
            self._process = None

    def _launch(self, job: Job) -> None:
        try:
            if self._warm:
                # Outlives the job, whose folder the user may delete.
                folder = job.folder.parent
                arguments = ["--serve", "--idle-timeout", f"{self._idle_timeout_s:g}"]
            else:
                folder, arguments = job.folder, ["--job", str(job.folder)]
            self._log_file, self._log_start = folder / LOG_FILE, 0
            command = [str(self._interpreter), "-u", "-m", self._module, *arguments]
            with self._log_file.open("wb") as log:
                self._process = ChildProcess(command, environ=self._environ, cwd=folder, stderr=log)
            if self._warm:
                self._send(self._process, job)
        except (OSError, ValueError) as error:
            if self._process is None:
                self._fail_to_start(job, error)

    def _send(self, process: ChildProcess, job: Job) -> None:
        process.send(json.dumps({"v": VERSION, "type": "job", "job_dir": str(job.folder.absolute())}))

    def _fail_to_start(self, job: Job, error: OSError | ValueError) -> None:
        job.fail(
            Failure(
                code="internal",
                msg=f"{self._interpreter} could not be started: {error}.",
                hint="Name a Python that has lyra-sim in the setting worker_python.",
            )
        )
        job.finish(JobState.FAILED, self._clock())

    # ------------------------------------------------------------------------------------------------------ watching

    def _receive(self, process: ChildProcess) -> list[Message]:
        lines = process.lines()
        if lines:
            self._run.heard_at = self._clock()
        messages = [parse_line(line) for line in lines]
        if self.job is None or not self.busy:
            return messages
        about = [message for message in messages if message.job in ("", self.job.id)]
        for message in about:
            if self._run.reused and message.job:
                if isinstance(message, Failure):
                    self._start_afresh(self.job)  # refused without a word of greeting: it is closing
                    return []
                self._run.reused = False
            self.job.observe(message)
            if isinstance(message, Failure) and not message.job:
                self.kill()  # it speaks another version: nothing it says later can be trusted
        return about

    def _watch(self, job: Job, process: ChildProcess, now: float) -> None:
        job.responding = job.outcome is not None or now - self._run.heard_at <= self._heartbeat_timeout_s
        if job.outcome is not None:
            self._run.ended_at = now if self._run.ended_at is None else self._run.ended_at
            if not self._warm and now - self._run.ended_at > EXIT_AFTER_S:
                process.kill()
        elif self._run.cancelled_at is not None:
            if now - self._run.cancelled_at >= KILL_AFTER_S:
                process.kill()
            elif now - self._run.cancelled_at >= TERMINATE_AFTER_S and not self._run.terminated:
                self._run.terminated = True
                process.terminate()

    def _give_up(self, job: Job) -> None:
        job.fail(
            Failure(
                code="internal",
                msg=f"The worker was silent for more than {self._heartbeat_timeout_s:g} s and was ended.",
                hint=f"See {self._log_file}. If the machine is slow, raise the setting heartbeat_timeout_s.",
                retryable=True,
            )
        )
        self.kill()

    # ------------------------------------------------------------------------------------------------------- reaping

    def _reap(self, process: ChildProcess, now: float) -> None:
        status = process.reap()
        if status is None:
            if (
                self._warm
                and self.job is not None
                and self.busy
                and self.job.outcome is not None
                and not self._run.killed
            ):
                self.job.finish(self._final_state(self.job), now)
            return
        self._run.exited_at = now if self._run.exited_at is None else self._run.exited_at
        if not process.drained and now - self._run.exited_at < DRAIN_S:
            return
        self._process = None
        if self.job is not None and self.busy:
            self._conclude(self.job, status, now)

    def _conclude(self, job: Job, status: int, now: float) -> None:
        """The worker is gone while it had a job."""
        if self._run.reused and status == 0 and job.outcome is None and job.state is JobState.STARTING:
            self._start_afresh(job)
            return
        if job.outcome is None and job.state is not JobState.CANCELLING and not self._run.killed:
            tail = _tail(self._log_file, self._log_start)
            for line in tail:
                job.observe(Log(level="raw", msg=line))
            job.fail(_exit_failure(status, tail, self._interpreter, self._log_file))
        job.finish(self._final_state(job), now)

    def _final_state(self, job: Job) -> JobState:
        """A finished scene is kept even if the request to cancel came a moment before; an error then does not count."""
        if job.state is JobState.CANCELLING and job.outcome is not JobState.DONE:
            return JobState.CANCELLED
        return job.outcome or JobState.CANCELLED


class Probe:
    """Asks a Python what it has: `--probe` of the worker. Never blocks, never raises.

    Args:
        interpreter: The Python in question.
        environ: Environment of the application; it is scrubbed here.
        device: See `scrubbed_environment`.
        limit_s: How long the answer may take [s]; importing torch takes a while on a cold disk.
        module: Module of the worker.
        clock: Monotonic time [s].
    """

    def __init__(
        self,
        interpreter: Path,
        environ: Mapping[str, str],
        *,
        device: str = "",
        limit_s: float = 60.0,
        module: str = WORKER_MODULE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interpreter = interpreter
        self._limit_s = limit_s
        self._clock = clock
        self._started_at = clock()
        self._exited_at: float | None = None
        self._reason: LyraSimError | None = None
        self._result: ProbeReport | LyraSimError | None = None
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)
        self._process: ChildProcess | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when the child is gone
        try:
            command = [str(interpreter), "-u", "-m", module, "--probe"]
            environ = scrubbed_environment(environ, device)
            self._process = ChildProcess(command, environ=environ, cwd=None, stderr=self._errors)
        except (OSError, ValueError) as error:
            self._finish(LyraSimError(f"{interpreter} could not be started: {error}. Name another Python."))

    def poll(self) -> ProbeReport | LyraSimError | None:
        """The report, what is wrong with that Python, or `None` while it has not answered."""
        if self._process is None:
            return self._result
        self._lines.extend(self._process.lines())
        now = self._clock()
        status = self._process.reap()
        if status is None:
            if now - self._started_at > self._limit_s:
                self._end(f"{self._interpreter} gave no answer within {self._limit_s:g} s. Try again, or name another.")
            return None
        self._exited_at = now if self._exited_at is None else self._exited_at
        if self._process.drained or now - self._exited_at >= DRAIN_S:
            self._finish(self._reason or self._judged(status))
        return self._result

    def cancel(self) -> None:
        """End it now; `poll` then reports that it was cancelled."""
        self._end("The check was cancelled.")

    def close(self, timeout_s: float = 1.0) -> None:
        """End it and wait, at most `timeout_s` [s]. For shutdown."""
        if self._process is not None:
            self._process.close(timeout_s)
            self._finish(LyraSimError("The check was cancelled."))

    def _end(self, reason: str) -> None:
        if self._process is not None:
            self._reason = self._reason or LyraSimError(reason)
            self._process.kill()

    def _finish(self, result: ProbeReport | LyraSimError) -> None:
        self._result, self._process = result, None
        self._errors.close()

    def _judged(self, status: int) -> ProbeReport | LyraSimError:
        try:
            report = parse_probe("\n".join(self._lines))
        except ProtocolError as error:
            self._errors.seek(0)
            tail = _last_lines(self._errors.read(_TAIL_BYTES))
            known = _known_problem(self._interpreter, tail)
            said = f" It said: {tail[-1]}" if tail else ""
            return LyraSimError(known or f"{self._interpreter} (exit status {_status_text(status)}): {error}{said}")
        version = re.match(r"(\d+)\.(\d+)", report.python)
        if version is None or (int(version[1]), int(version[2])) < OLDEST_PYTHON:
            return LyraSimError(_too_old(self._interpreter, report.python))
        return report


def _too_old(interpreter: Path, version: str) -> str:
    return (
        f"{interpreter} is Python {version[:20]}; lyra-sim needs {'.'.join(map(str, OLDEST_PYTHON))} or newer. "
        "Make a virtual environment with a newer Python and name its interpreter in the setting worker_python."
    )


def _known_problem(interpreter: Path, tail: list[str]) -> str | None:
    """What to do about a Python that could not even load the worker; `None` if that is not what happened."""
    for line in reversed(tail):
        module = re.search(r"No module named '?([\w.]+)", line)
        if module and module[1].partition(".")[0] == WORKER_MODULE.partition(".")[0]:
            return (
                f"{interpreter} has no lyra-sim. Install it there: `{interpreter} -m pip install <repository folder>` "
                f"(Python {'.'.join(map(str, OLDEST_PYTHON))} or newer), or name another Python."
            )
        if module:
            return (
                f"{interpreter} lacks the module {module[1]}. Install lyra-sim there again: "
                f"`{interpreter} -m pip install <repository folder>`."
            )
        if line.startswith("SyntaxError"):
            return _too_old(interpreter, "of an older version")
    return None


def _exit_failure(status: int, tail: list[str], interpreter: Path, log_file: Path) -> Failure:
    """Why a worker that did not say so has ended."""
    known = _known_problem(interpreter, tail)
    if known:
        return Failure(code="internal", msg="The worker did not start.", hint=known)
    if status == 0:
        text, hint = "The worker ended without a result.", f"See {log_file}."
    elif status == -signal.SIGTERM:
        text, hint = "The worker was ended from outside (SIGTERM).", "Start the job again."
    elif status == -9:  # Windows has no name for it
        text = "The worker was killed (SIGKILL)."
        hint = "Mostly the system had no memory left. Close other programs or choose a smaller model, then try again."
    else:
        text = f"The worker crashed (exit status {_status_text(status)})."
        hint = f"Try again; if it crashes again, report it with {log_file}."
    return Failure(code="internal", msg="\n".join([text, *tail[-_SHOWN_LINES:]]), hint=hint, retryable=True)


def _status_text(status: int) -> str:
    if status < 0:
        try:
            return signal.Signals(-status).name
        except ValueError:
            return str(status)
    return str(status) if status < 256 else f"0x{status:08X}"  # Windows: the code of an exception


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _tail(path: Path, start: int) -> list[str]:
    """Last lines of a log from byte `start` on."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, _size(path) - _TAIL_BYTES))
            return _last_lines(file.read(_TAIL_BYTES))
    except OSError:
        return []


def _last_lines(content: bytes) -> list[str]:
    lines = [line.rstrip() for line in content.decode("utf-8", "replace").splitlines()]
    return [line for line in lines if line][-_TAIL_LINES:]
