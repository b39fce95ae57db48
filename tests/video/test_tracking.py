# SPDX-License-Identifier: Apache-2.0
"""Cameras from the pictures alone, against rendered walks whose cameras and depth are exact."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError
from lyra_core.video.accuracy import accuracy
from lyra_core.video.posed import PosedVideo, VideoClip
from lyra_core.video.resection import moved, projected, resect
from lyra_core.video.tracking import estimate_cameras
from lyra_core.video.walks import HAND_HELD, TRIPOD, Walk, filmed, render_walk

FRAMES, HEIGHT, WIDTH = 13, 96, 176


@cache
def rendered(walk: Walk) -> PosedVideo:
    return render_walk(2_000_003, FRAMES, HEIGHT, WIDTH, walk)


def clip_of(frames: Tensor, *, moving: bool = True) -> VideoClip:
    pixels = (frames * 255).round().to(torch.uint8).numpy()
    size = (frames.shape[1], frames.shape[2])
    return VideoClip(pixels, np.arange(len(frames)) / 24, "walk.mp4", source_size=size, moving=moving)


class FrameByFrame:
    """A depth network's ways: the scale of every frame is its own, and each map is bent by some percent."""

    def __init__(self, truth: PosedVideo, *, bend: float = 0.1, lens: float = 1.0) -> None:
        self.truth, self.bend = truth, bend
        self.lens = truth.cameras.intrinsics[0] * torch.tensor((lens, lens, 1, 1))
        self.generator = torch.Generator().manual_seed(0)
        self.number = 0

    def __call__(self, image: Tensor) -> DepthEstimate:
        z = self.truth.depth[self.number]
        self.number += 1
        coarse = self.bend * torch.randn((1, 1, 3, 4), generator=self.generator)
        bent = functional.interpolate(coarse, z.shape, mode="bicubic", align_corners=True)[0, 0]
        scale = torch.exp(0.3 * torch.randn((), generator=self.generator)) / z.median()
        return DepthEstimate(z * scale * bent.exp(), torch.ones_like(z, dtype=torch.bool), self.lens, "network")


@pytest.mark.parametrize("recorded", [False, True], ids=["clean", "filmed"])
def test_a_walk_past_moving_things(recorded: bool) -> None:
    """Noise, blur and changing exposure or not; the lens is assumed 5 % too long."""
    truth = rendered(HAND_HELD)
    frames = filmed(truth.frames, seed=1) if recorded else truth.frames
    found = estimate_cameras(clip_of(frames), FrameByFrame(truth, lens=1.05))
    errors = accuracy(found, truth)
    assert errors.position < 0.03
    assert errors.worst_rotation < 0.6
    assert errors.flicker < 0.03
    assert errors.depth < 0.12
    assert float(found.cameras.intrinsics[0, 0] / truth.cameras.intrinsics[0, 0]) == pytest.approx(1, abs=0.04)
    assert not found.static_camera
    assert found.source == "embedded"
    assert any("camera tracked on" in note for note in found.notes)


def test_without_tracking_it_would_flicker() -> None:
    """What the tests above start from: depth whose scale changes from frame to frame by 30 %."""
    truth = rendered(HAND_HELD)
    network = FrameByFrame(truth)
    ratios = [float((network(frame).z / z).log().median()) for frame, z in zip(truth.frames, truth.depth, strict=True)]
    assert np.std(ratios) > 0.15


def test_a_camera_on_a_tripod() -> None:
    """Things move, the camera does not: exactly the identity, and one depth for what stays."""
    truth = rendered(TRIPOD)
    found = estimate_cameras(clip_of(filmed(truth.frames, seed=1)), FrameByFrame(truth))
    assert found.static_camera
    assert torch.equal(found.cameras.c2w, torch.eye(4).expand(FRAMES, 4, 4))
    assert "the camera stands still" in found.notes
    still = (truth.depth - truth.depth[0]).abs().amax(0) < 1e-4
    assert still.float().mean() > 0.5
    spread = found.depth[:, still].log().std(dim=0)
    assert spread.median() < 0.02


def test_a_still_picture_has_a_still_camera() -> None:
    truth = rendered(TRIPOD)
    frames = truth.frames[:1].expand(9, -1, -1, -1)
    assert estimate_cameras(clip_of(frames, moving=False), FrameByFrame(truth)).static_camera


@pytest.mark.parametrize("kind", ["plain wall", "unrelated pictures"])
def test_what_cannot_be_tracked_is_refused(kind: str) -> None:
    truth = rendered(HAND_HELD)
    if kind == "plain wall":
        frames = torch.full_like(truth.frames, 0.6)
    else:
        generator = torch.Generator().manual_seed(0)
        coarse = torch.rand((FRAMES, 3, 12, 22), generator=generator)
        frames = functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear").movedim(1, -1)
    with pytest.raises(LyraError, match=r"the camera is lost at 0\.04 s of the clip.*bring cameras"):
        estimate_cameras(clip_of(frames), FrameByFrame(truth))


def test_a_camera_among_points_that_lie() -> None:
    """Four of ten points have moved; the camera is exact all the same, and they are named."""
    rng = np.random.default_rng(0)
    points = rng.uniform((-2, -1, 2), (2, 1, 6), (100, 3))
    lens = np.array((150.0, 150.0, 104.0, 56.0))
    truth = moved(np.eye(4), np.array((0.02, -0.03, 0.01, 0.1, -0.05, 0.2)))
    pixels = projected(truth, points, lens)[0]
    pixels[:40] += rng.uniform(5, 15, (40, 2))
    found = resect(points, pixels, lens, np.eye(4), tolerance=2.0, seed=0)
    assert np.abs(found.w2c - truth).max() < 1e-6
    assert found.agrees.tolist() == [False] * 40 + [True] * 60


def test_a_clip_played_backwards() -> None:
    """Frames, depth and cameras turn together; what was last is the identity now."""
    truth = rendered(HAND_HELD)
    back = truth.reversed()
    assert torch.equal(back.frames[0], truth.frames[-1])
    assert torch.equal(back.depth[2], truth.depth[-3])
    expected = torch.linalg.inv(truth.cameras.c2w[-1]) @ truth.cameras.c2w[0]
    assert torch.allclose(back.cameras.c2w[-1], expected, atol=1e-5)
    assert back.times.tolist() == pytest.approx(truth.times.tolist())


def test_parts_that_do_not_belong_together_are_refused() -> None:
    truth = rendered(HAND_HELD)
    parts = {name: getattr(truth, name) for name in ("frames", "cameras", "depth", "mask", "times")}
    rest = {"static_camera": False, "metric": True, "source": "synthetic"}
    with pytest.raises(LyraError, match="all of one size"):
        PosedVideo(**{**parts, "depth": truth.depth[:-1]}, **rest)
    with pytest.raises(LyraError, match="must be the identity"):
        PosedVideo(**{**parts, "cameras": truth.cameras.transformed(truth.cameras.c2w[3])}, **rest)
    with pytest.raises(LyraError, match="NaN or infinity"):
        PosedVideo(**{**parts, "depth": truth.depth * math.nan}, **rest)
    with pytest.raises(LyraError, match="frame 4 of the video has no valid depth"):
        PosedVideo(**{**parts, "mask": truth.mask & (torch.arange(FRAMES) != 4)[:, None, None]}, **rest)
