# SPDX-License-Identifier: Apache-2.0
"""The video teacher's slot in the corridor: warped guidance in, latents of the six videos out.

The published teacher starts a diffusion transformer from pure noise (`start_strength` 1) under the guidance of the
encoded warp. The same slot starts from the encoded guidance plus less noise at a lower strength, and at 0 it is that
encoding: no transformer is asked, and the teacher shows exactly the filled guidance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lyra_core.checkpoints import Recall, recompute
from lyra_core.conditioning.warp import Warp
from lyra_core.errors import LyraError
from lyra_core.progress import Progress, no_progress
from lyra_core.teacher.diffusion import GuidedDiffusion
from lyra_core.teacher.guidance import condition_latents, from_diffusion, guidance_latents
from lyra_core.teacher.tokenizer import Tokenizer


@dataclass
class VideoLatents:
    """What the teacher saw and made of it, for V camera paths of F frames.

    Attributes:
        latents: [V, 16, T, h, w] raw tokenizer space (not normalised), T = 1 + (F - 1) / 8.
        frames: [V, F, H, W, 3] in [0, 1], what the teacher shows.
        z: [V, F, H, W] filled depth of the guidance, scene units.
        known: [V, F, H, W] bool, True where the 3D cache saw the pixel (False: filled).
    """

    latents: Tensor
    frames: Tensor
    z: Tensor
    known: Tensor


class Teacher:
    """Warped guidance to latents."""

    def __init__(
        self, tokenizer: Tokenizer, diffusion: GuidedDiffusion | None = None, start_strength: float = 1.0
    ) -> None:
        """start_strength: 1 starts from noise (published), 0 takes the encoded guidance as it is.

        Raises LyraError for a strength outside [0, 1], and for one above 0 without a diffusion model.
        """
        if not 0.0 <= start_strength <= 1.0:
            raise LyraError(f"start_strength {start_strength} is outside [0, 1]. Choose a value within.")
        if start_strength > 0.0 and diffusion is None:
            raise LyraError(
                f"start_strength {start_strength} needs the teacher's diffusion model, and there is none. "
                "Configure its weights, or set start_strength to 0."
            )
        self.tokenizer = tokenizer
        self.diffusion = diffusion
        self.start_strength = start_strength

    @torch.no_grad()
    def __call__(
        self,
        warps: Sequence[Warp],
        image: Tensor,
        *,
        generator: torch.Generator,
        progress: Progress = no_progress,
        recall: Recall = recompute,
    ) -> VideoLatents:
        """Latents and frames of the videos along V camera paths.

        Every path is asked for once and let go before the next, so of `WarpedPaths` one clip is held at a time.

        Args:
            warps: V of shape [F, H, W], already filled (the teacher gets no black holes unless configured so).
            image: what all paths start from `[H, W, 3]` in [0, 1], at the size of the warps.
            generator: source of all noise; not drawn from at strength 0.
            progress: listens to the paths, then to the steps of the sampler.
            recall: may know videos already.
        """
        told = partial(progress, "warp")
        if self.diffusion is None or self.start_strength == 0.0:
            latents, frames, z, known = _stacked(self._as_video, warps, told)
            progress("latents", 0, 1)
            return VideoLatents(latents, frames, z, known)
        guidance, z, known = _stacked(self._as_guidance, warps, told)
        progress("latents", 0, 1)
        diffused = self.diffusion(
            guidance,
            condition_latents(self.tokenizer, 2 * image.movedim(-1, 0)[None] - 1, guidance.shape[2]),
            start_strength=self.start_strength,
            generator=generator,
            progress=progress,
            recall=recall,
        )
        latents = from_diffusion(self.tokenizer, diffused)
        (frames,) = _stacked(self._decoded, latents.split(1))
        return VideoLatents(latents, frames, z, known)

    def _as_video(self, warp: Warp) -> tuple[Tensor, ...]:
        """A path that is the video itself: latents, frames, depth, and what is known."""
        return self.tokenizer.encode(_to_video(warp.rgb[None]))[0], warp.rgb, warp.z, warp.mask

    def _as_guidance(self, warp: Warp) -> tuple[Tensor, ...]:
        """A path that a video shall follow: guidance, depth, and what is known."""
        assert self.diffusion is not None
        video, mask = _to_video(warp.rgb[None])[:, None], warp.mask[None, None]
        return guidance_latents(self.tokenizer, video, mask, self.diffusion.slots)[0], warp.z, warp.mask

    def _decoded(self, latents: Tensor) -> tuple[Tensor, ...]:
        """Frames of one video, of its latents [1, 16, T, h, w]."""
        return (_to_frames(self.tokenizer.decode(latents))[0],)


def _stacked(
    make: Callable[[Any], tuple[Tensor, ...]],
    items: Sequence[Any],
    told: Callable[[int, int], None] = lambda index, count: None,
) -> list[Tensor]:
    """What `make` makes of every item, part by part as `torch.stack` would join it, with one item held at a time."""
    count = len(items)
    stacks: list[Tensor] = []

    def put(index: int, parts: tuple[Tensor, ...]) -> None:
        if not stacks:
            stacks.extend(part.new_empty(count, *part.shape) for part in parts)
        for stack, part in zip(stacks, parts, strict=True):
            stack[index] = part

    for index in range(count):
        told(index, count)
        put(index, make(items[index]))
    return stacks


def _to_video(frames: Tensor) -> Tensor:
    """[V, F, H, W, 3] in [0, 1] to [V, 3, F, H, W] in [-1, 1]."""
    return (frames.permute(0, 4, 1, 2, 3) * 2).sub_(1)


def _to_frames(video: Tensor) -> Tensor:
    """Inverse of `_to_video`, clamped."""
    return (video + 1).div_(2).clamp_(0, 1).permute(0, 2, 3, 4, 1)
