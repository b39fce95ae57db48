# SPDX-License-Identifier: Apache-2.0
"""The teacher's slot: strength 0 is the encoded guidance, above it a diffusion model makes the videos."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLCosmos
from torch import Tensor

from lyra_core.conditioning.warp import Warp
from lyra_core.errors import LyraError
from lyra_core.teacher.diffusion import GuidedDiffusion
from lyra_core.teacher.guidance import condition_latents, from_diffusion, guidance_latents
from lyra_core.teacher.sampler import SamplerConfig
from lyra_core.teacher.teacher import Teacher
from lyra_core.teacher.text import TextEmbeddings
from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.teacher.transformer import TransformerConfig, VideoTransformer
from lyra_core.weights.quantized import save_weights


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        widths = (8, 8, 8, 8)
        return Tokenizer(
            AutoencoderKLCosmos(encoder_block_out_channels=widths, decode_block_out_channels=widths, num_layers=1)
        )


@pytest.fixture
def warps() -> list[Warp]:
    generator = torch.Generator().manual_seed(1)
    rgb = torch.rand(2, 9, 16, 32, 3, generator=generator)
    mask = torch.rand(2, 9, 16, 32, generator=generator) > 0.3
    z = 1.0 + torch.rand(2, 9, 16, 32, generator=generator)
    return [Warp(*parts) for parts in zip(rgb, z, mask, strict=True)]


def test_strength_zero_is_the_encoded_guidance(tokenizer: Tokenizer, warps: list[Warp]) -> None:
    generator = torch.Generator().manual_seed(2)
    before = generator.get_state()
    videos = Teacher(tokenizer, start_strength=0.0)(warps, warps[0].rgb[0], generator=generator)
    rgb, z, mask = joined(warps)
    assert videos.latents.shape == (2, 16, 2, 2, 4)
    assert videos.latents.equal(tokenizer.encode(as_video(rgb)))
    assert videos.frames.equal(rgb)
    assert videos.z.equal(z)
    assert videos.known.equal(mask)
    assert generator.get_state().equal(before)


def joined(warps: list[Warp]) -> tuple[Tensor, Tensor, Tensor]:
    """Colour, depth and mask `[V, F, H, W]` of all."""
    rgb, z, mask = (torch.stack(parts) for parts in list(zip(*warps, strict=True))[:3])
    return rgb, z, mask


def as_video(rgb: Tensor) -> Tensor:
    return rgb.permute(0, 4, 1, 2, 3) * 2 - 1


def test_the_diffusion_model_starts_from_the_image_under_the_guidance(tokenizer: Tokenizer, warps: list[Warp]) -> None:
    """All videos start from the same noise, so each is the same alone and among others."""
    teacher = Teacher(tokenizer, tiny_diffusion(), start_strength=1.0)
    image = warps[0].rgb[0]
    steps: list[tuple[str, int, int]] = []
    videos = teacher(warps, image, generator=seeded(3), progress=lambda *step: steps.append(step))
    assert steps[:3] == [("warp", 0, 2), ("warp", 1, 2), ("latents", 0, 1)]
    assert steps[3:] == [("latents", step, 6) for step in range(1, 7)]
    alone = teacher(warps[1:], image, generator=seeded(3))
    torch.testing.assert_close(videos.latents[1:], alone.latents, atol=1e-5, rtol=0)
    assert not torch.allclose(videos.latents[0], videos.latents[1], atol=1e-2)
    first = tokenizer.encode(2 * image.movedim(-1, 0)[None, :, None] - 1)
    assert (videos.latents[:, :, :1] - first).abs().mean() < 0.1 * (videos.latents[:, :, 1:] - first).abs().mean()
    shown = tokenizer.decode(videos.latents).permute(0, 2, 3, 4, 1) / 2 + 0.5
    torch.testing.assert_close(videos.frames, shown.clamp(0, 1))


def test_path_by_path_is_all_at_once_bit_for_bit(tokenizer: Tokenizer, warps: list[Warp]) -> None:
    """The guidance, and so the videos, are those of a single call with the clips of all paths."""
    diffusion, image = tiny_diffusion(), warps[0].rgb[0]
    videos = Teacher(tokenizer, diffusion)(warps, image, generator=seeded(3))
    rgb, z, mask = joined(warps)
    guidance = guidance_latents(tokenizer, as_video(rgb)[:, None], mask[:, None], diffusion.slots)
    condition = condition_latents(tokenizer, 2 * image.movedim(-1, 0)[None] - 1, guidance.shape[2])
    latents = from_diffusion(tokenizer, diffusion(guidance, condition, start_strength=1.0, generator=seeded(3)))
    assert videos.latents.equal(latents)
    assert videos.frames.equal(((tokenizer.decode(latents) + 1) / 2).clamp(0, 1).permute(0, 2, 3, 4, 1))
    assert videos.z.equal(z)
    assert videos.known.equal(mask)


def test_a_lower_strength_stays_nearer_to_the_guidance(tokenizer: Tokenizer, warps: list[Warp]) -> None:
    image, guidance = warps[0].rgb[0], tokenizer.encode(as_video(joined(warps)[0]))
    distances = [
        (Teacher(tokenizer, tiny_diffusion(12), strength)(warps, image, generator=seeded(3)).latents - guidance)
        .abs()
        .mean()
        for strength in (0.25, 1.0)
    ]
    assert distances[0] < 0.5 * distances[1]


def tiny_diffusion(steps: int = 3) -> GuidedDiffusion:
    """A real network of one small block, for one source view."""
    config = TransformerConfig(
        slots=1, heads=2, head_dim=24, layers=1, text_dim=8, adaln_lora_dim=4, max_size=(4, 8, 8)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = VideoTransformer(config)
    return GuidedDiffusion(transformer, TextEmbeddings.zeros(8), SamplerConfig(steps=steps))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_text_embeddings_of_another_model_are_refused() -> None:
    with pytest.raises(LyraError, match="1024 channels, but the transformer reads 8"):
        GuidedDiffusion(tiny_diffusion().transformer, TextEmbeddings.zeros(1024), SamplerConfig())


def test_text_embeddings_come_back(tmp_path: Path) -> None:
    embeddings = TextEmbeddings(torch.rand(4, 8), torch.rand(4, 8))
    embeddings.save(tmp_path / "text.safetensors")
    again = TextEmbeddings.load(tmp_path / "text.safetensors")
    assert again.prompt.equal(embeddings.prompt)
    assert again.of("unconditional").equal(embeddings.negative)
    save_weights(tmp_path / "other.safetensors", {"prompt": torch.rand(4, 8)}, "fp32")
    with pytest.raises(LyraError, match="holds no text embeddings"):
        TextEmbeddings.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("strength", [-0.1, 0.5, 1.0, 1.5])
def test_strengths_that_cannot_be_served_are_refused(tokenizer: Tokenizer, strength: float) -> None:
    with pytest.raises(LyraError, match="start_strength"):
        Teacher(tokenizer, start_strength=strength)
