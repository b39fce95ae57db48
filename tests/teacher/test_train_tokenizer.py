# SPDX-License-Identifier: Apache-2.0
"""The analytic start of the tokenizer, and one short run of its training from shards to a compact file."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLCosmos

from lyra_core.distillation.tokenizer_start import block_components, calibrate, fit_lapped_decoder, start_as_components
from lyra_core.distillation.train_tokenizer import TokenizerTraining, reconstruction_loss, train_tokenizer
from lyra_core.errors import LyraError
from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.teacher.tokenizer_factored import MINI_CONFIG, BlockSynthesis, factored_network

SMALL_CONFIG = {**MINI_CONFIG, "encoder_block_out_channels": (64, 64), "decode_block_out_channels": (64, 64)}


def psnr(tokenizer: Tokenizer, video: torch.Tensor) -> float:
    error = tokenizer.decode(tokenizer.encode(video)) - video
    return float(10 * torch.log10(4 / error.square().mean()))


def low_rank_video(rank: int) -> torch.Tensor:
    """[4, 3, 17, 48, 64] whose 8 x 8 x 8 blocks are combinations of `rank` patterns, equal within a block in time."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(rank, 1, 192, generator=generator).expand(-1, 8, -1).reshape(rank, -1).T / rank**0.5
    synthesis = BlockSynthesis(0.3 * patterns, torch.full((1536,), 0.1), 8)
    return synthesis(torch.randn(4, rank, 3, 6, 8, generator=generator))


@pytest.fixture(scope="module")
def started() -> tuple[AutoencoderKLCosmos, torch.Tensor]:
    """A small network right after its start on blocks that fit into the code, and those blocks as video."""
    video = low_rank_video(12)
    pixels = torch.nn.functional.pixel_unshuffle(video[:, :, 1:].transpose(1, 2), 8).unflatten(1, (-1, 8))
    blocks = pixels.flatten(2, 3).permute(0, 1, 3, 4, 2).flatten(0, 3)
    network = factored_network(SMALL_CONFIG, block_components(blocks, 40))
    start_as_components(network, torch.Generator().manual_seed(0))
    calibrate(network, video)
    return network, video


def test_the_start_sets_every_weight(started: tuple[AutoencoderKLCosmos, torch.Tensor]) -> None:
    assert all(parameter.isfinite().all() for parameter in started[0].parameters())


def test_the_start_is_the_component_autoencoder(started: tuple[AutoencoderKLCosmos, torch.Tensor]) -> None:
    """What fits into 16 numbers survives the untrained network; noise does not."""
    network, video = started
    assert psnr(Tokenizer(network), video) > 35
    noise = torch.rand(video.shape, generator=torch.Generator().manual_seed(5)) * 2 - 1
    assert psnr(Tokenizer(network), noise) < 15


def test_the_lapped_decoder_learns_from_neighbours(started: tuple[AutoencoderKLCosmos, torch.Tensor]) -> None:
    """On smooth video, which the components of patterns cannot show, the least-squares taps must gain."""
    network = copy.deepcopy(started[0])
    y, x = torch.meshgrid(torch.linspace(0, 3, 48), torch.linspace(0, 5, 64), indexing="ij")
    smooth = torch.stack([torch.sin(x + y + k) for k in range(4)])[:, None, None].expand(-1, 3, 17, -1, -1)
    before = psnr(Tokenizer(network), smooth)
    fit_lapped_decoder(network, smooth)
    assert psnr(Tokenizer(network), smooth) > before + 0.3


def test_training_steps_lower_the_loss(started: tuple[AutoencoderKLCosmos, torch.Tensor]) -> None:
    network = copy.deepcopy(started[0])
    video = started[1][:1] + 0.2 * torch.randn(1, 3, 17, 48, 64, generator=torch.Generator().manual_seed(7))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-4)
    losses = []
    for _ in range(12):
        loss, _ = reconstruction_loss(network, video, TokenizerTraining())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.97 * losses[0]


def write_shards(folder: Path, seed: int) -> None:
    """Moving gradients and bars, 32 x 48 pixels, two files of stills and two clips."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:32, 0:48]
    for kind in ("scenes", "clips"):
        (folder / kind).mkdir(parents=True)
    for index in range(2):
        speed, phase, tint = rng.uniform(0, 2), rng.uniform(0, 6, (3, 1, 1)), rng.uniform(0.3, 1, (3, 1, 1))
        frames = [np.sin((x + speed * t) / 5 + phase) * tint + (y > 16) * 0.5 for t in range(17)]
        rgb = (np.stack(frames).clip(-1, 1) * 127 + 128).astype(np.uint8).transpose(0, 2, 3, 1)
        np.savez(folder / "clips" / f"{index}.npz", rgb=rgb)
        np.savez(folder / "scenes" / f"{index}.npz", rgb=rgb[::4], caption=np.array("bars"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_shards(folder, 0)
    write_shards(folder / "heldout", 1)
    return folder


def test_training_writes_and_resumes(shards: Path, tmp_path: Path) -> None:
    settings = TokenizerTraining(components=48, crop=(32, 48), stills=2, start_pixels=400_000)

    def leg(minutes: float, resume: bool) -> dict:
        return train_tokenizer(shards, tmp_path, minutes=minutes, seed=1, resume=resume, settings=settings)

    first = leg(0.02, resume=False)
    assert first["trained"]["steps"] > 0
    assert abs(first["stored"]["clips_psnr"] - first["trained"]["clips_psnr"]) < 0.2
    assert json.loads((tmp_path / "tokenizer.json").read_text()) == first

    tokenizer = Tokenizer.load(tmp_path / "tokenizer.safetensors")
    assert tokenizer.latents_std.shape == (16, 1)
    assert (tmp_path / "tokenizer.safetensors").stat().st_size < 5_000_000

    second = leg(0.01, resume=True)
    assert second["trained"]["steps"] > first["trained"]["steps"]
    (tmp_path / "state.pt").unlink()
    from_weights = leg(0.0, resume=True)
    assert from_weights["trained"]["steps"] == 0
    assert abs(from_weights["trained"]["clips_psnr"] - second["stored"]["clips_psnr"]) < 0.05


def test_absent_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(LyraError, match="scenes holds no training data"):
        train_tokenizer(tmp_path, tmp_path / "out", minutes=0.01)
