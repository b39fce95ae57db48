# SPDX-License-Identifier: Apache-2.0
"""Noticing that the work is no longer wanted, from threads that go on while a compiled kernel keeps the main one busy.

A job is cancelled by the file `cancel` in its folder. The process is closed by SIGTERM or Ctrl-C, and by a parent that
is gone: stdin ends, stdout breaks, or the process gets another parent. Closing cancels the job, too, and is enforced:
what has not come to an end by itself after `GRACE` is cut off.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lyra_core.app.jobs.output import MessageWriter
from lyra_core.app.worker_protocol import Cancelled, Heartbeat

INTERRUPTED = 130
"""Exit code of a worker that was stopped."""
GRACE = 5.0
"""Time between the wish to close and the end of the process [s]; the client kills after 10."""
HEARTBEAT = 2.0
"""Time between two heartbeats [s]."""
_TICK = 0.2
_PR_SET_PDEATHSIG = 1
_MAX_LINE = 1 << 16


class JobCancelled(Exception):
    """The job that is running is no longer wanted."""


@dataclass
class _Job:
    """A job that is running."""

    folder: Path
    clean: Callable[[], None]
    cancelled: bool = False

    def is_unwanted(self) -> bool:
        """Whether its folder says so."""
        try:
            return (self.folder / "cancel").exists()
        except OSError:
            return False


class Watch:
    """Threads that send heartbeats and listen for the end.

    Args:
        writer: for heartbeats, and for the last word on a job that is cut off.
        on_line: receives every line of stdin; without it stdin only counts as the sign of life of the parent, and
            cancelling the job closes the process.
        on_close: called once, from any thread, when the process shall end.

    Attributes:
        closing: whether the process shall end.
    """

    def __init__(
        self,
        writer: MessageWriter,
        on_line: Callable[[bytes], None] | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self.closing = False
        self._writer = writer
        self._single = on_line is None
        self._on_line = on_line or (lambda line: None)
        self._on_close = on_close
        self._parent = os.getppid()
        self._job: _Job | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begins to watch; from the main thread, which alone may handle signals."""
        if sys.platform != "win32":
            self._listen_to_signals()
        threading.Thread(target=self._beat, daemon=True).start()
        if not self._single or _stdin_is_a_lifeline():
            threading.Thread(target=self._read_stdin, daemon=True).start()

    def begin(self, folder: Path, clean: Callable[[], None]) -> None:
        """A job begins; `clean` removes what it has made so far, for the case that it is cut off."""
        self._job = _Job(folder, clean)

    def end(self) -> None:
        """The job is over."""
        self._job = None

    def check(self) -> None:
        """Raises JobCancelled, again and again, once the job is no longer wanted."""
        if self.closing or (self._job and self._job.cancelled):
            raise JobCancelled("the job was cancelled")

    def close(self) -> None:
        """Cancels the job and ends the process, after a grace if need be."""
        with self._lock:
            if self.closing:
                return
            self.closing = True
        limit = threading.Timer(GRACE, self._cut_off)
        limit.daemon = True
        limit.start()
        self._on_close()

    def _cut_off(self) -> None:
        """The end of a process whose main thread does not come back in time."""

        def finish() -> Cancelled:
            if self._job:
                self._job.clean()
            return Cancelled()

        try:
            self._writer.end(finish, timeout=1.0)
        finally:
            os._exit(INTERRUPTED)

    def _beat(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(_TICK)
            job = self._job
            if job and job.is_unwanted():
                job.cancelled = True
            if (self._single and job and job.cancelled) or self._writer.broken or os.getppid() != self._parent:
                self.close()
            if time.monotonic() - last >= HEARTBEAT:
                self._writer.send(Heartbeat())
                last = time.monotonic()

    def _read_stdin(self) -> None:
        """Passes lines on until stdin ends; a line that is too long comes in pieces."""
        rest = b""
        while chunk := _read(0):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _MAX_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._on_line(line)
        self.close()

    def _listen_to_signals(self) -> None:
        """Signals arrive through a pipe: Python's own handlers wait until the main thread is back in Python."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
        threading.Thread(target=self._read_signals, args=(reader,), daemon=True).start()

    def _read_signals(self, reader: int) -> None:
        while numbers := _read(reader):
            # A hang-up also comes when only the thread of the parent ended that had started this process.
            if set(numbers) - {signal.SIGHUP} or os.getppid() != self._parent:
                self.close()


def _read(descriptor: int) -> bytes:
    """What has arrived; nothing at the end or on an error."""
    try:
        return os.read(descriptor, _MAX_LINE)
    except OSError:
        return b""


def _stdin_is_a_lifeline() -> bool:
    """Whether the end of stdin says something about the parent: a file or /dev/null always ends."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(0)
