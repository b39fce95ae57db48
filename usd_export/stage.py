# SPDX-License-Identifier: Apache-2.0
"""Opening USD files of unknown quality."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pxr import Tf, Usd, UsdUtils

from usd_export.errors import UsdExportError

USD_SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")


def open_stage(path: Path) -> Usd.Stage:
    """Open a USD file.

    Raises:
        UsdExportError: If the file is missing, empty, truncated, or no USD; in one line.
    """
    if not path.is_file():
        raise UsdExportError(f"{path} does not exist or is not a file")
    if path.stat().st_size == 0:
        raise UsdExportError(f"{path} is empty; expected a USD file")
    try:
        with quiet():
            return Usd.Stage.Open(str(path))
    except Tf.ErrorException as error:
        raise UsdExportError(f"{path} is damaged or not a USD file ({tf_message(error)}); write it again") from error


def tf_message(error: Tf.ErrorException) -> str:
    """The first message of a USD exception, without the place in USD's source."""
    first = error.args[0] if error.args else None
    return str(getattr(first, "commentary", first) or "unknown error").splitlines()[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep USD's warnings off the terminal."""
    delegate = UsdUtils.CoalescingDiagnosticDelegate()
    try:
        yield
    finally:
        delegate.TakeUncoalescedDiagnostics()
        del delegate
