# SPDX-License-Identifier: Apache-2.0
"""One posed video in, one dynamic sample out: the paths while the scene plays, and again while it plays backwards.

Step f of every path is relative to the source camera of time f and sees the 4D cache of that time. For the
motion-reversed views the video is turned round first; they are put back into the time of their content by
`motion_reversed`, poses and all, in the axes of the video's first camera like the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.checkpoints import Recall, StageResult, recompute
from lyra_core.conditioning.cache4d import Cache4D
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.conditioning.warped_paths import WarpedPaths
from lyra_core.dynamic.prepared import in_units
from lyra_core.pipeline import LyraPipeline, input_size, normalize
from lyra_core.progress import Progress, no_progress
from lyra_core.synthesis.engine import about, drawn_paths, input_view, path_views, usable
from lyra_core.synthesis.items import Item
from lyra_core.synthesis.sample import Sample, View, motion_reversed
from lyra_core.teacher.image import BaseView
from lyra_core.video.posed import PosedVideo
from lyra_core.video.vipe import read_vipe


def make_video_sample(
    pipeline: LyraPipeline, item: Item, *, progress: Progress = no_progress, recall: Recall = recompute
) -> Sample:
    """The sample of an item that names the `rgb/<clip>.mp4` of a ViPE result.

    Raises LyraError for results that cannot be used, and where a result of the model is not finite.
    """
    progress("video", 0, 1)
    path, preset = Path(str(item.video)), pipeline.preset
    video = read_vipe(
        path.parent.parent, preset.frames, lambda height, width: input_size(height, width, preset), clip=path.stem
    )
    return sample_from_video(pipeline, item, video, progress=progress, recall=recall)


def sample_from_video(
    pipeline: LyraPipeline,
    item: Item,
    video: PosedVideo,
    *,
    progress: Progress = no_progress,
    recall: Recall = recompute,
) -> Sample:
    """The sample of an item whose video has cameras and depth already, at the size of the model's pictures."""
    source = "exact" if video.source == "synthetic" else video.source.lower()
    measured = DepthEstimate(video.depth[0], video.mask[0], video.cameras.intrinsics[0], source, video.metric)
    depth, unit = normalize(measured)
    scaled = in_units(video, unit)
    paths = drawn_paths(pipeline, depth, item.seed)
    forwards = _filmed(pipeline, scaled, paths, item.seed, progress, recall)
    backwards = [
        motion_reversed(replace(view, c2w=_in_axes_of(scaled.cameras.c2w[-1], view)))
        for view in _filmed(pipeline, scaled.reversed(), paths, item.seed, progress, _apart(recall))
    ]
    base = BaseView(scaled.frames[0], depth, f"video:{video.source}", notes={"video_notes": list(video.notes)})
    facts = about(pipeline, item, base, measured, unit)
    return usable(Sample(item.name, (*forwards, *backwards), input_view(scaled.frames[0], depth), facts))


def _filmed(
    pipeline: LyraPipeline, video: PosedVideo, paths: Cameras, seed: int, progress: Progress, recall: Recall
) -> tuple[View, ...]:
    """The views `[V]` of a video as it plays, poses in the axes of its first camera."""
    preset = pipeline.preset
    cameras = replace(paths, c2w=video.cameras.c2w.to(paths.c2w) @ paths.c2w)
    cache = Cache4D(video, preset.warp_footprint, foreground=preset.foreground_masking)
    progress("warp", 0, 1)
    guidance = WarpedPaths(cache.playing(torch.arange(len(video))), cameras, preset.hole_fill)
    generator = torch.Generator().manual_seed(seed)
    made = pipeline.videos(guidance, video.frames[0], generator, progress, recall)
    return path_views(pipeline, cameras, made)


def _in_axes_of(first: Tensor, view: View) -> Any:
    """Poses of a view of the reversed video `[F, 4, 4]`, in the axes of the camera that is first when it plays."""
    return (first.double().numpy() @ view.c2w).astype(view.c2w.dtype)


def _apart(recall: Recall) -> Recall:
    """Keeps the results of the reversed video under names of their own."""

    def kept(stage: str, inputs: Mapping[str, Any], make: Callable[[], StageResult]) -> StageResult:
        return recall(f"reversed-{stage}", inputs, make)

    return kept
