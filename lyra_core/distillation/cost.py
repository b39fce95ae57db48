# SPDX-License-Identifier: Apache-2.0
"""What a stage will cost, before anything runs: tokens, arithmetic, memory, and hours on common GPUs.

Everything is arithmetic on the numbers of the stage, but for two measured things: what a block keeps for its backward
pass is counted on the real network without memory (meta device), and how much of a GPU's peak is reached is taken from
the published run, the nine stages in six days on eight A100 80 GB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lyra_core.decoder import DecoderConfig, GaussianDecoder
from lyra_core.decoder.config import COMPRESSION, OUTPUT_CHANNELS, PATCH
from lyra_core.distillation.stages import Stage, published_stages

GPUS = {
    "A100 80GB": (312e12, 80e9),
    "L40S 48GB": (362e12, 48e9),
    "H100 80GB": (989e12, 80e9),
    "H200 141GB": (989e12, 141e9),
    "B200 180GB": (2250e12, 180e9),
}
"""Peak dense bfloat16 arithmetic [FLOP/s] and memory [bytes], from the makers' data sheets."""

PUBLISHED_HOURS, PUBLISHED_GPUS, PUBLISHED_GPU = 6 * 24.0, 8, "A100 80GB"

BACKWARD = 2.0
"""A backward pass computes the gradients of inputs and of weights: twice the forward pass."""

VGG_PER_PIXEL = 6.1e5
"""VGG16's convolutions, forward [FLOP per pixel]: 30.7 GFLOP at 224 x 224."""

VGG_PASSES = 4.0
"""Prediction and reference forward, the prediction again (it is not kept), and back to the pixels."""

_SCAN_CHUNK = 256
_WORD, _SINGLE = 2, 4
_ADAM_BYTES = 16
"""Per weight: float32 weight, gradient and two moments."""

_ROW = 14


@dataclass(frozen=True)
class Cost:
    """What a stage needs.

    Attributes:
        tokens: of the longest sequence.
        gaussians: before and after pruning, of the largest sample.
        parameters: weights that are trained.
        sample_flops: arithmetic of one mean sample, forward and backward [FLOP].
        samples: samples of the whole stage; None where only the clock ends it.
        state_bytes: weights, gradients, moments.
        kept_bytes: what the decoder keeps for the backward pass of the largest sample.
        recomputed_bytes: the same when blocks are recomputed.
        rows_bytes: Gaussians with gradients, and one target picture's share of the renderer.
    """

    tokens: int
    gaussians: tuple[int, int]
    parameters: int
    sample_flops: float
    samples: int | None
    state_bytes: int
    kept_bytes: int
    recomputed_bytes: int
    rows_bytes: int

    @property
    def total_flops(self) -> float:
        """Of the whole stage [FLOP]; 0 where its length is not known in steps."""
        return self.sample_flops * (self.samples or 0)


def stage_cost(stage: Stage) -> Cost:
    """The cost of a stage, see `Cost`."""
    config = stage.decoder_config()
    with torch.device("meta"):
        network = GaussianDecoder(config)
    frames, rows, columns = config.gaussian_stride
    cells = (stage.size[0] // rows) * (stage.size[1] // columns)
    gaussians = stage.views * (1 + (stage.frames - 1) // frames) * cells
    kept = int(gaussians * (1.0 - config.prune_ratio))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    steps = None if stage.steps is None else stage.steps - stage.first_step
    blocks = [kept_bytes(block, config.width, stage.tokens) for block in network.enc_blocks]
    return Cost(
        tokens=stage.tokens,
        gaussians=(gaussians, kept),
        parameters=parameters,
        sample_flops=_sample_flops(stage, config),
        samples=None if steps is None else steps * stage.batch * stage.processes,
        state_bytes=parameters * _ADAM_BYTES,
        kept_bytes=sum(blocks),
        recomputed_bytes=len(blocks) * stage.tokens * config.width * _WORD + max(blocks),
        rows_bytes=_SINGLE * (2 * _ROW * (gaussians + kept) + 8 * stage.size[0] * stage.size[1]),
    )


def _sample_flops(stage: Stage, config: DecoderConfig) -> float:
    """Forward and backward of a mean sample, perceptual loss included; the renderer is not counted."""
    per_view = stage.tokens // stage.views
    counts = range(1, stage.views + 1) if stage.drawn_views else (stage.views,)
    decoder = sum(decoder_flops(config, count * per_view) for count in counts) / len(counts)
    pictures = stage.targets if stage.dynamic else stage.targets * sum(counts) / len(counts)
    pixels = pictures * stage.size[0] * stage.size[1] if stage.losses.perceptual else 0.0
    return (1.0 + BACKWARD) * decoder + VGG_PASSES * VGG_PER_PIXEL * pixels


def decoder_flops(config: DecoderConfig, tokens: int) -> float:
    """One forward pass of the decoder [FLOP]; a multiplication and an addition count as two."""
    attention = config.depth // config.attention_every
    mamba = config.depth - attention
    head = config.width * OUTPUT_CHANNELS * _taps(config)
    ends = 2 * tokens * (3 * config.latent_channels * PATCH[1] * PATCH[2] * config.width + head)
    return attention * _attention_flops(config, tokens) + mamba * _mamba_flops(config, tokens) + ends


def _attention_flops(config: DecoderConfig, tokens: int) -> float:
    linear = 2 * config.width**2 * (4 + 2 * config.mlp_ratio)
    return tokens * linear + 4.0 * tokens**2 * config.width


def _mamba_flops(config: DecoderConfig, tokens: int) -> float:
    """Two projections, and for both directions the convolution and the scan in chunks."""
    inner, state = config.expand * config.width, config.state_dim
    projected = 2 * inner + 2 * state + inner // config.head_dim
    linear = 2 * config.width * (projected + inner)
    convolution = 2 * config.conv_width * (inner + 2 * state)
    scan = 2 * _SCAN_CHUNK * (state + inner) + 4 * state * inner
    return float(tokens * (linear + 2 * (convolution + scan)))


def _taps(config: DecoderConfig) -> int:
    time, rows, columns = (
        full // step
        for full, step in zip((COMPRESSION, 2 * COMPRESSION, 2 * COMPRESSION), config.gaussian_stride, strict=True)
    )
    return (time + 1 if time > 1 else 1) * rows * columns


def kept_bytes(block: nn.Module, width: int, tokens: int) -> int:
    """Bytes that a block keeps for its backward pass, its weights aside; counted at two lengths and extended.

    Args:
        block: on the meta device.
        width: channels of a token.
        tokens: length asked for.
    """
    short, long = (_kept(block, width, 2 * _SCAN_CHUNK * factor) for factor in (1, 2))
    per_token = (long - short) / (2 * _SCAN_CHUNK)
    return int(short + per_token * (tokens - 2 * _SCAN_CHUNK))


def _kept(block: nn.Module, width: int, tokens: int) -> int:
    weights = {parameter.untyped_storage()._cdata for parameter in block.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    block = block.to(torch.bfloat16)
    inputs = torch.empty(1, tokens, width, dtype=torch.bfloat16, device="meta", requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        block(inputs)
    return sum(tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in weights)


def utilisation() -> float:
    """Share of peak arithmetic that the published run reached, by this module's own count of its nine stages."""
    total = sum(stage_cost(stage).total_flops for stage in published_stages())
    return total / (PUBLISHED_GPUS * GPUS[PUBLISHED_GPU][0] * PUBLISHED_HOURS * 3600)


def cost_lines(stage: Stage) -> list[str]:
    """The cost of a stage in words."""
    cost, share = stage_cost(stage), utilisation()
    return [*_size_lines(stage, cost), *_hour_lines(stage, cost, share), *_assumptions(share)]


def _size_lines(stage: Stage, cost: Cost) -> Iterator[str]:
    fixed = cost.state_bytes + cost.rows_bytes
    yield f"{stage.name}: {stage.summary}"
    yield f"  decoder            {cost.parameters:,} parameters, start: {stage.follows or 'from scratch'}"
    yield f"  longest sequence   {cost.tokens:,} tokens ({stage.views} views, {stage.frames} frames, {stage.size})"
    yield f"  Gaussians          {cost.gaussians[0]:,}, kept {cost.gaussians[1]:,}"
    yield f"  targets            {stage.target_pictures} pictures, drawn one by one (deferred back-propagation)"
    yield f"  arithmetic         {cost.sample_flops / 1e12:,.1f} TFLOP per sample"
    if cost.samples:
        batch = stage.batch * stage.processes
        yield f"  length             {cost.samples // batch:,} steps x {batch} samples = {cost.total_flops:.2e} FLOP"
    yield f"  memory             {_gb(fixed + cost.kept_bytes)} per process with everything kept,"
    yield f"                     {_gb(fixed + cost.recomputed_bytes)} with blocks recomputed (taken if that fails)"


def _hour_lines(stage: Stage, cost: Cost, share: float) -> Iterator[str]:
    if not cost.samples:
        yield f"  ends by the clock  after {stage.minutes:g} minutes unless --minutes says otherwise"
        return
    need = cost.state_bytes + cost.rows_bytes + cost.recomputed_bytes
    for name, (peak, memory) in GPUS.items():
        hours = cost.total_flops / (peak * share * stage.processes) / 3600
        room = "" if need < memory else "  too little memory"
        yield f"  {name:<18} {hours:8.1f} h on {stage.processes}, {hours * stage.processes:9.1f} h on one{room}"


def _assumptions(share: float) -> Iterator[str]:
    yield f"  Assumed: {share:.0%} of peak bf16 arithmetic, which the published six days on eight A100 imply for"
    yield "  all stages by this count; the renderer, the tokenizer and reading data are within that share. float32"
    yield "  weights with AdamW (16 bytes each); activations in bf16, counted on the meta device; no fragmentation."


def _gb(size: Any) -> str:
    return f"{size / 1e9:.1f} GB"
