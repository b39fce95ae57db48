# SPDX-License-Identifier: Apache-2.0
"""Scores of single views and what a report says of many of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lyra_core.evaluation.depth_metrics import depth_scores
from lyra_core.evaluation.lpips import Lpips, load_lpips
from lyra_core.evaluation.metrics import psnr, ssim

EXACT = 100.0
"""What equal pictures get instead of an infinite PSNR [dB]."""

DIRECTIONS = {"psnr": "higher", "ssim": "higher", "lpips": "lower", "abs_rel": "lower", "delta_1": "higher"}
"""Metrics in the order of tables, and which way is better."""

NO_DEPTH = "the data set has no depth"


@dataclass
class Scorer:
    """Every metric that can be computed here.

    Attributes:
        lpips: the network, or None.
        missing: metrics that cannot be computed, and why.
    """

    lpips: Lpips | None
    missing: dict[str, str] = field(default_factory=dict)

    @classmethod
    def available(cls) -> Scorer:
        """With LPIPS where its weights are."""
        network, reason = load_lpips()
        return cls(network, {} if network else {"lpips": reason})

    @torch.no_grad()
    def __call__(self, prediction: Tensor, reference: Tensor) -> dict[str, float]:
        """Scores of one picture `[H, W, 3]` in [0, 1] against another."""
        prediction, reference = prediction.clamp(0, 1), reference.clamp(0, 1)
        scores = {
            "psnr": min(float(psnr(prediction, reference)), EXACT),
            "ssim": float(ssim(prediction, reference)),
        }
        if self.lpips is not None:
            scores["lpips"] = float(self.lpips(prediction, reference))
        return scores

    def depth(self, prediction: Tensor, reference: Tensor | None) -> dict[str, float]:
        """Scores of one z-depth map `[H, W]`; empty without a reference."""
        return {} if reference is None else depth_scores(prediction, reference) or {}


def summary(views: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over views of every metric they have."""
    table = {}
    for metric in DIRECTIONS:
        values = [view[metric] for view in views if metric in view]
        if values:
            table[metric] = {"mean": statistics.fmean(values), "std": statistics.pstdev(values), "views": len(values)}
    return table
