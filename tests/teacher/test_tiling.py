# SPDX-License-Identifier: Apache-2.0
"""Tiles in time: the result of the whole clip, in less memory."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKLCosmos
from torch import Tensor

from lyra_core.memory.peak import PeakMemory
from lyra_core.teacher.tiling import decode_in_tiles, encode_in_tiles
from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.teacher.tokenizer_factored import accelerate

ROUNDING = {"atol": 1e-11, "rtol": 1e-11}


@pytest.fixture(scope="module", params=["plain", "accelerated", "two time samplers", "attention in a block"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Real networks with random weights, in float64; together they have every kind of part that looks back in time."""
    config = {"encoder_block_out_channels": (8, 16, 16, 16), "decode_block_out_channels": (16, 16, 16, 16)}
    variant = {
        "two time samplers": {"patch_size": 2},
        "attention in a block": {"attention_resolutions": (64,), "resolution": 256},
    }.get(request.param, {})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = AutoencoderKLCosmos(**config, **variant, num_layers=1).eval()
        for parameter in network.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return Tokenizer((accelerate(network) if request.param == "accelerated" else network).double())


@pytest.fixture(scope="module")
def video() -> Tensor:
    """Coarse blocks of colour that change with every frame."""
    colors = torch.randn(2, 3, 41, 4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).tanh()
    return colors.repeat_interleave(8, 3).repeat_interleave(8, 4)


@pytest.mark.parametrize("frames", [1, 2, 4, 6, 9])
def test_tiles_give_the_whole_clip(tokenizer: Tokenizer, video: Tensor, frames: int) -> None:
    latents = tokenizer.encode(video)
    decoded = tokenizer.decode(latents)
    tokenizer.tile_frames = frames
    try:
        tiled, tiled_decoded = tokenizer.encode(video), tokenizer.decode(latents)
    finally:
        tokenizer.tile_frames = None
    torch.testing.assert_close(tiled, latents, **ROUNDING)
    torch.testing.assert_close(tiled_decoded, decoded, **ROUNDING)
    assert latents[:, :, 1:].std(dim=2).mean() > 1e-2, "a clip that does not change in time would prove nothing"
    if frames >= latents.shape[2]:
        assert tiled.equal(latents)
        assert tiled_decoded.equal(decoded)
    assert tokenizer.encode(video).equal(latents), "the untiled path is as it was before"


def test_a_single_frame_is_one_tile(tokenizer: Tokenizer, video: Tensor) -> None:
    latents = tokenizer.encode(video[:, :, :1])
    tokenizer.tile_frames = 2
    try:
        assert tokenizer.encode(video[:, :, :1]).equal(latents)
    finally:
        tokenizer.tile_frames = None


def test_tiles_know_what_went_before(tokenizer: Tokenizer, video: Tensor) -> None:
    """Without their past they would be wrong: the test above would notice."""
    whole = tokenizer.encode(video)[:, :, 3:]
    apart = tokenizer.encode(video[:, :, 16:])[:, :, 1:]
    assert (whole - apart).abs().max() > 1e-3


def test_a_broken_pass_leaves_no_memory_behind(tokenizer: Tokenizer, video: Tensor) -> None:
    expected = tokenizer.encode(video)
    tiles = encode_in_tiles(tokenizer.network, video[:1], 1, tokenizer.temporal_factor)
    next(tiles)
    tiles.close()
    assert tokenizer.encode(video).equal(expected)


@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_memory_falls(tokenizer: Tokenizer, video: Tensor, direction: str) -> None:
    """By the peak and by the largest tensor; the network runs for real, every tensor is counted."""
    clip = video[:1]
    latents = tokenizer.encode(clip)
    with torch.no_grad(), PeakMemory() as whole:
        tokenizer.network.encode(clip) if direction == "encode" else tokenizer.network.decode(latents)
    with torch.no_grad(), PeakMemory() as tiled:
        if direction == "encode":
            tiles = encode_in_tiles(tokenizer.network, clip, 1, tokenizer.temporal_factor)
        else:
            tiles = decode_in_tiles(tokenizer.network, latents, 1)
        for tile in tiles:
            del tile
    assert tiled.peak < 0.7 * whole.peak
    assert tiled.largest < 0.7 * whole.largest
