# SPDX-License-Identifier: Apache-2.0
"""Per-scene optimisation: a scene's Gaussians are fitted to the teacher's frames by gradient descent.

The decoder makes a scene in one pass; optimising it afterwards against the generated frames is the route of CAT3D (Gao
et al., NeurIPS 2024), with the losses of 3D Gaussian splatting (Kerbl et al., SIGGRAPH 2023): 0.8 L1 + 0.2 (1 - SSIM).
Every eighth frame is held back and decides which step is kept, so that fitting noise does not pass for progress.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError
from lyra_core.evaluation.metrics import psnr, ssim
from lyra_core.gaussians import Gaussians
from lyra_core.images import to_bytes
from lyra_core.progress import Progress, no_progress
from lyra_core.rendering import render
from lyra_core.rendering.render import Projection

HELD_BACK_EVERY = 8
"""One frame of so many is never fitted."""

MOST_FRAMES = 240
"""Longer videos are thinned evenly: what is held in memory does not grow with their number."""

INPUT_SHARE = 0.2
"""Share of the steps that look at the input picture instead of a frame."""

CHECKS = 6
"""How often the held-back frames are looked at."""

STRUCTURE = 0.2
"""Weight of 1 - SSIM against L1."""

LAST_RATE = 0.1
"""Share of the learning rate at the last step (cosine)."""

RATES = {"means": 2e-4, "scales": 3e-3, "quats": 1e-3, "opacities": 2e-2, "colors": 5e-3}
"""Adam's step sizes: scene units, log, quaternion, logit, colour."""

_OPACITY_RANGE = 1e-4
"""Opacities are kept this far from 0 and 1, where a logit has no gradient."""

_SMALLEST_SCALE = 1e-6


@dataclass(frozen=True)
class Pictures:
    """What a scene should look like: 8-bit RGB `[N, H, W, 3]` seen by cameras `[N]`."""

    rgb: Tensor
    cameras: Cameras

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.rgb)

    def __getitem__(self, index: Tensor | int) -> Pictures:
        """Some of them; an integer keeps the axis."""
        index = torch.tensor([index]) if isinstance(index, int) else index
        return Pictures(self.rgb[index], self.cameras[index])


@dataclass(frozen=True)
class Frames:
    """The pictures of one scene.

    Attributes:
        fitted: frames that are fitted.
        held_back: frames that are only looked at.
        input: the input picture, fitted too.
    """

    fitted: Pictures
    held_back: Pictures
    input: Pictures

    @classmethod
    def of(cls, video: Tensor, cameras: Cameras, image: Tensor, camera: Cameras) -> Frames:
        """From videos `[V, F, H, W, 3]` along cameras `[V, F]`, and the image `[H, W, 3]` of the camera `[1]`.

        Raises LyraError where there are too few frames to hold any back.
        """
        moving = [(path, frame) for path in range(video.shape[0]) for frame in range(1, video.shape[1])]
        kept = [moving[int(i)] for i in torch.linspace(0, len(moving) - 1, min(len(moving), MOST_FRAMES)).round()]
        if len(kept) < HELD_BACK_EVERY:
            raise LyraError(f"{len(kept)} frames are too few to refine a scene with: {HELD_BACK_EVERY} are needed.")
        rgb = torch.stack([torch.from_numpy(to_bytes(video[path, frame])) for path, frame in kept])
        pictures = Pictures(rgb, Cameras.stack([cameras[path, frame] for path, frame in kept]))
        back = torch.arange(len(kept)) % HELD_BACK_EVERY == HELD_BACK_EVERY // 2
        alone = Pictures(torch.from_numpy(to_bytes(image))[None], camera)
        return cls(pictures[(~back).nonzero()[:, 0]], pictures[back.nonzero()[:, 0]], alone)


@dataclass(frozen=True)
class Refinement:
    """What came of it.

    Attributes:
        gaussians: the scene of the best step.
        step: which one; 0 if no later step was better on the held-back frames.
        before: PSNR [dB] of `fitted`, `held_back` and `input` before the first step.
        after: the same for `gaussians`.
    """

    gaussians: Gaussians
    step: int
    before: dict[str, float]
    after: dict[str, float]


def refine_by_frames(
    gaussians: Gaussians, frames: Frames, *, steps: int, projection: Projection, seed: int = 0,
    progress: Progress = no_progress,
) -> Refinement:  # fmt: skip
    """Fits all parameters of the Gaussians, one picture a step; memory is that of one picture.

    Args:
        gaussians: where to start; on the device that is to draw.
        frames: what to fit.
        steps: of Adam.
        projection: how to render.
        seed: of the order of the pictures.
        progress: counts steps.

    Raises LyraError when the loss is not finite.
    """
    variables = _Variables(gaussians.detach())
    optimizer = torch.optim.Adam(
        [{"params": [v], "lr": RATES[n], "peak": RATES[n]} for n, v in variables.parts.items()]
    )
    generator = torch.Generator().manual_seed(seed)
    before = scores(gaussians, frames, projection)
    best, best_step, highest = gaussians.detach(), 0, before["held_back"]
    checks = {round(steps * (k + 1) / CHECKS) for k in range(CHECKS)}
    for step in range(1, steps + 1):
        progress("refine", step - 1, steps)
        _step(variables, optimizer, _drawn(frames, generator), projection, (step - 1) / steps)
        if step in checks:
            now = variables.gaussians().detach()
            reached = _psnr(now, frames.held_back, projection)
            if reached > highest:
                best, best_step, highest = now, step, reached
    progress("refine", steps, steps)
    return Refinement(best, best_step, before, scores(best, frames, projection) if best_step else before)


@torch.no_grad()
def scores(gaussians: Gaussians, frames: Frames, projection: Projection) -> dict[str, float]:
    """PSNR [dB] of the fitted frames, those held back and the input picture."""
    return {name: _psnr(gaussians, getattr(frames, name), projection) for name in ("fitted", "held_back", "input")}


class _Variables:
    """What is optimised: the Gaussians without bounds on their values."""

    def __init__(self, start: Gaussians) -> None:
        parts = {
            "means": start.means,
            "scales": start.scales.clamp_min(_SMALLEST_SCALE).log(),
            "quats": start.quats,
            "opacities": start.opacities.clamp(_OPACITY_RANGE, 1 - _OPACITY_RANGE).logit(),
            "colors": start.colors,
        }
        self.parts = {name: part.clone().requires_grad_() for name, part in parts.items()}

    def gaussians(self) -> Gaussians:
        """As they are rendered and stored."""
        parts = self.parts
        return Gaussians(
            means=parts["means"],
            scales=parts["scales"].exp(),
            quats=functional.normalize(parts["quats"], dim=-1),
            opacities=parts["opacities"].sigmoid(),
            colors=parts["colors"].clamp(0, 1) if parts["colors"].ndim == 2 else parts["colors"],
        )


def _drawn(frames: Frames, generator: torch.Generator) -> Pictures:
    """The picture of a step."""
    if float(torch.rand((), generator=generator)) < INPUT_SHARE:
        return frames.input
    return frames.fitted[int(torch.randint(len(frames.fitted), (), generator=generator))]


def _step(
    variables: _Variables, optimizer: torch.optim.Optimizer, target: Pictures, projection: Projection, share: float
) -> None:
    for group in optimizer.param_groups:
        falling = 0.5 + 0.5 * math.cos(math.pi * share)
        group["lr"] = group["peak"] * (LAST_RATE + (1 - LAST_RATE) * falling)
    rgb = target.rgb.to(variables.parts["means"].device).float() / 255
    color = render(variables.gaussians(), target.cameras, projection=projection).color
    loss = (1 - STRUCTURE) * (color - rgb).abs().mean() + STRUCTURE * (1 - ssim(color, rgb).mean())
    if not bool(loss.isfinite()):
        raise LyraError("the refinement's loss is not finite. The scene is left as it was; try fewer steps.")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


@torch.no_grad()
def _psnr(gaussians: Gaussians, pictures: Pictures, projection: Projection) -> float:
    values = []
    for index in range(len(pictures)):
        one = pictures[index]
        rgb = one.rgb.to(gaussians.means.device).float() / 255
        values.append(float(psnr(render(gaussians, one.cameras, projection=projection).color, rgb)[0]))
    return sum(values) / len(values)
