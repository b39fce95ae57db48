# SPDX-License-Identifier: Apache-2.0
"""Single image to novel views, end to end on a tiny model: right poses and scale pay, wrong ones cost."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from lyra_core.app.cli import app
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError
from lyra_core.evaluation.clips import Clip, evenly
from lyra_core.evaluation.datasets.realestate10k import realestate10k_clips
from lyra_core.evaluation.novel_views import Protocol, evaluate_clips, fitted_shot
from lyra_core.fitting import fit_depth
from lyra_core.images import quantized
from lyra_core.pipeline import LyraPipeline

from .recording import HEIGHT, WIDTH, Recording, write_realestate10k


class RecordedDepth:
    """Knows the depth of the recording's first frame, as a very good depth model would."""

    def __init__(self, recording: Recording) -> None:
        z = recording.z[0]
        mask = torch.ones_like(z, dtype=torch.bool)
        self.known = DepthEstimate(z, mask, recording.cameras.intrinsics[0], "exact:recording")

    def __call__(self, image: torch.Tensor) -> DepthEstimate:
        return fit_depth(self.known, (HEIGHT, WIDTH), image.shape[0], image.shape[1])


@pytest.fixture
def clip(recording: Recording, tmp_path: Path) -> Clip:
    write_realestate10k(tmp_path, recording)
    return next(realestate10k_clips(tmp_path))


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path, recording: Recording) -> LyraPipeline:
    built = LyraPipeline.from_pretrained(str(tiny_model))
    built.depth_estimator = RecordedDepth(recording)
    return built


def mean_psnr(pipeline: LyraPipeline, clip: Clip, scale: str = "auto") -> float:
    return evaluate_clips(pipeline, [clip], Protocol(scale=scale, paths="reference"))["metrics"]["psnr"]["mean"]


def test_right_poses_pay_and_wrong_ones_cost(pipeline: LyraPipeline, clip: Clip) -> None:
    right = mean_psnr(pipeline, clip)
    assert right > mean_psnr(pipeline, clip, scale="0.2") + 1
    frames = clip.paths[0]
    shifted = tuple(
        replace(frame, camera=other.camera) for frame, other in zip(frames, (*frames[4:], *frames[:4]), strict=True)
    )
    trap = replace(clip, paths=(shifted,))  # what a stride mismatch does; only possible by taking frames apart
    assert right > mean_psnr(pipeline, trap, scale="triangulation") + 1


def test_scores_of_a_frame_do_not_depend_on_which_frames_are_scored(pipeline: LyraPipeline, clip: Clip) -> None:
    def by_frame(frames: int | None) -> dict[str, float]:
        report = evaluate_clips(pipeline, [clip], Protocol(frames=frames, paths="reference"))
        return {view["frame"]: view["psnr"] for view in report["clips"][0]["views"]}

    every, some = by_frame(None), by_frame(3)
    assert len(every) == 8 and len(some) == 3
    assert some == {name: every[name] for name in some}


def test_the_report_names_what_was_done(pipeline: LyraPipeline, clip: Clip, tmp_path: Path) -> None:
    protocol = Protocol(frames=4, span=6, sheets=tmp_path / "sheets")
    report = evaluate_clips(pipeline, [clip], protocol)
    assert report["alignment"] == {"frame": "input camera", "scale": ["triangulation"]}
    assert report["protocol"] == {"frames": 4, "span": 6, "paths": "preset", "score_input": False}
    assert Protocol(paths="reference").resolved(pipeline).paths == "reference"
    assert report["metrics"]["psnr"]["views"] == 4
    assert "depth" in report["missing"] and "lpips" in report["missing"]
    names = [view["frame"] for view in report["clips"][0]["views"]]
    assert names == evenly([frame.name for frame in clip.paths[0][1:7]], 4)
    with Image.open(tmp_path / "sheets" / "abcdef.png") as sheet:
        assert sheet.width > 4 * sheet.height / 2


def test_depth_is_scored_where_it_is_known(pipeline: LyraPipeline, clip: Clip, recording: Recording) -> None:
    frames = tuple(
        replace(frame, depth=partial(recording.z.__getitem__, index)) for index, frame in enumerate(clip.paths[0])
    )
    known = replace(clip, input=frames[0], paths=(frames,))
    report = evaluate_clips(pipeline, [known], Protocol(frames=3, paths="reference"))
    assert report["metrics"]["abs_rel"]["mean"] < 0.1
    assert report["metrics"]["delta_1"]["mean"] > 0.85
    assert "depth" not in report["missing"]
    assert report["alignment"]["scale"] == ["median-depth"]


def test_an_empty_folder_is_refused(pipeline: LyraPipeline) -> None:
    with pytest.raises(LyraError, match="no clip to score"):
        evaluate_clips(pipeline, [], Protocol())


def test_the_model_sees_the_picture_and_nothing_else(pipeline: LyraPipeline, clip: Clip) -> None:
    black = [replace(frame, picture=lambda: torch.zeros(112, 224, 3)) for frame in clip.paths[0][1:]]
    blind = replace(clip, paths=((clip.input, *black),))
    seen = evaluate_clips(pipeline, [clip], Protocol(scale="1.0", frames=1, paths="reference"))["clips"][0]["gaussians"]
    report = evaluate_clips(pipeline, [blind], Protocol(scale="1.0", frames=1, paths="reference"))
    assert report["clips"][0]["gaussians"] == seen
    assert report["metrics"]["psnr"]["mean"] < 12  # a colourful rendering against black


def test_the_command_line_runs_a_suite_on_data(recording: Recording, tiny_model: Path, tmp_path: Path) -> None:
    write_realestate10k(tmp_path, recording)
    out = tmp_path / "report.json"
    arguments = ["evaluate", "--suite", "re10k", "--model", str(tiny_model), "--frames", "2", "--json-out", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    assert (report["suite"], report["model"], report["source"]) == ("re10k", "tiny", "one picture")
    assert {row["method"] for row in report["published"]} == {"ZeroNVS", "ViewCrafter", "Wonderland", "Bolt3D", "Lyra"}
    assert all(row["status"] == "published, not re-run" for row in report["published"])
    table = done.stdout.splitlines()
    assert any(line.startswith("Lyra ") and "21.79" in line and line.endswith("not re-run") for line in table)
    assert any(line.startswith("tiny (mean of views)") for line in table)
    assert any(line.startswith("missing: lpips") for line in table)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "re10k"], "needs the folder of its data set"),
        (["--suite", "dl3dv", "--data", "nowhere"], "data folder nowhere does not exist"),
        (["--suite", "tanks", "--data", ".", "--scale", "big"], "unknown scale 'big'"),
        (["--suite", "tanks", "--data", ".", "--paths", "mine"], "unknown paths 'mine'"),
        (["--suite", "other"], "there is no suite 'other'"),
    ],
)
def test_bad_arguments_get_one_line(
    arguments: list[str], message: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["evaluate", "--model", str(tiny_model), *arguments])
    assert done.exit_code == 1
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_pictures_are_shown_to_the_model_as_8_bit(clip: Clip) -> None:
    fitted = fitted_shot(clip.input.read(), 64, 128).picture
    assert torch.equal(fitted, quantized(fitted))
