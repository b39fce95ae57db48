# SPDX-License-Identifier: Apache-2.0
"""The teacher's sampler: first-order Euler on the EDM schedule, with the first latent frame held at the input image.

Formulas: Karras et al., arXiv 2206.00364, with the frame replacement and the guidance rule of GEN3C (arXiv 2503.03751).
Latents live in diffusion space: 0.5 * (tokenizer latent - mean) / std.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

Branch = Literal["conditional", "unconditional"]
Network = Callable[[Tensor, Tensor, Branch], Tensor]
"""F(scaled latents [B, C, T, h, w], c_noise [B], branch): the raw network output."""
StepListener = Callable[[int, int], None]
"""Called with (finished steps, all steps)."""

SIGMA_DATA = 0.5
"""Standard deviation of latents in diffusion space."""


class SamplerConfig(BaseModel):
    """Numbers of the sampler; every default is the published one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(default=35, ge=1)
    """Network evaluations per branch."""
    sigma_max: float = 80.0
    """First noise level."""
    sigma_min: float = 0.0002
    """Last noise level before 0."""
    rho: float = 7.0
    """Curvature of the schedule."""
    guidance: float = 1.0
    """g in F = Fc + g (Fc - Fu): 1 is a classifier-free guidance weight of 2, 0 is none."""
    augment_sigma: float = 0.001
    """Noise on the given latent frame; below this level the frame is the network's own."""


def noise_levels(config: SamplerConfig) -> Tensor:
    """sigma [steps + 1], falling from `sigma_max` to `sigma_min` and then 0."""
    ramp = torch.linspace(0, 1, config.steps, dtype=torch.float64)
    low, high = config.sigma_min ** (1 / config.rho), config.sigma_max ** (1 / config.rho)
    return torch.cat((((high + ramp * (low - high)) ** config.rho), torch.zeros(1))).float()


def noise_code(sigma: Tensor) -> Tensor:
    """c_noise: how the network is told the noise level."""
    return 0.25 * sigma.log()


def augmentation_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Unit normal noise on the given frame, the same in every step; drawn with NumPy as published."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape)).float()


def sample(
    network: Network,
    condition: Tensor,
    noise: Tensor,
    augment_noise: Tensor,
    config: SamplerConfig,
    *,
    start: Tensor | None = None,
    start_strength: float = 1.0,
    listener: StepListener = lambda step, total: None,
) -> Tensor:
    """Latents [B, C, T, h, w] in diffusion space.

    Args:
        network: see `Network`; both branches are always asked.
        condition: [B, C, T, h, w], the encoded input image in latent frame 0, zero after it.
        noise: unit normal [B, C, T, h, w].
        augment_noise: unit normal of the same shape, for the given frame.
        config: schedule and guidance.
        start: latents that a strength below 1 starts from.
        start_strength: share of the schedule that is walked; 1 starts from pure noise.
        listener: told after every step.
    """
    sigmas = noise_levels(config).to(noise.device)
    first = config.steps - max(round(start_strength * config.steps), 1)
    if first == 0 or start is None:
        first, latents = 0, noise * math.sqrt(config.sigma_max**2 + 1)
    else:
        latents = start + sigmas[first] * noise
    frame_zero = torch.zeros_like(condition[:, :1])
    frame_zero[:, :, 0] = 1
    for step in range(first, config.steps):
        latents = _step(network, latents, condition, augment_noise, frame_zero, sigmas[step : step + 2], config)
        listener(step + 1 - first, config.steps - first)
    return latents


def _step(
    network: Network,
    latents: Tensor,
    condition: Tensor,
    augment_noise: Tensor,
    frame_zero: Tensor,
    levels: Tensor,
    config: SamplerConfig,
) -> Tensor:
    """One Euler step between two noise levels [2]; it starts from the state with the given frame put in."""
    sigma, following = levels
    given = frame_zero if sigma > config.augment_sigma else torch.zeros_like(frame_zero)
    norm, augmented = _norm(sigma), math.hypot(config.augment_sigma, SIGMA_DATA)
    held = (condition + config.augment_sigma * augment_noise) * norm / augmented
    state = given * held + (1 - given) * latents
    code = noise_code(sigma).expand(len(state))
    conditional = network(state / norm, code, "conditional")
    output = conditional + config.guidance * (conditional - network(state / norm, code, "unconditional"))
    clean = (SIGMA_DATA / norm) ** 2 * state + sigma * SIGMA_DATA / norm * output
    clean = given * condition + (1 - given) * clean
    return state + (state - clean) / sigma * (following - sigma)


def _norm(sigma: Tensor) -> Tensor:
    """Standard deviation of a noisy latent."""
    return (sigma**2 + SIGMA_DATA**2).sqrt()
