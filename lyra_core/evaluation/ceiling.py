# SPDX-License-Identifier: Apache-2.0
"""The most a diffusion teacher could gain: true frames through the tokenizer, against the fill that costs nothing.

A teacher paints latents, so what it puts into holes can be no better than the truth after encoding and decoding. Where
that is not clearly above the deterministic fill, training a teacher is wasted and the tokenizer comes first.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.distillation.dataset import exact_depth
from lyra_core.distillation.generate import base_camera
from lyra_core.distillation.perceptual import DepthFeatures, PublishedLpips, load_perceptual
from lyra_core.distillation.sheets import sheet
from lyra_core.errors import LyraError
from lyra_core.evaluation.synthetic import FIRST_SEED
from lyra_core.images import quantized, write_image
from lyra_core.pipeline import LyraPipeline, camera_paths, normalize
from lyra_core.progress import Progress, no_progress
from lyra_core.synthetic.grammar import make_world, render_world

LEAST_GAIN = 2.0
"""How far above the fill the tokenizer's own error must be before a teacher is worth training [dB]."""

LEAST_HOLE = 0.01
"""Frames with a smaller share of holes are left out of the feature distance: there is nothing to compare."""

ROWS = ("fill", "tokenizer")

_CHUNK = 8
"""Frames whose features are held at once."""

_SHOWN = 2
"""Paths of a world in its picture, those with the largest holes."""


@torch.no_grad()
def evaluate_ceiling(
    pipeline: LyraPipeline,
    *,
    first_seed: int = FIRST_SEED,
    worlds: int = 16,
    sheets: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measures holes of the model's own camera paths on procedural worlds with exact depth.

    Args:
        pipeline: only its geometry and its tokenizer work.
        first_seed: of the worlds.
        worlds: how many.
        sheets: folder for pictures (truth, fill, tokenizer, holes); None for none.
        progress: counts worlds.

    Returns:
        for the rows fill and tokenizer: hole_psnr_* [dB], over all hole pixels of a world, then the mean over worlds;
        and feature_*, the perceptual distance of frames that differ from the truth in the holes alone (`perceptual`
        names it). gain [dB] and whether it reaches `LEAST_GAIN` (worth_training); hole_share; by_world.
    """
    distance = load_perceptual()
    by_world = []
    for done in range(worlds):
        progress("worlds", done, worlds)
        seed = first_seed + done
        tallies = [_Tally.of(clip, distance) for clip in clips_of_world(pipeline, seed)]
        by_world.append({"seed": seed, **_figures(tallies)})
        if sheets is not None:
            sheets.mkdir(parents=True, exist_ok=True)
            largest = sorted(tallies, key=lambda tally: -tally.hole_pixels)[:_SHOWN]
            write_image(sheets / f"{seed}.png", sheet([tally.picture for tally in largest]))
    progress("worlds", worlds, worlds)
    names = [name for name in by_world[0] if name != "seed"]
    means = {name: statistics.fmean(world[name] for world in by_world) for name in names}
    gain = means["hole_psnr_tokenizer"] - means["hole_psnr_fill"]
    return {
        "suite": "ceiling", "model": pipeline.preset.name, "first_seed": first_seed, "worlds": worlds, **means,
        "gain": gain, "worth_training": gain >= LEAST_GAIN, "perceptual": distance.name, "by_world": by_world,
    }  # fmt: skip


class PathClip(NamedTuple):
    """One camera path of a world."""

    truth: Tensor  # [F, H, W, 3] in [0, 1], what is really there
    holes: Tensor  # [F, H, W] bool, True where the one picture does not show it
    rows: dict[str, Tensor]  # `ROWS` to frames [F, H, W, 3]


def clips_of_world(pipeline: LyraPipeline, seed: int) -> Iterator[PathClip]:
    """The model's own camera paths in a procedural world, one at a time."""
    world = make_world(seed)
    view = render_world(world, base_camera(world, *pipeline.preset.image_size))
    depth, unit = normalize(exact_depth(view.z[0].numpy()))
    cameras = camera_paths(depth, pipeline.preset)
    guidance = pipeline.guidance(quantized(view.rgb[0]), depth, cameras)
    c2w = cameras.c2w.clone()
    c2w[..., :3, 3] *= unit
    placed = Cameras(world.camera @ c2w, cameras.intrinsics, cameras.width, cameras.height)
    for path in range(len(cameras)):
        warp, truth = guidance[path], quantized(render_world(world, placed[path]).rgb)
        yield PathClip(truth, ~warp.mask, {"fill": warp.rgb, "tokenizer": through_tokenizer(pipeline, truth)})


def through_tokenizer(pipeline: LyraPipeline, frames: Tensor) -> Tensor:
    """A video `[F, H, W, 3]` in [0, 1], encoded and decoded."""
    tokenizer = pipeline.teacher.tokenizer
    video = tokenizer.decode(tokenizer.encode(frames.movedim(-1, 0)[None] * 2 - 1))[0]
    return ((video + 1) / 2).clamp(0, 1).movedim(0, -1)


@dataclass(frozen=True)
class _Tally:
    """What is kept of one path."""

    pixels: int
    hole_pixels: int
    squared: dict[str, float]
    features: dict[str, list[float]]
    picture: Tensor

    @classmethod
    def of(cls, clip: PathClip, distance: DepthFeatures | PublishedLpips) -> _Tally:
        """Errors in the holes, and a picture of the last frame."""
        shown = clip.holes.flatten(1).float().mean(dim=1) >= LEAST_HOLE
        composed = {
            row: torch.where(clip.holes[..., None], frames.clamp(0, 1), clip.truth) for row, frames in clip.rows.items()
        }
        squared = {row: float((frames - clip.truth)[clip.holes].square().sum()) for row, frames in composed.items()}
        features = {row: _distances(distance, frames[shown], clip.truth[shown]) for row, frames in composed.items()}
        last = [clip.truth[-1], *(composed[row][-1] for row in ROWS)]
        picture = torch.cat((*last, clip.holes[-1, ..., None].float().expand_as(last[0])), dim=1)
        return cls(clip.holes.numel(), int(clip.holes.sum()), squared, features, picture)


def _distances(distance: DepthFeatures | PublishedLpips, ours: Tensor, truth: Tensor) -> list[float]:
    pairs = zip(ours.split(_CHUNK), truth.split(_CHUNK), strict=True)
    return [float(value) for pair in pairs if len(pair[0]) for value in distance(*pair)]


def _figures(tallies: list[_Tally]) -> dict[str, float]:
    """Of one world. Raises LyraError where its paths show no hole."""
    holes = sum(tally.hole_pixels for tally in tallies)
    if not any(tally.features[ROWS[0]] for tally in tallies):
        raise LyraError("the camera paths of this model show no holes, so there is nothing for a teacher to paint.")
    figures = {"hole_share": holes / sum(tally.pixels for tally in tallies)}
    for row in ROWS:
        squared = sum(tally.squared[row] for tally in tallies) / (3 * holes)
        figures[f"hole_psnr_{row}"] = -10 * math.log10(squared)
        figures[f"feature_{row}"] = statistics.fmean(value for tally in tallies for value in tally.features[row])
    return figures
