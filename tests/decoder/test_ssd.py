# SPDX-License-Identifier: Apache-2.0
"""The chunked scan against the recurrence it stands for."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lyra_core.decoder.ssd import ssd_chunked, ssd_scan

STREAMS, HEADS, CHANNELS, STATE = 2, 3, 4, 5


def inputs(length: int, seed: int, *, decay: float = 4.0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    dt = torch.rand(STREAMS, length, HEADS, generator=generator, dtype=torch.float64) + 1e-3
    rates = -decay * torch.rand(STREAMS, HEADS, generator=generator, dtype=torch.float64)
    maps = (normal(STREAMS, length, STATE), normal(STREAMS, length, STATE))
    return normal(STREAMS, length, HEADS, CHANNELS), dt, rates, *maps, normal(STREAMS, HEADS)


def recurrence(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """One step after the other, as the definition says."""
    state, outputs = x.new_zeros(STREAMS, HEADS, STATE, CHANNELS), []
    for t in range(x.shape[1]):
        written = b[:, t, None, :, None] * (dt[:, t, :, None] * x[:, t])[:, :, None]
        state = state * (dt[:, t] * a).exp()[..., None, None] + written
        outputs.append((state * c[:, t, None, :, None]).sum(-2) + d[..., None] * x[:, t])
    return torch.stack(outputs, dim=1)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 17), st.integers(0, 10**6))
def test_equals_the_recurrence_for_any_length_and_chunk(length: int, chunk: int, seed: int) -> None:
    arguments = inputs(length, seed)
    torch.testing.assert_close(ssd_chunked(*arguments, chunk=chunk), recurrence(*arguments), atol=1e-11, rtol=1e-11)


def test_written_derivative_is_the_derivative() -> None:
    """Against autograd through the recurrence, with a length that needs padding."""
    arguments = [part.requires_grad_() for part in inputs(11, 0)]
    weights = torch.randn(STREAMS, 11, HEADS, CHANNELS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = torch.autograd.grad((recurrence(*arguments) * weights).sum(), arguments)
    actual = torch.autograd.grad((ssd_chunked(*arguments, chunk=4) * weights).sum(), arguments)
    for value, reference in zip(actual, expected, strict=True):
        torch.testing.assert_close(value, reference, atol=1e-10, rtol=1e-9)


def test_strong_decay_and_vanishing_steps_stay_finite() -> None:
    x, dt, a, b, c, d = (part.float() for part in inputs(130, 3))
    dt, a = dt * 5, a * 5
    dt[:, ::3] = 0.0
    arguments = [part.requires_grad_() for part in (x, dt, a, b, c, d)]
    # Log decays reach thousands within a chunk, where float32 resolves 5e-4.
    y = ssd_scan(*arguments)
    torch.testing.assert_close(y, recurrence(*arguments), atol=1e-2, rtol=1e-2)
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(y.sum(), arguments))


def test_bfloat16_inputs_keep_decays_exact() -> None:
    """A slowly decaying state survives 512 steps: with decays in bfloat16 it would be off by tens of percent."""
    x, dt, a, b, c, d = (part.float() for part in inputs(512, 5))
    dt, a = 0.02 * dt, 0.1 * a
    expected = recurrence(x, dt, a, b, c, d)
    low = ssd_chunked(x.bfloat16(), dt, a, b.bfloat16(), c.bfloat16(), d).float()
    assert (low - expected).square().mean().sqrt() < 0.01 * expected.square().mean().sqrt()
