# SPDX-License-Identifier: Apache-2.0
"""`lyra generate --video` and `lyra render`, on a tiny model of real parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from lyra_core.app import generate_video
from lyra_core.app.cli import app
from lyra_core.app.generate_video import VideoRequest
from lyra_core.app.phases import PhaseListener
from lyra_core.errors import LyraError
from lyra_core.images import read_image, write_image
from lyra_core.video.posed import PosedVideo


@pytest.fixture(scope="module")
def film(clip: PosedVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip as a folder of frames."""
    folder = tmp_path_factory.mktemp("film")
    for number, frame in enumerate(clip.frames):
        write_image(folder / f"{number:03d}.png", frame)
    return folder


@pytest.fixture(scope="module")
def made(film: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `moving/scene.usda`, its preview and its provenance."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate_video, "CLIP_FRAMES", 9)
        result = CliRunner().invoke(
            app,
            ["generate", "--video", str(film), "-o", str(folder / "moving.usda"), "--model", str(tiny_model),
             "--times", "0:9:4", "--no-collider", "--json"],
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    (folder / "summary.json").write_text(result.stdout.strip().splitlines()[-1])
    return folder


def test_a_video_becomes_a_scene_that_moves(made: Path) -> None:
    summary = json.loads((made / "summary.json").read_text())
    motion = summary["provenance"]["motion"]
    assert summary["files"][0] == str(made / "moving" / "scene.usda") and (made / "moving" / "scene.usda").is_file()
    assert motion["instants"] == 3 and motion["method"].startswith("static decoder")
    assert any("stand still" in warning for warning in summary["warnings"])
    stored = json.loads((made / "moving.json").read_text())
    assert stored["motion"] == motion and len(stored["inputs"]) >= 1
    assert read_image(made / "moving.preview.png").shape[1] > 300


def test_a_video_of_one_picture_becomes_a_static_scene(tiny_model: Path, clip: PosedVideo, tmp_path: Path) -> None:
    """Even where a film was asked for; the picture takes its place."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(3):
        write_image(folder / f"{number}.png", clip.frames[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate_video, "CLIP_FRAMES", 3)
        request = VideoRequest(
            tmp_path / "still.ply", folder, times="all", model=str(tiny_model), preview=tmp_path / "film.mp4",
            collider=False,
        )  # fmt: skip
        summary = generate_video.generate_video(request, PhaseListener())
    assert any("nothing moves" in warning for warning in summary.warnings) and "motion" not in summary.provenance
    names = {Path(file).name for file in summary.files}
    assert names == {"still.ply", "still.preview.png", "still.json"}
    assert all((tmp_path / name).stat().st_size > 0 for name in names)


def test_a_film_shows_the_motion_from_the_file(made: Path, tmp_path: Path) -> None:
    pictures = []
    for time in ("0", "0.3"):
        path = tmp_path / f"{time}.png"
        result = CliRunner().invoke(
            app, ["render", str(made / "moving"), "-o", str(path), "--time", time, "--size", "128x64"]
        )
        assert result.exit_code == 0, result.output
        pictures.append(read_image(path))
    difference = (pictures[0] - pictures[1]).abs().amax(-1)
    assert pictures[0].shape == (64, 128, 3)
    assert 0.002 < float((difference > 0.1).float().mean()) < 0.6  # something moved, and something did not


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--camera", "nowhere"], "no camera"),
        (["--eye", "0,0,1"], "belong together"),
        (["--camera", "left", "--eye", "0,0,1", "--target", "0,1,1"], "not both"),
        (["--size", "12"], "--size 12"),
    ],
)
def test_cameras_that_are_not_there_are_refused(made: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["render", str(made / "moving"), "-o", str(tmp_path / "a.png"), *options])
    assert result.exit_code != 0 and message in result.output
    assert not (tmp_path / "a.png").exists()


def test_a_placed_camera_looks_where_it_is_told(made: Path) -> None:
    """A camera at the place and with the target of a path's first pose sees what that pose sees."""
    from lyra_core.app.render import chosen_cameras, drawn
    from usd_export.dynamic.source import open_source

    source = open_source(made / "moving")
    start = chosen_cameras(source, 1, 128, 64)
    frame = source.record.frame
    eye = frame.apply(start.c2w[0, :3, 3].numpy()[None])[0]
    ahead = frame.apply((start.c2w[0, :3, 3] + start.c2w[0, :3, 2]).numpy()[None])[0]
    texts = [",".join(f"{value:.6f}" for value in point) for point in (eye, ahead)]
    placed = chosen_cameras(source, 1, 128, 64, eye=texts[0], target=texts[1])
    torch.testing.assert_close(placed.c2w[0, :3, 3], start.c2w[0, :3, 3], atol=1e-3, rtol=0)
    torch.testing.assert_close(placed.c2w[0, :3, 2], start.c2w[0, :3, 2], atol=1e-3, rtol=0)
    assert np.abs(np.linalg.det(placed.c2w[0, :3, :3].numpy()) - 1) < 1e-3
    assert drawn(source, placed, 0.0).mean() > 20


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (VideoRequest(Path("a.usdz"), Path("no-such.mp4")), "no video"),
        (VideoRequest(Path("a.usdz"), Path(__file__), times="x"), "--times"),
        (VideoRequest(Path("a.abc"), Path(__file__)), "suffix"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    request_: VideoRequest, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=message):
        generate_video.generate_video(request_, PhaseListener())


def test_options_that_do_not_go_with_a_video_are_refused(film: Path) -> None:
    for options, message in (
        ({"prompt": "a kitchen"}, "not two"),
        ({"encoding": "nurec"}, "no motion"),
        ({"ground_check": True}, "--ground-check"),
        ({"keep_intermediates": True}, "--keep-intermediates"),
    ):
        with pytest.raises(LyraError, match=message):
            generate_video.require_video_options(**options)  # type: ignore[arg-type]
