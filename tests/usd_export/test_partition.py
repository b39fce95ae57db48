# SPDX-License-Identifier: Apache-2.0
"""Parts of a cloud: complete, disjoint, small enough, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from usd_export.encodings.partition import cell_partitions, kd_partitions


@pytest.fixture
def points() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32) * np.float32([5, 1, 3])


def assert_complete(parts: list[NDArray[np.intp]], count: int) -> None:
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(count))
    assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize("limit", [1, 7, 300, 999, 1000, 5000])
def test_kd_parts_hold_no_more_than_the_limit(points: NDArray[np.float32], limit: int) -> None:
    parts = kd_partitions(points, limit)
    assert_complete(parts, 1000)
    assert max(map(len, parts)) <= limit
    assert min(map(len, parts)) >= min(1000, (limit + 1) // 2)
    again = kd_partitions(points, limit)
    assert all(np.array_equal(part, other) for part, other in zip(parts, again, strict=True))


def test_kd_parts_do_not_overlap(points: NDArray[np.float32]) -> None:
    parts = kd_partitions(points, 100)
    lows, highs = (np.array([reduce(points[part], axis=0) for part in parts]) for reduce in (np.min, np.max))
    for index in range(len(parts)):
        apart = (lows > highs[index]) | (highs < lows[index])
        apart[index] = True
        assert apart.any(axis=1).all()


def test_kd_parts_of_equal_points() -> None:
    parts = kd_partitions(np.zeros((10, 3), np.float32), 3)
    assert_complete(parts, 10)
    assert max(map(len, parts)) <= 3


def test_cells_are_no_longer_than_asked(points: NDArray[np.float32]) -> None:
    parts = cell_partitions(points, 4.0, most=1000)
    assert_complete(parts, 1000)
    assert max(np.ptp(points[part], axis=0).max() for part in parts) <= 4.0 * (1 + 1e-6)
    assert len(cell_partitions(points, 100.0, most=1000)) == 1


def test_the_emptiest_cells_share_the_last_part(points: NDArray[np.float32]) -> None:
    parts = cell_partitions(points, 4.0, most=5)
    assert_complete(parts, 1000)
    whole = cell_partitions(points, 4.0, most=1000)
    assert len(parts) == 5
    assert sorted(map(len, parts[:4])) == sorted(map(len, whole))[-4:]


def test_one_point_far_away_does_not_break_the_grid(points: NDArray[np.float32]) -> None:
    points[3] = 1e30
    parts = cell_partitions(points, 4.0, most=64)
    assert_complete(parts, 1000)
    assert [3] in [part.tolist() for part in parts]
