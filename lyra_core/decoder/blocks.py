# SPDX-License-Identifier: Apache-2.0
"""The two kinds of blocks: full attention and bidirectional Mamba-2. Module names are those of the released files."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lyra_core.decoder.config import DecoderConfig
from lyra_core.decoder.ssd import ssd_scan

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
    """Two linear layers with an exact GELU between them."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.width, config.mlp_ratio * config.width)
        self.fc2 = nn.Linear(config.mlp_ratio * config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `[B, L, D]` to tokens."""
        return self.fc2(functional.gelu(self.fc1(x)))


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
    """Two Mamba-2 scans, one per direction of the sequence, between shared projections; their outputs are added."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.inner = config.expand * config.width
        self.state_dim = config.state_dim
        self.heads = self.inner // config.head_dim
        self.in_proj = nn.Linear(config.width, 2 * self.inner + 2 * config.state_dim + self.heads, bias=False)
        self.mamba_scans = nn.ModuleList([MambaScan(config) for _ in range(2)])
        self.out_proj = nn.Linear(self.inner, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens `[B, L, D]` to tokens."""
        forward, backward = self.scan(self.in_proj(x))
        return self.out_proj(forward + backward)

    def scan(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Both scans of the projected tokens `[B, L, 2 E + 2 N + H]`.

        Returns:
            the forward and the backward scan `[B, L, E]`, both in the order of the tokens.
        """
        gate, mixed, dt = projected.tensor_split((self.inner, projected.shape[-1] - self.heads), dim=-1)
        mixed, dt = (torch.stack((part, part.flip(1))) for part in (mixed, dt))
        mixed = functional.silu(self._convolved(mixed))
        x, b, c = mixed.flatten(0, 1).tensor_split((self.inner, self.inner + self.state_dim), dim=-1)
        exact = torch.promote_types(dt.dtype, torch.float32)
        dt = functional.softplus(dt.to(exact) + self._both("dt_bias").to(exact)[:, None, None])
        # A_log is exponentiated in its own precision: the released weights were trained that way.
        rates, skips = -self._both("A_log").exp().to(exact), self._both("D").to(exact)
        batch = gate.shape[0]
        y = ssd_scan(
            x.unflatten(-1, (self.heads, -1)),
            dt.flatten(0, 1),
            rates.repeat_interleave(batch, dim=0),
            b,
            c,
            skips.repeat_interleave(batch, dim=0),
        )
        forward, backward = y.flatten(-2).unflatten(0, (2, batch))
        gate = functional.silu(gate)
        return self.mamba_scans[0](forward, gate), self.mamba_scans[1](backward.flip(1), gate)

    def _convolved(self, x: Tensor) -> Tensor:
        """Causal depthwise convolutions `[2, B, L, C]`."""
        weights = self._both("conv1d.weight")[:, :, 0].mT
        return _CausalConvolution.apply(x, weights.to(x.dtype), self._both("conv1d.bias").to(x.dtype))

    def _both(self, name: str) -> Tensor:
        """One parameter of both scans, stacked `[2, ...]`."""
        return torch.stack([scan.get_parameter(name) for scan in self.mamba_scans])


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
