# SPDX-License-Identifier: Apache-2.0
"""Pictures of what USD plays, drawn by the renderer of the sister package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import render
from usd_export.cloud import GaussianCloud
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.motion import Motion
from usd_export.frame import Frame
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]
Play = Callable[[Path, float], GaussianCloud]


def picture(cloud: GaussianCloud) -> Tensor:
    """From the origin along z."""
    camera = Cameras(torch.eye(4), torch.tensor([40.0, 40, 24, 16]), 48, 32)
    return render(Gaussians.from_cloud(cloud), camera).color


@pytest.mark.parametrize("kind", ["samples", "clips", "rigid"])
def test_ten_pictures_of_a_ball_that_flies_past(make_cloud: MakeCloud, play: Play, tmp_path: Path, kind: str) -> None:
    """Each equals the picture of the source at that time, and those of different times differ."""
    ball, wall = make_cloud(60, seed=1), make_cloud(80, seed=2)
    ball = replace(ball, positions=ball.positions * np.float32(0.2) + np.array([-1.5, 0, 3], np.float32))
    wall = replace(wall, positions=wall.positions + np.array([0, 0, 6], np.float32))
    moving = [replace(ball, positions=ball.positions + np.float32([step, 0, 0])) for step in (0, 1, 3)]
    cloud = DynamicCloud(wall, moving, np.array([0.0, 1, 2]), np.zeros(60, int))
    motion = Motion(kind, clip_bytes=1)  # type: ignore[arg-type]
    file = write_scene(tmp_path / "scene.usdz", cloud, Frame.identity(), motion=motion)[0]
    pictures = [picture(play(file, time)) for time in np.linspace(0, 2, 10)]
    for time, shown in zip(np.linspace(0, 2, 10), pictures, strict=True):
        torch.testing.assert_close(shown, picture(cloud.at(time)), atol=1e-4, rtol=0)
    assert min(float((b - a).abs().max()) for a, b in pairwise(pictures)) > 0.05
