# SPDX-License-Identifier: Apache-2.0
"""The clips of an ablation: what the teacher makes of one picture of a world, and what the ray tracer shows there.

Both kinds run along the same camera paths. `self` and `real` hold one kind of the same training worlds, `both` all of
them; the held-out clips, last by name, are the teacher's in every set. Beside them, `truth` keeps true pictures of
views that no path visits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.distillation.dataset import Targets, exact_depth
from lyra_core.distillation.generate import base_camera, to_uint8, write_arrays
from lyra_core.evaluation.views import to_scene_units, unseen_cameras
from lyra_core.images import quantized
from lyra_core.pipeline import LyraPipeline
from lyra_core.progress import Progress
from lyra_core.synthesis.engine import sample_from_view
from lyra_core.synthesis.items import Item
from lyra_core.synthesis.sample import Sample, View
from lyra_core.synthesis.shards import seal, shard_name, write_staged
from lyra_core.synthetic.grammar import World, make_world, render_world
from lyra_core.teacher.guidance import to_diffusion
from lyra_core.teacher.image import BaseView

HELDOUT_SEED = 2_000_000
"""Worlds from here on are only scored."""

TRUE_DEPTH = "the ray tracer's"


@dataclass(frozen=True)
class Sets:
    """A folder of them."""

    root: Path

    def clips(self, source: str) -> Path:
        """The clips of one source."""
        return self.root / source

    def truth(self, name: str) -> Path:
        """True unseen views of a held-out clip."""
        return self.root / "truth" / f"{name}.npz"


def write_sets(pipeline: LyraPipeline, root: Path, train: int, heldout: int, progress: Progress) -> Sets:
    """Makes all sets that are not there yet; clips of a killed run are kept.

    Args:
        pipeline: the teacher; only its image, depth and video stages work.
        root: folder of the sets.
        train: worlds to train on, seeds 0, 1, ...
        heldout: worlds to score on, seeds 2,000,000, ...
        progress: counts worlds.
    """
    sets, staged = Sets(root), root / "pending"
    names: dict[str, list[str]] = {"self": [], "real": [], "both": []}
    seeds = [*range(train), *range(HELDOUT_SEED, HELDOUT_SEED + heldout)]
    for done, seed in enumerate(seeds):
        progress("worlds", done, len(seeds))
        scored = seed >= HELDOUT_SEED
        teacher, real = f"{'unseen' if scored else 'teacher'}-{seed:07d}", f"real-{seed:07d}"
        members = {"self": [teacher], "real": [teacher if scored else real], "both": [teacher]}
        members["both"] += [] if scored else [real]
        for source, own in members.items():
            names[source] += own
        _write_world(pipeline, sets, staged, seed, teacher, None if scored else real)
    for source, own in names.items():
        sets.clips(source).mkdir(exist_ok=True)
        tar = sets.clips(source) / shard_name(0)
        if not tar.with_suffix(".json").exists():
            seal(tar, {name: staged / f"{name}.tar" for name in sorted(own)}, {})
    progress("worlds", len(seeds), len(seeds))
    return sets


def load_truth(path: Path) -> Targets:
    """True views of `write_sets`."""
    with np.load(path) as data:
        arrays = {name: torch.from_numpy(data[name]) for name in data.files}
    height, width = arrays["z"].shape[1:]
    cameras = Cameras(arrays["c2w"], arrays["intrinsics"], width, height)
    return Targets(arrays["rgb"].float() / 255, arrays["z"].float(), cameras)


def _write_world(pipeline: LyraPipeline, sets: Sets, staged: Path, seed: int, teacher: str, real: str | None) -> None:
    """The clips of one world, and for a held-out one (`real` None) its true views; existing files are kept."""
    paths = [staged / f"{name}.tar" for name in (teacher, real) if name]
    if all(path.exists() for path in paths) and (real or sets.truth(teacher).exists()):
        return
    staged.mkdir(parents=True, exist_ok=True)
    world = make_world(seed)
    view = render_world(world, base_camera(world, *pipeline.preset.image_size))
    depth = exact_depth(view.z[0].numpy())
    base = BaseView(quantized(view.rgb[0]), depth, "procedural world")
    sample = sample_from_view(pipeline, Item(name=teacher, seed=seed, prompt=world.caption), base)
    unit = sample.about["input_depth_per_unit"]
    if real:
        write_staged(paths[1], replace(true_clip(pipeline, sample, world), name=real), "png")
    else:
        write_arrays(sets.truth(teacher), _true_views(world, unit, seed, pipeline.preset.video_size))
    write_staged(paths[0], sample, "png")


def true_clip(pipeline: LyraPipeline, sample: Sample, world: World) -> Sample:
    """The clip as it really looks: the ray tracer's frames and depth along the cameras of a teacher's sample.

    What is known of the one picture (`known`, the input view) stays, because an anchored decoder is told it.
    """
    unit = sample.about["input_depth_per_unit"]
    views = tuple(_true_view(pipeline, view, world, unit) for view in sample.views)
    return replace(sample, views=views, about={**sample.about, "depth_source": TRUE_DEPTH})


def _true_view(pipeline: LyraPipeline, view: View, world: World, unit: float) -> View:
    height, width = view.frames.shape[1:3]
    c2w = torch.from_numpy(view.c2w.copy())
    c2w[:, :3, 3] *= unit
    cameras = Cameras(world.camera @ c2w, torch.from_numpy(view.intrinsics), width, height)
    shown = render_world(world, cameras)
    video: Tensor = quantized(shown.rgb).movedim(-1, 0)[None] * 2 - 1
    tokenizer = pipeline.teacher.tokenizer
    latents = to_diffusion(tokenizer, tokenizer.encode(video))[0].numpy()
    depth = (shown.z / unit).numpy().astype(np.float16)
    return replace(view, frames=to_uint8(shown.rgb), depth=depth, latents=latents.astype(np.float32))


def _true_views(world: World, unit: float, seed: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
    cameras = unseen_cameras(world, unit, np.random.default_rng(seed)).resized(*size)
    shown = render_world(world, cameras)
    return {
        "rgb": to_uint8(shown.rgb),
        "z": (shown.z / unit).numpy().astype(np.float32),
        "c2w": to_scene_units(cameras, world.camera, unit).c2w.numpy(),
        "intrinsics": cameras.intrinsics.expand(len(cameras), 4).numpy(),
    }
