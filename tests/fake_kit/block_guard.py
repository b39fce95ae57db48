# SPDX-License-Identifier: Apache-2.0
"""A blocking call on the main thread while Kit runs our code is an error, whatever the clock says.

Kit draws the window between two callbacks; a callback that waits freezes it. While the fake Kit calls the extension,
every function of the standard library that can wait raises `BlockingCall` on the main thread. The shutdown may wait,
but only for a bounded time.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import functools
import os
import queue
import select
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

LONGEST_SHUTDOWN_WAIT_S = 10.0


class BlockingCall(BaseException):
    """Raised in place of a call that waits. No `except Exception` of the extension swallows it."""


class BlockGuard:
    """Patches the waiting functions; harmless until `watching` is entered."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._depth = 0
        self._shutdown = False
        self._restore: list[Callable[[], None]] = []
        self._main = threading.main_thread()

    @contextlib.contextmanager
    def watching(self, *, shutdown: bool = False) -> Iterator[None]:
        """Calls that wait raise in this context; with `shutdown`, those with a bounded timeout are let through."""
        before = self._depth, self._shutdown
        self._depth, self._shutdown = self._depth + 1, shutdown
        try:
            yield
        finally:
            self._depth, self._shutdown = before

    @contextlib.contextmanager
    def off(self) -> Iterator[None]:
        """The fake's own waiting (its event loop, the start of a thread) is let through."""
        before, self._depth = self._depth, 0
        try:
            yield
        finally:
            self._depth = before

    def check(self, name: str, timeout_s: float | None) -> None:
        """Raise where a call that may wait this long (None: for ever) would freeze the window."""
        if not self._depth or threading.current_thread() is not self._main or timeout_s == 0:
            return
        if self._shutdown and timeout_s is not None and timeout_s <= LONGEST_SHUTDOWN_WAIT_S:
            return
        limit = "without a bounded timeout in the shutdown" if self._shutdown else "on the main thread"
        self.calls.append(f"{name} {limit}")
        raise BlockingCall(f"{name} was called {limit}: Kit's window stands still")

    def install(self) -> None:
        """Patch the standard library; `uninstall` takes everything back."""
        for owner, name, timeout in _WAITING:
            self._guard(owner, name, timeout)
        self._replace(queue, "SimpleQueue", self._simple_queue())
        start = threading.Thread.start

        @functools.wraps(start)
        def start_unguarded(thread: threading.Thread) -> None:
            with self._off_on_main():
                start(thread)

        self._replace(threading.Thread, "start", start_unguarded)

    def uninstall(self) -> None:
        """The standard library as it was."""
        while self._restore:
            self._restore.pop()()

    def _off_on_main(self) -> contextlib.AbstractContextManager[None]:
        return self.off() if threading.current_thread() is self._main else contextlib.nullcontext()

    def _guard(self, owner: Any, name: str, timeout: Callable[..., float | None]) -> None:
        original = getattr(owner, name)
        label = f"{getattr(owner, '__module__', '')}.{owner.__name__}.{name}".removeprefix(".")

        @functools.wraps(original)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.check(label, timeout(*args, **kwargs))
            return original(*args, **kwargs)

        self._replace(owner, name, guarded)

    def _replace(self, owner: Any, name: str, value: Any) -> None:
        inherited = name not in vars(owner)
        original = getattr(owner, name)
        setattr(owner, name, value)
        self._restore.append(lambda: delattr(owner, name) if inherited else setattr(owner, name, original))

    def _simple_queue(self) -> type:
        guard = self

        class SimpleQueue(queue.SimpleQueue[Any]):
            def get(self, block: bool = True, timeout: float | None = None) -> Any:
                guard.check("queue.SimpleQueue.get", timeout if block else 0)
                return super().get(block, timeout)

        return SimpleQueue


def _for_ever(*args: Any, **kwargs: Any) -> None:
    return None


def _first(seconds: float) -> float:
    return seconds


def _keyword_or_second(owner: Any, timeout: float | None = None) -> float | None:
    return timeout


def _communicate(process: Any, input: Any = None, timeout: float | None = None) -> float | None:
    return timeout


def _queue_get(owner: Any, block: bool = True, timeout: float | None = None) -> float | None:
    return timeout if block else 0


def _queue_put(owner: Any, item: Any, block: bool = True, timeout: float | None = None) -> float | None:
    return timeout if block and owner.maxsize > 0 else 0


def _select(readers: Any, writers: Any, others: Any, timeout: float | None = None) -> float | None:
    return timeout


def _waitpid(pid: int, options: int) -> float | None:
    return 0 if options & getattr(os, "WNOHANG", 0) else None


def _socket(own: socket.socket, *args: Any) -> float | None:
    return own.gettimeout()


_WAITING: tuple[tuple[Any, str, Callable[..., float | None]], ...] = (
    (time, "sleep", _first),
    (subprocess.Popen, "wait", _keyword_or_second),
    (subprocess.Popen, "communicate", _communicate),
    (queue.Queue, "get", _queue_get),
    (queue.Queue, "put", _queue_put),
    (queue.Queue, "join", _for_ever),
    (threading.Thread, "join", _keyword_or_second),
    (threading.Event, "wait", _keyword_or_second),
    (threading.Condition, "wait", _keyword_or_second),
    (threading.Barrier, "wait", _keyword_or_second),
    (select, "select", _select),
    (selectors.DefaultSelector, "select", _keyword_or_second),
    (selectors.SelectSelector, "select", _keyword_or_second),
    (socket.socket, "connect", _socket),
    (socket.socket, "accept", _socket),
    (asyncio, "run", _for_ever),
    (asyncio.BaseEventLoop, "run_until_complete", _for_ever),
    (asyncio.BaseEventLoop, "run_forever", _for_ever),
    (os, "system", _for_ever),
    (os, "waitpid", _waitpid),
    (builtins, "input", _for_ever),
)
