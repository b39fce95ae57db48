# SPDX-License-Identifier: Apache-2.0
"""The one exception family of `usd_export`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UsdExportError(Exception):
    """A failure the user can act on: the message says what was wrong, where, and what to do."""


@contextmanager
def located(where: object) -> Iterator[None]:
    """Put the place in front of the message of an error that rises inside the block."""
    try:
        yield
    except UsdExportError as error:
        raise UsdExportError(f"{where}: {error}") from error
