# SPDX-License-Identifier: Apache-2.0
"""The text-to-image slot: one picture, and its depth where the source knows it, leave this room. Nothing else does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError


@dataclass(frozen=True)
class BaseView:
    """The picture everything is built from.

    Attributes:
        image: RGB `[H, W, 3]` in [0, 1], as an 8-bit file would give it back.
        depth: its depth, if known.
        source: where the picture came from, for the provenance.
        warnings: what the user should know, one sentence each.
        notes: further provenance, e.g. the prompt and the words that were not understood.
    """

    image: Tensor
    depth: DepthEstimate | None
    source: str
    warnings: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)


class TextToImage(Protocol):
    """Makes a picture from a sentence."""

    def __call__(self, prompt: str, height: int, width: int, *, seed: int) -> BaseView:
        """The picture, height x width pixels. Raises LyraError for a prompt it cannot serve."""
        ...


class NoTextToImage:
    """Stands where no text-to-image model is configured."""

    def __call__(self, prompt: str, height: int, width: int, *, seed: int) -> BaseView:
        """Refuses."""
        raise LyraError("this model has no text-to-image stage. Give a picture with --image instead of a prompt.")
