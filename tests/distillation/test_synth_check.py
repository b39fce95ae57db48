# SPDX-License-Identifier: Apache-2.0
"""`lyra synthesize --check` on data that somebody else made, with everything that goes wrong in it."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lyra_core.errors import LyraError
from lyra_core.synthesis.check import check_dataset
from lyra_core.synthesis.check_folders import NO_ORDER, ORDER_BUG
from lyra_core.synthesis.exr import encode_exr
from lyra_core.synthesis.folders import view_file, write_folders
from lyra_core.synthesis.latent_file import write_latents
from lyra_core.synthesis.sample import View, motion_reversed

from .synth_samples import make_numbers, make_view, reversed_poses


def write_cameras(root: Path, view: View, clip: str = "clip") -> None:
    """The files that can be written without a video codec, and a stand-in for the video."""
    order = np.arange(len(view.c2w))
    for kind, data in (("pose", view.c2w), ("intrinsics", view.intrinsics)):
        path = view_file(root, view.number, kind, clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, data=data, inds=order)
    for kind in ("rgb", "latent"):
        view_file(root, view.number, kind, clip).parent.mkdir(parents=True, exist_ok=True)
    view_file(root, view.number, "rgb", clip).write_bytes(b"no video")
    if view.latents is not None:
        write_latents(view_file(root, view.number, "latent", clip), view.latents)


def dynamic_views(*, buggy: bool) -> list[View]:
    """Six views of a moving input and six motion-reversed ones, with the published bug or without."""
    normal = [make_view(number, moving=True) for number in range(6)]
    flipped = [replace(motion_reversed(view), c2w=reversed_poses(view.number)) for view in normal]
    if buggy:
        flipped = [replace(view, c2w=np.ascontiguousarray(view.c2w[::-1])) for view in flipped]
    return normal + flipped


def errors(root: Path) -> list[str]:
    """Findings, but for those about the stand-in videos."""
    return [text for text in check_dataset(root).errors if "rgb" not in text]


def test_the_published_order_bug_is_found_in_every_clip(tmp_path: Path) -> None:
    for clip, buggy in (("bad", True), ("good", False), ("worse", True)):
        for view in dynamic_views(buggy=buggy):
            write_cameras(tmp_path, view, clip)
    assert errors(tmp_path) == [f"{tmp_path}, clip {clip}: {ORDER_BUG}" for clip in ("bad", "worse")]


def test_a_clip_of_which_the_order_cannot_be_told_is_a_warning(tmp_path: Path) -> None:
    write_cameras(tmp_path, make_view(0, moving=True))
    write_cameras(tmp_path, replace(motion_reversed(make_view(0)), c2w=reversed_poses(6)))
    report = check_dataset(tmp_path)
    assert f"{tmp_path}, clip clip: {NO_ORDER}" in report.warnings
    assert any("has views [0, 6]" in text for text in report.warnings)


def test_missing_files_are_named(tmp_path: Path) -> None:
    for number in range(6):
        for clip in ("clip", "other"):
            write_cameras(tmp_path, make_view(number), clip)
    missing = [view_file(tmp_path, 3, kind, "clip") for kind in ("pose", "latent")]
    for path in missing:
        path.unlink()
    assert sorted(errors(tmp_path)) == sorted(f"{path} is missing" for path in missing)
    depth = view_file(tmp_path, 0, "depth", "other")
    depth.parent.mkdir()
    depth.write_bytes(b"")
    lacking = [text for text in errors(tmp_path) if "depth" in text]
    assert len(lacking) == 5  # the other views of this clip have none


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c2w": np.full((9, 4, 4), np.nan, np.float32)}, "poses hold NaN or infinity"),
        ({"c2w": np.tile(2 * np.eye(4, dtype=np.float32), (9, 1, 1))}, "poses are no rigid motions"),
        ({"intrinsics": np.ones((8, 4), np.float32)}, "there are 9 poses, but 8 intrinsics"),
    ],
)
def test_bad_cameras_are_named(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    for number in range(6):
        write_cameras(tmp_path, replace(make_view(number), **change) if number == 4 else make_view(number))
    assert errors(tmp_path) == [f"{tmp_path / '4'}, clip clip: {message}"]


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        (np.full((16, 2, 2, 4), np.inf, np.float32), "latents hold NaN or infinity"),
        (np.zeros((16, 3, 2, 4), np.float32), "latents .*shape"),
        (np.zeros((2, 16, 2, 4), np.float32), "latents .*shape"),
    ],
)
def test_bad_latents_are_named_with_real_videos(tmp_path: Path, latents: np.ndarray, message: str) -> None:
    pytest.importorskip("av", reason="writing .mp4 needs PyAV")
    write_folders(tmp_path, make_numbers("clip"))
    assert check_dataset(tmp_path).errors == []
    write_latents(view_file(tmp_path, 1, "latent", "clip"), latents)
    (found,) = check_dataset(tmp_path).errors
    assert found.startswith(f"{tmp_path / '1'}, clip clip: ")
    assert re.search(message, found)


def test_depth_of_another_size_is_named(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="writing .mp4 needs PyAV")
    write_folders(tmp_path, make_numbers("clip"))
    with zipfile.ZipFile(view_file(tmp_path, 5, "depth", "clip"), "w") as archive:
        for index in range(9):
            archive.writestr(f"{index:05d}.exr", encode_exr(np.ones((8, 8), np.float16)))
    assert check_dataset(tmp_path).errors == [
        f"{tmp_path / '5'}, clip clip: depth have shape [9, 8, 8] instead of [9, 16, 32]"
    ]


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LyraError, match="holds no data set"):
        check_dataset(tmp_path)
    with pytest.raises(LyraError, match="is no folder"):
        check_dataset(tmp_path / "absent")
