# SPDX-License-Identifier: Apache-2.0
"""How much work a scene is worth. Imports nothing, so that help is quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Quality:
    """What one quality changes of a model, so that "standard" is always the model as its preset has it.

    The number of Gaussians is none of it: fewer than a decoder was trained to keep leave holes, more show nothing new.

    Attributes:
        text: for help texts.
        steps: share of the preset's sampler steps; time of the teacher is proportional to them.
        refinement: share of its refinement iterations.
    """

    text: str
    steps: float
    refinement: float


QualityName = Literal["draft", "standard", "best"]

QUALITIES: Mapping[QualityName, Quality] = {
    "draft": Quality("0.4 of its sampler's steps and half of its colour refinement", 0.4, 0.5),
    "standard": Quality("the model as it was published or accepted", 1.0, 1.0),
    "best": Quality("1.5 times the steps and twice the refinement", 1.5, 2.0),
}
