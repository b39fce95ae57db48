# SPDX-License-Identifier: Apache-2.0
"""The state-space-dual scan of Mamba-2 (Dao and Gu 2024, "Transformers are SSMs"), in chunks.

Per head the state S `[N, P]` follows S_t = exp(dt_t A) S_{t-1} + dt_t B_t x_t^T and the output is
y_t = S_t^T C_t + D x_t. Within a chunk this is a masked matrix product; between chunks only states travel.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_log = logging.getLogger(__name__)

ScanArguments = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""x, dt, a, b, c, d of `ssd_scan`."""

CHUNK = 64
"""Tokens per chunk on the CPU: the fastest of 32, 64, 128 and 256 for states of 64."""

SEGMENT = 8192
"""Tokens whose chunks are carried over at once: the cost of carrying grows with the square of their number."""

_KERNEL_CHUNK = 256
_SMALLEST_STEP = 1e-30


def ssd_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, *, chunk: int = CHUNK) -> Tensor:
    """Scan several independent streams; the fused kernel of `mamba_ssm` runs on CUDA tensors where it is installed.

    Args:
        x: inputs `[S, L, H, P]`.
        dt: step sizes after softplus `[S, L, H]`, float32 or better.
        a: decay rates, negative `[S, H]`.
        b: input maps, shared by the heads `[S, L, N]`.
        c: output maps, shared by the heads `[S, L, N]`.
        d: skip weights `[S, H]`.
        chunk: tokens per chunk; changes speed and rounding, not the result.

    Returns:
        outputs `[S, L, H, P]` in the dtype of `x`.
    """
    kernel = _mamba_kernel() if x.is_cuda else None
    if kernel is None:
        return ssd_chunked(x, dt, a, b, c, d, chunk=chunk)
    streams = [
        kernel(x[i, None], dt[i, None], a[i], b[i, None, :, None], c[i, None, :, None], _KERNEL_CHUNK, D=d[i])
        for i in range(x.shape[0])
    ]
    return torch.cat(streams)


def ssd_chunked(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, *, chunk: int = CHUNK, segment: int = SEGMENT
) -> Tensor:
    """The scan in plain torch; arguments as in `ssd_scan`. Decays stay in the precision of `dt`.

    A sequence longer than `segment` tokens is scanned in stretches of that length.
    """
    if x.shape[1] <= segment:
        return _from_zero(x, dt, a, b, c, d, chunk)
    outputs: list[Tensor] = []
    state: Tensor | None = None
    for x_part, dt_part, b_part, c_part in zip(*(part.split(segment, 1) for part in (x, dt, b, c)), strict=True):
        y = _from_zero(x_part, dt_part, a, b_part, c_part, d, chunk)
        y, state = _continued(y, state, x_part, dt_part, a, b_part, c_part)
        outputs.append(y)
    return torch.cat(outputs, dim=1)


def ssd_stretch(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """One stretch of a longer scan; arguments as in `ssd_scan`.

    Args:
        state: `[S, H, N, P]` that the stretch before left; None at the beginning.

    Returns:
        its outputs `[S, L, H, P]` and the state it leaves.
    """
    return _continued(ssd_scan(x, dt, a, b, c, d), state, x, dt, a, b, c)


def _continued(
    y: Tensor, state: Tensor | None, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """Adds what an earlier state does to outputs `y` that began with zero; also the state afterwards."""
    decay = dt * a[:, None]
    since = decay.cumsum(1)
    # Summed from the end: what decays least is what a difference of long sums would round most.
    until = decay.flip(1).cumsum(1).flip(1) - decay
    entering = x * (until.exp() * dt).to(x.dtype)[..., None]
    left = (b.mT @ entering.flatten(2)).unflatten(-1, x.shape[2:]).transpose(1, 2).to(dt.dtype)
    if state is None:
        return y, left
    read = (c @ state.transpose(1, 2).flatten(2).to(c.dtype)).unflatten(-1, x.shape[2:])
    return y + read * since.exp().to(x.dtype)[..., None], left + since[:, -1].exp()[..., None, None] * state


def _from_zero(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int) -> Tensor:
    """All chunks of a scan that begins with the state zero."""
    length = x.shape[1]
    x, dt, b, c = (_chunks(part, chunk) for part in (x, dt, b, c))
    y = _ChunkedScan.apply(x.movedim(3, 1).contiguous(), dt.movedim(3, 1), a, b[:, None], c[:, None], d)
    return y.movedim(1, 3).flatten(1, 2)[:, :length]


class _ChunkedScan(torch.autograd.Function):
    """The scan over K chunks of Q tokens, with the derivative written out: half the time of autograd's on a CPU.

    Per chunk, with log decays s (cumulative), log entries e_j = log dt_j - s_j and W_ij = exp(s_i + e_j) for j <= i:
        inside   y = (W * C B^T + D) x
        states   S = (B exp(s_end + e))^T x
        carried  P = R S, where R holds the decays from the end of one chunk to the start of a later one
        outside  y = (C exp(s)) P
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        """Arguments x `[S, H, K, Q, P]`, dt `[S, H, K, Q]`, a and d `[S, H]`, b and c `[S, 1, K, Q, N]`."""
        dtype = x.dtype
        decay = (dt * a[..., None, None]).cumsum(-1)
        entry = dt.clamp_min(_SMALLEST_STEP).log() - decay
        weights = _masked_exp(decay[..., :, None] + entry[..., None, :], diagonal=0).to(dtype)
        products = c @ b.mT
        scores = weights * products
        scores.diagonal(dim1=-2, dim2=-1).add_(d[..., None, None])
        writing = (decay[..., -1:] + entry).exp().to(dtype)[..., None]
        reading = decay.exp().to(dtype)[..., None]
        written, read = b * writing, c * reading
        states = written.mT @ x
        carry = _carry(decay[..., -1])
        arriving = _travel(carry, states)
        ctx.save_for_backward(x, dt, a, b, c, weights, products, scores, states, carry, arriving, writing, reading)
        return (scores @ x).add_(read @ arriving)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        """Gradients of all six inputs."""
        x, dt, a, b, c, weights, products, scores, states, carry, arriving, writing, reading = ctx.saved_tensors
        exact, grad_y = dt.dtype, grads[0].contiguous()
        grad_arriving = (c * reading).mT @ grad_y
        grad_states = _travel(carry.mT, grad_arriving)
        grad_x = (scores.mT @ grad_y).add_((b * writing) @ grad_states)

        grad_pairs = grad_y @ x.mT
        grad_d = grad_pairs.diagonal(dim1=-2, dim2=-1).sum((-2, -1), dtype=exact)
        grad_pairs *= weights
        grad_products = grad_pairs.sum(1, keepdim=True)
        grad_pairs *= products
        grad_decay, grad_entry = grad_pairs.sum(-1, dtype=exact), grad_pairs.sum(-2, dtype=exact)

        grad_read = (grad_y @ arriving.mT).mul_(reading)
        grad_c = (grad_products @ b).add_(grad_read.sum(1, keepdim=True))
        grad_decay += (grad_read * c).sum(-1, dtype=exact)

        grad_written = (x @ grad_states.mT).mul_(writing)
        grad_b = (grad_products.mT @ c).add_(grad_written.sum(1, keepdim=True))
        grad_writing = (grad_written * b).sum(-1, dtype=exact)
        grad_entry += grad_writing

        grad_decay -= grad_entry
        grad_decay[..., -1] += grad_writing.sum(-1) + _carry_grad(carry, grad_arriving, states)
        grad_step = grad_decay.flip(-1).cumsum(-1).flip(-1)
        grad_dt = grad_step * a[..., None, None] + torch.where(dt > _SMALLEST_STEP, grad_entry / dt, 0.0)
        return grad_x, grad_dt, (grad_step * dt).sum((-2, -1)), grad_b, grad_c, grad_d


def _carry(totals: Tensor) -> Tensor:
    """Weights `[..., K, K]` with which the state left by chunk k arrives at chunk i > k; totals `[..., K]` are logs."""
    ends = totals.cumsum(-1)
    starts = ends - totals
    return _masked_exp(starts[..., :, None] - ends[..., None, :], diagonal=-1)


def _carry_grad(carry: Tensor, grad_arriving: Tensor, states: Tensor) -> Tensor:
    """Gradient of the chunks' total log decays `[S, H, K]`."""
    pairs = (grad_arriving.flatten(-2) @ states.flatten(-2).mT) * carry
    grad_starts, grad_ends = pairs.sum(-1), -pairs.sum(-2)
    return (grad_starts + grad_ends).flip(-1).cumsum(-1).flip(-1) - grad_starts


def _travel(carry: Tensor, states: Tensor) -> Tensor:
    """Combine the chunks' states `[S, H, K, N, P]` by weights `[S, H, K, K]`."""
    return (carry.to(states.dtype) @ states.flatten(-2)).unflatten(-1, states.shape[-2:])


def _masked_exp(logs: Tensor, *, diagonal: int) -> Tensor:
    """exp of the lower triangle up to `diagonal`, zero above; in place."""
    return logs.exp_().tril_(diagonal)


def _chunks(part: Tensor, chunk: int) -> Tensor:
    """`[S, L, ...]` to `[S, K, Q, ...]`; padded steps have dt = 0 and therefore change nothing."""
    missing = -part.shape[1] % chunk
    if missing:
        part = functional.pad(part, (0, 0) * (part.ndim - 2) + (0, missing))
    return part.unflatten(1, (-1, chunk))


@functools.cache
def _mamba_kernel() -> Callable[..., Tensor] | None:
    try:
        kernel = importlib.import_module("mamba_ssm.ops.triton.ssd_combined").mamba_chunk_scan_combined
    except ImportError:
        _log.info("state-space scan: plain torch (mamba_ssm is not installed)")
        return None
    _log.info("state-space scan: mamba_ssm kernel")
    return kernel
