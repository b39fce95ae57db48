# SPDX-License-Identifier: Apache-2.0
"""The vertical: axis conventions, rotations, and the floor below them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.placement.orientation import on_floor, recentred, rotated, rotation_matrix, upright

IDENTITY = Frame.identity()
UP_VECTORS = {"x": [1, 0, 0], "y": [0, 1, 0], "z": [0, 0, 1], "-x": [-1, 0, 0], "-y": [0, -1, 0], "-z": [0, 0, -1]}


def room(floor: float = 0.7) -> np.ndarray:
    """Z-up points [N, 3]: a floor at the given height, a table, walls, a ceiling, floaters below; metres."""
    random = np.random.default_rng(8)

    def box(count: int, low: list[float], high: list[float]) -> np.ndarray:
        return random.uniform(low, high, size=(count, 3))

    parts = [
        box(3000, [-3, -2, 0], [3, 2, 0]),
        box(2500, [-1, -1, 0.8], [1, 1, 0.8]),
        box(4000, [-3, 2, 0], [3, 2, 2.6]),
        box(3000, [-3, -2, 2.6], [3, 2, 2.6]),
        box(60, [-3, -2, -1], [3, 2, 0]),
    ]
    points = np.concatenate(parts)
    return points + random.normal(0, 0.004, points.shape) + [0, 0, floor]


@pytest.mark.parametrize("up", UP_VECTORS)
def test_a_named_axis_is_taken_exactly(up: str) -> None:
    """The axis becomes +z, nothing is mirrored, and the floor lies at 0 although no camera is known."""
    world = room()
    vertical = np.array(UP_VECTORS[up], float)
    to_z_up = upright(IDENTITY, up, world, np.eye(4)).rotation  # type: ignore[arg-type]
    frame = upright(IDENTITY, up, world @ to_z_up, np.eye(4))  # type: ignore[arg-type]
    np.testing.assert_allclose(frame.rotation @ vertical, [0, 0, 1], atol=1e-12)
    assert np.linalg.det(frame.matrix) == pytest.approx(1)
    assert frame.matrix[2, 3] == pytest.approx(-0.7, abs=0.005)
    assert (frame.matrix[:2, 3] == 0).all()
    assert f"axis {up} of the input" in frame.up_source
    assert "dominant height" in frame.floor_source


def test_auto_keeps_what_the_file_says(frame: Frame) -> None:
    assert upright(frame, "auto", room(), np.eye(4)) is frame


def test_opencv_is_only_a_hint() -> None:
    """A camera that looks 20 degrees down, at the origin: the floor tells the true vertical."""
    pitch = np.radians(20)
    axes = np.array([[1, 0, 0], [0, -np.sin(pitch), np.cos(pitch)], [0, -np.cos(pitch), -np.sin(pitch)]])
    world = room(0.0)
    world = world[world[:, 1] > -1.9]
    local = (world - [0, -2, 1.5]) @ axes
    measured = replace(IDENTITY, scale_source="a tape", metric=True, scale_uncertainty=0.01)
    frame = upright(measured, "opencv", local, np.eye(4))
    assert np.abs(frame.apply(local)[:, 2] - world[:, 2]).max() < 0.02
    assert (frame.scale_source, frame.metric, frame.scale_uncertainty) == ("a tape", True, 0.01)
    assert "floor plane" in frame.up_source


def test_up_is_an_axis_of_the_input_not_of_the_gaussians(frame: Frame) -> None:
    """A USD file shows its world: `--up z` there keeps the vertical of its matrix."""
    local = (room() - frame.matrix[:3, 3]) @ np.linalg.inv(frame.matrix[:3, :3]).T
    kept = upright(frame, "z", local, frame.matrix)
    np.testing.assert_allclose(kept.matrix[:3, :3], frame.matrix[:3, :3], atol=1e-12)
    assert abs(np.median(kept.apply(local)[:3000, 2])) < 0.005


def test_unknown_vertical() -> None:
    with pytest.raises(UsdExportError, match="use one of auto, x, y"):
        upright(IDENTITY, "w", room(), np.eye(4))  # type: ignore[arg-type]


def test_rotation_goes_about_x_then_y_then_z() -> None:
    np.testing.assert_allclose(rotation_matrix((90, 0, 0)) @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(rotation_matrix((0, 90, 0)) @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rotation_matrix((0, 0, 90)) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(rotation_matrix((90, 0, 90)) @ [0, 1, 0], [0, 0, 1], atol=1e-12)


def test_a_turn_about_the_vertical_leaves_the_floor_alone() -> None:
    standing = on_floor(IDENTITY, room())
    turned = rotated(standing, (0, 0, 35), room())
    assert turned.matrix[2, 3] == standing.matrix[2, 3]
    assert turned.floor_source == standing.floor_source
    assert turned.up_source.endswith("then rotated by 0, 0, 35 degrees")


def test_a_scene_upside_down_is_put_on_its_floor() -> None:
    upside_down = room() * [1, -1, -1]
    frame = rotated(IDENTITY, (180, 0, 0), upside_down)
    np.testing.assert_allclose(np.median(frame.apply(upside_down)[:3000, 2]), 0, atol=0.005)


def test_without_a_floor_the_lowest_percent_decides() -> None:
    ball = np.random.default_rng(1).normal(size=(5000, 3))
    frame = on_floor(IDENTITY, ball)
    assert "no floor plane" in frame.floor_source
    assert np.mean(frame.apply(ball)[:, 2] < 0) == pytest.approx(0.01, abs=0.002)


def test_flat_ground_is_a_floor() -> None:
    """An outdoor scan may hold little else."""
    ground = np.random.default_rng(1).uniform([-9, -9, 4.0], [9, 9, 4.02], size=(5000, 3))
    assert on_floor(IDENTITY, ground).matrix[2, 3] == pytest.approx(-4.01, abs=0.01)


@pytest.mark.parametrize("points", [np.empty((0, 3)), np.full((3, 3), np.inf)])
def test_a_floor_needs_points(points: np.ndarray) -> None:
    with pytest.raises(UsdExportError, match="no finite points"):
        on_floor(IDENTITY, points)


def test_recentring_ignores_floaters_and_height() -> None:
    points = np.concatenate([room() + np.array([5, -4, 0]), [[900, 900, 900]]])
    frame = recentred(IDENTITY, points)
    np.testing.assert_allclose(frame.matrix[:3, 3], [-5, 4, 0], atol=0.1)
    assert frame.matrix[2, 3] == 0
