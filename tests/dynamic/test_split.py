# SPDX-License-Identifier: Apache-2.0
"""Static and moving Gaussians, and the scene they make."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lyra_core.conditioning.warp import unproject_grid
from lyra_core.dynamic.consistency import Consistency
from lyra_core.dynamic.instants import Instant, moved_rows
from lyra_core.dynamic.scene import blended
from lyra_core.dynamic.split import Splitter
from lyra_core.errors import LyraError
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import render
from lyra_core.video.posed import PosedVideo

FRAMES = [0, 2, 4, 6, 8]


def lifted(video: PosedVideo, frame: int) -> Instant:
    """Every pixel of a frame as a Gaussian."""
    points = unproject_grid(video.depth[frame], video.cameras.intrinsics[frame]).reshape(-1, 3)
    rows = torch.zeros(len(points), 14)
    rows[:, :3], rows[:, 3], rows[:, 7] = points, 0.95, 1.0
    rows[:, 4:7] = (0.5 * points[:, 2] / video.cameras.intrinsics[frame, 0])[:, None]
    rows[:, 11:] = video.frames[frame].reshape(-1, 3)
    everything = torch.ones(len(rows), dtype=torch.bool)
    return Instant(frame, rows, everything, ~everything, len(rows))


@pytest.fixture(scope="module")
def splitter(clip: PosedVideo) -> Splitter:
    splitter = Splitter(clip, Consistency(clip), FRAMES)
    for frame in FRAMES:
        splitter.add(lifted(clip, frame))
    return splitter


def whole(instant: Instant) -> Gaussians:
    means, opacities, scales, quats, colors = instant.rows.split((3, 1, 3, 4, 3), dim=1)
    return Gaussians(means, scales, quats, opacities[:, 0], colors)


def test_counts_match_and_memory_is_saved(splitter: Splitter) -> None:
    static, moving, report = splitter.finish()
    assert len(moving) == len(FRAMES) and {len(part) for part in moving} == {report.moving}
    assert report.static == len(static) and 0.5 < report.static_share < 1.0
    assert report.split_bytes == 56 * (len(static) + len(FRAMES) * report.moving)
    assert report.as_dict()["memory_saved"] > 0.3


def test_every_instant_looks_as_before_the_split(splitter: Splitter, clip: PosedVideo) -> None:
    static, moving, _ = splitter.finish()
    for frame, part in zip(FRAMES, moving, strict=True):
        before = render(whole(lifted(clip, frame)), clip.cameras[frame], projection="ut").color
        after = render(Gaussians.cat([static, part]), clip.cameras[frame], projection="ut").color
        assert float(-10 * (before - after).square().mean().log10()) > 30, frame


def test_absent_gaussians_wait_invisibly_where_they_will_appear(splitter: Splitter, clip: PosedVideo) -> None:
    _, moving, _ = splitter.finish()
    opacity = torch.stack([part.opacities for part in moving])
    means = torch.stack([part.means for part in moving])
    present = opacity > 0
    assert bool(present.any(0).all())
    # each one is present for one unbroken stretch
    assert int((present[1:] & ~present[:-1]).sum(0).max()) + int(present[0].max()) <= 2
    step = means.diff(dim=0).norm(dim=-1)
    absent = ~present[1:] | ~present[:-1]
    assert bool((step[absent] == 0).all())
    distance = means[:-1].norm(dim=-1)
    assert bool((step <= 0.08 * distance * 1.1).all())


def test_smoothing_calms_only_what_is_present(splitter: Splitter) -> None:
    _, rough, _ = splitter.finish()
    _, smooth, _ = splitter.finish(smoothing=2)
    jerk = [
        float(torch.stack([part.means for part in parts]).diff(n=2, dim=0).norm(dim=-1).sum())
        for parts in (rough, smooth)
    ]
    assert jerk[1] < jerk[0]
    for before, after in zip(rough, smooth, strict=True):
        assert torch.equal(before.opacities > 0, after.opacities > 0)
        torch.testing.assert_close(after.quats.norm(dim=-1), torch.ones(len(after)))


def test_instants_must_come_in_order(clip: PosedVideo) -> None:
    splitter = Splitter(clip, Consistency(clip), [0, 4])
    with pytest.raises(LyraError, match="out of order"):
        splitter.add(lifted(clip, 4))


def test_blending_meets_both_ends_and_takes_the_shorter_turn() -> None:
    quats = torch.nn.functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    first = Gaussians(torch.zeros(6, 3), torch.ones(6, 3), quats, torch.zeros(6), torch.zeros(6, 3))
    second = Gaussians(torch.ones(6, 3), 3 * torch.ones(6, 3), -quats, torch.ones(6), torch.ones(6, 3))
    half = blended(first, second, 0.5)
    assert torch.equal(half.means, torch.full((6, 3), 0.5)) and torch.equal(half.scales, torch.full((6, 3), 2.0))
    torch.testing.assert_close(half.quats, quats)
    assert torch.equal(blended(first, second, 0.0).means, first.means)
    assert torch.equal(blended(first, second, 1.0).means, second.means)


def test_moved_rows_look_the_same_from_the_moved_camera(clip: PosedVideo) -> None:
    instant = lifted(clip, 0)
    instant.rows[:, 4] *= 3.0  # not round, so that orientation counts
    angle = torch.tensor(0.4)
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([0.5, -0.2, 0.1])
    pose[0, 0], pose[0, 2], pose[2, 0], pose[2, 2] = angle.cos(), angle.sin(), -angle.sin(), angle.cos()
    moved = Instant(0, moved_rows(instant.rows, pose), instant.alive, instant.guessed, instant.own)
    before = render(whole(instant), clip.cameras[0], projection="ut").color
    after = render(whole(moved), clip.cameras[0].transformed(pose), projection="ut").color
    unturned = moved.rows.clone()
    unturned[:, 7:11] = instant.rows[:, 7:11]
    wrong = render(whole(replace(moved, rows=unturned)), clip.cameras[0].transformed(pose), projection="ut").color
    # Gaussians of one depth may change places, so single pixels differ
    assert float((before - after).abs().mean()) < 5e-4 < 2e-3 < float((before - wrong).abs().mean())
