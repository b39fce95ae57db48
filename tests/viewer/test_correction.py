# SPDX-License-Identifier: Apache-2.0
"""A frame that was put right by hand, from the panel to the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lyra_core.app.viewer.content import Content, open_content
from lyra_core.app.viewer.correction import Correction, corrected_path, save_corrected
from lyra_core.errors import LyraError
from usd_export.errors import UsdExportError

TURN = Rotation.from_euler("xyz", [4.0, -3.0, 30.0], degrees=True).as_matrix()


def test_nothing_done_leaves_the_frame_alone(content: Content) -> None:
    correction = Correction()
    assert correction.empty
    np.testing.assert_array_equal(correction.applied(content.record.frame).matrix, content.record.frame.matrix)


def test_points_are_enlarged_then_turned_then_moved(content: Content) -> None:
    frame, offset = content.record.frame, np.array([0.5, -1.0, 0.25])
    points = np.random.default_rng(0).normal(size=(5, 3))
    corrected = Correction(1.2, TURN, offset).applied(frame)
    np.testing.assert_allclose(corrected.apply(points), 1.2 * frame.apply(points) @ TURN.T + offset, atol=1e-12)


def test_the_frame_says_what_was_done_by_hand(content: Content) -> None:
    guessed = Correction(1.2, TURN, np.array([0, 0, 0.1])).applied(content.record.frame)
    assert "by hand" in guessed.scale_source
    assert "by hand" in guessed.up_source
    assert "by hand" in guessed.floor_source
    assert not guessed.metric  # a slider is no measurement
    measured = Correction(1.2, measured=0.9).applied(content.record.frame)
    assert measured.metric
    assert "0.9 m" in measured.scale_source
    turned = Correction(rotation=Rotation.from_euler("z", 1.0).as_matrix()).applied(content.record.frame)
    assert turned.up_source == content.record.frame.up_source


@pytest.mark.parametrize("factor", [0.0, -1.0, np.inf, np.nan])
def test_impossible_scales_are_refused(factor: float) -> None:
    with pytest.raises(LyraError, match="positive"):
        Correction(factor)


@pytest.mark.parametrize("name", ["fixed.usdz", "fixed", "fixed.ply"])
def test_the_correction_lands_in_the_file(content: Content, tmp_path: Path, name: str) -> None:
    correction = Correction(1.5, TURN, np.array([0.0, 0.0, 0.2]))
    files = save_corrected(content, correction, tmp_path / name)
    again = open_content(tmp_path / name)
    expected = correction.applied(content.record.frame).apply(content.cloud.positions)
    np.testing.assert_allclose(again.record.frame.apply(again.cloud.positions), expected, atol=1e-4)
    assert files[0].exists()
    assert "frame corrected by hand in the viewer" in again.record.provenance["edits"]
    if name.endswith(".ply"):
        return
    assert again.collider is not None
    assert content.collider is not None
    old = correction.applied(content.record.frame).apply(content.collider.vertices)
    np.testing.assert_allclose(again.record.frame.apply(again.collider.vertices), old, atol=1e-4)


def test_a_file_that_cannot_be_written_leaves_nothing(content: Content, tmp_path: Path) -> None:
    with pytest.raises(UsdExportError):
        save_corrected(content, Correction(1.5), tmp_path / "missing" / "fixed.usdz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("scene", "copy"),
    [
        ("a/b.usdz", "a/b_corrected.usdz"),
        ("room", "room_corrected"),
        ("x.compressed.ply", "x_corrected.compressed.ply"),
    ],
)
def test_copies_go_beside_the_scene(scene: str, copy: str) -> None:
    assert corrected_path(Path(scene)) == Path(copy)
