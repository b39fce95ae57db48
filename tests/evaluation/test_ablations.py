# SPDX-License-Identifier: Apache-2.0
"""The ablation table: two rows from end to end, and what each row's switch really does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lyra_core.app.evaluate import EvaluateRequest, evaluate, show
from lyra_core.cameras import Cameras, intrinsics_from_fov
from lyra_core.decoder import DecoderConfig, GaussianDecoder, encode_plucker
from lyra_core.distillation.ray_memory import RayMemory
from lyra_core.errors import LyraError
from lyra_core.evaluation.ablations.data import TRUE_DEPTH, Sets
from lyra_core.evaluation.ablations.plan import DEFAULT_PLAN, load_plan
from lyra_core.evaluation.ablations.report import ablation_report
from lyra_core.evaluation.ablations.run import RESULTS_NAME, Work
from lyra_core.evaluation.published import published_tables
from lyra_core.synthesis.reading import open_dataset
from lyra_core.teacher.pixel_blocks import CHANNELS, PixelBlocks

INPUTS = ["left", "right"]


def plan_file(folder: Path, model: Path, **changes: Any) -> Path:
    """Two rows, one seed, two steps."""
    values = {
        "stage": {
            "model": str(model), "size": [32, 64], "frames": 9, "targets": 2, "processes": 1, "steps": 2,
            "precision": "no", "learning_rate": 1e-3, "warmup_steps": 1, "evaluate_every_steps": 100,
        },
        "anchors": {"off": {"color_anchor": False, "depth_anchor": False, "input_view_gaussians": False}},
        "worlds": 1, "heldout": 1, "seeds": 1,
        "rows": [
            {"name": "full", "published": "Lyra", "inputs": INPUTS},
            {"name": "real data only", "published": "real data only", "data": "real", "inputs": INPUTS},
        ],
        **changes,
    }  # fmt: skip
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def request(plan: Path, data: Path, sheets: Path | None = None) -> EvaluateRequest:
    return EvaluateRequest(
        "ablations", "mini", data=data, first_seed=0, scenes=None, frames=None, span=120, scale="auto", paths="auto",
        sheets=sheets, json_out=None, plan=plan,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, Path, dict[str, Any]]:
    """Plan, work folder and report of a finished table."""
    folder = tmp_path_factory.mktemp("ablations")
    plan = plan_file(folder, tiny_model)
    report = evaluate(request(plan, folder / "work", folder / "sheets"), lambda phase, step, total: None)
    return plan, folder / "work", report


def test_a_table_is_trained_scored_and_shown(made: tuple[Path, Path, dict[str, Any]]) -> None:
    plan, work, report = made
    assert report["finished"] == report["planned"] == 2
    full, real = report["tables"]["off"]
    assert full["delta"] is None and real["published_delta"] == -5.69
    difference = real["figures"]["teacher"]["psnr"]["mean"] - full["figures"]["teacher"]["psnr"]["mean"]
    assert real["delta"]["mean"] == pytest.approx(difference) and difference != 0
    for row in (full, real):
        assert 0 < row["figures"]["truth"]["psnr"]["mean"] < 60 and row["figures"]["truth"]["depth"]["mean"] > 0
    with Image.open(plan.parent / "sheets" / "ablations-anchors-off.png") as picture:
        assert picture.width == 3 * (2 * 64) + 2 * 4
    assert "real data only" in show(report) and "-5.69" in show(report)
    assert len((work / RESULTS_NAME).read_text().splitlines()) == 2


def test_a_torn_line_is_made_again_and_is_the_same(made: tuple[Path, Path, dict[str, Any]]) -> None:
    plan, work, _ = made
    path = work / RESULTS_NAME
    whole = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(path.read_text()[:-40])
    evaluate(request(plan, work), lambda phase, step, total: None)
    again = list(Work(work).results().values())
    for result in (*whole, *again):
        del result["processor_seconds"]
    assert again == whole


def test_another_plan_is_refused(made: tuple[Path, Path, dict[str, Any]], tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(LyraError, match=r"another plan \(seeds\)"):
        evaluate(request(plan_file(tmp_path, tiny_model, seeds=2), made[1]), lambda phase, step, total: None)


def test_the_sets_hold_what_they_are_called(made: tuple[Path, Path, dict[str, Any]]) -> None:
    """Self: the teacher's frames alone. Real: the ray tracer's of the same cameras. Held out: the teacher's."""
    sets = Sets(made[1] / "data")
    names = {source: open_dataset(sets.clips(source)).names for source in ("self", "real", "both")}
    assert names["self"] == ["teacher-0000000", "unseen-2000000"]
    assert names["real"] == ["real-0000000", "unseen-2000000"]
    assert names["both"] == ["real-0000000", "teacher-0000000", "unseen-2000000"]
    taught = open_dataset(sets.clips("self")).load("teacher-0000000")
    real = open_dataset(sets.clips("real")).load("real-0000000")
    assert real.about["depth_source"] == TRUE_DEPTH and taught.about["depth_source"] == "exact"
    for one, other in zip(taught.views, real.views, strict=True):
        assert np.array_equal(one.c2w, other.c2w) and np.array_equal(one.known, other.known)
        assert other.latents is not None and not np.array_equal(one.latents, other.latents)
        known = np.abs(one.depth[1:].astype(float) / other.depth[1:] - 1)[one.known[1:]]
        assert np.median(known) < 0.01  # the warp shows the same surfaces
        filled = np.abs(one.frames[1:].astype(float) - other.frames[1:])[~one.known[1:]]
        assert filled.mean() > np.abs(one.frames[1:].astype(float) - other.frames[1:])[one.known[1:]].mean()


def test_the_packages_plan_makes_stages_and_names_published_rows() -> None:
    plan = load_plan(DEFAULT_PLAN)
    (table,) = (table for table in published_tables() if table["name"] == "ablations")
    known = {row["method"] for row in table["rows"]}
    assert {row.published for row in plan.rows if row.published} == known
    stages = {(anchors, row.name): plan.stage_of(row, anchors) for anchors, _, row in plan.runs()}
    assert len({stage.name for stage in stages.values()}) == len(stages)
    assert {stage.steps for stage in stages.values()} == {plan.stage["steps"]}
    assert stages["off", "w/o depth loss"].losses.depth == 0 < stages["off", "full"].losses.depth
    assert stages["on", "full"].decoder_config().anchored and not stages["off", "full"].decoder_config().anchored
    assert ("on", "w/o latents (pixel patches)") not in stages


def test_a_bad_plan_is_named(tmp_path: Path, tiny_model: Path) -> None:
    path = plan_file(
        tmp_path, tiny_model, rows=[{"name": "full", "inputs": INPUTS, "stage": {"decoder": {"depht": 1}}}]
    )
    with pytest.raises(LyraError, match="depht"):
        load_plan(path).stage_of(load_plan(path).rows[0], "off")
    path.write_text("rows: 3\n")
    with pytest.raises(LyraError, match="no ablation plan"):
        load_plan(path)


@pytest.mark.parametrize(
    ("deltas", "published", "verdict"),
    [([-1.0, -1.2, -1.1], -0.5, "agrees"), ([1.0, 1.2, 1.1], -0.5, "disagrees"), ([-1.0, 1.0, 0.2], -0.5, "undecided")],
)
def test_verdicts_need_more_than_the_spread(
    tmp_path: Path, tiny_model: Path, deltas: list[float], published: float, verdict: str
) -> None:
    plan = load_plan(plan_file(tmp_path, tiny_model, seeds=3))
    lines = []
    for seed, delta in enumerate(deltas):
        for row, psnr in (("full", 20.0), ("real data only", 20.0 + delta)):
            figures = {"teacher": {"psnr": psnr, "f_lpips": 1.0}, "truth": {"psnr": psnr}}
            lines.append({"anchors": "off", "row": row, "seed": seed, "gaussians": 1, "parameters": 1, **figures})
            lines[-1] |= {"processor_seconds": 1.0, "perceptual": "F-LPIPS"}
    (tmp_path / RESULTS_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    row = ablation_report(plan, Work(tmp_path))["tables"]["off"][1]
    assert row["verdict"] == verdict
    assert row["delta"]["mean"] == pytest.approx(np.mean(deltas))


CONFIG = DecoderConfig(
    width=32, depth=2, heads=2, attention_every=2, state_dim=8, head_dim=16, ray_dtype="float32",
    gaussian_stride=(8, 8, 8), prune_ratio=0.0,
)  # fmt: skip


def still_cameras(views: int, frames: int) -> Cameras:
    return Cameras(torch.eye(4).expand(1, views, frames, 4, 4), intrinsics_from_fov(1.2, 32, 32), 32, 32)


def test_without_fusion_no_view_sees_another() -> None:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 2, 16, 2, 4, 4, generator=generator)
    changed = latents.clone()
    changed[:, 1] += 1
    rays = torch.randn(1, 2, 32, 2, 4, 4, generator=generator)
    moved = {}
    for fused in (True, False):
        decoder = GaussianDecoder(replace(CONFIG, fuse_views=fused)).double()
        one, other = (
            decoder(part.double(), still_cameras(2, 9), plucker_latents=rays.double()) for part in (latents, changed)
        )
        moved[fused] = [float((one - other).detach()[:, half].abs().max()) for half in (slice(0, 32), slice(32, 64))]
    assert moved[True][0] > 0 and moved[False][0] == 0
    assert moved[True][1] > 0 and moved[False][1] > 0


def test_pixel_blocks_lose_nothing_and_feed_a_decoder() -> None:
    video = torch.rand(2, 3, 9, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    blocks = PixelBlocks()
    latents = blocks.encode(video)
    assert latents.shape == (2, CHANNELS, 9, 4, 4)
    assert torch.equal(blocks.decode(latents), video)
    decoder = GaussianDecoder(replace(CONFIG, latent_channels=CHANNELS, latent_period=1))
    cameras = still_cameras(2, 9)
    rows = decoder(latents[None], cameras, plucker_latents=encode_plucker(blocks.encode, cameras, torch.float32))
    assert rows.shape == (1, 2 * 2 * 4 * 4, 14) and bool(rows.isfinite().all())
    every = GaussianDecoder(replace(CONFIG, latent_channels=CHANNELS, latent_period=1, gaussian_stride=(1, 8, 8)))
    rays = encode_plucker(blocks.encode, cameras, torch.float32)
    assert every(latents[None], cameras, plucker_latents=rays).shape == (1, 2 * 9 * 4 * 4, 14)


def test_anchors_need_latents() -> None:
    with pytest.raises(LyraError, match="latent_period"):
        replace(CONFIG, color_anchor=True, latent_period=1)


def test_rays_are_remembered_within_bounds() -> None:
    asked = []

    def encode(video: torch.Tensor) -> torch.Tensor:
        asked.append(video.shape)
        return PixelBlocks().encode(video)

    cameras = still_cameras(3, 9)[0]
    cameras.c2w[1, :, 0, 3] += 1
    cameras.c2w[2, :, 1, 3] += 1
    memory = RayMemory(encode, torch.float32)
    assert torch.equal(memory(cameras), encode_plucker(PixelBlocks().encode, cameras[None], torch.float32))
    assert len(asked) == 3
    memory(cameras.reshape(-1).reshape(3, 9))
    assert len(asked) == 3
    one_path = encode_plucker(PixelBlocks().encode, cameras[None], torch.float32)[0, 0].nbytes
    small = RayMemory(encode, torch.float32, limit=2 * one_path)
    small(cameras)
    assert small._bytes <= 2 * one_path and len(small._known) == 2
