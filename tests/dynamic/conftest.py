# SPDX-License-Identifier: Apache-2.0
"""A small world in which a ball drops and a robot arm turns, filmed by a camera that stands still."""

from __future__ import annotations

import pytest

from lyra_core.synthetic.motion import MovingWorld
from lyra_core.video.posed import PosedVideo


@pytest.fixture(scope="session")
def moving_world() -> MovingWorld:
    return MovingWorld(2, movers=("arm",))


@pytest.fixture(scope="session")
def clip(moving_world: MovingWorld) -> PosedVideo:
    """Nine frames of 64 x 128 pixels over 4 seconds, in metres."""
    return moving_world.video(9, 64, 128, supersample=1)


@pytest.fixture(scope="session")
def walked_clip(moving_world: MovingWorld) -> PosedVideo:
    """The same filmed by a camera that walks."""
    return moving_world.video(5, 64, 128, walking=True, supersample=1)
