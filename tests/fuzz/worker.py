# SPDX-License-Identifier: Apache-2.0
"""Reads damaged files one after the other, under limits; `tests.fuzz.run` starts it and notices its death.

For each case it prints a line with the number before, and one with the outcome after: accepted, refused (a typed error
of one line) or failed (anything else, such as MemoryError), with a message.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from usd_export.errors import UsdExportError

from .formats import FORMATS, Format, content, suffix

CASE_SECONDS = 10.0


def main(name: str, seed_folder: str, scratch: str, first: int, last: int) -> None:
    """Run the cases `first` to `last - 1` of a format."""
    warnings.simplefilter("ignore")
    form = FORMATS[name]
    seed_files = sorted(Path(seed_folder).iterdir())
    for file in seed_files:  # whatever is loaded on first use must not count
        outcome(form, file)
    seeds = [file.read_bytes() for file in seed_files]
    path = Path(scratch) / f"case{suffix(name)}"
    for case in range(first, last):
        print(json.dumps([case]), flush=True)
        data = content(name, seeds, case)
        path.write_bytes(data)
        with limits(2 * max(len(data), *(len(seed) for seed in seeds)) + form.allowance):
            result = outcome(form, path)
        print(json.dumps([case, *result]), flush=True)


def outcome(form: Format, path: Path) -> tuple[str, str]:
    """What reading a file leads to."""
    try:
        form.read(path)
    except UsdExportError as error:
        message = str(error)
        return ("refused", message) if message and "\n" not in message else ("failed", f"not one line: {message!r}")
    except Exception as error:  # a stack trace is what users must never see
        return "failed", f"{type(error).__name__}: {error}"
    return "accepted", ""


@contextmanager
def limits(more_bytes: int) -> Iterator[None]:
    """Little more memory than now, no writing to files, and death after too much processor time."""
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    wanted = {resource.RLIMIT_AS: in_use + more_bytes, resource.RLIMIT_FSIZE: 0}
    before = {limit: resource.getrlimit(limit) for limit in wanted}
    for limit, value in wanted.items():
        resource.setrlimit(limit, (value, before[limit][1]))
    signal.setitimer(signal.ITIMER_PROF, CASE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        for limit, value in before.items():
            resource.setrlimit(limit, value)


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:6]))
