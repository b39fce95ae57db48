# SPDX-License-Identifier: Apache-2.0
"""The published teacher's networks, loaded from files with the official names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.teacher.tokenizer_factored import accelerate, empty_network
from lyra_core.teacher.transformer import TransformerConfig, VideoTransformer
from lyra_core.weights.official.names import tokenizer_names, transformer_names

from .conftest import Golden


@pytest.fixture(scope="module")
def transformer_file(golden: Callable[[str], Golden]) -> Golden:
    return golden("teacher_dit_tiny")


@pytest.fixture(scope="module")
def transformer(transformer_file: Golden) -> VideoTransformer:
    return tiny_transformer(transformer_file)


def tiny_transformer(file: Golden) -> VideoTransformer:
    """The golden network; every tensor of the file is used, none is missing."""
    config = TransformerConfig(
        heads=2, head_dim=32, layers=2, text_dim=48, adaln_lora_dim=16, max_size=(16, 32, 48)
    )  # fmt: skip
    transformer = VideoTransformer(config)
    transformer.network.load_state_dict(transformer_names(file.named("sd.")))
    return transformer


def tiny_tokenizer(file: Golden, mean: Tensor, std: Tensor) -> Tokenizer:
    """The golden tokenizer with statistics [16 * T] per channel and latent frame."""
    config = {
        "encoder_block_out_channels": (6, 12, 24, 24),
        "decode_block_out_channels": (12, 24, 24, 24),
        "latents_mean": mean.tolist(),
        "latents_std": std.tolist(),
    }
    network = empty_network(config)
    network.load_state_dict(tokenizer_names(file.named("sd.")))
    return Tokenizer(accelerate(network))


@pytest.mark.parametrize(
    ("name", "fps", "guided"), [("fps24", 24, True), ("fps10", 10, True), ("fps24_zero_pose", 24, False)]
)
@torch.no_grad()
def test_transformer(
    transformer_file: Golden, transformer: VideoTransformer, name: str, fps: float, guided: bool
) -> None:
    file = transformer_file
    guidance = file["in.condition_video_pose"]
    output = transformer(
        file["in.x"],
        file["in.timesteps"],
        file["in.condition_video_input_mask"],
        guidance if guided else torch.zeros_like(guidance),
        file["in.crossattn_emb"],
        padding_mask=file["in.padding_mask"],
        fps=fps,
    )
    torch.testing.assert_close(output, file[f"out.{name}"], atol=1e-5, rtol=0)


def test_full_size_transformer_has_the_published_shape() -> None:
    with torch.device("meta"):
        network = TransformerConfig().network()
    state = network.state_dict()
    assert len(state) == 570
    assert state["patch_embed.proj.weight"].shape == (4096, 328)
    assert 7.2e9 < sum(value.numel() for value in state.values()) < 7.3e9


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rotary_angles(golden: Callable[[str], Golden], dtype: str) -> None:
    file, prefix = golden("teacher_rope"), {"float32": "fp32", "bfloat16": "bf16"}[dtype]
    with torch.device("meta"):
        rope = TransformerConfig(rope_dtype=dtype).network().rope
    cos, sin = rope(torch.empty(1, 1, 16, 88, 160), fps=24)
    time, row, column = (file[f"{prefix}.angles_{axis}"] for axis in "thw")
    grid = (16, 44, 80, -1)
    angles = torch.cat(
        [axis.expand(grid) for axis in (time[:, None, None], row[None, :, None], column[None, None])] * 2, dim=-1
    ).reshape(-1, 128)
    torch.testing.assert_close(cos, angles.cos(), atol=1e-5, rtol=0)
    torch.testing.assert_close(sin, angles.sin(), atol=1e-5, rtol=0)


def test_rotary_time_follows_the_frame_rate(golden: Callable[[str], Golden]) -> None:
    with torch.device("meta"):
        rope = TransformerConfig().network().rope
    cos, _ = rope(torch.empty(1, 1, 16, 2, 2), fps=12)
    expected = golden("teacher_rope")["fp32.angles_t_fps12"].cos()
    torch.testing.assert_close(cos[:, :22], expected, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def tokenizer_file(golden: Callable[[str], Golden]) -> Golden:
    return golden("teacher_vae_tiny")


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file: Golden) -> Tokenizer:
    return tiny_tokenizer(tokenizer_file, tokenizer_file["in.mean_flat"], tokenizer_file["in.std_flat"])


def test_tokenizer_encodes(tokenizer_file: Golden, tokenizer: Tokenizer) -> None:
    latents = tokenizer.encode(tokenizer_file["in.video"])
    torch.testing.assert_close(latents, tokenizer_file["out.latent"], atol=1e-5, rtol=0)
    diffusion = 0.5 * tokenizer.normalize(latents)
    torch.testing.assert_close(diffusion, tokenizer_file["out.diffusion_latent"], atol=1e-5, rtol=0)
    torch.testing.assert_close(tokenizer.denormalize(diffusion / 0.5), latents, atol=1e-5, rtol=0)


def test_tokenizer_decodes(tokenizer_file: Golden, tokenizer: Tokenizer) -> None:
    video = tokenizer.decode(tokenizer_file["out.latent"])
    torch.testing.assert_close(video, tokenizer_file["out.recon"], atol=1e-4, rtol=0)


def test_tokenizer_is_causal(tokenizer_file: Golden, tokenizer: Tokenizer) -> None:
    file = tokenizer_file
    first = tokenizer.encode(file["in.video"][:, :, :1])
    torch.testing.assert_close(first, file["out.latent_first_frame_only"], atol=1e-5, rtol=0)
    frame = tokenizer.decode(file["out.latent"][:, :, :1])
    torch.testing.assert_close(frame, file["out.recon_first_latent_only"], atol=1e-4, rtol=0)
