# SPDX-License-Identifier: Apache-2.0
"""How long work reports where it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with (phase name, step, total steps); step runs from 0 to total."""


def no_progress(phase: str, step: int, total: int) -> None:
    """The default listener: stays silent."""
