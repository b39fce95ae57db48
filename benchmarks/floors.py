# SPDX-License-Identifier: Apache-2.0
"""What a device can do at best, measured, and what work needs at least, derived.

With n tokens of width d, a linear layer from a to b channels takes 2 n a b operations and full attention 4 n^2 d
(scores, then the weighted sum).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from lyra_core.cameras import Cameras
from lyra_core.decoder import DecoderConfig
from lyra_core.gaussians import Gaussians
from lyra_core.teacher.transformer import TransformerConfig

CHUNK, TEXT_TOKENS = 64, 512
BLEND_OPERATIONS = 30
"""Per pixel and Gaussian: offset 2, quadratic form 7, exponential and opacity 3, weight and sums of colour, depth and
alpha 12, transmittance and comparisons 6."""


@torch.no_grad()
def seconds(work: Callable[[], object], device: torch.device, repeats: int = 2) -> float:
    """Best time of `work` after one run that compiles and warms up."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return min(times[1:])


@dataclass(frozen=True)
class Rates:
    """What a device does per second.

    Attributes:
        products: operations of a large matrix product in the networks' precision.
        single: the same in float32, which on a GPU is the rate outside its matrix units.
        copied: bytes that a large copy reads and writes.
    """

    products: float
    single: float
    copied: float

    @classmethod
    def measure(cls, device: torch.device, precision: torch.dtype) -> Rates:
        """Of this device, now."""
        source = torch.zeros(2**28 if device.type == "cuda" else 2**22, device=device)
        copied = 2 * source.nbytes / seconds(source.clone, device, repeats=10)
        return cls(_product_rate(device, precision), _product_rate(device, torch.float32), copied)


def _product_rate(device: torch.device, precision: torch.dtype) -> float:
    size = 8192 if device.type == "cuda" else 512
    left = torch.randn(size, size, device=device).to(precision)
    return 2 * size**3 / seconds(lambda: left @ left, device, repeats=10)


def attention_operations(tokens: int, width: int) -> float:
    """4 n^2 d."""
    return 4 * tokens**2 * width


def decoder_operations(config: DecoderConfig, tokens: int) -> float:
    """All blocks of the decoder.

    An attention block: 4 n^2 d + 2 n d^2 (3 + 1 + 8). A scan block with inner width e = 2 d, state s, h heads of 64:
    2 n (d (2 e + 2 s + h) + e d) for the projections, and for both directions of a scan in chunks of q = 64
    2 n (2 q s + h (2 q 64 + 4 s 64)).
    """
    width, inner, state = config.width, config.expand * config.width, config.state_dim
    heads, attention = inner // config.head_dim, config.depth // config.attention_every
    mixing = attention_operations(tokens, width) + 2 * tokens * width**2 * (4 + 2 * config.mlp_ratio)
    projecting = 2 * tokens * width * (2 * inner + 2 * state + heads + inner)
    per_head = 2 * CHUNK * config.head_dim + 4 * state * config.head_dim
    scanning = 2 * tokens * (2 * CHUNK * state + heads * per_head)
    return attention * mixing + (config.depth - attention) * (projecting + scanning)


def transformer_operations(config: TransformerConfig, tokens: int) -> float:
    """One evaluation of the diffusion transformer; per block 4 n^2 d, 4 n 512 d for the text, 2 n d^2 (4 + 2 + 8)."""
    width = config.heads * config.head_dim
    linear = 2 * tokens * width**2 * (4 + 2 + 2 * config.mlp_ratio)
    return config.layers * (attention_operations(tokens, width) + 4 * tokens * TEXT_TOKENS * width + linear)


def counted_operations(work: Callable[[], object]) -> float:
    """Products, convolutions and attention of `work` on the meta device, as torch's counter has them."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def warp_bytes(points: int, frames: int) -> float:
    """A forward splat: every point and frame adds five numbers to each of four pixels, which is a read and a write."""
    return points * frames * 4 * 5 * 4 * 2


def blended_pairs(gaussians: Gaussians, camera: Cameras) -> float:
    """Pairs of pixel and round Gaussian within three standard deviations, for those in the picture; none ends early."""
    local = gaussians.means @ camera.w2c[:3, :3].T + camera.w2c[:3, 3]
    z = local[:, 2].clamp_min(1e-6)
    pixels = local[:, :2] / z[:, None] * camera.intrinsics[:2] + camera.intrinsics[2:]
    limit = torch.tensor((camera.width, camera.height))
    inside = (local[:, 2] > 0.01) & (pixels >= 0).all(1) & (pixels < limit).all(1)
    sigma = gaussians.scales[:, 0] * camera.intrinsics[0] / z
    return float((math.pi * (3 * sigma[inside]) ** 2).sum())
