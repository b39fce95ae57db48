# SPDX-License-Identifier: Apache-2.0
"""The synthetic suite: the whole corridor from ONE image, scored on views it never saw.

Each world gives an input image with exact depth and four unseen cameras (two between the paths, one 1.3 times beyond
one, one close-up; `views.py`). The ray tracer's own pictures of those cameras are the reference.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyra_core.decoder import GaussianDecoder
from lyra_core.distillation.dataset import FOV_X, Targets, exact_depth, with_latents
from lyra_core.distillation.generate import base_camera
from lyra_core.evaluation.contact_sheet import ContactSheet
from lyra_core.evaluation.lift import lift
from lyra_core.evaluation.scores import Scorer, summary
from lyra_core.evaluation.views import UNSEEN_KINDS, to_scene_units, unseen_cameras
from lyra_core.gaussians import Gaussians
from lyra_core.images import quantized
from lyra_core.pipeline import Conditioning, LyraPipeline
from lyra_core.progress import Progress, no_progress
from lyra_core.rendering import RenderOutput, render
from lyra_core.rendering.render import Projection
from lyra_core.synthetic.grammar import make_world, render_world

FIRST_SEED = 2_000_000
"""Worlds from here on are only ever scored."""


def world_views(seed: int, height: int, width: int) -> tuple[Tensor, np.ndarray, Targets]:
    """Input image `[height, width, 3]`, its z-depth [m] and the unseen views of one world."""
    world = make_world(seed)
    view = render_world(world, base_camera(world, height, width))
    z = view.z[0].numpy().astype(np.float16).astype(np.float32)
    unit = float(np.median(z))
    cameras = unseen_cameras(world, unit, np.random.default_rng(seed))
    truth = render_world(world, cameras)
    targets = Targets(truth.rgb, truth.z / unit, to_scene_units(cameras, world.camera, unit))
    return quantized(view.rgb[0]), z, targets


@torch.no_grad()
def evaluate_synthetic(
    pipeline: LyraPipeline,
    *,
    first_seed: int = FIRST_SEED,
    worlds: int = 24,
    sheets: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Score a model and its baselines.

    Args:
        pipeline: the model; its preset's projection is the one everything is rendered in.
        first_seed: of the worlds; below 2,000,000 the model may have been trained on them.
        worlds: how many.
        sheets: folder for contact sheets of exact_depth; None for no pictures.
        progress: counts worlds.

    Returns:
        means over all views: psnr_* [dB], ssim_* and where its weights are lpips_* for the rows exact_depth, net_depth,
        untrained, swapped (exact depth, another world's latents), lift and lift_ewa (rendered in that projection);
        missing (metric: reason); swap_cost [dB]; psnr_by_kind and psnr_by_world of exact_depth; depth_abs_rel of the
        depth network and depth_rendered, median relative error of the rendered depth with exact depth; alignment;
        gaussians; seconds a world; the settings.
    """
    untrained = with_decoder(pipeline, GaussianDecoder(pipeline.decoder.config))
    scorer = Scorer.available()
    scores: dict[str, list[list[dict[str, float]]]] = {}
    depth_errors, rendered_errors, counts, seconds = [], [], [], []
    previous: Conditioning | None = None

    def score(row: str, gaussians: Gaussians, targets: Targets, projection: Projection | None = None) -> RenderOutput:
        view = render(gaussians, targets.cameras, projection=projection or pipeline.preset.projection)
        scores.setdefault(row, []).append([scorer(*pair) for pair in zip(view.color, targets.rgb, strict=True)])
        return view

    for done in range(worlds):
        progress("worlds", done, worlds)
        image, z, targets = world_views(first_seed + done, *pipeline.preset.image_size)
        start = time.perf_counter()
        exact = pipeline.condition(image, exact_depth(z))
        gaussians = pipeline.reconstruct(exact)
        seconds.append(time.perf_counter() - start)
        counts.append(len(gaussians))
        view = score("exact_depth", gaussians, targets)
        rendered_errors.append(float(((view.depth - targets.z).abs() / targets.z).median()))
        if sheets is not None:
            _sheet(targets, view.color, f"world {first_seed + done}").save(sheets / f"{first_seed + done}.png")

        guess = pipeline.depth_estimator(image)
        depth_errors.append(scorer.depth(guess.z, torch.from_numpy(z))["abs_rel"])
        score("net_depth", pipeline.reconstruct(pipeline.condition(image, guess)), targets)
        lifted = lift(exact)
        score("lift", lifted, targets)
        score("lift_ewa", lifted, targets, "ewa")  # its small Gaussians need the low-pass of splatting
        score("untrained", untrained.reconstruct(exact), targets)
        if previous is not None:
            score("swapped", pipeline.reconstruct(with_latents(exact, previous)), targets)
        previous = exact
    progress("worlds", worlds, worlds)

    by_view = np.array([[view["psnr"] for view in world] for world in scores["exact_depth"]])
    means = {row: summary([view for world in values for view in world]) for row, values in scores.items()}
    kinds = {kind: float(by_view[:, [k == kind for k in UNSEEN_KINDS]].mean()) for kind in dict.fromkeys(UNSEEN_KINDS)}
    return {
        **{f"{metric}_{row}": value["mean"] for row, table in means.items() for metric, value in table.items()},
        "missing": scorer.missing,
        "swap_cost": float(by_view[1:].mean() - means["swapped"]["psnr"]["mean"]) if worlds > 1 else None,
        "psnr_by_kind": kinds,
        "psnr_by_world": [float(value) for value in by_view.mean(1)],
        "depth_abs_rel": float(np.mean(depth_errors)),
        "depth_rendered": float(np.mean(rendered_errors)),
        "alignment": {"frame": "input camera", "scale": ["median-depth"]},
        "gaussians": int(np.mean(counts)),
        "seconds": float(np.median(seconds)),
        "model": pipeline.preset.name,
        "projection": pipeline.preset.projection,
        "suite": "synthetic",
        "first_seed": first_seed,
        "worlds": worlds,
        "fov_x_degrees": float(np.degrees(FOV_X)),
    }


def with_decoder(pipeline: LyraPipeline, decoder: GaussianDecoder) -> LyraPipeline:
    """The same corridor with another decoder."""
    return LyraPipeline(pipeline.preset, pipeline.images, pipeline.depth_estimator, pipeline.teacher, decoder)


def _sheet(targets: Targets, ours: Tensor, title: str) -> ContactSheet:
    sheet = ContactSheet(title)
    for truth, picture, kind in zip(targets.rgb, ours, UNSEEN_KINDS, strict=True):
        sheet.add(truth, picture, kind)
    return sheet
