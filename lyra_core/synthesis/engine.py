# SPDX-License-Identifier: Apache-2.0
"""One item in, one sample out, through the corridor that makes scenes. Nothing but the item's own picture enters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyra_core import __version__
from lyra_core.cameras import Cameras
from lyra_core.checkpoints import Recall, recompute
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError
from lyra_core.images import read_image, to_bytes
from lyra_core.pipeline import LyraPipeline, camera_paths, normalize
from lyra_core.progress import Progress, no_progress
from lyra_core.synthesis.items import Item
from lyra_core.synthesis.sample import EVERYWHERE, WHERE_KNOWN, InputView, Sample, View, problems
from lyra_core.teacher.guidance import to_diffusion
from lyra_core.teacher.image import BaseView
from lyra_core.teacher.teacher import VideoLatents
from lyra_core.trajectories import PUBLISHED_PATHS, lyra_cameras

DEPTH_SOURCES = {"exact": "exact", "mini": "embedded", "moge": "MoGe", "vipe": "ViPE"}
"""What a data set calls the sources of depth; others keep their own name."""


def make_sample(
    pipeline: LyraPipeline, item: Item, *, progress: Progress = no_progress, recall: Recall = recompute
) -> Sample:
    """The sample of an item.

    Args:
        pipeline: the model; only its image, depth and teacher stages work.
        item: a prompt, or the path of a picture.
        progress: listens to the phases.
        recall: keeps what the teacher has finished, so that a killed sample can go on.

    Raises:
        LyraError: a prompt or picture the model cannot serve, or a result that is not finite.
    """
    progress("image", 0, 1)
    image = None if item.image is None else read_image(Path(item.image))
    base = pipeline.base_view(item.prompt, image, seed=item.seed)
    return sample_from_view(pipeline, item, base, progress=progress, recall=recall)


def sample_from_view(
    pipeline: LyraPipeline,
    item: Item,
    base: BaseView,
    *,
    progress: Progress = no_progress,
    recall: Recall = recompute,
) -> Sample:
    """The sample of an item whose picture is there already; everything in it comes from that picture and its depth."""
    progress("depth", 0, 1)
    measured = pipeline.estimate_depth(base)
    depth, unit = normalize(measured)
    cameras = drawn_paths(pipeline, depth, item.seed)
    progress("warp", 0, 1)
    guidance = pipeline.guidance(base.image, depth, cameras)
    generator = torch.Generator().manual_seed(item.seed)
    video = pipeline.videos(guidance, base.image, generator, progress, recall)
    facts = about(pipeline, item, base, measured, unit)
    return usable(Sample(item.name, path_views(pipeline, cameras, video), input_view(base.image, depth), facts))


def usable(sample: Sample) -> Sample:
    """The sample itself. Raises LyraError when the model's results in it cannot be used, e.g. are not finite."""
    found = problems(sample)
    if found:
        raise LyraError(f"the model made an unusable sample of {sample.name}: {'; '.join(found)}.")
    return sample


def drawn_paths(pipeline: LyraPipeline, depth: DepthEstimate, seed: int) -> Cameras:
    """The camera paths `[V, F]` of a sample: lengths drawn from the published ranges.

    A preset that fits its paths to the free space keeps those lengths, which drawing would exceed.
    """
    preset, paths = pipeline.preset, camera_paths(depth, pipeline.preset)
    if preset.movement == "clearance":
        return paths
    return lyra_cameras(
        paths.intrinsics[0, 0], paths.width, paths.height, frames=preset.frames, paths=preset.paths,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip


def view_numbers(paths: tuple[str, ...]) -> list[int]:
    """The published numbers of some paths, ascending."""
    return sorted(PUBLISHED_PATHS.index(path) for path in paths)


def path_views(pipeline: LyraPipeline, cameras: Cameras, video: VideoLatents) -> tuple[View, ...]:
    """What the teacher made along the paths `[V, F]`, in the order of the published numbers."""
    latents = to_diffusion(pipeline.teacher.tokenizer, video.latents)
    paths = pipeline.preset.paths
    order = [(number, paths.index(PUBLISHED_PATHS[number])) for number in view_numbers(paths)]
    return tuple(
        View(
            number,
            frames=to_bytes(video.frames[index]),
            depth=_array(video.z[index]).astype(np.float16),
            known=_array(video.known[index]),
            c2w=_array(cameras.c2w[index]).astype(np.float32),
            intrinsics=_array(cameras.intrinsics[index]).astype(np.float32),
            latents=_array(latents[index]).astype(np.float32),
        )
        for number, index in order
    )


def input_view(image: Tensor, depth: DepthEstimate) -> InputView:
    """The picture `[H, W, 3]` everything starts from, and its depth, as arrays."""
    z = _array(torch.where(depth.mask, depth.z, 0.0)).astype(np.float32)
    return InputView(to_bytes(image), z, _array(depth.mask), _array(depth.intrinsics).astype(np.float32))


def about(pipeline: LyraPipeline, item: Item, base: BaseView, depth: DepthEstimate, unit: float) -> dict[str, Any]:
    """What is kept about a sample beside its arrays: plain JSON values."""
    preset = pipeline.preset
    kind = depth.source.partition(":")[0]
    return {
        "software": f"lyra-sim {__version__}",
        "model": preset.name,
        "prompt": item.prompt,
        "picture": None if item.image is None else Path(item.image).name,
        **({} if item.video is None else {"video": Path(item.video).name}),
        "seed": item.seed,
        "image_source": base.source,
        "depth_source": DEPTH_SOURCES.get(kind, kind),
        "depth_source_detail": depth.source,
        "depth_metric": depth.metric,
        "depth_holds": EVERYWHERE if pipeline.teacher.start_strength == 0 else WHERE_KNOWN,
        "input_depth_per_unit": unit,
        "start_strength": pipeline.teacher.start_strength,
        "warnings": [*base.warnings, *pipeline.guardrail.warnings],
        "notes": base.notes,
    }


def _array(tensor: Tensor) -> np.ndarray:
    """The values of a tensor, wherever it is."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy())
