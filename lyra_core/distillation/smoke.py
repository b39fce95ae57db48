# SPDX-License-Identifier: Apache-2.0
"""A training of a minute: tiny worlds are drawn, the real networks learn on them, and the held-out error must fall."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from lyra_core.cameras import Cameras
from lyra_core.distillation.generate import HELDOUT_SEED, base_camera, key_arrays, to_uint8, write_arrays
from lyra_core.distillation.stages import Stage
from lyra_core.distillation.train_decoder import DecoderTraining, measure, open_worlds, train_decoder, training_pipeline
from lyra_core.errors import LyraError
from lyra_core.evaluation.views import to_scene_units, unseen_cameras
from lyra_core.progress import Progress, no_progress
from lyra_core.synthetic.grammar import make_world, render_world
from lyra_core.weights.presets import Preset, load_preset

LEAST_GAIN = 0.05
"""Rise of the held-out PSNR that counts as learning [dB]; two runs of one seed differ by nothing."""


def smoke(
    stage: Stage, out: Path | str, *, seed: int = 0, threads: int = 2, progress: Progress = no_progress
) -> dict[str, Any]:
    """Train a small copy of a stage from scratch in `out`, on worlds that are written there.

    Returns:
        psnr_before and psnr on unseen views of held-out worlds [dB], and what `train_decoder` returns.

    Raises LyraError where the held-out error does not fall by `LEAST_GAIN`, and for a stage without a smoke test.
    """
    small = stage.smaller()
    sizes = stage.smoke
    if sizes is None:
        raise LyraError(f"stage {stage.name!r} has no smoke test.")
    torch.set_num_threads(threads)
    out = Path(out)
    preset = load_preset(stage.model).model_copy(update=sizes.model)
    pipeline = training_pipeline(preset)
    seeds = [(out / "worlds", n) for n in range(sizes.worlds)]
    seeds += [(out / "worlds" / "heldout", HELDOUT_SEED + n) for n in range(sizes.heldout)]
    for done, (folder, number) in enumerate(seeds, start=1):
        write_world(folder, number, preset)
        progress("worlds", done, len(seeds))
    settings = DecoderTraining.of(small)
    before = measure(pipeline, open_worlds(pipeline, out / "worlds" / "heldout", progress), settings)["psnr"]
    report = train_decoder(
        pipeline, out / "worlds", out, seed=seed, threads=threads, resume=False, stage=small, progress=progress
    )
    if report["psnr"] < before + LEAST_GAIN:
        raise LyraError(
            f"the smoke test of stage {stage.name!r} learned nothing: held-out PSNR {before:.2f} dB before and "
            f"{report['psnr']:.2f} dB after {report['steps']:.0f} steps. {out} holds its log."
        )
    return {"psnr_before": before, **report}


def write_world(folder: Path, seed: int, preset: Preset) -> None:
    """One world in the layout of `generate`, at the sizes of the preset; an existing file is kept."""
    path = folder / "scenes" / f"{seed:07d}.npz"
    if path.exists() and (folder / "keys" / path.name).exists():
        return
    world = make_world(seed)
    view = render_world(world, base_camera(world, *preset.image_size), supersample=1)
    unit = float(view.z.median())
    unseen = unseen_cameras(world, unit, np.random.default_rng(seed)).resized(*preset.video_size)
    cameras = Cameras.cat([base_camera(world, *preset.video_size), unseen])
    views = render_world(world, cameras, supersample=1)
    write_arrays(path, {
        "input_rgb": to_uint8(view.rgb[0]), "input_z": view.z[0].half().numpy(), "rgb": to_uint8(views.rgb),
        "z": views.z.half().numpy(), "c2w": to_scene_units(cameras, world.camera, unit).c2w.numpy(),
    })  # fmt: skip
    write_arrays(folder / "keys" / path.name, key_arrays(seed, path, preset))
