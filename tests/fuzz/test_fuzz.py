# SPDX-License-Identifier: Apache-2.0
"""A short run of damaged files through every reader; `python -m tests.fuzz.run` is the long one."""

from __future__ import annotations

import gc
from pathlib import Path
from random import Random

import numpy as np
import pytest

from .formats import FORMATS, LAYERS, Format
from .mutate import mutated
from .run import run
from .worker import limits, outcome

# The long run covers these numbers too; a case that failed there is added here by its number.
FIRST = 1_000_000


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_refused_or_read(name: str, tmp_path: Path) -> None:
    count = 5 if name in LAYERS else 80
    tally = run(name, FIRST, FIRST + count, tmp_path)
    assert tally.failures == {}
    assert sum(tally.outcomes.values()) == count
    assert tally.outcomes["refused"] > 0


@pytest.mark.parametrize("name", FORMATS)
def test_undamaged_files_are_read(name: str, tmp_path: Path) -> None:
    """Damage to files that would be refused anyway finds nothing."""
    FORMATS[name].write_seeds(tmp_path)
    files = sorted(tmp_path.iterdir())
    assert files
    assert {file.name: outcome(FORMATS[name], file) for file in files} == {
        file.name: ("accepted", "") for file in files
    }


def reader(read: object) -> Format:
    return Format(write_seeds=lambda folder: None, read=read)  # type: ignore[arg-type]


def test_the_harness_notices_stack_traces(tmp_path: Path) -> None:
    kind, message = outcome(reader(lambda path: path.read_bytes()[0]), tmp_path / "missing")
    assert (kind, message.split(":")[0]) == ("failed", "FileNotFoundError")


def test_the_harness_notices_memory(tmp_path: Path) -> None:
    """Of a gigabyte: this process has run other tests, and may give back more than the margin meanwhile."""
    gc.collect()
    with limits(64 << 20):
        assert outcome(reader(lambda path: np.ones(128 << 20)), tmp_path)[0] == "failed"
        assert outcome(reader(lambda path: np.ones(4 << 20)), tmp_path)[0] == "accepted"


def test_the_harness_notices_writing(tmp_path: Path) -> None:
    with limits(64 << 20):
        assert outcome(reader(lambda path: (path / "new").write_text("text")), tmp_path)[0] == "failed"


def test_cases_can_be_repeated() -> None:
    seeds = [bytes(range(256)), b"property float x 12 34\n" * 9]
    assert [mutated(seeds, Random(case)) for case in range(99)] == [mutated(seeds, Random(case)) for case in range(99)]
    assert len({mutated(seeds, Random(case)) for case in range(99)}) > 90
