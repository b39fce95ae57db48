# SPDX-License-Identifier: Apache-2.0
"""Frames and views of a sample, against the published rules."""

from __future__ import annotations

import numpy as np
import pytest

from lyra_core.distillation.sampling import choose_frames, choose_targets, choose_views, ping_pong
from lyra_core.errors import LyraError


@pytest.mark.parametrize("count", [17, 49])
def test_a_long_clip_is_thinned_within_a_stretch(count: int) -> None:
    stretches = []
    for seed in range(300):
        choice = choose_frames(np.random.default_rng(seed), 121, count, count, late=False)
        first, last = choice.inputs[0], choice.inputs[-1]
        assert len(choice.inputs) == len(set(choice.inputs)) == count
        assert (np.diff(choice.inputs) > 0).all() and first >= 0 and last < 121
        assert len(choice.targets) == len(set(choice.targets)) == count
        assert first <= choice.targets[0] and choice.targets[-1] <= last
        stretches.append(last - first)
    assert min(stretches) >= max(45, count) and max(stretches) == 120
    assert len(set(stretches)) > 50


def test_a_clip_of_the_right_length_is_taken_whole() -> None:
    choice = choose_frames(np.random.default_rng(0), 121, 121, 9, late=False)
    assert choice.inputs.tolist() == list(range(121))
    assert len(set(choice.targets)) == 9


def test_a_short_clip_is_mirrored() -> None:
    assert ping_pong(4, 9).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    choice = choose_frames(np.random.default_rng(0), 4, 9, 9, late=False)
    assert choice.inputs.tolist() == ping_pong(4, 9).tolist()
    assert choice.targets.tolist() == [0, 1, 2, 3]


def test_late_targets_are_favoured_by_the_exponential() -> None:
    """A single draw has exactly the published weights exp(3 * position)."""
    rng, frames = np.random.default_rng(0), np.arange(11)
    drawn = np.bincount([choose_targets(rng, frames, 1, late=True)[0] for _ in range(20_000)], minlength=11) / 20_000
    expected = np.exp(3 * np.linspace(0, 1, 11))
    assert np.abs(drawn - expected / expected.sum()).max() < 0.012
    even = np.bincount([choose_targets(rng, frames, 1, late=False)[0] for _ in range(20_000)], minlength=11) / 20_000
    assert np.abs(even - 1 / 11).max() < 0.012


def test_views_come_in_any_number_and_order() -> None:
    rng = np.random.default_rng(0)
    counts = np.bincount([len(choose_views(rng, 6, 6, drawn_count=True)) for _ in range(6000)], minlength=7)
    assert counts[0] == 0 and np.abs(counts[1:] / 6000 - 1 / 6).max() < 0.02
    firsts = np.bincount([choose_views(rng, 6, 1, drawn_count=False)[0] for _ in range(6000)], minlength=6)
    assert np.abs(firsts / 6000 - 1 / 6).max() < 0.02
    assert sorted(choose_views(rng, 6, 6, drawn_count=False)) == list(range(6))


def test_impossible_wishes_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(LyraError, match="A view is missing"):
        choose_views(rng, 5, 6, drawn_count=True)
    with pytest.raises(LyraError, match="cannot draw"):
        choose_frames(rng, 0, 17, 17, late=False)
