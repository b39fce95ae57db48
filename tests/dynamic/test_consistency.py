# SPDX-License-Identifier: Apache-2.0
"""What stands still is told from what moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lyra_core.conditioning.cache4d import Cache4D
from lyra_core.dynamic.background import Background, Remembering
from lyra_core.dynamic.consistency import Consistency, frame_points, moving_share, still_pixels
from lyra_core.synthetic.motion import MovingWorld
from lyra_core.video.posed import PosedVideo


@pytest.fixture(scope="module")
def consistency(clip: PosedVideo) -> Consistency:
    return Consistency(clip)


def test_the_moving_part_moves_and_the_room_stands_still(
    moving_world: MovingWorld, clip: PosedVideo, consistency: Consistency
) -> None:
    """Truth: a pixel moves where the arm is, and where depth or colour of the same pixel ever differ."""
    frame = 4
    still = still_pixels(clip, consistency, frame)
    farther = (clip.depth > clip.depth[frame] * 1.1).any(0)  # another time looks through it
    same = ((clip.depth / clip.depth[frame]).log().abs() < 0.01).all(0)
    same &= ((clip.frames - clip.frames[frame]).abs().amax(-1) < 0.02).all(0)
    assert float(still[same].float().mean()) > 0.99
    assert float(still[farther].float().mean()) < 0.35  # what is left is a rim of one pixel
    assert 0.005 < moving_share(clip, consistency) < 0.3


def test_a_walking_camera_does_not_make_the_room_move(moving_world: MovingWorld, walked_clip: PosedVideo) -> None:
    seen = moving_world.render(moving_world.walking_cameras(5, 64, 128), walked_clip.times, supersample=1)
    still = still_pixels(walked_clip, Consistency(walked_clip), 2)
    room = seen.object_id[2] == 0
    assert float(still[room].float().mean()) > 0.75


def test_a_still_clip_has_no_motion(clip: PosedVideo) -> None:
    first = torch.zeros(5, dtype=torch.long)
    still = replace(
        clip, frames=clip.frames[first], depth=clip.depth[first], mask=clip.mask[first], cameras=clip.cameras[first],
        times=torch.arange(5.0),
    )  # fmt: skip
    assert moving_share(still, Consistency(still)) == 0.0


def test_noise_raises_the_tolerance(clip: PosedVideo, consistency: Consistency) -> None:
    generator = torch.Generator().manual_seed(0)
    factor = (0.03 * torch.randn(clip.depth.shape, generator=generator)).exp()
    noisy = Consistency(replace(clip, depth=clip.depth * factor))
    assert noisy.depth_tolerance > 2 * consistency.depth_tolerance
    shaken = replace(clip, depth=clip.depth * factor)
    assert float(still_pixels(shaken, noisy, 0).float().mean()) > 0.8


def test_points_behind_what_is_shown_are_not_contradicted(clip: PosedVideo, consistency: Consistency) -> None:
    points, colors = frame_points(clip, 0, step=5)
    behind = consistency.judge(points * (60.0 / points[:, 2:]), colors)
    assert bool(behind.still.all()) and not bool(behind.confirmed.any())
    floating = consistency.judge(points * 0.5, colors)
    assert float(floating.still.float().mean()) < 0.05


def test_the_background_is_remembered(moving_world: MovingWorld, clip: PosedVideo, consistency: Consistency) -> None:
    """From the video's own camera the background shows the room where the arm was seen to leave it free."""
    background = Background(clip, consistency, "adaptive")
    seen = background.render(clip.cameras[:1])
    farthest = clip.depth.amax(0)
    covered = seen.mask[0]
    error = ((seen.z[0] - farthest).abs() / farthest)[covered]
    assert float(covered.float().mean()) > 0.6 and float((error < 0.03).float().mean()) > 0.97
    moved = clip.cameras[:1].transformed(torch.tensor([[1.0, 0, 0, 0.3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    alone = Cache4D(clip, "adaptive").frozen(4, 1)
    together = Remembering(alone, background).render(moved)
    assert bool((together.mask >= alone.render(moved).mask).all())
    assert int(together.mask.sum()) > int(alone.render(moved).mask.sum())
