# SPDX-License-Identifier: Apache-2.0
"""Scenes that this process has written or examined itself, and whose files nobody has touched since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from usd_export.opening.references import absolute

_Identity = tuple[int, int, int, int, int]
_scenes: dict[Path, dict[Path, _Identity]] = {}


def vouch_for_scene(root: Path, files: Iterable[Path]) -> None:
    """Remember that a scene can be opened without a check, as long as its files stay as they are now."""
    _scenes[absolute(root)] = {absolute(file): _identity(file) for file in files}


def vouch_for(written: Sequence[Path]) -> None:
    """Remember the files that were just written, each of them as the root of a scene made of all."""
    for file in written:
        vouch_for_scene(file, written)


def trusted_files(root: Path) -> list[Path] | None:
    """Files of a remembered scene; None if the scene is unknown or one of its files has changed."""
    remembered = _scenes.get(absolute(root))
    if remembered is None or any(not file.exists() or _identity(file) != known for file, known in remembered.items()):
        return None
    return list(remembered)


def _identity(file: Path) -> _Identity:
    status = file.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
