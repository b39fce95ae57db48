# SPDX-License-Identifier: Apache-2.0
"""How the loops of the report card are compiled."""

from __future__ import annotations

from collections.abc import Callable

from numba import njit


def compiled(function: Callable) -> Callable:
    """Compile on first call and keep the machine code on disk, where a folder for it can be written."""
    try:
        return njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no such folder
        return njit(error_model="numpy")(function)
