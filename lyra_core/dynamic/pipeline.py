# SPDX-License-Identifier: Apache-2.0
"""From a posed video to a moving scene: the corridor of `lyra_core.pipeline`, walked once per instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from lyra_core.conditioning.cache4d import Cache4D
from lyra_core.decoder import rows_to_gaussians
from lyra_core.dynamic.consistency import moving_share, still_pixels
from lyra_core.dynamic.instants import Instant, InstantDecoder
from lyra_core.dynamic.prepared import PreparedVideo, prepare
from lyra_core.dynamic.scene import DynamicScene
from lyra_core.dynamic.split import Splitter
from lyra_core.dynamic.times import PUBLISHED_STEP
from lyra_core.gaussians import Gaussians
from lyra_core.pipeline import Cancelled, Conditioning, LyraPipeline
from lyra_core.progress import Progress, no_progress
from lyra_core.refinement import refine_colors
from lyra_core.rendering.render import drawing_device
from lyra_core.scene import Scene
from lyra_core.teacher.image import BaseView
from lyra_core.teacher.teacher import VideoLatents
from lyra_core.video.posed import PosedVideo

STILL_SHARE = 0.002
"""Least share of the pixels that must move for a scene to count as moving."""

NO_MOTION = "nothing moves in the video, so the scene is static: made from its first frame"

_NO_VIDEO = VideoLatents(*(torch.empty(0) for _ in range(4)))


@torch.no_grad()
def reconstruct_video(
    pipeline: LyraPipeline,
    video: PosedVideo,
    frames: list[int] | None = None,
    *,
    seed: int = 0,
    smoothing: int = 0,
    max_gaussians: int | None = None,
    progress: Progress = no_progress,
    cancelled: Callable[[], bool] = lambda: False,
) -> DynamicScene | Scene:
    """A moving scene, or a static one where nothing moves.

    Args:
        pipeline: the model.
        video: frames, cameras and depth.
        frames: numbers of the instants to reconstruct, ascending; None takes every fourth, as published.
        seed: decides everything that is drawn.
        smoothing: passes of a mean over neighbouring instants for what moves.
        max_gaussians: most Gaussians on view.
        progress: hears of every instant.
        cancelled: asked before every instant; True stops the run with `Cancelled`.

    Raises LyraError for a video that does not fit the model.
    """
    frames = list(range(0, len(video), PUBLISHED_STEP)) if frames is None else frames
    progress("motion", 0, 1)
    prepared = prepare(video, pipeline.preset)
    if len(frames) < 2 or moving_share(prepared.video, prepared.consistency) < STILL_SHARE:
        return _static_scene(pipeline, video, seed, max_gaussians, progress)
    decoder = InstantDecoder(pipeline, prepared, seed=seed)
    splitter = Splitter(prepared.video, prepared.consistency, frames)
    instants = decoder.decoded(frames)
    for done in range(len(frames)):
        if cancelled():
            raise Cancelled(f"cancelled before instant {frames[done]}")
        progress("gaussians", done, len(frames))
        splitter.add(_refined(next(instants), prepared, pipeline))
    progress("gaussians", len(frames), len(frames))
    static, moving, report = splitter.finish(smoothing=smoothing)
    still = _still_scene(pipeline, prepared, static, seed)
    still.provenance["motion"] = {"method": decoder.method, "smoothing": smoothing, **report.as_dict()}
    scene = DynamicScene(still, moving, prepared.video.times[frames], prepared.video.cameras[frames], report)
    return scene if max_gaussians is None else scene.pruned(max_gaussians)


def _refined(instant: Instant, prepared: PreparedVideo, pipeline: LyraPipeline) -> Instant:
    """The instant with its colours pulled towards its own frame, as `LyraPipeline.refine` does with a picture."""
    iterations = pipeline.preset.refine_iterations
    if not iterations:
        return instant
    frame, device = instant.frame, drawing_device(pipeline.device)
    gaussians = refine_colors(
        rows_to_gaussians(instant.rows[instant.alive]).to(device), prepared.video.frames[frame][None].to(device),
        prepared.video.cameras[frame : frame + 1].to(device), iterations=iterations,
        projection=pipeline.preset.projection,
    )  # fmt: skip
    rows = instant.rows.clone()
    rows[instant.alive, 11:] = gaussians.colors.to(rows)
    return replace(instant, rows=rows)


def _still_scene(pipeline: LyraPipeline, prepared: PreparedVideo, static: Gaussians, seed: int) -> Scene:
    """What does not move, as a scene of the first frame; its depth is known where that frame stands still."""
    video, first = prepared.video, prepared.cache.depth(0)
    still = still_pixels(video, prepared.consistency, 0)
    depth = replace(first, mask=first.mask & still) if bool(still.any()) else first
    measured = replace(prepared.measured, mask=depth.mask)
    told = Conditioning(video.frames[0], depth, prepared.paths, _NO_VIDEO, torch.empty(0), None)
    return pipeline.scene(_base_view(video), measured, told, static, seed=seed)


def _static_scene(
    pipeline: LyraPipeline, video: PosedVideo, seed: int, max_gaussians: int | None, progress: Progress
) -> Scene:
    """The scene of the first frame, for a video in which nothing moves."""
    base, depth = _base_view(video), Cache4D(video, "adaptive").depth(0)
    scene = pipeline(image=base.image, depth=depth, seed=seed, max_gaussians=max_gaussians, progress=progress)
    scene.provenance["image_source"] = base.source
    scene.provenance["warnings"] = [*base.warnings, *scene.provenance["warnings"], NO_MOTION]
    return scene


def _base_view(video: PosedVideo) -> BaseView:
    return BaseView(video.frames[0], None, f"first frame of a video; cameras and depth: {video.source}", video.notes)
