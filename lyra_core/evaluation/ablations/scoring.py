# SPDX-License-Identifier: Apache-2.0
"""What a trained row is worth: against the teacher's frames, as in the paper, and against the truth."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.distillation.clips import moved
from lyra_core.distillation.train_clips import ClipTraining
from lyra_core.evaluation.ablations.data import Sets, load_truth
from lyra_core.evaluation.metrics import psnr, ssim
from lyra_core.gaussians import Gaussians
from lyra_core.rendering import RenderOutput, render
from lyra_core.trajectories import PUBLISHED_PATHS

SHOWN = 3
"""Held-out worlds in the pictures."""


@dataclass(frozen=True)
class Score:
    """Figures of one trained decoder.

    Attributes:
        teacher: psnr [dB], ssim and the perceptual distance over all frames of all six paths, against the teacher's.
        truth: the same over unseen views against the ray tracer's pictures, and depth: the median relative error.
        gaussians: mean number that is rendered.
        pictures: an unseen view of the first worlds `[SHOWN, H, W, 3]`.
    """

    teacher: dict[str, float]
    truth: dict[str, float]
    gaussians: float
    pictures: Tensor


@torch.no_grad()
def score(training: ClipTraining, inputs: tuple[str, ...], sets: Sets) -> Score:
    """Scores the decoder of `training`, reading the videos of the paths `inputs`, on its held-out clips."""
    numbers = [PUBLISHED_PATHS.index(path) for path in inputs]
    seen: list[dict[str, float]] = []
    unseen: list[dict[str, float]] = []
    counts, pictures = [], []
    for name in training.heldout.names:
        sample = moved(training.heldout.whole(name, numbers), training.device)
        truth = moved(load_truth(sets.truth(name)), training.device)
        gaussians = training.gaussians(sample, torch.Generator().manual_seed(0))
        counts.append(len(gaussians))
        view = _drawn(training, gaussians, sample.targets)
        seen += _figures(training, view, sample.rgb)
        view = _drawn(training, gaussians, truth.cameras)
        errors = ((view.depth - truth.z).abs() / truth.z).flatten(1).median(dim=1).values
        unseen += [
            {**figures, "depth": float(error)}
            for figures, error in zip(_figures(training, view, truth.rgb), errors, strict=True)
        ]
        pictures.append(view.color[0].clamp(0, 1).cpu())
    return Score(_means(seen), _means(unseen), statistics.fmean(counts), torch.stack(pictures[:SHOWN]))


def _drawn(training: ClipTraining, gaussians: Gaussians, cameras: Cameras) -> RenderOutput:
    """As the stage draws its targets: over white, in the preset's projection."""
    near, far = training.decoder.config.distance_range
    background = torch.ones(3, device=training.device)
    return render(gaussians, cameras, projection=training.projection, near=near, far=far, background=background)


def _figures(training: ClipTraining, view: RenderOutput, rgb: Tensor) -> list[dict[str, float]]:
    ours = view.color.clamp(0, 1)
    columns = {
        "psnr": psnr(ours, rgb),
        "ssim": ssim(ours, rgb),
        training.perceptual_figure: training.distance(ours, rgb),
    }
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}
