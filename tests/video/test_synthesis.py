# SPDX-License-Identifier: Apache-2.0
"""ViPE's results through the data engine: six kinds of views, and the same ones motion-reversed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_core.cameras import Cameras
from lyra_core.conditioning.cache4d import Cache4D
from lyra_core.dynamic.prepared import in_units
from lyra_core.errors import LyraError
from lyra_core.images import resized
from lyra_core.pipeline import LyraPipeline
from lyra_core.synthesis.check import check_dataset
from lyra_core.synthesis.exr import encode_exr
from lyra_core.synthesis.items import from_vipe
from lyra_core.synthesis.job import Job
from lyra_core.synthesis.order import pose_order
from lyra_core.synthesis.reading import open_dataset
from lyra_core.synthesis.run import synthesize
from lyra_core.synthesis.sample import Sample, View
from lyra_core.synthesis.sizes import forecast
from lyra_core.synthesis.video_engine import make_video_sample
from lyra_core.video.posed import PosedVideo
from lyra_core.video.vipe import read_vipe
from lyra_core.video.walks import Walk, render_walk

from .video_files import write_video

FRAMES, HEIGHT, WIDTH = 9, 64, 128  # the pictures of the tiny model; its videos are half as large


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result folder of ViPE with one walk past moving things."""
    root = tmp_path_factory.mktemp("vipe")
    walk = render_walk(2_000_003, FRAMES + 2, HEIGHT, WIDTH, Walk(rate=6.0))
    for kind in ("rgb", "pose", "intrinsics", "depth"):
        (root / kind).mkdir()
    write_video(root / "rgb" / "a walk.mp4", (walk.frames * 255).round().byte().numpy())
    np.savez(root / "pose" / "a walk.npz", data=walk.cameras.c2w.numpy(), inds=np.arange(len(walk)))
    np.savez(root / "intrinsics" / "a walk.npz", data=walk.cameras.intrinsics.numpy(), inds=np.arange(len(walk)))
    with zipfile.ZipFile(root / "depth" / "a walk.zip", "w") as archive:
        for number, z in enumerate(walk.depth):
            archive.writestr(f"{number:05d}.exr", encode_exr(z.numpy()))
    return root


@pytest.fixture(scope="module")
def video(results: Path) -> PosedVideo:
    """What the engine reads of it, in scene units."""
    posed = read_vipe(results, FRAMES, lambda height, width: (height, width))
    return in_units(posed, float(posed.depth[0].median()))


@pytest.fixture(scope="module")
def sample(results: Path, tiny_model: Path) -> Sample:
    return make_video_sample(LyraPipeline.from_pretrained(str(tiny_model)), from_vipe([results], seed=5)[0])


def start(view: View) -> int:
    """The content frame at which the camera path begins."""
    return FRAMES - 1 if view.reversed else 0


def test_views_forwards_and_motion_reversed(sample: Sample, video: PosedVideo) -> None:
    """Where its path starts, a view is the source frame of that time, seen by the source camera of that time."""
    assert [view.number for view in sample.views] == [0, 1, 4, 5, 6, 7, 10, 11]
    for view in sample.views:
        number = start(view)
        assert np.abs(view.frames[number] / 255.0 - resized(video.frames[number], 32, 64).numpy()).mean() < 0.03
        np.testing.assert_allclose(view.c2w[number], video.cameras.c2w[number].numpy(), atol=1e-4)
        assert (view.latents is None) == view.reversed
    assert pose_order({view.number: view.c2w for view in sample.views}) == "right"
    assert sample.about["depth_source"] == "ViPE"
    assert sample.about["video"] == "a walk.mp4"
    assert any("trimmed" in note for note in sample.about["notes"]["video_notes"])


def test_every_pose_belongs_to_its_frame(sample: Sample, video: PosedVideo) -> None:
    """The 4D cache of time f, seen from the pose that is written for frame f, is what frame f shows."""
    cache = Cache4D(video, "adaptive")
    for view in sample.views:
        for number in (0, 4, FRAMES - 1):
            camera = Cameras(
                torch.from_numpy(view.c2w[number : number + 1]),
                torch.from_numpy(view.intrinsics[number]),
                WIDTH // 2,
                HEIGHT // 2,
            )
            warp = cache.render(camera, torch.tensor([number]))
            agree = warp.mask[0].numpy() & view.known[number]
            assert agree.mean() > 0.7
            off = np.abs(warp.z[0].numpy() / view.depth[number].astype(np.float32) - 1)[agree]
            assert np.quantile(off, 0.98) < 0.01


def test_a_data_set_of_videos(results: Path, tiny_model: Path, tmp_path: Path) -> None:
    """In the published folders, with a card, sound by the checker; the order bug would be found."""
    items = tuple(from_vipe([results, results]))
    assert [item.name for item in items] == ["000000_a-walk", "000001_a-walk"]
    job = Job(tmp_path / "data", str(tiny_model), items[:1], "vipe", "folders")
    report = synthesize(job)
    assert (report.made, report.failed) == (1, {})
    assert not check_dataset(job.root).errors
    assert open_dataset(job.root).names == ["000000_a-walk"]
    card = (job.root / "flag" / "README.md").read_text()
    assert "6 left motion-reversed" in card
    assert "videos with the cameras and depth that ViPE estimated" in card
    plan = forecast(job, 1)
    assert len(plan.settings.views) == 8
    latents = [view.latents for view in open_dataset(job.root).load("000000_a-walk").views]
    assert plan.latents == sum(4 * part.size for part in latents if part is not None) + 8 * FRAMES * 4 * 20
    for number in (6, 7, 10, 11):
        path = job.root / str(number) / "pose" / "000000_a-walk.npz"
        poses = np.load(path)
        np.savez(path, data=poses["data"][::-1], inds=poses["inds"])
    assert any("order bug" in error for error in check_dataset(job.root).errors)


def test_results_that_cannot_be_used_are_failures(results: Path, tiny_model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    for kind in ("rgb", "pose", "intrinsics", "depth"):
        (broken / kind).mkdir(parents=True)
        for path in (results / kind).iterdir():
            (broken / kind / path.name).write_bytes(path.read_bytes())
    (broken / "pose" / "a walk.npz").write_bytes(b"nothing")
    report = synthesize(Job(tmp_path / "data", str(tiny_model), tuple(from_vipe([broken])), "vipe"))
    assert report.made == 0
    assert "a walk.npz is damaged" in report.failed["000000_a-walk"]
    with pytest.raises(LyraError, match="holds no result of ViPE"):
        from_vipe([tmp_path])


def test_the_command(results: Path, tiny_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lyra_core.app.cli", "synthesize", "--model", str(tiny_model), "--json"]
    done = subprocess.run(
        [*command, "--vipe", str(results), "-o", str(tmp_path / "data"), "--dry-run"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["samples"] == 1
