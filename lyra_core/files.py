# SPDX-License-Identifier: Apache-2.0
"""Writing files so that a failed run leaves the old content, or nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lyra_core.errors import LyraError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` (same suffix); renames it over `path` on success, removes it otherwise."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def require_writable_folder(path: Path) -> None:
    """Raises LyraError unless a new file can be made in the folder of `path`."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise LyraError(f"folder {folder} does not exist. Create it first, or choose another output.")
    try:
        with tempfile.TemporaryFile(dir=folder):  # permissions alone do not tell: a mount can be read-only
            pass
    except OSError as error:
        raise LyraError(
            f"folder {folder} is not writable ({error.strerror}). Change its permissions, or choose another output."
        ) from error
