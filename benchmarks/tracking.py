# SPDX-License-Identifier: Apache-2.0
"""Accuracy of cameras tracked in rendered walks: `python benchmarks/tracking.py [--walks N] [--model NAME]`.

Every walk passes moving things by hand-held camera through a procedural world, 25 frames of 320 x 176, once clean and
once as filmed (noise, blur, exposure that swings). Depth comes from the model's own network, or is exact up to a scale
per frame with `--exact`. Errors are those of `lyra_core.video.accuracy`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import Tensor

from lyra_core.conditioning.depth import DepthEstimate, DepthEstimator
from lyra_core.errors import LyraError
from lyra_core.video.accuracy import accuracy
from lyra_core.video.posed import PosedVideo, VideoClip
from lyra_core.video.tracking import estimate_cameras
from lyra_core.video.walks import filmed, render_walk
from lyra_core.weights.components import build_depth
from lyra_core.weights.presets import load_preset

FIRST_SEED, FRAMES, HEIGHT, WIDTH = 2_000_001, 25, 176, 320


class ExactUpToScale:
    """True depth, each frame's at a scale of its own."""

    def __init__(self, truth: PosedVideo) -> None:
        self._maps, self._lens = iter(truth.depth), truth.cameras.intrinsics[0]
        self._random = torch.Generator().manual_seed(0)

    def __call__(self, image: Tensor) -> DepthEstimate:
        z = next(self._maps)
        scale = torch.exp(0.2 * torch.randn((), generator=self._random)) / z.median()
        return DepthEstimate(z * scale, torch.ones_like(z, dtype=torch.bool), self._lens, "network")


def row(name: str, frames: Tensor, estimator: DepthEstimator, truth: PosedVideo) -> str:
    """One line of the table."""
    pixels = (frames * 255).round().to(torch.uint8).numpy()
    clip = VideoClip(pixels, np.arange(len(frames)) / 24, name, source_size=(HEIGHT, WIDTH))
    start = time.process_time()
    try:
        found = estimate_cameras(clip, estimator)
    except LyraError as error:
        return f"{name}: refused: {error}"
    errors, seconds = accuracy(found, truth), time.process_time() - start
    return (
        f"{name}: position {errors.position:.2%} of the path, rotation {errors.rotation:.2f} (worst "
        f"{errors.worst_rotation:.2f}) degrees, |log depth| {errors.depth:.3f}, flicker {errors.flicker:.3f}, "
        f"{seconds:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walks", type=int, default=6)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--exact", action="store_true")
    options = parser.parse_args()
    network = None if options.exact else build_depth(load_preset(options.model))
    for seed in range(FIRST_SEED, FIRST_SEED + options.walks):
        truth = render_walk(seed, FRAMES, HEIGHT, WIDTH)
        for kind, frames in (("clean", truth.frames), ("filmed", filmed(truth.frames, seed=0))):
            print(row(f"{seed} {kind}", frames, network or ExactUpToScale(truth), truth), flush=True)


if __name__ == "__main__":
    main()
