# SPDX-License-Identifier: Apache-2.0
"""The scale of a data set's poses is found from known or triangulated depths, and refused where it cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError
from lyra_core.evaluation.alignment import align, checked_scale, triangulated
from lyra_core.evaluation.clips import Clip
from lyra_core.evaluation.datasets.dl3dv import dl3dv_clips
from lyra_core.evaluation.datasets.tanks import tanks_clips
from lyra_core.evaluation.metrics import resize_crop, resize_crop_camera
from lyra_core.evaluation.novel_views import fitted_shot

from .recording import Recording, write_colmap, write_dl3dv

MODEL_UNIT = 5.0
"""The model's depth is this much larger than that of the data set."""


def model_depth(recording: Recording) -> tuple[DepthEstimate, float]:
    """Exact depth in the model's own unit, normalised as the pipeline does."""
    z = recording.z[0] * MODEL_UNIT
    unit = float(z.median())
    mask = torch.ones_like(z, dtype=torch.bool)
    return DepthEstimate(z / unit, mask, recording.cameras.intrinsics[0], "exact"), unit


def scale_of(choice: str, clip: Clip, recording: Recording) -> tuple[float, str, int]:
    depth, unit = model_depth(recording)
    found = align(choice, clip.input, clip.input.read(), clip.targets(), depth, unit)
    return found.scale / (MODEL_UNIT / unit), found.method, found.points


@pytest.fixture
def bare(recording: Recording, tmp_path: Path) -> Clip:
    """Poses and pictures only."""
    write_dl3dv(tmp_path, recording)
    return next(dl3dv_clips(tmp_path))


@pytest.fixture
def with_points(recording: Recording, tmp_path: Path) -> Clip:
    write_colmap(tmp_path / "train", recording)
    return next(tanks_clips(tmp_path))


def test_known_points_give_the_scale(with_points: Clip, recording: Recording) -> None:
    for choice in ("auto", "median-depth"):
        error, method, points = scale_of(choice, with_points, recording)
        assert error == pytest.approx(1.0, abs=0.01)
        assert method == "median-depth"
        assert points > 50


def test_a_depth_map_gives_the_scale(bare: Clip, recording: Recording) -> None:
    known = recording.z[0].clone()
    known[:, :40] = 0.0  # unknown there
    clip = replace(bare, input=replace(bare.input, depth=lambda: known))
    error, method, points = scale_of("auto", clip, recording)
    assert error == pytest.approx(1.0, abs=1e-3)
    assert (method, points) == ("median-depth", int((known > 0).sum()))


def test_matched_features_give_the_scale(bare: Clip, recording: Recording) -> None:
    error, method, points = scale_of("auto", bare, recording)
    assert error == pytest.approx(1.0, abs=0.03)
    assert method == "triangulation"
    assert points >= 30


def test_triangulated_points_lie_on_the_surfaces(bare: Clip, recording: Recording) -> None:
    points = triangulated(bare.input.read(), [bare.paths[0][-1]])
    fx, fy, cx, cy = recording.cameras.intrinsics[0].tolist()
    columns = (points[:, 0] / points[:, 2] * fx + cx).long()
    rows = (points[:, 1] / points[:, 2] * fy + cy).long()
    off = (points[:, 2] / recording.z[0][rows, columns] - 1).abs()
    assert off.median() < 0.02


def test_a_metric_model_and_metric_poses_need_no_scale(bare: Clip, recording: Recording) -> None:
    _, unit = model_depth(recording)
    assert scale_of("none", bare, recording)[0] == pytest.approx(1 / MODEL_UNIT)
    assert scale_of("0.25", bare, recording)[:2] == (pytest.approx(0.25 * unit / MODEL_UNIT), "given")


def test_too_few_known_depths_are_refused(bare: Clip, recording: Recording) -> None:
    with pytest.raises(LyraError, match="only 0 known depths"):
        scale_of("median-depth", bare, recording)
    grey = replace(bare.input, picture=lambda: torch.full_like(recording.pictures[0], 0.5))
    with pytest.raises(LyraError, match="by triangulation: only 0 known depths"):
        scale_of("triangulation", replace(bare, input=grey), recording)


@pytest.mark.parametrize("choice", ["similar", "0", "-1", "nan", "inf", ""])
def test_an_unknown_scale_is_refused(choice: str) -> None:
    with pytest.raises(LyraError, match="unknown scale"):
        checked_scale(choice)


@pytest.mark.parametrize("size", [(64, 128), (64, 64), (40, 120)])
def test_fitted_cameras_follow_fitted_pictures(bare: Clip, recording: Recording, size: tuple[int, int]) -> None:
    shot = bare.input.read()
    # A picture of each pixel's own direction shows whether camera and picture still agree after the fit.
    _, directions = replace(shot.camera, c2w=torch.eye(4)).rays()
    coded = replace(shot, picture=directions * 0.4 + 0.5)
    for picture, camera in (
        (resize_crop(coded.picture, *size, antialias=True), resize_crop_camera(shot.camera, *size)),
        (fitted_shot(coded, *size).picture, fitted_shot(coded, *size).camera),
    ):
        _, expected = replace(camera, c2w=torch.eye(4)).rays()
        inner = (slice(3, -3), slice(3, -3))
        assert ((picture - 0.5) / 0.4 - expected)[inner].abs().max() < 0.02
