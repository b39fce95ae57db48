# SPDX-License-Identifier: Apache-2.0
"""The published test of the decoder: latents of the Lyra data in, all their frames out, against the teacher's.

Every frame of every camera path is rendered and compared with the frame of the same number (no strides), the input
included. Poses and latents share one unit, so that nothing is scaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.decoder import denormalize_latents, encode_plucker, rows_to_gaussians
from lyra_core.evaluation.alignment import Alignment
from lyra_core.evaluation.datasets.lyra_set import LyraClip
from lyra_core.evaluation.novel_views import FROM_PICTURE, Protocol, Reconstruction, evaluate_clips
from lyra_core.evaluation.views import to_scene_units
from lyra_core.pipeline import LyraPipeline
from lyra_core.progress import Progress, no_progress

FROM_LATENTS = "latents of the data set"


def evaluate_lyra(
    pipeline: LyraPipeline, clips: Sequence[LyraClip], protocol: Protocol, *, progress: Progress = no_progress
) -> dict[str, Any]:
    """Scores a model on data in the Lyra layout; the report's `source` says which way.

    A decoder as published gets the latents. One with anchors cannot be run on latents alone: it makes its scene of the
    first frame, as in the other suites. So does a model whose data has no latents.

    Raises:
        LyraError: as `evaluate_clips`, and for latents that do not go with the poses.
    """
    if pipeline.decoder.config.anchored or not all(clip.latent_files for clip in clips):
        return evaluate_clips(pipeline, clips, protocol, source=FROM_PICTURE, progress=progress)
    whole = replace(protocol, span=None, score_input=True, paths="reference", scale="none")
    return evaluate_clips(
        pipeline, clips, whole, reconstruct=from_latents, source=FROM_LATENTS, progress=progress
    )  # fmt: skip


def from_latents(pipeline: LyraPipeline, clip: LyraClip, protocol: Protocol) -> Reconstruction:
    """What the decoder makes of the latents of all camera paths."""
    stored = clip.latents()
    height, width = (pipeline.teacher.tokenizer.spatial_factor * side for side in stored.shape[-2:])
    views = [Cameras.stack([frame.camera.resized(height, width) for frame in path]) for path in clip.paths]
    cameras = to_scene_units(Cameras.stack(views), clip.input.camera.c2w, 1.0)
    decoder, tokenizer = pipeline.decoder, pipeline.teacher.tokenizer
    rays = encode_plucker(tokenizer.encode, cameras[None], decoder.config.ray_torch_dtype)
    rows = decoder(_raw(stored, pipeline)[None], cameras[None], plucker_latents=rays, anchors=None)
    gaussians = rows_to_gaussians(decoder.prune(rows)[0])
    return Reconstruction(gaussians, clip.input.camera.c2w, Alignment(1.0, "none"), (height, width))


def _raw(stored: Tensor, pipeline: LyraPipeline) -> Tensor:
    """Tokenizer latents `[V, 16, T, h, w]` of what the teacher writes."""
    tokenizer = pipeline.teacher.tokenizer
    steps = stored.shape[2]
    mean, std = (
        statistic.expand(-1, steps) if statistic.shape[1] == 1 else statistic[:, :steps]
        for statistic in (tokenizer.latents_mean, tokenizer.latents_std)
    )
    return denormalize_latents(stored, mean, std)
