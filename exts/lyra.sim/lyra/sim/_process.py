# SPDX-License-Identifier: Apache-2.0
"""A child process that is read without blocking and ended together with everything it started.

One thread per child reads its standard output into a bounded queue and touches nothing else. If nobody empties the
queue, the thread stops reading and the pipe makes the child wait: a child that floods its output slows itself down,
never the application.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

LINE_BYTES = 1 << 20
"""Longest line that is kept [bytes]; of a longer one only the start is."""
LINES_PER_CALL = 500
CHARACTERS_PER_CALL = 1 << 20
"""Where one call stops handing out lines, so that a frame of the application stays short."""

_UNIT = 4096  # characters that count as one unit of room in the queue
_ROOM = 1024  # units: a thousand short lines, or four of the longest
_SHOWN = 200  # characters kept of a line that is too long

_CREATE_NEW_PROCESS_GROUP = 0x00000200
_CREATE_NO_WINDOW = 0x08000000

_DROPPED = {"LD_PRELOAD", "LD_LIBRARY_PATH", "EXP_PATH", "ISAAC_PATH"}
_DROPPED_PREFIXES = ("PYTHON", "OMNI_", "CARB_")


def scrubbed_environment(environ: Mapping[str, str], device: str) -> dict[str, str]:
    """Environment for another Python than the application's: without its libraries, paths and interpreter options.

    Args:
        environ: Environment of the application.
        device: `""` leaves the choice of graphics cards alone, `cpu` hides them all, anything else selects cards as
            CUDA_VISIBLE_DEVICES does.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name.upper() not in _DROPPED and not name.upper().startswith(_DROPPED_PREFIXES)
    }
    # SAFEPATH: modules are never taken from the current folder, which holds files the user chose.
    kept |= {"PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}
    if device:
        kept["CUDA_VISIBLE_DEVICES"] = "" if device == "cpu" else device.removeprefix("cuda:")
    return kept


def popen_options(platform: str) -> dict[str, Any]:
    """Arguments of `subprocess.Popen` that put a child and its children into a process group of their own."""
    if platform == "win32":
        return {"creationflags": _CREATE_NEW_PROCESS_GROUP | _CREATE_NO_WINDOW}
    return {"start_new_session": True}


class ProcessTree:
    """A child process with everything it started, to be ended together.

    Args:
        process: Started with `popen_options`.
        environ: Environment of the application; Windows' own tools are found by it.
        platform: As `sys.platform`.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], environ: Mapping[str, str], platform: str = sys.platform
    ) -> None:
        self._process = process
        self._environ = environ
        self._windows = platform == "win32"
        self._killer: subprocess.Popen[bytes] | None = None

    def terminate(self) -> None:
        """Ask it to end. Windows has no way to ask: there the child is ended, its own children by `kill`."""
        if self._windows:
            self._process.terminate()
        else:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once. Meant to be repeated until the child is gone."""
        if not self._windows:
            self._signal(signal.SIGKILL)
        elif self._killer is None or self._killer.poll() is not None:
            self._killer = self._taskkill()

    def sweep(self) -> None:
        """End what the child, itself gone, has left behind. On Windows nothing leads there any more."""
        if not self._windows:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # PermissionError: macOS, for a group of processes that are all dead.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _taskkill(self) -> subprocess.Popen[bytes] | None:
        tool = Path(self._environ.get("SystemRoot", r"C:\Windows"), "System32", "taskkill.exe")
        try:
            return subprocess.Popen(
                [str(tool), "/F", "/T", "/PID", str(self._process.pid)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError:
            self._process.kill()
            return None


class LineQueue:
    """Lines on their way from the reading thread to the main thread, bounded by their size."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._room = threading.Semaphore(_ROOM)
        self._open = True

    def put(self, line: str) -> None:
        """Append; waits for room. Called by the reading thread."""
        for _ in range(_units(line)):
            self._room.acquire()
        if self._open:
            self._lines.put(line)

    def get(self) -> str | None:
        """The oldest line, `None` if there is none. Never waits."""
        try:
            line = self._lines.get_nowait()
        except queue.Empty:
            return None
        self._room.release(_units(line))
        return line

    @property
    def empty(self) -> bool:
        """Whether nothing is waiting."""
        return self._lines.empty()

    def discard(self) -> None:
        """Drop all further lines, so that the reading thread never waits again."""
        self._open = False
        self._room.release(2 * _ROOM)


def _units(line: str) -> int:
    return 1 + len(line) // _UNIT


def _read_lines(stream: IO[bytes], lines: LineQueue) -> None:
    """Body of the reading thread: ends with the stream."""
    with stream:
        while chunk := stream.readline(LINE_BYTES):
            complete = chunk.endswith(b"\n") or len(chunk) < LINE_BYTES
            text = chunk.decode("utf-8", "replace")
            lines.put(text.rstrip("\r\n") if complete else f"[line of 1 MiB or more] {text[:_SHOWN]}")
            while not complete:
                rest = stream.readline(LINE_BYTES)
                complete = rest.endswith(b"\n") or not rest


class ChildProcess:
    """A running child. Raises OSError or ValueError if it cannot be started.

    Its standard input stays open as long as this object lives and the application does: a worker ends when it closes.

    Args:
        arguments: Program and arguments.
        environ: Environment of the child.
        cwd: Its current folder; `None` keeps the application's.
        stderr: Open file that takes what it writes to standard error.
    """

    def __init__(
        self, arguments: Sequence[str], *, environ: Mapping[str, str], cwd: Path | None, stderr: IO[bytes]
    ) -> None:
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            list(arguments),
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            **popen_options(sys.platform),
        )
        self._tree = ProcessTree(self._process, environ)
        self._lines = LineQueue()
        self._swept = False
        self._reader = threading.Thread(
            target=_read_lines, args=(self._process.stdout, self._lines), name="lyra-worker-output", daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self._process.pid

    @property
    def drained(self) -> bool:
        """Whether its output has ended and every line was handed out."""
        return not self._reader.is_alive() and self._lines.empty

    def lines(self) -> list[str]:
        """Lines that have arrived, a limited number per call."""
        taken: list[str] = []
        characters = 0
        while len(taken) < LINES_PER_CALL and characters < CHARACTERS_PER_CALL:
            line = self._lines.get()
            if line is None:
                break
            taken.append(line)
            characters += len(line)
        return taken

    def send(self, line: str) -> None:
        """Write a short line to its standard input; OSError if it does not take any."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def reap(self) -> int | None:
        """Exit status, `None` while it runs. What it started and left behind is killed."""
        status = self._process.poll()
        if status is not None and not self._swept:
            self._swept = True
            self._close_input()
            self._tree.sweep()
        return status

    def terminate(self) -> None:
        """Ask the running child and its children to end."""
        if self._process.poll() is None:
            self._tree.terminate()

    def kill(self) -> None:
        """End the running child and its children now."""
        if self.reap() is None:
            self._tree.kill()

    def close(self, timeout_s: float) -> None:
        """End it and wait, at most `timeout_s` [s]: close its input, ask, then kill. 0 kills and does not wait."""
        deadline = time.monotonic() + timeout_s
        self._lines.discard()
        self._close_input()
        if timeout_s > 0:
            self.terminate()
            self._wait(timeout_s * 2 / 3)
        self.kill()
        if timeout_s > 0:
            self._wait(deadline - time.monotonic())
            self.reap()
            self._reader.join(max(0.0, deadline - time.monotonic()))

    def _wait(self, timeout_s: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, timeout_s))

    def _close_input(self) -> None:
        with suppress(OSError):  # what was still to be written has no reader
            assert self._process.stdin is not None
            self._process.stdin.close()
