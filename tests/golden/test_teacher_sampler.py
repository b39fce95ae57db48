# SPDX-License-Identifier: Apache-2.0
"""The published sampler, alone with an analytic network and together with the published networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lyra_core.teacher.guidance import condition_latents, from_diffusion, guidance_latents
from lyra_core.teacher.sampler import (
    Branch,
    Network,
    SamplerConfig,
    augmentation_noise,
    noise_code,
    noise_levels,
    sample,
)
from lyra_core.teacher.tokenizer import Tokenizer

from .conftest import Golden
from .test_teacher_networks import tiny_tokenizer, tiny_transformer


@pytest.fixture(scope="module")
def file(golden: Callable[[str], Golden]) -> Golden:
    return golden("teacher_sampler")


@pytest.fixture(scope="module")
def tokenizer(file: Golden, golden: Callable[[str], Golden]) -> Tokenizer:
    return tiny_tokenizer(golden("teacher_vae_tiny"), file["in.mean"], file["in.std"])


@pytest.fixture(scope="module")
def text(file: Golden) -> dict[Branch, Tensor]:
    return {"conditional": file["in.text"], "unconditional": file["in.negative_text"]}


@pytest.fixture(scope="module")
def guidance(file: Golden) -> dict[Branch, Tensor]:
    latents = file["out.pose_latents"]
    return {"conditional": latents, "unconditional": torch.zeros_like(latents)}


@pytest.fixture(scope="module")
def frame_zero(file: Golden) -> Tensor:
    mask = torch.zeros_like(file["in.condition_latent"][:, :1])
    mask[:, :, 0] = 1
    return mask


@pytest.fixture(scope="module")
def analytic(text: dict[Branch, Tensor], guidance: dict[Branch, Tensor], frame_zero: Tensor) -> Network:
    """The network of the golden README: the exact denoiser of one Gaussian."""

    def network(latents: Tensor, code: Tensor, branch: Branch) -> Tensor:
        sigma = (4 * code).exp()
        norm = (sigma**2 + 0.25).sqrt()
        noisy, pose = latents * norm, guidance[branch]
        mean = 0.3 * pose[:, :16] + 0.05 * pose[:, 48:64] + 0.2 * text[branch].mean() + 0.1 * frame_zero
        clean = mean + 0.16 / (0.16 + sigma**2) * (noisy - mean)
        return (clean - 0.25 / norm**2 * noisy) * norm / (0.5 * sigma)

    return network


def run(file: Golden, network: Network, config: SamplerConfig) -> Tensor:
    return sample(network, file["in.condition_latent"], file["in.initial_noise"], file["in.augment_noise"], config)


def test_schedule(file: Golden) -> None:
    sigmas = noise_levels(SamplerConfig())
    torch.testing.assert_close(sigmas, file["out.sigmas35"], atol=1e-6, rtol=2e-6)
    torch.testing.assert_close(noise_code(sigmas[:-1]), file["out.timesteps35"], atol=1e-6, rtol=2e-6)
    assert file["out.init_noise_sigma"].item() == pytest.approx((80**2 + 1) ** 0.5)


def test_augmentation_noise_is_numpys(file: Golden) -> None:
    expected = file["in.augment_noise"]
    assert augmentation_noise(tuple(expected.shape), int(file.metadata["seed"])).equal(expected)


def test_guidance_and_condition(file: Golden, tokenizer: Tokenizer) -> None:
    warps, masks = file["in.warps"].permute(0, 2, 3, 1, 4, 5), file["in.masks"][:, :, :, 0].transpose(1, 2) > 0
    found = guidance_latents(tokenizer, warps, masks, slots=2)
    torch.testing.assert_close(found, file["out.pose_latents"], atol=1e-5, rtol=0)
    condition = condition_latents(tokenizer, file["in.image"][:, 0], frames=4)
    torch.testing.assert_close(condition[:, :, 0], file["in.condition_latent"][:, :, 0], atol=1e-5, rtol=0)
    assert not condition[:, :, 1:].any()


@pytest.mark.parametrize(
    ("name", "config"),
    [("analytic35", SamplerConfig()), ("analytic6_g0", SamplerConfig(steps=6, guidance=0.0))],
)
def test_analytic_network(file: Golden, analytic: Network, name: str, config: SamplerConfig) -> None:
    torch.testing.assert_close(run(file, analytic, config), file[f"out.{name}.final"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_published_networks(
    file: Golden,
    golden: Callable[[str], Golden],
    tokenizer: Tokenizer,
    text: dict[Branch, Tensor],
    guidance: dict[Branch, Tensor],
    frame_zero: Tensor,
) -> None:
    transformer = tiny_transformer(golden("teacher_dit_tiny"))

    def network(latents: Tensor, code: Tensor, branch: Branch) -> Tensor:
        return transformer(latents, code, frame_zero, guidance[branch], text[branch])

    found = run(file, network, SamplerConfig(steps=8))
    torch.testing.assert_close(found, file["out.dit8.final"], atol=1e-5, rtol=0)
    decoded = tokenizer.decode(from_diffusion(tokenizer, found))
    torch.testing.assert_close(decoded, file["out.dit8.decoded"], atol=1e-4, rtol=0)
