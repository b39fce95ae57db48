# SPDX-License-Identifier: Apache-2.0
"""What looks at prompts and generated videos before anything is made of them.

The licence of the released teacher ends when its safety guardrail is bypassed without an equivalent. Its publisher's
guardrail is a package of its own (`cosmos_guardrail`, with gated models of 16 GB and more), so it is used where it is
installed, and where it is not, every scene says so.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.teacher.teacher import VideoLatents
from lyra_core.teacher.tokenizer import Tokenizer

PACKAGE = "cosmos_guardrail"

ABSENT = (
    f"the guardrail package {PACKAGE} is not installed: nothing looked at the prompt and the videos, "
    "which the licence of the released teacher asks for"
)


class Guardrail(Protocol):
    """One guardrail. Both checks raise LyraError for content that must not be used."""

    name: str
    """What provenance calls it."""
    warnings: tuple[str, ...]
    """What every scene made with it has to say."""

    def check_prompt(self, prompt: str | None) -> None:
        """Looks at the words, if there are any."""
        ...

    def check_videos(self, video: VideoLatents, tokenizer: Tokenizer) -> VideoLatents:
        """Looks at the frames; returns the videos, with what it altered (faces) altered in the latents too."""
        ...


class NoGuardrail:
    """Lets everything pass: for models whose licence asks for none, and where the package is missing."""

    def __init__(self, name: str = "none", warnings: tuple[str, ...] = ()) -> None:
        self.name = name
        self.warnings = warnings

    def check_prompt(self, prompt: str | None) -> None:
        """Nothing."""

    def check_videos(self, video: VideoLatents, tokenizer: Tokenizer) -> VideoLatents:
        """The same videos."""
        return video


class CosmosGuardrail:
    """The publisher's guardrail: block list and language model on words, classifier and face blur on frames."""

    name = PACKAGE
    warnings: tuple[str, ...] = ()

    def __init__(self) -> None:
        """Raises LyraError when the package is there but its models are not: a broken guardrail is not passed over."""
        try:
            from cosmos_guardrail import CosmosSafetyChecker

            self._checker: Any = CosmosSafetyChecker()
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise LyraError(
                f"{PACKAGE} is installed but does not start ({type(error).__name__}: {reason}). Give it its models "
                "(meta-llama/Llama-Guard-3-8B is gated), or uninstall it; scenes then say that nothing was checked."
            ) from error

    def check_prompt(self, prompt: str | None) -> None:
        """See `Guardrail`."""
        if prompt and not self._checker.check_text_safety(prompt):
            raise LyraError("the guardrail refused the prompt. Describe another scene.")

    def check_videos(self, video: VideoLatents, tokenizer: Tokenizer) -> VideoLatents:
        """See `Guardrail`; videos whose frames were altered are encoded again."""
        altered = {
            index: clip for index, frames in enumerate(video.frames) if (clip := self._altered(frames)) is not None
        }
        if not altered:
            return video
        latents, frames = video.latents.clone(), video.frames.clone()
        for index, clip in altered.items():
            frames[index] = clip
            latents[index] = tokenizer.encode(2 * clip.permute(3, 0, 1, 2)[None] - 1)[0].to(latents)
        return replace(video, latents=latents, frames=frames)

    def _altered(self, frames: Tensor) -> Tensor | None:
        """Frames [F, H, W, 3] as the guardrail changed them, None if it did not. Raises LyraError when refused."""
        shown = (frames.float().cpu().numpy() * 255).round().astype(np.uint8)
        passed = self._checker.check_video_safety(shown.copy())
        if passed is None:
            raise LyraError("the guardrail refused a generated video. Use another picture, prompt or seed.")
        if np.array_equal(passed, shown):
            return None
        return torch.from_numpy(np.asarray(passed, np.float32) / 255).to(frames)


def build_guardrail(kind: Literal["none", "cosmos"]) -> Guardrail:
    """The guardrail a preset asks for, if it is installed. Raises LyraError for one that does not start."""
    if kind == "none":
        return NoGuardrail()
    if find_spec(PACKAGE) is None:
        return NoGuardrail(f"{PACKAGE} (not installed)", (ABSENT,))
    return CosmosGuardrail()
