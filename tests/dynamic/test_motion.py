# SPDX-License-Identifier: Apache-2.0
"""Worlds in which things move: exact, deterministic, and nothing runs into anything."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch

from lyra_core.errors import LyraError
from lyra_core.synthetic.motion import MovingWorld
from lyra_core.synthetic.motion.movers import GRAVITY, MOVERS
from lyra_core.synthetic.motion.placing import solid_boxes
from lyra_core.synthetic.motion.rigid import along_arc, posed, turn
from lyra_core.synthetic.palette import paint
from lyra_core.synthetic.primitives import box, pack
from lyra_core.video.posed import PosedVideo


def test_a_turned_box_has_turned_bounds() -> None:
    upright = box(1.0, 0.0, 0.0, 2.0, 0.5, 0.2, paint("red"))
    low, high = posed(upright, turn(np.pi / 2)).bounds()
    np.testing.assert_allclose((low, high), ((-0.25, 0.0, 0.0), (0.25, 2.0, 0.2)), atol=1e-9)


def test_an_arc_is_driven_at_constant_speed_along_its_heading() -> None:
    step = 1e-4
    for distance in (-0.7, 0.0, 1.3):
        here, there = along_arc(distance, 0.8), along_arc(distance + step, 0.8)
        np.testing.assert_allclose((there - here)[:3, 3] / step, -here[:3, 1], atol=1e-4)


@pytest.mark.parametrize("name", MOVERS)
def test_every_mover_moves_and_its_parts_stay_rigid(name: str) -> None:
    mover = MOVERS[name](Random(3), 4.0)
    moved = 0.0
    for part in mover.parts:
        poses = np.array([part.motion(time) for time in np.linspace(0.0, 4.0, 9)])
        rotations = poses[:, :3, :3]
        np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3)[None].repeat(9, 0), atol=1e-9)
        centers = np.array([[p.center for p in part.at(time)] for time in np.linspace(0.0, 4.0, 9)])
        moved = max(moved, float(np.ptp(centers, axis=0).max()))
    assert moved > 0.3


def test_balls_fall_as_gravity_says_and_end_on_the_floor() -> None:
    for part in MOVERS["balls"](Random(0), 4.0).parts:
        heights = np.array([part.motion(time)[2, 3] for time in np.arange(0.0, 8.0, 1e-3)])
        assert heights.min() >= 0.0 and heights[-1] == 0.0
        start = int(np.argmax(heights < heights[0] - 1e-9))
        fall = heights[0] - heights[start : start + 200]
        acceleration = np.diff(fall, 2) / 1e-6
        np.testing.assert_allclose(acceleration, GRAVITY, rtol=1e-6)


def test_a_seed_gives_one_world(moving_world: MovingWorld) -> None:
    again = MovingWorld(2, movers=("arm",))
    for time in (0.0, 1.7):
        here, there = pack(moving_world.solids(time)), pack(again.solids(time))
        assert np.array_equal(here.center, there.center) and np.array_equal(here.color, there.color)
    assert again.caption == moving_world.caption and "robot arm turning" in again.caption


def test_nothing_runs_into_the_furniture() -> None:
    world = MovingWorld(5)
    boxes = solid_boxes(world.world)
    for time in np.linspace(0.0, world.duration, 9):
        for placed in world.movers:
            low, high = zip(*(p.bounds() for p, _, _ in placed.solids(float(time))), strict=True)
            whole = np.min(low, axis=0), np.max(high, axis=0)
            apart = (whole[1] <= boxes[:, 0]) | (boxes[:, 1] <= whole[0])
            assert apart.any(-1).all(), placed.mover.name


def test_a_clip_is_the_truth_at_its_times(moving_world: MovingWorld, clip: PosedVideo) -> None:
    frame = 5
    seen = moving_world.render(moving_world.base_cameras(1, 64, 128), clip.times[frame : frame + 1], supersample=1)
    assert torch.equal(seen.z[0], clip.depth[frame])
    assert clip.static_camera and clip.metric
    torch.testing.assert_close(clip.cameras.c2w[frame], torch.eye(4), atol=1e-7, rtol=0)
    moving = torch.isin(seen.object_id[0], torch.tensor(list(moving_world.moving_ids)))
    changed = (clip.depth[0] - clip.depth[frame]).abs() > 1e-3
    assert 0.005 < float(moving.float().mean()) < 0.3
    # depth changes only where the arm is, or where it was at the beginning
    first = moving_world.render(moving_world.base_cameras(1, 64, 128), [0.0], supersample=1)
    then = torch.isin(first.object_id[0], torch.tensor(list(moving_world.moving_ids)))
    assert not bool((changed & ~moving & ~then).any()) and bool((changed & moving).any())


def test_a_walking_camera_starts_at_the_identity_and_moves(walked_clip: PosedVideo) -> None:
    centers = walked_clip.cameras.c2w[:, :3, 3]
    assert not walked_clip.static_camera and torch.equal(walked_clip.cameras.c2w[0], torch.eye(4))
    assert bool((centers.norm(dim=-1).diff() > 0.01).all())


def test_unknown_movers_and_odd_requests_are_refused(moving_world: MovingWorld) -> None:
    with pytest.raises(LyraError, match="dragon"):
        MovingWorld(0, movers=("dragon",))
    with pytest.raises(LyraError, match="as many times"):
        moving_world.render(moving_world.base_cameras(2, 16, 16), [0.0])
