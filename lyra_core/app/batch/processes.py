# SPDX-License-Identifier: Apache-2.0
"""Workers as processes of this machine: one that dies is replaced, and what it was at is tried again.

A process pool of the standard library gives up when one of its processes is killed, hence this supervisor. It talks to
each worker through a pipe of its own; a worker whose supervisor is gone ends with the scene that it is at.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from lyra_core.app.batch.maker import Maker, Orders, Outcome
from lyra_core.app.batch.wishes import Wish
from lyra_core.errors import LyraError

_SPAWN = multiprocessing.get_context("spawn")
_TICK = 0.5  # seconds between two looks at whether the run is to stop
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0  # seconds without new work after a disk was full

Result = tuple[Wish, Outcome]


@dataclass(frozen=True)
class Patience:
    """When to give up.

    Attributes:
        tries: of one scene, at most.
        disk: seconds to wait for space on the disk in a row.
    """

    tries: int = 3
    disk: float = 600.0


@dataclass
class _Worker:
    """A process and what it is at."""

    process: BaseProcess
    pipe: Connection
    wish: Wish | None = None

    @classmethod
    def start(cls, orders: Orders) -> _Worker:
        here, there = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_serve, args=(orders, there), daemon=True)
        process.start()
        there.close()
        return cls(process, here)

    def give(self, wish: Wish) -> None:
        self.wish = wish
        with contextlib.suppress(OSError):  # it has died meanwhile: its end will be noticed
            self.pipe.send(wish)

    def result(self) -> Outcome | None:
        """What it has to say; None when it has died."""
        try:
            outcome: Outcome = self.pipe.recv()
        except (EOFError, OSError):
            return None
        return outcome


def _serve(orders: Orders, pipe: Connection) -> None:
    """Life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the supervisor decides
    maker = Maker(orders)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(maker(pipe.recv()))


@dataclass
class Supervisor:
    """Hands wishes to workers.

    Attributes:
        orders: for every worker.
        workers: how many.
        patience: when to give up.
        stopping: asked now and then; True lets the running scenes finish and starts no others.
        tell: hears what a user should know.
    """

    orders: Orders
    workers: int
    patience: Patience
    stopping: Callable[[], bool]
    tell: Callable[[str], None]
    _tries: dict[str, int] = field(default_factory=dict)
    _pause_until: float = 0.0
    _pause: float = 0.0
    _full_since: float | None = None

    def run(self, wishes: Sequence[Wish]) -> Iterator[Result]:
        """What becomes of the wishes, in the order in which they are done; only final outcomes come out.

        Raises LyraError when the disk stays full.
        """
        waiting, team = deque(wishes), [_Worker.start(self.orders) for _ in range(min(self.workers, len(wishes)))]
        try:
            while waiting or any(worker.wish for worker in team):
                self._hand_out(waiting, team)
                busy = [worker for worker in team if worker.wish]
                if not busy and self.stopping():
                    return
                ready = wait([worker.pipe for worker in busy], timeout=_TICK)
                if not busy:
                    time.sleep(_TICK)
                for worker in (worker for worker in busy if worker.pipe in ready):
                    final = self._settle(worker, waiting)
                    if not worker.process.is_alive() or worker.wish:
                        team[team.index(worker)] = self._replaced(worker)
                    if final:
                        yield final
        finally:
            for worker in team:
                worker.process.terminate()

    def _hand_out(self, waiting: deque[Wish], team: Sequence[_Worker]) -> None:
        if self.stopping() or time.monotonic() < self._pause_until:
            return
        for worker in team:
            if worker.wish is None and waiting:
                worker.give(waiting.popleft())

    def _settle(self, worker: _Worker, waiting: deque[Wish]) -> Result | None:
        """Deals with what a worker says, or with its death; the final outcome, if it is one."""
        wish, outcome = worker.wish, worker.result()
        assert wish is not None
        if outcome is None:
            worker.process.join()
            code = worker.process.exitcode
            outcome = Outcome("again", f"it ended its worker ({_cause(code)})")
        else:
            worker.wish = None
        if outcome.end == "disk full":
            self._wait_for_space(outcome.reason)
            waiting.appendleft(wish)
            return None
        self._full_since, self._pause = None, 0.0
        if outcome.end == "again":
            self._tries[wish.name] = self._tries.get(wish.name, 0) + 1
            if self._tries[wish.name] < self.patience.tries:
                self.tell(f"{wish.name}: {outcome.reason}; trying again")
                waiting.append(wish)
                return None
        return wish, outcome

    def _wait_for_space(self, reason: str) -> None:
        now = time.monotonic()
        self._full_since = now if self._full_since is None else self._full_since
        if now - self._full_since > self.patience.disk:
            raise LyraError(f"{reason}. Free some space and run the command again: it goes on from here.")
        if now >= self._pause_until:
            self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
            self._pause_until = now + self._pause
            self.tell(f"{reason}; waiting for space")

    def _replaced(self, dead: _Worker) -> _Worker:
        dead.pipe.close()
        return _Worker.start(self.orders)


def _cause(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit status {code}"
    if code == -signal.SIGKILL:
        return "SIGKILL, most likely for lack of memory"
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
