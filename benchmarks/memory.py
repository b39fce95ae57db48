# SPDX-License-Identifier: Apache-2.0
"""Memory of a model under each plan, estimated and measured: `python benchmarks/memory.py [--tiny]`.

First the intermediates of every stage in full size, counted tensor by tensor on the meta device; this needs no GPU and
no weights. Then, on a GPU, the networks with random weights under one plan after the other: the most that torch held,
against the estimate without its reserve. `--tiny` does the second part with small networks wherever it runs; on a CPU
the measured figure is again counted, and weights that stay where they are do not count.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError
from lyra_core.memory.peak import PeakMemory
from lyra_core.memory.placement import placed
from lyra_core.memory.plan import CHUNKS, MEASURES, OFFLOAD, RESERVE, SEQUENTIAL, TILES, Plan, estimate
from lyra_core.memory.rehearsal import META, Rehearsal
from lyra_core.memory.sizes import ModelSizes, model_sizes
from lyra_core.pipeline import LyraPipeline
from lyra_core.teacher.diffusion import GuidedDiffusion
from lyra_core.teacher.image import NoTextToImage
from lyra_core.teacher.sampler import SamplerConfig
from lyra_core.teacher.teacher import Teacher
from lyra_core.teacher.text import TextEmbeddings
from lyra_core.weights.presets import Component, Preset, load_preset

STAGES = ("tokenizer encode", "transformer", "tokenizer decode", "decoder")
PLANS = (
    Plan(),
    Plan((SEQUENTIAL,)),
    Plan((SEQUENTIAL, OFFLOAD)),
    Plan((SEQUENTIAL, OFFLOAD, CHUNKS, TILES)),
    Plan(MEASURES),
)

TRANSFORMER = {"heads": 2, "head_dim": 24, "layers": 3, "text_dim": 8, "adaln_lora_dim": 4}
DECODER = {"width": 64, "depth": 2, "heads": 2, "attention_every": 2, "state_dim": 16}


def tiny(preset: Preset) -> Preset:
    """Small networks on short, small videos; the tokenizer keeps its size."""
    parts = {
        "teacher": Component(kind="gen3c", config={"transformer": TRANSFORMER}),
        "decoder": Component(kind="lyra", config=DECODER),
    }
    return preset.model_copy(update={**parts, "video_size": (64, 96), "frames": 41, "precision": "float32"})


def counted_table(preset: Preset, sizes: ModelSizes) -> None:
    """Intermediates of every stage: estimated, and counted on the meta device."""
    weights = dict.fromkeys(STAGES, sizes.tokenizer.parameters)
    weights |= {"transformer": sizes.transformer.parameters if sizes.transformer else 0}
    weights |= {"decoder": sizes.decoder.parameters}
    print(f"{'stage':18} {'work':20} {'estimated':>10} {'counted':>10}  ratio")
    for stage in STAGES:
        for measures in ((), (TILES,) if stage.startswith("tokenizer") else (CHUNKS,))[: 1 + (stage != "transformer")]:
            work = estimate(sizes, Plan((SEQUENTIAL, *measures))).stages[stage] - RESERVE - weights[stage] * sizes.word
            peak = Rehearsal(preset, META).peak(stage, Plan(measures))
            print(
                f"{stage:18} {Plan(measures)!s:20} {gigabytes(work)} {gigabytes(peak)} {work / peak:6.2f}",
                flush=True,
            )


def measured_table(preset: Preset, sizes: ModelSizes, device: torch.device) -> None:
    """Every stage under every plan on a real device, weights included."""
    pipeline = rehearsed_pipeline(preset)
    for plan in PLANS:
        print(f"\n{plan}\n{'stage':18} {'estimated':>10} {'measured':>10}  ratio")
        with placed(pipeline, plan, device):
            for stage, work in stage_calls(preset, pipeline).items():
                expected = estimate(sizes, plan).stages[stage] - RESERVE
                peak = peak_of(work, device)
                print(f"{stage:18} {gigabytes(expected)} {gigabytes(peak)} {expected / peak:6.2f}", flush=True)


def rehearsed_pipeline(preset: Preset) -> LyraPipeline:
    """The networks with random weights in main memory."""
    cpu = Rehearsal(preset, torch.device("cpu"))
    transformer = cpu.transformer()
    text = TextEmbeddings.zeros(transformer.config.text_dim)
    teacher = Teacher(cpu.tokenizer(), GuidedDiffusion(transformer, text, SamplerConfig()))
    return LyraPipeline(
        preset.model_copy(update={"guardrail": "none"}), NoTextToImage(), no_depth, teacher, cpu.decoder()
    )


def no_depth(image: Tensor) -> DepthEstimate:
    """Stands where nothing asks for depth."""
    raise LyraError("this benchmark has no depth stage")


def stage_calls(preset: Preset, pipeline: LyraPipeline) -> dict[str, Callable[[], object]]:
    """What the pipeline does in every stage, with inputs in main memory."""
    inputs = Rehearsal(preset, torch.device("cpu"), torch.float32)
    transformer = pipeline.teacher.diffusion.transformer if pipeline.teacher.diffusion else None
    assert transformer is not None
    clip = inputs.zeros(1, 3, preset.frames, *preset.video_size)
    channels = (16, 1, transformer.config.guidance_channels)
    latents, mask, guidance = (inputs.zeros(1, count, *inputs.latent_size) for count in channels)
    views, rays = (inputs.zeros(1, len(preset.paths), count, *inputs.latent_size) for count in (16, 32))
    text = inputs.zeros(1, 512, transformer.config.text_dim)
    return {
        "tokenizer encode": lambda: pipeline.teacher.tokenizer.encode(clip),
        "transformer": lambda: transformer(latents, inputs.zeros(1), mask, guidance, text),
        "tokenizer decode": lambda: pipeline.teacher.tokenizer.decode(latents),
        "decoder": lambda: pipeline.decoder(views, inputs.cameras(), plucker_latents=rays),
    }


@torch.no_grad()
def peak_of(work: Callable[[], object], device: torch.device) -> int:
    """Most bytes on the device during `work`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated()
    memory: AbstractContextManager = PeakMemory()
    with memory as counted:
        work()
    return counted.peak


def gigabytes(size: float) -> str:
    return f"{size / 1e9:7.3f} GB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lyra", help="preset")
    parser.add_argument("--tiny", action="store_true", help="small networks, on any device")
    arguments = parser.parse_args()
    preset = load_preset(arguments.model)
    preset = tiny(preset) if arguments.tiny else preset
    sizes = model_sizes(preset)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    counted_table(preset, sizes)
    if arguments.tiny or device.type == "cuda":
        measured_table(preset, sizes, device)
    else:
        print("\nNo GPU here: the second table needs one, or --tiny.")


if __name__ == "__main__":
    main()
