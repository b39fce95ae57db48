# SPDX-License-Identifier: Apache-2.0
"""Speed at full size with random weights, each against its arithmetic floor: `python benchmarks/full_size.py [--tiny]`.

Floors are operations divided by the rate of this device's own matrix product, measured first in the same run; what is
bound by memory instead is said. With n tokens of width d, a linear layer from a to b channels takes 2 n a b operations
and full attention 4 n^2 d (scores, then the weighted sum).

* decoder (6 x 121 frames at 704 x 1280: n = 337,920, d = 512): two attention blocks 4 n^2 d + 2 n d^2 (3 + 1 + 8)
  each; fourteen scan blocks with inner width e = 2 d, state s = 256, h heads of 64:
  2 n (d (2 e + 2 s + h) + e d) for the projections, and for both directions of a scan in chunks of q = 64
  2 n (2 q s + h (2 q 64 + 4 s 64)).
* attention: 4 n^2 d, per backend of torch's attention at head dimension 64.
* diffusion step (n = 56,320, d = 4096, 28 blocks, twice per step): per block 4 n^2 d for self-attention,
  4 n 512 d for the text, and linear layers 2 n d^2 (4 + 2 + 8).
* guidance: warping one video's frames and encoding warp and mask, as a share of all steps of that video. Splatting is
  bound by memory: four scattered writes of five numbers per pixel and frame.

`--tiny` runs everything with small networks on any device, to see that it works; its ratios mean nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from lyra_core.cameras import intrinsics_from_fov
from lyra_core.conditioning.point_cache import PointCache
from lyra_core.decoder import DecoderConfig
from lyra_core.memory.plan import CHUNKS, Plan
from lyra_core.memory.rehearsal import Rehearsal
from lyra_core.teacher.transformer import TransformerConfig
from lyra_core.trajectories import lyra_cameras
from lyra_core.weights.components import diffusion_config
from lyra_core.weights.presets import Component, Preset, load_preset

CHUNK, TEXT_TOKENS = 64, 512
BACKENDS = (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)


@dataclass(frozen=True)
class Bench:
    """One device, its rate, and the model's sizes."""

    preset: Preset
    device: torch.device
    precision: torch.dtype
    rate: float  # operations per second of a large matrix product

    @property
    def rehearsal(self) -> Rehearsal:
        return Rehearsal(self.preset, self.device, self.precision)

    @property
    def tokens(self) -> int:
        """Tokens of one video."""
        frames, rows, columns = self.rehearsal.latent_size
        return frames * rows * columns // 4

    def row(self, name: str, seconds: float, operations: float) -> None:
        """One line of the report."""
        floor = operations / self.rate
        share = floor / seconds
        print(f"{name:44} {1e3 * seconds:11.2f} ms   floor {1e3 * floor:11.2f} ms   {100 * share:5.1f} %", flush=True)


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


def matmul_rate(device: torch.device, precision: torch.dtype) -> float:
    """Operations per second of a large product of matrices."""
    size = 8192 if device.type == "cuda" else 512
    left = torch.randn(size, size, device=device).to(precision)
    return 2 * size**3 / seconds(lambda: left @ left, device, repeats=10)


def decoder_operations(config: DecoderConfig, tokens: int) -> float:
    """As derived above, for all blocks."""
    width, inner, state = config.width, config.expand * config.width, config.state_dim
    heads, attention = inner // config.head_dim, config.depth // config.attention_every
    mixing = 4 * tokens**2 * width + 2 * tokens * width**2 * (4 + 2 * config.mlp_ratio)
    projecting = 2 * tokens * width * (2 * inner + 2 * state + heads + inner)
    per_head = 2 * CHUNK * config.head_dim + 4 * state * config.head_dim
    scanning = 2 * tokens * (2 * CHUNK * state + heads * per_head)
    return attention * mixing + (config.depth - attention) * (projecting + scanning)


def transformer_operations(config: TransformerConfig, tokens: int) -> float:
    """As derived above, for one evaluation."""
    width = config.heads * config.head_dim
    linear = 2 * tokens * width**2 * (4 + 2 + 2 * config.mlp_ratio)
    return config.layers * (4 * tokens**2 * width + 4 * tokens * TEXT_TOKENS * width + linear)


def bench_decoder(bench: Bench) -> None:
    config = DecoderConfig.from_dict(bench.preset.decoder.config)
    views = len(bench.preset.paths)
    floor = decoder_operations(config, views * bench.tokens)
    for plan in (Plan(), Plan((CHUNKS,))):
        work = bench.rehearsal.stage("decoder", plan)
        bench.row(f"decoder, {views * bench.preset.frames} views, {plan}", seconds(work, bench.device), floor)


def bench_attention(bench: Bench) -> None:
    config = DecoderConfig.from_dict(bench.preset.decoder.config)
    tokens = len(bench.preset.paths) * bench.tokens
    query = bench.rehearsal.zeros(1, config.heads, tokens, config.width // config.heads).normal_()
    for backend in BACKENDS:
        if backend == SDPBackend.MATH and tokens > 2**14:
            continue  # it would hold all scores
        try:
            with sdpa_kernel(backend):
                taken = seconds(lambda: functional.scaled_dot_product_attention(query, query, query), bench.device)
        except RuntimeError as error:
            print(f"attention, {backend.name}: not on this device ({str(error).splitlines()[0]})")
            continue
        bench.row(f"attention, {tokens} tokens, {backend.name}", taken, 4 * tokens**2 * config.width)


def bench_transformer(bench: Bench) -> float:
    """Seconds of one step: both branches."""
    config = diffusion_config(bench.preset).transformer
    work = bench.rehearsal.stage("transformer", Plan())
    taken = 2 * seconds(work, bench.device)
    bench.row(f"diffusion step, {bench.tokens} tokens", taken, 2 * transformer_operations(config, bench.tokens))
    return taken


def bench_guidance(bench: Bench, step: float) -> None:
    """Warp and encoding of one video beside all its steps."""
    height, width = bench.preset.video_size
    lens = intrinsics_from_fov(1.2, width, height)
    cameras = lyra_cameras(lens, width, height, frames=bench.preset.frames, paths=("left",)).to(bench.device)
    image = torch.rand(height, width, 3, device=bench.device)
    z = (
        (1 + torch.rand(height // 16, width // 16, device=bench.device))
        .repeat_interleave(16, 0)
        .repeat_interleave(16, 1)
    )
    cache = PointCache(image, z, lens.to(bench.device), foreground=True)
    warping = seconds(lambda: cache.render(cameras), bench.device, repeats=1)
    encoding = 2 * seconds(bench.rehearsal.stage("tokenizer encode", Plan()), bench.device)
    steps = diffusion_config(bench.preset).sampler.steps * step
    share = (warping + encoding) / (warping + encoding + steps)
    print(f"guidance: warp {warping:.2f} s, two clips {encoding:.2f} s, all steps {steps:.2f} s: {100 * share:.1f} %")


def tiny(preset: Preset) -> Preset:
    """Small networks on short, small videos; the tokenizer keeps its size."""
    transformer = {"heads": 2, "head_dim": 24, "layers": 2, "text_dim": 8, "adaln_lora_dim": 4}
    parts = {
        "teacher": Component(kind="gen3c", config={"transformer": transformer, "sampler": {"steps": 3}}),
        "decoder": Component(kind="lyra", config={"width": 64, "depth": 2, "heads": 2, "attention_every": 2}),
    }
    return preset.model_copy(update={**parts, "video_size": (64, 96), "frames": 17})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lyra", help="preset")
    parser.add_argument("--tiny", action="store_true", help="small networks, on any device")
    arguments = parser.parse_args()
    cuda = torch.cuda.is_available()
    if not cuda and not arguments.tiny:
        parser.error("there is no CUDA device; --tiny shows that the benchmark works")
    preset = load_preset(arguments.model)
    device, precision = torch.device("cuda" if cuda else "cpu"), torch.bfloat16 if cuda else torch.float32
    bench = Bench(tiny(preset) if arguments.tiny else preset, device, precision, matmul_rate(device, precision))
    name = torch.cuda.get_device_name() if cuda else "CPU"
    print(f"{name}: {bench.rate / 1e12:.2f} TFLOP/s in {precision}")
    bench_attention(bench)
    bench_decoder(bench)
    bench_guidance(bench, bench_transformer(bench))


if __name__ == "__main__":
    main()
