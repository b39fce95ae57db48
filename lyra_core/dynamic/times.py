# SPDX-License-Identifier: Apache-2.0
"""Which instants of a clip are reconstructed."""

from __future__ import annotations

import re

from lyra_core.errors import LyraError

PUBLISHED_STEP = 4
"""Frames between the instants that the published demo renders."""

_RANGE = re.compile(r"(-?\d*):(-?\d*)(?::(-?\d*))?")


def parse_times(text: str, frames: int) -> list[int]:
    """Frame numbers, ascending, without repetition.

    Args:
        text: `start:stop:step` as Python slices count (0:121:4 is 0, 4, ..., 120; what lies beyond the clip is left
            out), `all`, or numbers and ranges with commas.
        frames: of the clip.

    Raises LyraError for anything else, single numbers that the clip does not have, and an empty choice.
    """
    chosen: set[int] = set()
    for piece in text.replace(" ", "").split(","):
        chosen |= _piece(piece, text, frames)
    if not chosen:
        raise LyraError(f"--times {text} chooses none of the {frames} frames of the clip. Use e.g. 0:{frames}:4.")
    return sorted(chosen)


def _piece(piece: str, text: str, frames: int) -> set[int]:
    if piece == "all":
        return set(range(frames))
    if piece.isdecimal():
        if int(piece) >= frames:
            raise LyraError(f"--times {text}: the clip has frames 0 to {frames - 1}, so there is no {piece}.")
        return {int(piece)}
    match = _RANGE.fullmatch(piece)
    if match is None or match.group(3) in ("0", "-"):
        raise LyraError(
            f"--times {text} is not understood. Use start:stop:step such as 0:{frames}:4, or 0,8,16, or all."
        )
    start, stop, step = (int(part) if part else None for part in match.groups(""))
    return set(range(*slice(start, stop, step).indices(frames)))
