# SPDX-License-Identifier: Apache-2.0
"""`lyra refine`: a scene of a tiny model, fitted to the frames it was decoded from."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from lyra_core.cameras import Cameras, intrinsics_from_fov
from lyra_core.errors import LyraError
from lyra_core.gaussians import Gaussians
from lyra_core.refinement_by_frames import HELD_BACK_EVERY, MOST_FRAMES, Frames, refine_by_frames, scores
from lyra_core.rendering import render
from usd_export.scene_reader import open_scene

from .conftest import Lyra


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Folder of a scene with its stages."""
    from typer.testing import CliRunner

    from lyra_core.app.cli import app

    folder = tmp_path_factory.mktemp("scene")
    arguments = ["generate", "a small kitchen with a red fridge", "-o", str(folder / "room.usdz"), "--model",
                 str(tiny_model), "--no-collider", "--keep-intermediates"]  # fmt: skip
    assert CliRunner().invoke(app, arguments).exit_code == 0
    return folder


def test_a_scene_is_refined_as_a_new_one(lyra: Lyra, made: Path, tiny_model: Path, tmp_path: Path) -> None:
    old = (made / "room.usdz").read_bytes()
    done = lyra(
        "refine", made / "room.usdz", "-o", "better.usdz", "--model", tiny_model, "--steps", "24", "--no-collider"
    )
    assert done.exit_code == 0, done.stderr
    assert (made / "room.usdz").read_bytes() == old
    about, before = json.loads(Path("better.json").read_text()), json.loads((made / "room.json").read_text())
    facts = about.pop("refinement")
    assert facts["psnr_after"]["held_back"] > facts["psnr_before"]["held_back"]
    assert facts["psnr_after"]["fitted"] > facts["psnr_before"]["fitted"]
    assert facts["frames"] == {"fitted": 28, "held_back": 4} and facts["scene"] == "room.usdz"
    assert about == before  # the rest is inherited: scale, sources, warnings
    first, second = (open_scene(path)[0] for path in (made / "room.usdz", "better.usdz"))
    assert len(first) == len(second)
    assert abs(second.positions - first.positions).max() > 1e-4
    shown = [float(number) for number in re.search(r"held back (\S+) -> (\S+),", done.stdout).groups()]
    assert shown == pytest.approx([facts["psnr_before"]["held_back"], facts["psnr_after"]["held_back"]], abs=0.01)


def test_bad_input_is_refused_and_nothing_written(lyra: Lyra, made: Path, tiny_model: Path, tmp_path: Path) -> None:
    def message(scene: Path, output: Path | str = "new.ply") -> str:
        done = lyra("refine", scene, "-o", output, "--model", tiny_model, "--steps", "1", "--no-collider")
        assert done.exit_code == 1 and not Path("new.ply").exists()
        return done.stderr

    assert "--keep-intermediates" in message(Path("missing.usdz"))
    assert "is the scene itself" in message(made / "room.usdz", made / "room.usdz")
    for name in ("room.stages", "room.json"):
        shutil.copytree(made / name, name) if (made / name).is_dir() else shutil.copy(made / name, name)
    kept = Path("room.stages") / "gaussians.safetensors"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-10])
    assert "no usable result of the stage 'gaussians'" in message(Path("room.stages"))
    kept.write_bytes(whole)
    Path("room.json").write_text("{}")
    assert "missing or damaged" in message(Path("room.stages"))


def blobs(count: int, seed: int) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    means = torch.rand(count, 3, generator=generator) * torch.tensor([1.6, 1.2, 0.6]) + torch.tensor([-0.8, -0.6, 1.0])
    quats = torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1)
    scales = torch.full((count, 3), 0.12)
    return Gaussians(means, scales, quats, torch.full((count,), 0.8), torch.rand(count, 3, generator=generator))


def paths(views: int, frames: int) -> Cameras:
    c2w = torch.eye(4).repeat(views, frames, 1, 1)
    c2w[..., 0, 3] = torch.linspace(0, 0.3, frames) * torch.linspace(-1, 1, views)[:, None]
    return Cameras(c2w, intrinsics_from_fov(1.2, 48, 32), 48, 32)


def test_it_finds_the_way_back_and_keeps_the_best_step() -> None:
    truth, cameras = blobs(60, seed=0), paths(2, 9)
    video = torch.stack([render(truth, cameras[view], projection="ut").color for view in range(2)]).clamp(0, 1)
    frames = Frames.of(video, cameras, video[0, 0], cameras[0, :1])
    start = Gaussians(truth.means, truth.scales, truth.quats, truth.opacities, (truth.colors + 0.15).clamp(0, 1))
    result = refine_by_frames(start, frames, steps=60, projection="ut")
    assert result.after["held_back"] > result.before["held_back"] + 3
    assert result.after == scores(result.gaussians, frames, "ut") and result.step > 0


def test_frames_are_split_and_bounded() -> None:
    cameras = paths(4, 121)
    video = torch.rand(4, 1, 1, 1, 1).expand(4, 121, 32, 48, 3)
    frames = Frames.of(video, cameras, video[0, 0], cameras[0, :1])
    assert len(frames.fitted) + len(frames.held_back) == MOST_FRAMES
    assert len(frames.held_back) == MOST_FRAMES // HELD_BACK_EVERY
    seen = {tuple(pose.flatten().tolist()) for pose in frames.fitted.cameras.c2w}
    assert not seen & {tuple(pose.flatten().tolist()) for pose in frames.held_back.cameras.c2w}
    with pytest.raises(LyraError, match="too few"):
        Frames.of(video[:, :2], cameras[:, :2], video[0, 0], cameras[0, :1])
