# SPDX-License-Identifier: Apache-2.0
"""A scene in a process whose memory is really limited: `python little_memory.py PRESET FOLDER`; prints JSON lines.

What each of two plans needs is counted first. Then the process gets too little for both, and at last enough for the
smaller one alone.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import torch

from lyra_core.checkpoints import Checkpoints
from lyra_core.faults import OutOfMemory
from lyra_core.gaussians import Gaussians
from lyra_core.memory.budget import Budget
from lyra_core.memory.peak import PeakMemory
from lyra_core.memory.placement import placed, run_with_plans
from lyra_core.memory.plan import TILES, Plan
from lyra_core.pipeline import LyraPipeline
from lyra_core.teacher.tokenizer import Tokenizer
from lyra_core.teacher.tokenizer_factored import accelerate, empty_network
from lyra_core.weights.presets import load_preset

CPU = torch.device("cpu")
BUDGET = Budget(2**35, 2**35, gpu=False)
SIZES = {"image_size": (64, 96), "video_size": (64, 96), "frames": 41, "paths": ("left",), "refine_iterations": 1}
TOKENIZER = {"encoder_block_out_channels": (32,) * 4, "decode_block_out_channels": (32,) * 4, "num_layers": 1,
             "patch_size": 2, "attention_resolutions": (1,), "resolution": 128}  # fmt: skip


def build(preset: str) -> LyraPipeline:
    """The tiny model with a tokenizer that needs most of the memory."""
    pipeline = LyraPipeline.from_pretrained(load_preset(preset).model_copy(update=SIZES))
    torch.manual_seed(0)
    network = empty_network(TOKENIZER)
    for parameter in network.parameters():
        parameter.data.normal_(std=0.02)
    pipeline.teacher.tokenizer = Tokenizer(accelerate(network))
    return pipeline


def allow(extra: float) -> None:
    """Address space for so many bytes more than are in use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (int(pages * resource.getpagesize() + extra), resource.RLIM_INFINITY))


def main(preset: str, folder: Path) -> None:
    pipeline = build(preset)
    picture = torch.rand(*SIZES["image_size"], 3, generator=torch.Generator().manual_seed(0))

    def scene(stages: Checkpoints) -> Gaussians:
        return pipeline(image=picture, recall=stages).gaussians

    made, needed = {}, {}
    for plan in (Plan((TILES,)), Plan()):
        with placed(pipeline, plan, CPU), PeakMemory() as memory:
            made[plan] = scene(Checkpoints(folder / "free"))
        Checkpoints(folder / "free").remove()
        needed[plan] = memory.peak
    tiled, resident = needed[Plan((TILES,))], needed[Plan()]
    print(json.dumps({"resident": resident, "tiled": tiled}))

    stages, told = Checkpoints(folder / "stages"), []
    allow(0.5 * tiled)
    try:
        run_with_plans(pipeline, lambda: scene(stages), budget=BUDGET, tell=told.append)
    except OutOfMemory as error:
        allow(1e10)
        print(json.dumps({"error": str(error), "told": told, "recalled": stages.recalled}))

    stages, told = Checkpoints(folder / "stages"), []
    allow(0.5 * (tiled + resident))
    found = run_with_plans(pipeline, lambda: scene(stages), budget=BUDGET, tell=told.append)
    allow(1e10)
    difference = max(float((getattr(found, name) - part).abs().max()) for name, part in vars(made[Plan()]).items())
    print(json.dumps({"told": told, "recalled": stages.recalled, "difference": difference}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
