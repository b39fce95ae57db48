# SPDX-License-Identifier: Apache-2.0
"""Depth metrics as monocular depth is judged: after the scale, which one picture cannot tell, has been removed."""

from __future__ import annotations

import torch
from torch import Tensor

SCALE = "ratio of medians, per picture"
"""How depth is aligned before it is compared."""


def depth_scores(prediction: Tensor, reference: Tensor) -> dict[str, float] | None:
    """Errors of z-depth `[H, W]` against another, both positive where they are known.

    Returns:
        abs_rel, mean of |prediction - reference| / reference; delta_1, share of pixels within a factor of 1.25; and
        coverage, share of the reference's pixels that were compared. None where nothing can be compared.
    """
    wanted = reference.isfinite() & (reference > 0)
    common = wanted & prediction.isfinite() & (prediction > 0)
    if not common.any():
        return None
    guess, truth = prediction[common].double(), reference[common].double()
    guess = guess * (truth.median() / guess.median())
    within = torch.maximum(guess / truth, truth / guess) < 1.25
    return {
        "abs_rel": float(((guess - truth).abs() / truth).mean()),
        "delta_1": float(within.double().mean()),
        "coverage": float(common.sum() / wanted.sum()),
    }
