# SPDX-License-Identifier: Apache-2.0
"""Speed at full size with random weights, each against its floor: `python benchmarks/full_size.py [--tiny]`.

A floor is operations over the rate of this device's own matrix product, or bytes over the rate of its own copy, both
measured first in the same run; `floors` derives them.

* attention: the decoder's call at head dimension 64 (n = 337,920 tokens of d = 512 for 6 x 121 frames at 704 x 1280),
  beside every backend of torch's attention. Aim: within 10 % of the best of them.
* decoder: 726 views, whole and in chunks. Published 3.2 s, 20.9 s with attention alone; aim 2 s on an H200.
* pixel blocks: memory and time of the decoder that reads 8 x 8 pixels of every frame for latents, towards 726 views
  (eight times the tokens). Published: out of memory.
* diffusion step: n = 56,320, d = 4096, 28 blocks, both branches. Aim: 55 % of the matrix rate.
* guidance: warp of one video's frames, and encoding warp and mask, as a share of that video's whole time. Aim: 5 %.
* rendering: 2,044,415 Gaussians at 704 x 1280, the surface of a generated hall as six paths see it (`generated_view`);
  floor: 30 operations per pixel and Gaussian within three standard deviations, in float32. Published 18 ms; aim 5 ms.

Without a GPU only what needs none is done: the warp on the CPU, and the memory of the pixel blocks, counted tensor by
tensor. `--tiny` runs everything with small networks on any device, to see that it works; its ratios mean nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import torch
from floors import (
    BLEND_OPERATIONS,
    Rates,
    attention_operations,
    blended_pairs,
    counted_operations,
    decoder_operations,
    seconds,
    transformer_operations,
    warp_bytes,
)
from generated_view import GeneratedView
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from lyra_core.cameras import Cameras
from lyra_core.conditioning.cache3d import Cache3D
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.decoder import DecoderConfig
from lyra_core.gaussians import kept_count
from lyra_core.memory.peak import PeakMemory
from lyra_core.memory.plan import CHUNKS, DECODER_CHUNK, Plan
from lyra_core.memory.rehearsal import META, Rehearsal
from lyra_core.rendering import render
from lyra_core.teacher.pixel_blocks import CHANNELS
from lyra_core.trajectories import lyra_cameras
from lyra_core.weights.components import diffusion_config
from lyra_core.weights.presets import Component, Preset, load_preset

BACKENDS = (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)
LARGEST_MATH = 2**14
"""Tokens up to which the plain backend, which holds all scores, is asked."""
CURVE = (1, 9, 25, 49, 81, 121)
"""Frames per path."""


@dataclass(frozen=True)
class Bench:
    """One device, what it can do, and the model's sizes."""

    preset: Preset
    device: torch.device
    precision: torch.dtype
    rates: Rates

    @property
    def rehearsal(self) -> Rehearsal:
        return Rehearsal(self.preset, self.device, self.precision)

    @property
    def tokens(self) -> int:
        """Tokens of one video."""
        frames, rows, columns = self.rehearsal.latent_size
        return frames * rows * columns // 4

    @property
    def decoder(self) -> DecoderConfig:
        return DecoderConfig.from_dict(self.preset.decoder.config)

    def row(self, name: str, taken: float, floor: float) -> None:
        """One line of the report, both in seconds."""
        print(
            f"{name:48} {1e3 * taken:11.2f} ms   floor {1e3 * floor:11.2f} ms   {100 * floor / taken:5.1f} %",
            flush=True,
        )


def bench_attention(bench: Bench) -> None:
    """The decoder's own call against every backend alone."""
    config, tokens = bench.decoder, len(bench.preset.paths) * bench.tokens
    floor = attention_operations(tokens, config.width) / bench.rates.products
    projected = bench.rehearsal.zeros(1, tokens, 3 * config.width).normal_()
    query, key, value = projected.unflatten(-1, (3, config.heads, -1)).permute(2, 0, 3, 1, 4)

    def attend() -> object:
        return functional.scaled_dot_product_attention(query, key, value)

    alone = {}
    for backend in BACKENDS:
        if backend == SDPBackend.MATH and tokens > LARGEST_MATH:
            continue
        try:
            with sdpa_kernel(backend):
                alone[backend.name] = seconds(attend, bench.device)
        except RuntimeError as error:
            print(f"attention, {backend.name}: not on this device ({str(error).splitlines()[0]})")
            continue
        bench.row(f"attention, {tokens} tokens, {backend.name}", alone[backend.name], floor)
    taken, best = seconds(attend, bench.device), min(alone, key=lambda name: alone[name])
    bench.row(f"attention, {tokens} tokens, as the decoder asks", taken, floor)
    print(f"attention: {taken / alone[best]:.2f} times the best backend ({best})")


def bench_decoder(bench: Bench) -> None:
    views = len(bench.preset.paths)
    floor = decoder_operations(bench.decoder, views * bench.tokens) / bench.rates.products
    for plan in (Plan(), Plan((CHUNKS,))):
        work = bench.rehearsal.stage("decoder", plan)
        name = f"decoder, {views * bench.preset.frames} views, {plan}"
        bench.row(name, seconds(work, bench.device), floor)


def bench_pixel_blocks(bench: Bench) -> None:
    """Memory counted on the meta device with two blocks, since depth costs time only; time and peak on a GPU."""
    views = len(bench.preset.paths)
    for frames in [count for count in CURVE if count <= bench.preset.frames]:
        counted = [
            peak_of(pixel_decoding(bench, META, frames, chunk=chunk, depth=2, attention_every=2))
            for chunk in (None, DECODER_CHUNK)
        ]
        texts = [f"{size / 1e9:.2f}" for size in counted]
        print(f"pixel blocks, {views * frames} views: {texts[0]} GB counted, {texts[1]} GB in chunks", flush=True)
        if bench.device.type == "cuda" and not timed_pixel_blocks(bench, frames):
            break


def timed_pixel_blocks(bench: Bench, frames: int) -> bool:
    """Time and peak on the device; False where it runs out of memory."""
    views = len(bench.preset.paths)
    tokens = views * frames * bench.tokens // bench.rehearsal.latent_size[0]
    floor = decoder_operations(bench.decoder, tokens) / bench.rates.products
    torch.cuda.reset_peak_memory_stats()
    try:
        taken = seconds(pixel_decoding(bench, bench.device, frames), bench.device, repeats=1)
    except torch.OutOfMemoryError:
        print(f"pixel blocks, {views * frames} views: out of memory")
        return False
    bench.row(f"pixel blocks, {views * frames} views", taken, floor)
    print(f"pixel blocks, {views * frames} views: {torch.cuda.max_memory_allocated() / 1e9:.2f} GB measured")
    return True


def pixel_decoding(
    bench: Bench, device: torch.device, frames: int, *, chunk: int | None = None, **changes: int
) -> Callable[[], object]:
    """Decoding blocks of pixels of so many frames per path."""
    config = {**bench.preset.decoder.config, "latent_channels": CHANNELS, "latent_period": 1, **changes}
    update = {"frames": frames, "decoder": Component(kind="lyra", config=config)}
    precision = None if device == META else bench.precision  # counted as the preset has it on a GPU
    rehearsal = Rehearsal(bench.preset.model_copy(update=update), device, precision)
    decoder, cameras = rehearsal.decoder(), rehearsal.cameras()
    decoder.work_in_chunks(chunk)
    size = (len(bench.preset.paths), frames, *rehearsal.latent_size[1:])
    pixels, rays = (rehearsal.zeros(1, size[0], channels, *size[1:]) for channels in (CHANNELS, 2 * CHANNELS))
    return lambda: decoder.prune(decoder(pixels, cameras, plucker_latents=rays))


@torch.no_grad()
def peak_of(work: Callable[[], object]) -> int:
    """Bytes of all intermediates at most."""
    with PeakMemory() as memory:
        work()
    return memory.peak


def bench_transformer(bench: Bench) -> float:
    """Seconds of one step: both branches."""
    config = diffusion_config(bench.preset).transformer
    taken = 2 * seconds(bench.rehearsal.stage("transformer", Plan()), bench.device)
    floor = 2 * transformer_operations(config, bench.tokens) / bench.rates.products
    bench.row(f"diffusion step, {bench.tokens} tokens", taken, floor)
    return taken


def bench_warp(bench: Bench, view: GeneratedView, frames: int) -> float:
    """Seconds for so many frames of one path, brought to main memory."""
    height, width = bench.preset.video_size
    depth = DepthEstimate(view.z, torch.ones_like(view.z, dtype=torch.bool), view.lens, "generated")
    cache = Cache3D(view.image, depth, foreground=True, device=bench.device)
    cameras = paths_of(bench, view)[0, -frames:]
    taken = seconds(lambda: cache.render(cameras), bench.device, repeats=1)
    bench.row(f"warp, {frames} frames", taken, warp_bytes(height * width, frames) / bench.rates.copied)
    return taken


def bench_guidance(bench: Bench, view: GeneratedView, step: float) -> None:
    """Warp and encoding of one video beside all its steps."""
    warping = bench_warp(bench, view, bench.preset.frames)
    encoding = 2 * seconds(bench.rehearsal.stage("tokenizer encode", Plan()), bench.device)
    operations = 2 * counted_operations(
        Rehearsal(bench.preset, META, bench.precision).stage("tokenizer encode", Plan())
    )
    bench.row("encoding warp and mask", encoding, operations / bench.rates.products)
    steps = diffusion_config(bench.preset).sampler.steps * step
    share = (warping + encoding) / (warping + encoding + steps)
    print(f"guidance: {warping + encoding:.2f} s beside {steps:.2f} s of all steps: {100 * share:.1f} % of the teacher")


def bench_rendering(bench: Bench, view: GeneratedView) -> None:
    """One picture of the whole cloud, from the middle of the first path."""
    paths = paths_of(bench, view)
    height, width = bench.preset.video_size
    cells = paths.shape.numel() * (height // 8) * (width // 8)
    cloud = view.cloud(paths, kept_count(cells, bench.decoder.prune_ratio))
    camera = paths[0, paths.shape[1] // 2]
    floor = BLEND_OPERATIONS * blended_pairs(cloud, camera) / bench.rates.single
    placed, eye, projection = cloud.to(bench.device), camera.to(bench.device), bench.preset.projection
    taken = seconds(lambda: render(placed, eye, projection=projection), bench.device, repeats=5)
    bench.row(f"rendering, {len(cloud)} Gaussians, {projection}", taken, floor)


def paths_of(bench: Bench, view: GeneratedView) -> Cameras:
    """The preset's paths `[V, F]` through the generated hall."""
    height, width = bench.preset.video_size
    return lyra_cameras(view.lens, width, height, frames=bench.preset.frames, paths=bench.preset.paths)


def tiny(preset: Preset) -> Preset:
    """Small networks on short, small videos; the tokenizer keeps its size."""
    transformer = {"heads": 2, "head_dim": 24, "layers": 2, "text_dim": 8, "adaln_lora_dim": 4}
    parts = {
        "teacher": Component(kind="gen3c", config={"transformer": transformer, "sampler": {"steps": 3}}),
        "decoder": Component(kind="lyra", config={"width": 64, "depth": 2, "heads": 2, "attention_every": 2}),
    }
    return preset.model_copy(update={**parts, "video_size": (32, 64), "frames": 9})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lyra", help="preset")
    parser.add_argument("--tiny", action="store_true", help="small networks, on any device")
    arguments = parser.parse_args()
    cuda = torch.cuda.is_available()
    preset = load_preset(arguments.model)
    preset = tiny(preset) if arguments.tiny else preset
    device, precision = torch.device("cuda" if cuda else "cpu"), torch.bfloat16 if cuda else torch.float32
    bench = Bench(preset, device, precision, Rates.measure(device, precision))
    name, rates = torch.cuda.get_device_name() if cuda else "CPU", bench.rates
    products, single = rates.products / 1e12, rates.single / 1e12
    print(
        f"{name}: {products:.2f} TFLOP/s in {precision}, {single:.2f} in float32, {rates.copied / 1e9:.0f} GB/s copied"
    )
    view = GeneratedView.make(*preset.video_size)
    if not cuda and not arguments.tiny:
        bench_warp(bench, view, 4)
        bench_pixel_blocks(bench)
        print("No GPU here: the rest needs one, or --tiny.")
        return
    bench_rendering(bench, view)
    bench_attention(bench)
    bench_decoder(bench)
    bench_guidance(bench, view, bench_transformer(bench))
    bench_pixel_blocks(bench)


if __name__ == "__main__":
    main()
