# SPDX-License-Identifier: Apache-2.0
"""Who may write where: protocol lines have a descriptor of their own, everything else goes to stderr or a log."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lyra_core.app.worker_protocol import MAX_LINE, VERSION, Message, ProtocolError


def take_stdout() -> int:
    """A private descriptor of what was stdout; whatever libraries print from now on reaches stderr."""
    own = os.dup(1)
    os.dup2(2, 1)
    return own


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Sends stdout and stderr of this process, C libraries included, to the end of a file.

    Raises OSError if the file cannot be opened or is a link.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    file = os.open(log, flags, 0o644)
    saved = {number: os.dup(number) for number in (1, 2)}
    try:
        _point((1, 2), (file, file))
        yield
    finally:
        _point(tuple(saved), tuple(saved.values()))
        for number in (file, *saved.values()):
            os.close(number)


def _point(numbers: tuple[int, ...], targets: tuple[int, ...]) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a full disk must not hide what went wrong before
            stream.flush()
    for number, target in zip(numbers, targets, strict=True):
        os.dup2(target, number)


class MessageWriter:
    """Writes protocol lines to a descriptor; safe from any thread, numbered from 0.

    Attributes:
        job: whom messages belong to; empty between jobs.
        broken: whether the reader is gone.
    """

    def __init__(self, descriptor: int) -> None:
        self.job = ""
        self.broken = False
        self._descriptor = descriptor
        self._lock = threading.RLock()
        self._number = 0
        self._open = False

    def begin(self, job: str) -> bool:
        """Opens a job; False, and nothing happens, while another one is open."""
        with self._lock:
            if self._open:
                return False
            self.job, self._open = job, True
            return True

    def send(self, message: Message, *, job: str | None = None) -> None:
        """Writes one line, for the open job unless another one is named."""
        with self._lock:
            head = {"v": VERSION, "job": self.job if job is None else job, "seq": self._number, "t": time.time()}
            line = json.dumps(
                {**head, "type": message.type, **message.model_dump()}, ensure_ascii=False, allow_nan=False
            )
            data = line.encode("utf-8", "replace") + b"\n"
            if len(data) > MAX_LINE:
                raise ProtocolError(f"a message of type {message.type} has {len(data):,} bytes, more than {MAX_LINE:,}")
            self._number += 1
            self._write(data)

    def end(self, finish: Callable[[], Message], *, timeout: float = -1) -> None:
        """Closes the job with the message that `finish` returns; nothing happens if it is closed already.

        Args:
            finish: runs while no other thread can end the job; what it raises leaves the job open.
            timeout: time to wait for other threads that are writing [s]; -1 is for ever.
        """
        if not self._lock.acquire(timeout=timeout):
            return
        try:
            if self._open:
                self.send(finish())
                self.job, self._open = "", False
        finally:
            self._lock.release()

    def _write(self, data: bytes) -> None:
        while data and not self.broken:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError:
                self.broken = True
