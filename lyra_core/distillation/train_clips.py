# SPDX-License-Identifier: Apache-2.0
"""Trains a decoder on its teacher's clips, one published stage after another (Lyra, arXiv 2509.19296).

The input is what the teacher generated along one to six camera paths; the targets are its own frames, of the same paths
or (for moving scenes) of all paths at one instant. No picture of the real scene enters.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyra_core.decoder import GaussianDecoder, encode_time, prune, rows_to_gaussians
from lyra_core.distillation.clips import Clips, TrainingSample, moved, open_clips
from lyra_core.distillation.cost import stage_cost
from lyra_core.distillation.deferred import render_deferred
from lyra_core.distillation.losses import image_losses, opacity_loss
from lyra_core.distillation.memory_plans import MemoryPlan, decoder_plans
from lyra_core.distillation.perceptual import DepthFeatures, PublishedLpips, load_perceptual
from lyra_core.distillation.ray_memory import RayMemory
from lyra_core.distillation.run_folder import STATE_NAME, open_run
from lyra_core.distillation.sheets import comparison_row, sheet
from lyra_core.distillation.stage_run import (
    identity_of,
    leg_of,
    load_start,
    optimizer_of,
    silence_unused_times,
    start_of,
    write_decoder,
)
from lyra_core.distillation.stages import Stage
from lyra_core.distillation.trainer import train_leg
from lyra_core.evaluation.metrics import psnr
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import RenderOutput
from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.weights import components
from lyra_core.weights.presets import load_preset

_WHITE = (1.0, 1.0, 1.0)
_SHEET_ROWS = 4


class ClipTraining:
    """Everything a stage on clips needs, on one device."""

    def __init__(self, stage: Stage, data: Path, *, seed: int, device: torch.device) -> None:
        """Open the data and build the decoder with fresh weights.

        Raises LyraError where the data or the tokenizer's weights are missing or do not fit the stage.
        """
        preset = load_preset(stage.model)
        self.stage, self.device, self.seed = stage, device, seed
        self.projection = preset.projection
        self.tokenizer: Tokenizer = components.build_tokenizer(preset)
        reduced = device.type == "cuda" and preset.precision == "bfloat16"
        self.tokenizer.network.to(device, torch.bfloat16 if reduced else torch.float32)  # type: ignore[arg-type]
        self.train, self.heldout = open_clips(data, stage, self.tokenizer)
        self.distance: PublishedLpips | DepthFeatures = load_perceptual().to(device)
        self.decoder = GaussianDecoder(stage.decoder_config(), generator=torch.Generator().manual_seed(seed))
        self.decoder.to(device)
        silence_unused_times(self.decoder)
        self.rays = RayMemory(self._encode, self.decoder.config.ray_torch_dtype)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float | str]]:
        """One sample's loss, see `trainer.Loss`."""
        with self._exact():
            sample = moved(self.train.draw(rng), self.device)
        gaussians = self.gaussians(sample, torch.Generator().manual_seed(int(rng.integers(2**31))))
        with self._exact():  # depth and SSIM do not survive bfloat16
            view = self._drawn(gaussians, sample)
            weights = self.stage.losses
            value, figures = image_losses(
                view, sample.rgb, sample.depth, weights, self.distance, chunk=self.stage.perceptual_chunk
            )
            value = value + weights.opacity * opacity_loss(gaussians.opacities, weights.opacity_form)
        opacity = float(gaussians.opacities.detach().mean())
        return value, {**figures, "opacity": opacity, "views": float(len(sample.latents)), "batch": sample.name}

    def gaussians(self, sample: TrainingSample, generator: torch.Generator | None = None) -> Gaussians:
        """What the decoder makes of a sample, pruned, in float32; differentiable in its weights."""
        config = self.decoder.config
        rows = self.decoder(
            sample.latents[None], sample.cameras[None], plucker_latents=self._rays(sample),
            time_latents=self._times(sample), anchors=sample.anchors,
        )  # fmt: skip
        kept = prune(rows, config.prune_ratio, random_share=self.stage.random_share, generator=generator)
        return rows_to_gaussians(kept[0]).to(torch.float32)

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Means over one fixed sample of every held-out clip: psnr [dB], perceptual distance, mean opacity."""
        scores: dict[str, list[float]] = {"psnr": [], self.perceptual_figure: [], "opacity": []}
        for sample in self._heldout_samples(len(self.heldout)):
            gaussians = self.gaussians(sample, torch.Generator().manual_seed(0))
            view = self._drawn(gaussians, sample)
            scores["psnr"].append(float(psnr(view.color, sample.rgb).mean()))
            scores[self.perceptual_figure].append(float(self.distance(view.color.clamp(0, 1), sample.rgb).mean()))
            scores["opacity"].append(float(gaussians.opacities.mean()))
        return {name: float(np.mean(values)) for name, values in scores.items()}

    def sheet(self) -> Tensor:
        """A picture of the first held-out clips, see `sheets`."""
        rows = []
        for sample in self._heldout_samples(_SHEET_ROWS):
            view = self._drawn(self.gaussians(sample, torch.Generator().manual_seed(0)), sample)
            rows.append(comparison_row(sample.rgb[-1], view.color[-1], view.depth[-1]))
        return sheet(rows)

    @property
    def perceptual_figure(self) -> str:
        """Name of the perceptual distance in tables: LPIPS and its stand-in are different numbers."""
        return "lpips" if isinstance(self.distance, PublishedLpips) else "f_lpips"

    def _heldout_samples(self, count: int) -> list[TrainingSample]:
        names = self.heldout.names[:count]
        return [moved(_fixed_sample(self.heldout, name), self.device) for name in names]

    def _drawn(self, gaussians: Gaussians, sample: TrainingSample) -> RenderOutput:
        near, far = self.decoder.config.distance_range
        return render_deferred(
            gaussians, sample.targets, projection=self.projection, near=near, far=far,
            background=torch.tensor(_WHITE, device=self.device),
        )  # fmt: skip

    @torch.no_grad()
    def _rays(self, sample: TrainingSample) -> Tensor:
        with self._exact():
            return self.rays(sample.cameras)

    @torch.no_grad()
    def _times(self, sample: TrainingSample) -> Tensor | None:
        if sample.instant is None:
            return None
        with self._exact():
            return encode_time(self._encode, sample.times, sample.instant, *self.stage.size)

    def _exact(self) -> torch.autocast:
        """No autocast within: everything has the precision it was given."""
        return torch.autocast(self.device.type, enabled=False)

    def _encode(self, video: Tensor) -> Tensor:
        return self.tokenizer.encode(video.to(self.device))


def train_on_clips(
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
    """Trains one stage and writes `decoder.safetensors` and `decoder.json`.

    Args:
        stage: what to do.
        data: folder of a data set (`lyra synthesize`, or the published layout).
        out_dir: receives the weights, the metrics and everything in `run_folder`.
        start: weights to start from; default: those of the stage before, beside `out_dir`.
        minutes: wall-clock bound [min]; None takes the stage's. One that counts steps goes on at the next call.
        seed: of fresh weights and of the data order.
        threads: CPU threads.
        resume: go on from the saved state.

    Returns:
        The metrics: held-out psnr [dB], perceptual distance (under its name), mean opacity, steps.

    Raises LyraError for data, weights or a state that do not fit the stage, and as `train_leg`.
    """
    out = open_run(out_dir, threads=threads, resume=resume)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training = ClipTraining(stage, Path(data), seed=seed, device=device)
    if not (out / STATE_NAME).exists():
        load_start(training.decoder, stage, start_of(stage, out, start))
    leg = leg_of(stage, minutes=minutes, seed=seed)
    result = train_leg(
        training.decoder, optimizer_of(training.decoder, stage), training.loss, training.measure, out, leg,
        identity=identity_of(stage, training.decoder.config), plans=fitting_plans(stage, device), sheet=training.sheet,
    )  # fmt: skip
    about = {"stage": stage.name, "seed": seed, "clips": len(training.train), "heldout_clips": len(training.heldout)}
    return write_decoder(training.decoder, out, {**about, "perceptual": training.distance.name, **result}, "fp32")


def fitting_plans(stage: Stage, device: torch.device) -> tuple[MemoryPlan, ...]:
    """The memory plans worth trying: those that the estimate already excludes are left out."""
    plans = decoder_plans(device)
    if device.type != "cuda":
        return plans
    cost, room = stage_cost(stage), torch.cuda.mem_get_info(device)[0]
    fits = cost.state_bytes + cost.rows_bytes + cost.kept_bytes < room
    return plans if fits else plans[1:]


def _fixed_sample(clips: Clips, name: str) -> TrainingSample:
    """The sample by which a held-out clip is always measured."""
    return clips.draw(np.random.default_rng(zlib.crc32(name.encode())), name)
