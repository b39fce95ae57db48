# SPDX-License-Identifier: Apache-2.0
"""The dynamic suite: a clip of a procedural world in which things move, scored on views and times it never saw.

Every world gives a clip with exact depth, filmed by a camera that stands still or (every second world) walks. Pictures
are scored at the instants that were reconstructed and halfway between them, from cameras the model never saw.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyra_core.dynamic.pipeline import reconstruct_video
from lyra_core.dynamic.scene import DynamicScene
from lyra_core.errors import LyraError
from lyra_core.evaluation.contact_sheet import ContactSheet
from lyra_core.evaluation.metrics import psnr
from lyra_core.evaluation.views import to_scene_units, unseen_cameras
from lyra_core.pipeline import LyraPipeline
from lyra_core.progress import Progress, no_progress
from lyra_core.synthetic.motion import MovingWorld

FIRST_SEED = 2_000_000
"""Worlds from here on are only ever scored."""

CLIP_FRAMES = 17

INSTANTS = tuple(range(0, CLIP_FRAMES, 2))
"""Frames that are reconstructed; scored times are these and the ones halfway between."""

KINDS = ("interpolating", "extrapolating", "closer")


@torch.no_grad()
def evaluate_dynamic(
    pipeline: LyraPipeline,
    *,
    first_seed: int = FIRST_SEED,
    worlds: int = 16,
    instants: tuple[int, ...] = INSTANTS,
    sheets: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Score a model on moving worlds.

    Args:
        pipeline: the model; its preset's projection is the one everything is rendered in.
        first_seed: of the worlds.
        worlds: how many.
        instants: numbers of the frames that are reconstructed.
        sheets: folder for contact sheets: truth above, ours below.
        progress: counts worlds.

    Returns:
        psnr over all unseen views and times, psnr_instants, psnr_between, psnr_moving (over the pixels of what moves
        alone) [dB], psnr_by_world, static_share, memory_saved, seconds a world, the method and the settings.
    """
    rows: list[dict[str, float]] = []
    for done in range(worlds):
        progress("worlds", done, worlds)
        seed = first_seed + done
        rows.append(score_world(pipeline, MovingWorld(seed), walking=seed % 2 == 1, instants=instants, sheets=sheets))
    progress("worlds", worlds, worlds)
    means = {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}
    return {
        **means, "psnr_by_world": [row["psnr"] for row in rows], "suite": "dynamic", "first_seed": first_seed,
        "worlds": worlds, "instants": list(instants), "clip_frames": CLIP_FRAMES, "model": pipeline.preset.name,
        "projection": pipeline.preset.projection,
        "time_conditioned": pipeline.decoder.config.use_time_embedding,
    }  # fmt: skip


def score_world(
    pipeline: LyraPipeline,
    world: MovingWorld,
    *,
    walking: bool,
    instants: tuple[int, ...] = INSTANTS,
    sheets: Path | None = None,
) -> dict[str, float]:
    """Figures of one world, see `evaluate_dynamic`. Raises LyraError where the model finds no motion in it."""
    start = time.perf_counter()
    clip = world.video(CLIP_FRAMES, *pipeline.preset.image_size, walking=walking)
    scene = reconstruct_video(pipeline, clip, list(instants))
    if not isinstance(scene, DynamicScene):
        raise LyraError(f"world {world.seed}: no motion was found in a clip of {world.caption}.")
    seconds = time.perf_counter() - start
    unit = float(clip.depth[0].median())
    origin = (world.walking_cameras if walking else world.base_cameras)(2, *pipeline.preset.image_size).c2w[0]
    cameras = unseen_cameras(world.world, unit, np.random.default_rng(world.seed), KINDS)
    scores: dict[str, list[float]] = {"psnr_instants": [], "psnr_between": [], "psnr_moving": []}
    sheet = ContactSheet(f"world {world.seed}: {', '.join(placed.mover.label for placed in world.movers)}")
    for number, moment in enumerate(_scored_times(clip.times[list(instants)])):
        truth = world.render(cameras, [float(moment)] * len(cameras))
        ours = scene.render(to_scene_units(cameras, origin, unit), [float(moment)] * len(cameras)).color
        values = psnr(ours, truth.rgb)
        scores["psnr_instants" if number % 2 == 0 else "psnr_between"] += values.tolist()
        scores["psnr_moving"].append(_psnr_of(ours, truth.rgb, _moving(truth.object_id, world)))
        sheet.add(truth.rgb[number % len(KINDS)], ours[number % len(KINDS)], f"{float(moment):.1f} s")
    if sheets is not None:
        sheet.save(sheets / f"{world.seed}.png")
    means = {name: float(np.nanmean(values)) for name, values in scores.items()}
    everything = scores["psnr_instants"] + scores["psnr_between"]
    return {
        **means, "psnr": float(np.mean(everything)), "static_share": scene.report.static_share,
        "memory_saved": 1 - scene.report.split_bytes / scene.report.unsplit_bytes, "seconds": seconds,
        "gaussians": float(scene.report.static + scene.report.moving),
    }  # fmt: skip


def dynamic_table(report: dict[str, Any]) -> str:
    """The report of `evaluate_dynamic`."""
    texts = {
        "psnr": "all unseen views and times", "psnr_instants": "at reconstructed instants",
        "psnr_between": "halfway between them", "psnr_moving": "pixels of what moves alone",
    }  # fmt: skip
    method = "a clock" if report["time_conditioned"] else "no clock: every instant by itself"
    lines = [
        f"{report['model']}, suite dynamic: {report['worlds']} clips of worlds from seed {report['first_seed']}, "
        f"{len(report['instants'])} instants each; decoder with {method}",
        *(f"{text:<28}{report[name]:9.2f} dB" for name, text in texts.items()),
        f"{100 * report['static_share']:.0f} % of {report['gaussians']:,.0f} Gaussians stand still, which saves "
        f"{100 * report['memory_saved']:.0f} % of the memory; {report['seconds']:.0f} s a clip",
    ]
    return "\n".join(lines)


def _scored_times(instants: Tensor) -> Tensor:
    """The instants `[T]` [s] and the moments halfway between, ascending."""
    return torch.cat((instants, (instants[1:] + instants[:-1]) / 2)).sort().values


def _moving(object_id: Tensor, world: MovingWorld) -> Tensor:
    return torch.isin(object_id, torch.tensor(sorted(world.moving_ids)))


def _psnr_of(ours: Tensor, truth: Tensor, where: Tensor) -> float:
    """PSNR [dB] over the pixels `where`; NaN where there are none."""
    if not bool(where.any()):
        return float("nan")
    return float(-10 * (ours.clamp(0, 1)[where] - truth[where]).square().mean().log10())
