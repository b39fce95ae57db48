# SPDX-License-Identifier: Apache-2.0
"""Which frames and views of a clip a training step sees, as in the published training (Lyra, arXiv 2509.19296).

Frame numbers count in the clip on disk. A clip longer than the stage's input is thinned at random within a random
stretch; one as long is taken whole; a shorter one is played forwards and backwards until it is long enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lyra_core.errors import LyraError

GAP_RANGE = (45, 121)
"""Frames between the first and the last input of a thinned clip, both ends included, before it is clamped."""

LATE_FACTOR = 3.0
"""Late targets are favoured by exp(LATE_FACTOR * position), position 0 for the first and 1 for the last frame."""


@dataclass(frozen=True)
class FrameChoice:
    """Frame numbers of one sample.

    Attributes:
        inputs: in the order of time `[F]`; a ping-pong clip repeats numbers.
        targets: without repetition, ascending `[N]`.
    """

    inputs: np.ndarray
    targets: np.ndarray


def choose_frames(rng: np.random.Generator, available: int, inputs: int, targets: int, *, late: bool) -> FrameChoice:
    """Input and target frames of a clip.

    Args:
        rng: decides.
        available: frames of the clip.
        inputs: frames F that the decoder takes.
        targets: pictures wanted per view; fewer where the clip has fewer.
        late: favour late targets, instead of all alike.

    Raises LyraError for numbers that cannot be.
    """
    if available < 1 or inputs < 2 or targets < 1:
        raise LyraError(f"cannot draw {inputs} input and {targets} target frames from a clip of {available}.")
    if available > inputs:
        first, last, chosen = _thinned(rng, available, inputs)
    else:
        first, last, chosen = 0, available - 1, ping_pong(available, inputs)
    candidates = np.arange(first, last + 1)
    return FrameChoice(chosen, choose_targets(rng, candidates, targets, late=late))


def choose_targets(rng: np.random.Generator, candidates: np.ndarray, count: int, *, late: bool) -> np.ndarray:
    """`count` of the candidate frames `[K]`, ascending, without repetition; all of them where there are no more."""
    position = np.linspace(0.0, 1.0, len(candidates))
    weight = np.exp(LATE_FACTOR * position) if late else np.ones_like(position)
    drawn = rng.choice(candidates, min(count, len(candidates)), replace=False, p=weight / weight.sum())
    return np.sort(drawn)


def choose_views(rng: np.random.Generator, available: int, limit: int, *, drawn_count: bool) -> np.ndarray:
    """Views of one sample, in random order: `limit` of them, or a number drawn uniformly from 1 to `limit`.

    Raises LyraError where the clip has fewer views than the limit.
    """
    if available < limit:
        raise LyraError(f"a stage with {limit} input views got a clip with {available}. A view is missing.")
    count = int(rng.integers(1, limit + 1)) if drawn_count else limit
    return rng.permutation(available)[:count]


def ping_pong(available: int, count: int) -> np.ndarray:
    """Frame numbers 0 .. n-1, n-2 .. 0, 1 ..: a clip mirrored in time until it has `count` frames."""
    forth = np.arange(available)
    period = np.concatenate((forth, forth[-2:0:-1]))
    return np.resize(period, count)


def _thinned(rng: np.random.Generator, available: int, count: int) -> tuple[int, int, np.ndarray]:
    """First, last and all input frames of a clip with more than `count`: both ends, and a random subset between."""
    gap = int(np.clip(rng.integers(GAP_RANGE[0], GAP_RANGE[1] + 1), count, available - 1))
    first = int(rng.integers(0, available - gap))
    last = first + gap
    between = np.sort(rng.choice(np.arange(first + 1, last), count - 2, replace=False))
    return first, last, np.concatenate(([first], between, [last]))
