# SPDX-License-Identifier: Apache-2.0
"""Metres from what a person measured."""

from __future__ import annotations

import numpy as np
import pytest

from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.placement.scale import Measurement, ScaleReference, frame_from_camera_height, frame_from_scale_reference


def test_two_points_get_their_true_distance(frame: Frame) -> None:
    """The points may be given in the Gaussians' coordinates or, for USD, in those of the world."""
    start, end = np.array([0.2, 1, -0.5]), np.array([1.0, -2, 0.3])
    length = Measurement(3.2, 0.004)
    in_local = frame_from_scale_reference(frame, ScaleReference(tuple(start), tuple(end), length), np.eye(4))
    ends = (tuple(point) for point in frame.apply(np.stack([start, end])))
    in_world = frame_from_scale_reference(frame, ScaleReference(*ends, length), frame.matrix)
    for found in (in_local, in_world):
        assert np.linalg.norm(found.apply(end) - found.apply(start)) == pytest.approx(3.2, abs=1e-12)
        assert (found.metric, found.scale_uncertainty) == (True, 0.004)
        assert "given by the user: 3.2 m" in found.scale_source
        np.testing.assert_allclose(found.rotation, frame.rotation, atol=1e-12)


def test_the_floor_stays_where_it_is(frame: Frame) -> None:
    found = frame_from_scale_reference(frame, ScaleReference((0, 0, 0), (0, 0, 1), Measurement(9.0)), np.eye(4))
    on_floor = np.linalg.inv(frame.matrix) @ [3, -1, 0, 1]
    assert abs(found.apply(on_floor[:3])[2]) < 1e-12


def test_the_height_of_the_camera_gives_the_scale(frame: Frame) -> None:
    to_local = np.linalg.inv(frame.matrix)
    viewpoints = np.array([[0, 0, 2, 1], [1, 0, 2.5, 1], [0, 3, 8, 1.0]]) @ to_local.T
    found = frame_from_camera_height(frame, viewpoints[:, :3], Measurement(1.25, 0.02))
    assert found.scale == pytest.approx(0.5 * frame.scale)
    assert (found.metric, found.scale_uncertainty) == (True, 0.02)
    assert "height of the camera" in found.scale_source


def test_a_camera_below_the_floor_gives_no_scale() -> None:
    with pytest.raises(UsdExportError, match="not above the floor"):
        frame_from_camera_height(Frame.identity(), np.array([[0, 0, -1.0]]), Measurement(1.5))


@pytest.mark.parametrize("metres", [0.0, -2.0, np.nan, np.inf])
def test_lengths_are_positive(metres: float) -> None:
    with pytest.raises(UsdExportError, match="must be positive"):
        Measurement(metres)


def test_two_points_must_differ() -> None:
    with pytest.raises(UsdExportError, match="two different points"):
        ScaleReference((1, 2, 3), (1, 2, 3), Measurement(1.0))
