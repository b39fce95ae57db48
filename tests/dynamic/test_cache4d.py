# SPDX-License-Identifier: Apache-2.0
"""The 4D cache: every frame of the source at its own time, from other cameras."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lyra_core.cameras import Cameras
from lyra_core.conditioning.cache3d import Cache3D
from lyra_core.conditioning.cache4d import Cache4D
from lyra_core.errors import LyraError
from lyra_core.synthetic.motion import MovingWorld
from lyra_core.trajectories import lyra_cameras
from lyra_core.video.posed import PosedVideo


def paths(video: PosedVideo, frames: int) -> Cameras:
    size = (video.cameras.width, video.cameras.height)
    return lyra_cameras(video.cameras.intrinsics[0], *size, frames=frames, paths=("left", "up"), center_depth=3.0)


@pytest.mark.parametrize("footprint", ["bilinear", "adaptive"])
def test_a_scene_that_stands_still_gives_the_static_cache(clip: PosedVideo, footprint: str) -> None:
    first = torch.zeros(4, dtype=torch.long)
    frozen = replace(
        clip, frames=clip.frames[first], depth=clip.depth[first], mask=clip.mask[first],
        cameras=clip.cameras[first], times=torch.arange(4.0),
    )  # fmt: skip
    cameras = paths(frozen, 4)
    moving = Cache4D(frozen, footprint, foreground=True).render(cameras, torch.arange(4))
    static = Cache3D(frozen.frames[0], Cache4D(frozen).depth(0), footprint, foreground=True).render(cameras)
    assert torch.equal(moving.mask, static.mask)
    torch.testing.assert_close(moving.rgb, static.rgb)
    torch.testing.assert_close(moving.z, static.z)


def test_every_step_shows_its_own_time(moving_world: MovingWorld, clip: PosedVideo) -> None:
    """Against the ray tracer: step f of a path is the world at the time of frame f."""
    numbers = torch.tensor([0, 4, 8])
    cameras = paths(clip, 3)
    warp = Cache4D(clip, "adaptive").render(cameras, numbers)
    for path in range(2):
        world = cameras[path].transformed(moving_world.world.camera)
        truth = moving_world.render(world, clip.times[numbers], supersample=1)
        error = ((warp.z[path] - truth.z).abs() / truth.z)[warp.mask[path]]
        assert float((error < 0.02).float().mean()) > 0.97
        later = moving_world.render(world, clip.times[numbers.flip(0)], supersample=1)
        wrong = ((warp.z[path] - later.z).abs() / later.z)[warp.mask[path]]
        assert float((wrong > 0.05).float().mean()) > float((error > 0.05).float().mean()) + 0.005


def test_a_moving_camera_is_taken_into_account(moving_world: MovingWorld, walked_clip: PosedVideo) -> None:
    """What frame 4 of a walk shows, seen from where the walk began."""
    start = walked_clip.cameras[:1][None]
    warp = Cache4D(walked_clip, "adaptive").render(start, torch.tensor([4]))
    truth = moving_world.render(moving_world.walking_cameras(1, 64, 128), walked_clip.times[4:5], supersample=1)
    error = ((warp.z[0] - truth.z).abs() / truth.z)[warp.mask[0]]
    assert float(warp.mask.float().mean()) > 0.6 and float((error < 0.02).float().mean()) > 0.95


def test_only_the_kept_pixels_are_held(clip: PosedVideo) -> None:
    keep = torch.zeros_like(clip.mask)
    keep[:, :, :64] = True
    for footprint in ("bilinear", "adaptive"):
        mask = Cache4D(clip, footprint, keep=keep).frozen(3, 1).render(clip.cameras[:1]).mask[0]
        assert float(mask[:, :60].float().mean()) > 0.4 and not bool(mask[:, 68:].any())


def test_frames_that_are_not_there_are_refused(clip: PosedVideo) -> None:
    cache, cameras = Cache4D(clip, "adaptive"), paths(clip, 2)
    with pytest.raises(LyraError, match="frames 0 to 8"):
        cache.render(cameras, torch.tensor([0, 9]))
    with pytest.raises(LyraError, match="as many cameras"):
        cache.render(cameras, torch.tensor([0, 1, 2]))
    with pytest.raises(LyraError, match="source's size"):
        Cache4D(clip).render(cameras.resized(32, 64), torch.tensor([0, 1]))
