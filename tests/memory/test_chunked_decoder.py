# SPDX-License-Identifier: Apache-2.0
"""The decoder in chunks, and its scan in stretches: the same result in less memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.decoder.ssd import ssd_chunked, ssd_stretch
from lyra_core.memory.peak import PeakMemory

VIEWS, FRAMES, ROWS, COLUMNS = 2, 3, 4, 8


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def decoder() -> GaussianDecoder:
    config = DecoderConfig(width=64, depth=3, heads=2, attention_every=3, state_dim=16, ray_dtype="float32")
    decoder = GaussianDecoder(config).double().eval()
    for index, parameter in enumerate(decoder.parameters()):
        parameter.data += 0.05 * normal(*parameter.shape, seed=index)
    return decoder


@torch.no_grad()
def rows(decoder: GaussianDecoder) -> Tensor:
    """48 tokens of two views."""
    cameras = Cameras(
        torch.eye(4).double().expand(1, VIEWS, 17, 4, 4), torch.tensor((30.0, 30.0, 32.0, 16.0)), 8 * COLUMNS, 8 * ROWS
    )
    latents = normal(1, VIEWS, 16, FRAMES, ROWS, COLUMNS, seed=100)
    rays = normal(1, VIEWS, 32, FRAMES, ROWS, COLUMNS, seed=101)
    return decoder(latents, cameras, plucker_latents=rays)


@pytest.mark.parametrize("tokens", [1, 2, 5, 16, 47, 48, 1000])
def test_chunks_give_the_same_gaussians(decoder: GaussianDecoder, tokens: int) -> None:
    expected = rows(decoder)
    decoder.work_in_chunks(tokens)
    try:
        torch.testing.assert_close(rows(decoder), expected, atol=1e-10, rtol=1e-10)
    finally:
        decoder.work_in_chunks(None)
    assert rows(decoder).equal(expected)


def test_memory_falls(decoder: GaussianDecoder) -> None:
    with PeakMemory() as whole:
        rows(decoder)
    decoder.work_in_chunks(4)
    try:
        with PeakMemory() as chunked:
            rows(decoder)
    finally:
        decoder.work_in_chunks(None)
    assert chunked.peak < 0.6 * whole.peak


def scan(length: int) -> tuple[Tensor, ...]:
    """Arguments of a scan of two streams and three heads; from slow to fast decay."""
    steps = normal(2, length, 3, seed=1).exp()
    rates = -torch.tensor(((0.01, 0.3, 4.0),) * 2, dtype=torch.float64)
    maps = normal(2, length, 5, seed=2), normal(2, length, 5, seed=3)
    return normal(2, length, 3, 4, seed=0), steps, rates, *maps, normal(2, 3, seed=4)


@pytest.mark.parametrize("segment", [1, 7, 10, 29])
def test_a_scan_in_stretches_is_the_scan(segment: int) -> None:
    arguments = [part.requires_grad_() for part in scan(30)]
    whole = ssd_chunked(*arguments, chunk=4)
    parts = ssd_chunked(*arguments, chunk=4, segment=segment)
    torch.testing.assert_close(parts, whole, atol=1e-10, rtol=1e-10)
    weights = normal(*whole.shape, seed=9)
    expected = torch.autograd.grad((whole * weights).sum(), arguments)
    for found, value in zip(torch.autograd.grad((parts * weights).sum(), arguments), expected, strict=True):
        torch.testing.assert_close(found, value, atol=1e-9, rtol=1e-9)


def test_the_state_between_stretches_is_the_recurrence() -> None:
    x, dt, a, b, c, d = scan(6)
    state = x.new_zeros(2, 3, 5, 4)
    for t in range(6):
        written = torch.einsum("sn,shp,sh->shnp", b[:, t], x[:, t], dt[:, t])
        state = state * (dt[:, t] * a).exp()[..., None, None] + written
    _, first = ssd_stretch(x[:, :4], dt[:, :4], a, b[:, :4], c[:, :4], d, None)
    _, last = ssd_stretch(x[:, 4:], dt[:, 4:], a, b[:, 4:], c[:, 4:], d, first)
    torch.testing.assert_close(last, state)


def test_weights_of_another_precision_are_no_matter(decoder: GaussianDecoder) -> None:
    """Inputs follow the weights, so that a plan may cast these."""
    expected = rows(decoder)
    single = GaussianDecoder(decoder.config)
    single.load_state_dict(decoder.state_dict())
    torch.testing.assert_close(rows(single).double(), expected, atol=1e-2, rtol=1e-3)
