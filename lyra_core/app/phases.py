# SPDX-License-Identifier: Apache-2.0
"""Listening to a run: which phase it is in, and how long each one took."""

from __future__ import annotations

import time


class PhaseListener:
    """A progress callback that keeps the wall time of every phase; the base of all that show progress.

    Attributes:
        seconds: wall time of every finished phase, in order [s].
        phase: the current one; None before the first and after `finish`.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.phase: str | None = None
        self._start = 0.0

    def __call__(self, phase: str, step: int, total: int) -> None:
        """The `Progress` protocol: a new phase name ends the phase before."""
        if phase != self.phase:
            self.finish()
            self.phase, self._start = phase, time.monotonic()
            self.begun(phase)
        self.stepped(step, total)

    @property
    def elapsed(self) -> float:
        """Time since the current phase began [s]."""
        return time.monotonic() - self._start

    def finish(self) -> None:
        """Ends the current phase, so that `seconds` is complete."""
        if self.phase is None:
            return
        phase, seconds = self.phase, self.elapsed
        self.seconds[phase] = round(self.seconds.get(phase, 0.0) + seconds, 3)
        self.phase = None
        self.ended(phase, seconds)

    def note(self, text: str) -> None:
        """Called with a sentence about how the work is done, e.g. which memory plan was chosen."""

    def begun(self, phase: str) -> None:
        """Called when a phase begins."""

    def stepped(self, step: int, total: int) -> None:
        """Called at every report of the current phase; `step` runs from 0 to `total`."""

    def ended(self, phase: str, seconds: float) -> None:
        """Called when a phase is over."""
