# SPDX-License-Identifier: Apache-2.0
"""Trains the embedded decoder with a clock from the static one, on instants of worlds in which things move.

The loss is that of `train_decoder`. Its pictures are those of the published supervision: the input paths at the time of
the instant, and (motion reversal) the same paths as far on as a clip played backwards would have come.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.decoder import GaussianDecoder, rows_to_gaussians
from lyra_core.distillation.clips import moved
from lyra_core.distillation.dataset import Targets
from lyra_core.distillation.memory_plans import decoder_plans
from lyra_core.distillation.moving_worlds import MovingSample, MovingWorlds
from lyra_core.distillation.run_folder import STATE_NAME, open_run
from lyra_core.distillation.stage_run import identity_of, leg_of, load_start, optimizer_of, start_of, write_decoder
from lyra_core.distillation.stages import Stage
from lyra_core.distillation.train_decoder import DecoderTraining, view_loss
from lyra_core.distillation.trainer import train_leg
from lyra_core.evaluation.metrics import psnr
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import render
from lyra_core.rendering.render import Projection
from lyra_core.weights.presets import load_preset

MISSING_ALPHA = 0.5
"""Pixels of an unseen view with less alpha than this show a hole in the scene."""


def train_dynamic(
    stage: Stage,
    data: Path | str,
    out_dir: Path | str,
    *,
    start: Path | None = None,
    minutes: float | None = None,
    seed: int = 0,
    threads: int = 1,
    resume: bool = True,
) -> dict[str, Any]:
    """Trains one leg and writes `decoder.safetensors` (EMA weights) and `decoder.json`.

    Args:
        stage: on moving worlds.
        data: folder written by `write_moving_worlds`.
        out_dir: receives the weights, the metrics and everything in `run_folder`.
        start: weights to start from; default: those of the stage before, beside `out_dir`.
        minutes: length of the leg [min]; default: that of the stage.
        seed: of the data order.
        threads: CPU threads.
        resume: go on from the saved state.

    Returns:
        The figures of `measure`, steps and minutes.

    Raises LyraError for data, weights or a state that do not fit the stage, and as `train_leg`.
    """
    out = open_run(out_dir, threads=threads, resume=resume)
    settings, projection = DecoderTraining.of(stage), load_preset(stage.model).projection
    decoder = GaussianDecoder(stage.decoder_config())
    if not (out / STATE_NAME).exists():
        load_start(decoder, stage, start_of(stage, out, start))
    train, heldout = MovingWorlds(Path(data)), MovingWorlds(Path(data) / "heldout")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    decoder.to(device)

    def loss(rng: np.random.Generator) -> tuple[Tensor, dict[str, float | str]]:
        sample = train[int(rng.integers(len(train)))]
        views = torch.from_numpy(rng.permutation(sample.latents.shape[1])[: settings.views])
        gaussians = decoded(decoder, moved(sample.with_views(views), device))
        with torch.autocast(device.type, enabled=False):  # SSIM and depth do not survive bfloat16
            targets = moved(pictures(sample, reversal=stage.motion_reversal), device)
            value, figures = view_loss(gaussians, targets, rng, settings, projection)
        return value, {**figures, "batch": f"world {sample.name}, views {views.tolist()}"}

    result = train_leg(
        decoder, optimizer_of(decoder, stage), loss, lambda: measure(decoder, heldout, projection), out,
        leg_of(stage, minutes=minutes, seed=seed), plans=decoder_plans(device),
        identity=f"{identity_of(stage, decoder.config)}, motion reversal {stage.motion_reversal}",
    )  # fmt: skip
    about = {"stage": stage.name, "seed": seed, "motion_reversal": stage.motion_reversal, "instants": len(train)}
    return write_decoder(decoder, out, {**about, "heldout_instants": len(heldout), **result})


def decoded(decoder: GaussianDecoder, sample: MovingSample) -> Gaussians:
    """The pruned Gaussians of an instant in float32; differentiable in the decoder's weights."""
    rows = decoder(
        sample.latents, sample.cameras, plucker_latents=sample.rays, time_latents=sample.time_latents,
        anchors=sample.anchors,
    )  # fmt: skip
    return rows_to_gaussians(decoder.prune(rows)[0]).to(torch.float32)


def pictures(sample: MovingSample, *, reversal: bool) -> Targets:
    """The true pictures that supervise an instant, with those of the motion-reversed clip or without."""
    if not reversal:
        return sample.played
    both = (sample.played, sample.mirrored)
    return Targets(
        torch.cat([part.rgb for part in both]), torch.cat([part.z for part in both]),
        Cameras.cat([part.cameras for part in both]),
    )  # fmt: skip


@torch.no_grad()
def measure(decoder: GaussianDecoder, worlds: MovingWorlds, projection: Projection) -> dict[str, float]:
    """Figures on held-out instants.

    Returns:
        psnr on unseen views and psnr_mirrored on those of the reversed clip [dB]; missing: share of the pixels of both
        where the scene has a hole.
    """
    device = next(decoder.parameters()).device
    scores: dict[str, list[float]] = {"psnr": [], "psnr_mirrored": [], "missing": []}
    for index in range(len(worlds)):
        sample = moved(worlds[index], device)
        gaussians = decoded(decoder, sample)
        for name, targets in (("psnr", sample.unseen), ("psnr_mirrored", sample.mirrored)):
            view = render(gaussians, targets.cameras, projection=projection)
            scores[name] += psnr(view.color, targets.rgb).tolist()
            scores["missing"].append(float((view.alpha < MISSING_ALPHA).float().mean()))
    return {name: float(np.mean(values)) for name, values in scores.items()}
