# SPDX-License-Identifier: Apache-2.0
"""How far a job is, judged by how long the phases of an earlier job of the same kind took.

Each finished job leaves `timings.json` in its folder; the newest one beside a new job that has the same kind counts.
Without one nothing is claimed.
"""

from __future__ import annotations

import contextlib
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, ValidationError

from lyra_core.app.worker_protocol import MAX_LINE, JobRequest
from lyra_core.files import replacing

_FILE = "timings.json"
_MOST_JOBS = 1000
_AT_MOST = 0.99


class _Timings(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: str
    seconds: dict[str, NonNegativeFloat]


class Forecast:
    """Shares of a job.

    Args:
        seconds: how long each phase took, in order [s]; may be empty.
    """

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._total = sum(seconds.values())

    def at(self, finished: dict[str, float], phase: str | None, elapsed: float) -> tuple[float | None, float | None]:
        """Fraction done and seconds to go; both None if no earlier job was measured.

        Args:
            finished: the phases that are over.
            phase: the current one.
            elapsed: time since it began [s].
        """
        if self._total <= 0:
            return None, None
        done = sum(self._seconds.get(name, 0.0) for name in finished)
        if phase not in finished:
            done += min(self._seconds.get(phase or "", 0.0), elapsed)
        left = max(self._total - done, 0.0)
        return round(min(done / self._total, _AT_MOST), 4), round(left, 1)


def earlier_seconds(folder: Path, request: JobRequest) -> dict[str, float]:
    """Seconds per phase of the newest finished job of the same kind beside `folder`; empty if there is none."""
    found: list[tuple[float, Path]] = []
    with contextlib.suppress(OSError):
        for file in islice(folder.parent.glob(f"*/{_FILE}"), _MOST_JOBS):
            found.append((file.stat().st_mtime, file))
    for _, file in sorted(found, reverse=True):
        with contextlib.suppress(OSError, ValidationError):
            with file.open("rb") as stream:
                timings = _Timings.model_validate_json(stream.read(MAX_LINE))
            if timings.kind == _kind(request):
                return timings.seconds
    return {}


def keep_seconds(folder: Path, request: JobRequest, seconds: dict[str, float]) -> None:
    """Leaves the times of a finished job for those after it."""
    timings = _Timings(kind=_kind(request), seconds=seconds)
    with replacing(folder / _FILE) as temporary:
        temporary.write_text(timings.model_dump_json(), encoding="utf-8")


def _kind(request: JobRequest) -> str:
    """What decides how long a job takes."""
    depth = "depth" if request.depth else "no depth"
    collider = request.collider_preset if request.collider else "no collider"
    return f"{request.model}, {request.mode}, {depth}, {collider}, {request.encoding}"
