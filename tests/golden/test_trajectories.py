# SPDX-License-Identifier: Apache-2.0
"""The six published camera paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lyra_core.trajectories import PUBLISHED_PATHS, trajectory

CLOSE = {"atol": 1e-6, "rtol": 0.0}


@pytest.fixture(scope="module")
def file(golden: Callable[[str], Any]) -> Any:
    return golden("trajectories")


def path(file: Any, name: str, **options: Any) -> torch.Tensor:
    return trajectory(name, int(file.metadata["num_frames"]), distance=file.json("movement_distance")[name], **options)


def test_folder_numbers(file: Any) -> None:
    assert {name: number for number, name in enumerate(PUBLISHED_PATHS)} == file.json("folder_index")


@pytest.mark.parametrize("name", PUBLISHED_PATHS)
def test_static_paths(file: Any, name: str) -> None:
    for depth in file.json("center_depth"):
        w2c = path(file, name, center_depth=depth, rotation=file.metadata["camera_rotation"])
        torch.testing.assert_close(w2c, file[f"out.w2c.{name}.depth{depth}"], **CLOSE)
        torch.testing.assert_close(torch.linalg.inv(w2c), file[f"out.c2w.{name}.depth{depth}"], **CLOSE)


@pytest.mark.parametrize("name", PUBLISHED_PATHS)
def test_paths_of_a_moving_camera(file: Any, name: str) -> None:
    w2c = path(file, name) @ file["in.dynamic_w2c"]
    torch.testing.assert_close(w2c, file[f"out.w2c_dynamic.{name}"], **CLOSE)
    torch.testing.assert_close(torch.linalg.inv(w2c), file[f"out.c2w_dynamic.{name}"], **CLOSE)


@pytest.mark.parametrize("rotation", ["no_rotation", "trajectory_aligned"])
def test_other_rotations(file: Any, rotation: str) -> None:
    torch.testing.assert_close(path(file, "left", rotation=rotation), file[f"out.w2c.left.{rotation}"], **CLOSE)
