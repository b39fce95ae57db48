# SPDX-License-Identifier: Apache-2.0
"""One worker at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lyra_core.errors import LyraError


@contextmanager
def locked(path: Path, refusal: Callable[[str], str]) -> Iterator[None]:
    """Holds the lock file `path` while the block runs.

    The lock is the system's (`flock`), so that a killed process leaves none behind.

    Args:
        path: made if needed, in a folder that exists.
        refusal: what to say when another process holds the lock; gets that process's number, or "unknown".

    Raises LyraError then.
    """
    import fcntl  # not on Windows, where the rest of this package works

    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LyraError(refusal(file.read().strip() or "unknown")) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
