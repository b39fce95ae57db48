# SPDX-License-Identifier: Apache-2.0
"""The tokenizer's exact rewrites, its compact file and its causality, on small real networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLCosmos

from lyra_core.errors import LyraError
from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.teacher.tokenizer_factored import MINI_CONFIG, factored_network
from lyra_core.weights.quantized import read_metadata, save_weights

SMALL_CONFIG = {**MINI_CONFIG, "encoder_block_out_channels": (40, 40), "decode_block_out_channels": (40, 40)}
RELEASED_FORM = {
    "encoder_block_out_channels": (8, 16, 16, 16),
    "decode_block_out_channels": (16, 16, 16, 16),
    "attention_resolutions": (32,),
    "num_layers": 1,
}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def factored() -> Tokenizer:
    """A factored network with every weight random, so that no part is silent."""
    directions = torch.linalg.qr(random(1536, 24)).Q.T
    network = factored_network(SMALL_CONFIG, (directions, torch.linspace(2, 0.2, 24), 0.1 * random(1536, seed=1)))
    for index, parameter in enumerate(network.parameters()):
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 4
        parameter.data = random(*parameter.shape, seed=index) / fan_in**0.5
    network.register_to_config(latents_mean=[0.5] * 16, latents_std=[2.0] * 16)
    return Tokenizer(network)


@pytest.fixture(scope="module")
def plain(factored: Tokenizer) -> AutoencoderKLCosmos:
    return factored.folded()


@pytest.fixture(scope="module")
def video() -> torch.Tensor:
    return random(2, 3, 17, 32, 48, seed=9).tanh()


@pytest.mark.parametrize("frames", [1, 9, 17])
@torch.no_grad()
def test_factored_form_equals_the_plain_class(
    factored: Tokenizer, plain: AutoencoderKLCosmos, video: torch.Tensor, frames: int
) -> None:
    latents = plain.encode(video[:, :, :frames]).latent_dist.mode()
    torch.testing.assert_close(factored.encode(video[:, :, :frames]), latents, atol=1e-5, rtol=0)
    torch.testing.assert_close(factored.decode(latents), plain.decode(latents).sample, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 17])
@torch.no_grad()
def test_released_form_is_accelerated_exactly(tmp_path: Path, video: torch.Tensor, frames: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = AutoencoderKLCosmos(**RELEASED_FORM).eval()
    network.save_pretrained(tmp_path)
    tokenizer = Tokenizer.load(tmp_path)
    latents = network.encode(video[:, :, :frames]).latent_dist.mode()
    torch.testing.assert_close(tokenizer.encode(video[:, :, :frames]), latents, atol=1e-5, rtol=0)
    torch.testing.assert_close(tokenizer.decode(latents), network.decode(latents).sample, atol=1e-5, rtol=1e-5)


def test_sizes(factored: Tokenizer, video: torch.Tensor) -> None:
    latents = factored.encode(video)
    assert latents.shape == (2, 16, 3, 4, 6)
    assert factored.decode(latents).shape == video.shape


def test_first_latent_sees_the_first_frame_only(factored: Tokenizer, video: torch.Tensor) -> None:
    other = torch.cat([video[:, :, :1], -video[:, :, 1:]], 2)
    here, there = factored.encode(video), factored.encode(other)
    assert here[:, :, 0].equal(there[:, :, 0])
    assert (here[:, :, 1:] - there[:, :, 1:]).abs().max() > 1e-3
    torch.testing.assert_close(factored.encode(video[:, :, :1]), here[:, :, :1], atol=1e-5, rtol=0)


def test_clips_of_a_batch_do_not_mix(factored: Tokenizer, video: torch.Tensor) -> None:
    assert factored.encode(video)[1:].equal(factored.encode(video[1:]))


def test_compact_file_round_trip(factored: Tokenizer, video: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.safetensors"
    factored.save(path, "fp32", {"steps": 3})
    loaded = Tokenizer.load(path)
    torch.testing.assert_close(loaded.encode(video), factored.encode(video), atol=1e-5, rtol=0)
    assert read_metadata(path)["about"] == {"steps": 3}
    for name in ("latents_mean", "latents_std", "patch_size", "spatial_compression_ratio"):
        assert loaded.config[name] == factored.config[name]
    factored.save(path, "int8")
    latents, reference = Tokenizer.load(path).encode(video), factored.encode(video)
    assert 0 < (latents - reference).square().mean().sqrt() < 0.03 * reference.std()


def test_normalisation_uses_the_statistics_of_the_config(factored: Tokenizer) -> None:
    latents = random(1, 16, 3, 2, 2)
    torch.testing.assert_close(factored.normalize(latents), (latents - 0.5) / 2)
    torch.testing.assert_close(factored.denormalize(factored.normalize(latents)), latents)


def test_released_statistics_have_a_column_per_latent_frame() -> None:
    statistics = {"latents_mean": list(range(48)), "latents_std": [2.0] * 48}
    network = AutoencoderKLCosmos(**RELEASED_FORM, **statistics)
    tokenizer = Tokenizer(network)
    assert tokenizer.latents_mean.shape == (16, 3)
    normalised = tokenizer.normalize(torch.zeros(1, 16, 2, 1, 1))
    assert normalised[0, 1, :, 0, 0].tolist() == [-1.5, -2.0]


@pytest.mark.parametrize("shape", [(1, 3, 8, 32, 48), (1, 3, 9, 30, 48), (1, 1, 9, 32, 48)])
def test_sizes_that_do_not_fit_are_refused(factored: Tokenizer, shape: tuple[int, ...]) -> None:
    with pytest.raises(LyraError, match="cannot be tokenized"):
        factored.encode(torch.zeros(shape))


def test_files_that_are_no_tokenizer_are_refused(factored: Tokenizer, tmp_path: Path) -> None:
    other, cut = tmp_path / "other.safetensors", tmp_path / "cut.safetensors"
    save_weights(other, {"w": random(4, 4)})
    with pytest.raises(LyraError, match="no tokenizer file"):
        Tokenizer.load(other)
    factored.save(cut)
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(LyraError, match="truncated or corrupt"):
        Tokenizer.load(cut)
    with pytest.raises(LyraError, match="holds no AutoencoderKLCosmos"):
        Tokenizer.load(tmp_path)
