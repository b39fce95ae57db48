# SPDX-License-Identifier: Apache-2.0
"""What the decoder's sequence costs as it grows: Mamba-2 with attention now and then, or attention alone; latents, or
pixel patches.

    python benchmarks/decoder_length.py [--width 512] [--longest 32768] [--device cuda]
    python benchmarks/decoder_length.py --memory

One block of either kind is timed per length: forward, the best of some repeats; processor seconds of one thread in
float32 on a CPU, wall clock in bfloat16 on a GPU. The decoder is `depth` of them. Lengths beyond --longest follow from
the longest one timed by counted arithmetic, block by block, and are marked as computed.

--memory counts (on the meta device, nothing runs) what a training step of the published size would need with latents
and with one token per 16 x 16 pixels of every frame, for which the paper reports "out of memory".
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import torch

from lyra_core.decoder import DecoderConfig
from lyra_core.decoder.blocks import AttentionBlock, MambaBlock
from lyra_core.distillation.cost import decoder_flops, stage_cost
from lyra_core.distillation.stages import Stage, load_stage
from lyra_core.teacher.pixel_blocks import CHANNELS

LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 337920)
"""Tokens; the last is six published views."""

STAGE, VIEWS = "704_1280_views_121_multi_6", (1, 2, 4, 6)
INPUTS = {"latents": {}, "pixels": {"latent_channels": CHANNELS, "latent_period": 1}}


def block_seconds(config: DecoderConfig, kind: type, tokens: int, device: torch.device, repeats: int) -> float:
    """The fastest of some forward passes of one block [s]."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    block = kind(config).to(device, dtype).eval()
    x = torch.randn(1, tokens, config.width, device=device, dtype=dtype)
    clock = time.perf_counter if device.type == "cuda" else time.process_time  # a shared CPU's wall clock tells little
    best = float("inf")
    for _ in range(repeats + 1):  # the first one warms up
        began = clock()
        with torch.no_grad():
            block(x)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, clock() - began)
    return best


def flops(config: DecoderConfig, kind: type, tokens: int) -> float:
    """Counted arithmetic of one block [FLOP]."""
    every = 1 if kind is AttentionBlock else 3
    one, two = (decoder_flops(replace(config, depth=depth, attention_every=every), tokens) for depth in (1, 2))
    return two - one


def memory_table() -> None:
    """Weights, gradients, moments and activations of one step per process: all kept, or one block's at a time."""
    print(f"{'views':>5}{'input':>9}{'tokens':>11}{'all kept GB':>13}{'recomputed GB':>15}{'TFLOP a sample':>16}")
    for views in VIEWS:
        for name, decoder in INPUTS.items():
            values = load_stage(STAGE).model_dump() | {"views": views, "drawn_views": False}
            cost = stage_cost(Stage.model_validate({**values, "decoder": {**values["decoder"], **decoder}}))
            fixed = cost.state_bytes + cost.rows_bytes
            kept, recomputed = ((fixed + part) / 1e9 for part in (cost.kept_bytes, cost.recomputed_bytes))
            tera = cost.sample_flops / 1e12
            print(f"{views:>5}{name:>9}{cost.tokens:>11,}{kept:>13.1f}{recomputed:>15.1f}{tera:>16,.0f}")


def length_table(arguments: argparse.Namespace) -> None:
    """Seconds of both blocks and both decoders at every length."""
    config = DecoderConfig(width=arguments.width)
    device = torch.device(arguments.device)
    torch.set_num_threads(1)
    attention = arguments.depth // arguments.attention_every
    print(f"width {config.width}, depth {arguments.depth}, {attention} of them attention; {device}")
    print(
        f"{'tokens':>8}{'Mamba-2 block s':>17}{'attention block s':>19}{'hybrid s':>11}{'attention only s':>18}"
        f"{'ratio':>7}"
    )
    timed: dict[type, tuple[int, float]] = {}
    for tokens in LENGTHS:
        seconds = {}
        for kind in (MambaBlock, AttentionBlock):
            if tokens <= arguments.longest:
                timed[kind] = tokens, block_seconds(config, kind, tokens, device, arguments.repeats)
                seconds[kind] = timed[kind][1]
            else:
                last, took = timed[kind]
                seconds[kind] = took * flops(config, kind, tokens) / flops(config, kind, last)
        hybrid = attention * seconds[AttentionBlock] + (arguments.depth - attention) * seconds[MambaBlock]
        alone = arguments.depth * seconds[AttentionBlock]
        mark = "" if tokens <= arguments.longest else "  computed"
        print(
            f"{tokens:>8}{seconds[MambaBlock]:>17.3f}{seconds[AttentionBlock]:>19.3f}{hybrid:>11.2f}{alone:>18.2f}"
            f"{alone / hybrid:>7.2f}{mark}", flush=True,
        )  # fmt: skip


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--attention-every", type=int, default=8)
    parser.add_argument("--longest", type=int, default=32768, help="longest sequence that is timed [tokens]")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", action="store_true", help="count training memory with and without latents")
    arguments = parser.parse_args()
    if arguments.memory:
        memory_table()
    else:
        length_table(arguments)


if __name__ == "__main__":
    main()
