# SPDX-License-Identifier: Apache-2.0
"""The synthetic suite: the whole corridor from ONE image, scored on views it never saw.

Each world gives an input image with exact depth and four unseen cameras (two between the paths, one 1.3 times beyond
one, one close-up; `views.py`). The ray tracer's own pictures of those cameras are the reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyra_core.decoder import GaussianDecoder
from lyra_core.distillation.dataset import FOV_X, Targets, exact_depth, with_latents
from lyra_core.distillation.generate import base_camera
from lyra_core.evaluation.lift import lift
from lyra_core.evaluation.metrics import psnr, ssim
from lyra_core.evaluation.views import UNSEEN_KINDS, to_scene_units, unseen_cameras
from lyra_core.gaussians import Gaussians
from lyra_core.images import quantized
from lyra_core.pipeline import Conditioning, LyraPipeline
from lyra_core.progress import Progress, no_progress
from lyra_core.rendering import render
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
    pipeline: LyraPipeline, *, first_seed: int = FIRST_SEED, worlds: int = 24, progress: Progress = no_progress
) -> dict[str, Any]:
    """Score a model and its baselines.

    Args:
        pipeline: the model; its preset's projection is the one everything is rendered in.
        first_seed: of the worlds; below 2,000,000 the model may have been trained on them.
        worlds: how many.
        progress: counts worlds.

    Returns:
        means over all views: psnr_* [dB] and ssim_* for the rows exact_depth, net_depth, untrained, swapped (exact
        depth, another world's latents), lift and lift_ewa (rendered in that projection); swap_cost [dB]; psnr_by_kind
        and psnr_by_world of exact_depth; depth_abs_rel of the depth network and depth_rendered, median relative error
        of the rendered depth with exact depth; gaussians; seconds a world; the settings.
    """
    untrained = with_decoder(pipeline, GaussianDecoder(pipeline.decoder.config))
    scores: dict[str, list[list[float]]] = {}
    similarities: dict[str, list[float]] = {}
    depth_errors, rendered_errors, counts, seconds = [], [], [], []
    previous: Conditioning | None = None

    def score(row: str, gaussians: Gaussians, targets: Targets, projection: Projection | None = None) -> Tensor:
        view = render(gaussians, targets.cameras, projection=projection or pipeline.preset.projection)
        pairs = list(zip(view.color.clamp(0, 1), targets.rgb, strict=True))
        scores.setdefault(row, []).append([float(psnr(a, b)) for a, b in pairs])
        similarities.setdefault(row, []).extend(float(ssim(a, b)) for a, b in pairs)
        return view.depth

    for done in range(worlds):
        progress("worlds", done, worlds)
        image, z, targets = world_views(first_seed + done, *pipeline.preset.image_size)
        start = time.perf_counter()
        exact = pipeline.condition(image, exact_depth(z))
        gaussians = pipeline.reconstruct(exact)
        seconds.append(time.perf_counter() - start)
        counts.append(len(gaussians))
        depth = score("exact_depth", gaussians, targets)
        rendered_errors.append(float(((depth - targets.z).abs() / targets.z).median()))

        guess = pipeline.depth_estimator(image)
        depth_errors.append(absolute_relative_error(guess.z.numpy(), z))
        score("net_depth", pipeline.reconstruct(pipeline.condition(image, guess)), targets)
        lifted = lift(exact)
        score("lift", lifted, targets)
        score("lift_ewa", lifted, targets, "ewa")  # its small Gaussians need the low-pass of splatting
        score("untrained", untrained.reconstruct(exact), targets)
        if previous is not None:
            score("swapped", pipeline.reconstruct(with_latents(exact, previous)), targets)
        previous = exact
    progress("worlds", worlds, worlds)

    by_view = np.array(scores["exact_depth"])
    kinds = {kind: float(by_view[:, [k == kind for k in UNSEEN_KINDS]].mean()) for kind in dict.fromkeys(UNSEEN_KINDS)}
    return {
        **{f"psnr_{row}": float(np.mean(values)) for row, values in scores.items()},
        **{f"ssim_{row}": float(np.mean(values)) for row, values in similarities.items()},
        "swap_cost": float(by_view[1:].mean() - np.mean(scores["swapped"])) if worlds > 1 else None,
        "psnr_by_kind": kinds,
        "psnr_by_world": [float(value) for value in by_view.mean(1)],
        "depth_abs_rel": float(np.mean(depth_errors)),
        "depth_rendered": float(np.mean(rendered_errors)),
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


def absolute_relative_error(guess: np.ndarray, truth: np.ndarray) -> float:
    """Mean of |guess - truth| / truth after the guess is scaled by the ratio of the medians (scale is not judged)."""
    scaled = guess * (np.median(truth) / np.median(guess))
    return float((np.abs(scaled - truth) / truth).mean())


Suite = Callable[..., dict[str, Any]]

SUITES: dict[str, Suite] = {"synthetic": evaluate_synthetic}
"""What `lyra evaluate --suite` knows."""
