# SPDX-License-Identifier: Apache-2.0
"""Main memory for the videos: one clip is worked on, and each further video costs only what is kept of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.memory.peak import PeakMemory
from lyra_core.memory.plan import RESERVE, SEQUENTIAL, Plan, estimate
from lyra_core.memory.sizes import model_sizes
from lyra_core.pipeline import LyraPipeline, camera_paths

HEIGHT, WIDTH, FRAMES = 64, 128, 17
KEPT = 3 * 4 + 4 + 1
"""Bytes per pixel of a finished video: colour, depth and mask."""


@pytest.fixture
def peak(pipeline: Callable[[], LyraPipeline]) -> Callable[[int], tuple[int, LyraPipeline]]:
    """Bytes held at most while the videos of so many paths are made, cache and tokenizer included."""
    z = torch.ones(HEIGHT, WIDTH)
    z[20:50, 40:80] = 0.5
    image = torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))

    def measure(views: int) -> tuple[int, LyraPipeline]:
        pipe = pipeline()
        paths = ("left", "right", "up", "zoom_out", "zoom_in", "clockwise")[:views]
        size = {"image_size": (HEIGHT, WIDTH), "video_size": (HEIGHT, WIDTH)}
        pipe.preset = pipe.preset.model_copy(update={"paths": paths, "frames": FRAMES, **size})
        lens = torch.tensor(pipe.preset.assumed_intrinsics(HEIGHT, WIDTH))
        depth = DepthEstimate(z, torch.ones_like(z, dtype=torch.bool), lens, "steps")
        with PeakMemory() as memory:
            guidance = pipe.guidance(image, depth, camera_paths(depth, pipe.preset))
            pipe.videos(guidance, image, torch.Generator().manual_seed(0))
        return memory.peak, pipe

    return measure


def test_one_clip_is_worked_on_and_the_estimate_holds(peak: Callable[[int], tuple[int, LyraPipeline]]) -> None:
    """Without a GPU all is in one memory; the weights are there before."""
    few, (many, pipe) = peak(2)[0], peak(5)
    kept = (5 - 2) * KEPT * HEIGHT * WIDTH * FRAMES
    assert kept < many - few < 1.1 * kept
    sizes = model_sizes(pipe.preset, word=4)
    stages = estimate(sizes, Plan((SEQUENTIAL,)), gpu=False).stages
    expected = stages["tokenizer decode"] - RESERVE - 4 * sizes.tokenizer.parameters
    assert 0.98 * many < expected < 1.25 * many
