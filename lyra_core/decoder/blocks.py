# SPDX-License-Identifier: Apache-2.0
"""The two kinds of blocks: full attention and bidirectional Mamba-2. Module names are those of the released files."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lyra_core.decoder.config import DecoderConfig
from lyra_core.decoder.ssd import ScanArguments, ssd_scan, ssd_stretch

ATTENTION_NORM_EPS = 1e-6
_RMS_EPS = 1e-5


class RMSNorm(nn.Module):
    """Root-mean-square norm with a weight only."""

    def __init__(self, width: int) -> None:
        """Create the weight `[width]`."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return functional.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), _RMS_EPS)


class Attention(nn.Module):
    """Multi-head self-attention over the whole sequence, without positions."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `[B, L, D]` to tokens."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them; `chunk` bounds the tokens that are widened at once."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.chunk: int | None = None
        self.fc1 = nn.Linear(config.width, config.mlp_ratio * config.width)
        self.fc2 = nn.Linear(config.mlp_ratio * config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `[B, L, D]` to tokens."""
        parts = x.split(self.chunk or x.shape[1], dim=1)
        return joined([self.fc2(functional.gelu(self.fc1(part))) for part in parts])


def joined(parts: list[Tensor], dim: int = 1) -> Tensor:
    """Parts in a row along `dim` (default: tokens `[B, l, ...]`); a single one is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


class AttentionBlock(nn.Module):
    """Pre-norm attention and MLP, each with a residual."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=ATTENTION_NORM_EPS)
        self.attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.width, eps=ATTENTION_NORM_EPS)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `[B, L, D]` to tokens."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MambaScan(nn.Module):
    """Parameters of one scan direction."""

    def __init__(self, config: DecoderConfig) -> None:
        """Create the parameters; H heads, E inner and C convolved channels."""
        super().__init__()
        inner = config.expand * config.width
        channels = inner + 2 * config.state_dim
        heads = inner // config.head_dim
        self.dt_bias = nn.Parameter(torch.zeros(heads))
        self.A_log = nn.Parameter(torch.zeros(heads))
        self.D = nn.Parameter(torch.ones(heads))
        self.conv1d = nn.Conv1d(channels, channels, config.conv_width, groups=channels)
        self.norm = RMSNorm(inner)

    def forward(self, y: Tensor, gate: Tensor) -> Tensor:
        """Gate and normalise what the scan of this direction gave, all `[B, L, E]`."""
        return self.norm(y * gate)


class BidirectionalMamba(nn.Module):
    """Two Mamba-2 scans, one per direction of the sequence, between shared projections; their outputs are added.

    With `chunk` the directions run one after the other, that many tokens at a time: the same result in less memory.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.chunk: int | None = None
        self.inner = config.expand * config.width
        self.state_dim = config.state_dim
        self.heads = self.inner // config.head_dim
        self.taps = config.conv_width
        self.in_proj = nn.Linear(config.width, 2 * self.inner + 2 * config.state_dim + self.heads, bias=False)
        self.mamba_scans = nn.ModuleList([MambaScan(config) for _ in range(2)])
        self.out_proj = nn.Linear(self.inner, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `[B, L, D]` to tokens."""
        if self.chunk is None:
            forward, backward = self.scan(self.in_proj(x))
            return self.out_proj(forward + backward)
        forward = self._scan_in_chunks(x, self.mamba_scans[:1], self.chunk)
        backward = self._scan_in_chunks(x.flip(1), self.mamba_scans[1:], self.chunk).flip(1)
        pairs = zip(forward.split(self.chunk, 1), backward.split(self.chunk, 1), strict=True)
        return joined([self.out_proj(one + other) for one, other in pairs])

    def scan(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Both scans of the projected tokens `[B, L, 2 E + 2 N + H]`.

        Returns:
            the forward and the backward scan `[B, L, E]`, both in the order of the tokens.
        """
        gate, mixed, dt = self._parts(projected)
        mixed, dt = (torch.stack((part, part.flip(1))) for part in (mixed, dt))
        mixed = functional.silu(_convolved(mixed, self.mamba_scans))
        y = ssd_scan(*self._scan_arguments(mixed, dt, self.mamba_scans))
        forward, backward = y.flatten(-2).unflatten(0, (2, gate.shape[0]))
        gate = functional.silu(gate)
        return self.mamba_scans[0](forward, gate), self.mamba_scans[1](backward.flip(1), gate)

    def _scan_in_chunks(self, x: Tensor, scans: nn.ModuleList, chunk: int) -> Tensor:
        """One scan `[B, L, E]` of tokens `[B, L, D]` in its own order; `scans` holds its parameters only."""
        state, tail, outputs = None, None, []
        for part in x.split(chunk, dim=1):
            gate, mixed, dt = self._parts(self.in_proj(part))
            known = 0 if tail is None else tail.shape[1]
            mixed = mixed if tail is None else torch.cat((tail, mixed), dim=1)
            tail = mixed[:, max(mixed.shape[1] + 1 - self.taps, 0) :]
            mixed = functional.silu(_convolved(mixed[None], scans))[:, :, known:]
            y, state = ssd_stretch(*self._scan_arguments(mixed, dt[None], scans), state)
            outputs.append(scans[0](y.flatten(-2), functional.silu(gate)))
        return joined(outputs)

    def _parts(self, projected: Tensor) -> tuple[Tensor, ...]:
        """Gate `[B, L, E]`, what the convolution mixes `[B, L, E + 2 N]` and raw step sizes `[B, L, H]`."""
        return projected.tensor_split((self.inner, projected.shape[-1] - self.heads), dim=-1)

    def _scan_arguments(self, mixed: Tensor, dt: Tensor, scans: nn.ModuleList) -> ScanArguments:
        """Arguments of `ssd_scan` for convolved parts `[S, B, L, C]` and raw step sizes `[S, B, L, H]` of S scans."""
        x, b, c = mixed.flatten(0, 1).tensor_split((self.inner, self.inner + self.state_dim), dim=-1)
        exact = torch.promote_types(dt.dtype, torch.float32)
        dt = functional.softplus(dt.to(exact) + _stacked(scans, "dt_bias").to(exact)[:, None, None])
        # A_log is exponentiated in its own precision: the released weights were trained that way.
        rates, skips = -_stacked(scans, "A_log").exp().to(exact), _stacked(scans, "D").to(exact)
        batch = mixed.shape[1]
        return (
            x.unflatten(-1, (self.heads, -1)),
            dt.flatten(0, 1),
            rates.repeat_interleave(batch, dim=0),
            b,
            c,
            skips.repeat_interleave(batch, dim=0),
        )


def _convolved(x: Tensor, scans: nn.ModuleList) -> Tensor:
    """Causal depthwise convolutions `[S, B, L, C]` of S scans."""
    weights = _stacked(scans, "conv1d.weight")[:, :, 0].mT
    return _CausalConvolution.apply(x, weights.to(x.dtype), _stacked(scans, "conv1d.bias").to(x.dtype))


def _stacked(scans: nn.ModuleList, name: str) -> Tensor:
    """One parameter of all scans `[S, ...]`."""
    return torch.stack([scan.get_parameter(name) for scan in scans])


class _CausalConvolution(torch.autograd.Function):
    """Depthwise convolution as shifted multiply-adds, which beat a grouped Conv1d on CPUs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        """Arguments x `[S, B, L, C]`, weights `[S, taps, C]` (the last tap is the present), bias `[S, C]`."""
        ctx.save_for_backward(x, weights)
        y = torch.addcmul(bias[:, None, None], x, weights[:, -1, None, None])
        for shift in range(1, weights.shape[1]):
            y[:, :, shift:].addcmul_(x[:, :, :-shift], weights[:, -1 - shift, None, None])
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        """Gradients of x, weights and bias."""
        x, weights = ctx.saved_tensors
        grad_y, taps, length = grads[0].contiguous(), weights.shape[1], x.shape[2]
        grad_x = grad_y * weights[:, -1, None, None]
        for shift in range(1, taps):
            grad_x[:, :, :-shift].addcmul_(grad_y[:, :, shift:], weights[:, -1 - shift, None, None])
        grad_weights = [
            (grad_y[:, :, shift:] * x[:, :, : length - shift]).sum((1, 2)) for shift in reversed(range(taps))
        ]
        return grad_x, torch.stack(grad_weights, dim=1), grad_y.sum((1, 2))


class MambaBlock(nn.Module):
    """Pre-norm bidirectional Mamba-2 with a residual."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.width)
        self.mamba = BidirectionalMamba(config)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `[B, L, D]` to tokens."""
        return x + self.mamba(self.norm(x))
