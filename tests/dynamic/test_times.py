# SPDX-License-Identifier: Apache-2.0
"""Which instants a user asks for."""

from __future__ import annotations

import pytest

from lyra_core.dynamic.times import parse_times
from lyra_core.errors import LyraError


@pytest.mark.parametrize(
    ("text", "frames", "expected"),
    [
        ("0:121:4", 121, list(range(0, 121, 4))),
        ("0:121:4", 17, [0, 4, 8, 12, 16]),
        ("all", 3, [0, 1, 2]),
        ("0, 60,120", 121, [0, 60, 120]),
        ("::8", 17, [0, 8, 16]),
        ("5,0:3", 9, [0, 1, 2, 5]),
        ("-2:", 9, [7, 8]),
    ],
)
def test_times(text: str, frames: int, expected: list[int]) -> None:
    assert parse_times(text, frames) == expected


@pytest.mark.parametrize("text", ["", "a", "0:9:0", "0:9:-", "1.5", "9", "20:30", "0:1:2:3", "--"])
def test_what_chooses_nothing_is_refused(text: str) -> None:
    with pytest.raises(LyraError, match="--times"):
        parse_times(text, 9)
