# SPDX-License-Identifier: Apache-2.0
"""Outputs that appear complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from usd_export.errors import UsdExportError


def require_writable_folder(folder: Path) -> None:
    """Raise UsdExportError unless new files can be made in `folder`."""
    if not folder.is_dir():
        raise UsdExportError(f"folder {folder} does not exist; create it or choose another output")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsdExportError(f"folder {folder} is read-only; change its permissions or choose another output")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target` to write to, and rename it to `target` if the block succeeds.

    Raises:
        UsdExportError: If `target` is a folder, its folder is missing or read-only, or the disk refuses the data.
    """
    require_writable_folder(target.absolute().parent)
    if target.is_dir():
        raise UsdExportError(f"{target} is a folder; choose another output name")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise UsdExportError(f"{target} could not be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
