# SPDX-License-Identifier: Apache-2.0
"""The teacher's slot: strength 0 is the encoded guidance, a transformer sees guidance and visibility."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKLCosmos

from lyra_core.conditioning.warp import Warp
from lyra_core.errors import LyraError
from lyra_core.teacher.teacher import Teacher
from lyra_core.teacher.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        widths = (8, 8, 8, 8)
        return Tokenizer(
            AutoencoderKLCosmos(encoder_block_out_channels=widths, decode_block_out_channels=widths, num_layers=1)
        )


@pytest.fixture
def warp() -> Warp:
    generator = torch.Generator().manual_seed(1)
    rgb = torch.rand(2, 9, 16, 24, 3, generator=generator)
    mask = torch.rand(2, 9, 16, 24, generator=generator) > 0.3
    return Warp(rgb, torch.ones(2, 9, 16, 24), mask)


def test_strength_zero_is_the_encoded_guidance(tokenizer: Tokenizer, warp: Warp) -> None:
    generator = torch.Generator().manual_seed(2)
    before = generator.get_state()
    videos = Teacher(tokenizer, start_strength=0.0)(warp, generator=generator)
    assert videos.latents.shape == (2, 16, 2, 2, 3)
    assert videos.latents.equal(tokenizer.encode(warp.rgb.permute(0, 4, 1, 2, 3) * 2 - 1))
    assert videos.frames is warp.rgb
    assert videos.z is warp.z
    assert videos.known is warp.mask
    assert generator.get_state().equal(before)


def test_a_transformer_is_given_guidance_and_visibility(tokenizer: Tokenizer, warp: Warp) -> None:
    def transformer(
        guidance: torch.Tensor, visibility: torch.Tensor, *, start_strength: float, generator: torch.Generator
    ) -> torch.Tensor:
        noise = torch.randn(guidance.shape, generator=generator)
        return guidance + visibility + start_strength * noise

    teacher = Teacher(tokenizer, transformer, start_strength=0.5)
    videos = teacher(warp, generator=torch.Generator().manual_seed(3))
    seen = (warp.mask[:, None].float() * 2 - 1).expand(-1, 3, -1, -1, -1)
    expected = transformer(
        tokenizer.encode(warp.rgb.permute(0, 4, 1, 2, 3) * 2 - 1),
        tokenizer.encode(seen),
        start_strength=0.5,
        generator=torch.Generator().manual_seed(3),
    )
    torch.testing.assert_close(videos.latents, expected)
    shown = tokenizer.decode(expected).permute(0, 2, 3, 4, 1) / 2 + 0.5
    torch.testing.assert_close(videos.frames, shown.clamp(0, 1))


@pytest.mark.parametrize("strength", [-0.1, 0.5, 1.0, 1.5])
def test_strengths_that_cannot_be_served_are_refused(tokenizer: Tokenizer, strength: float) -> None:
    with pytest.raises(LyraError, match="start_strength"):
        Teacher(tokenizer, start_strength=strength)
