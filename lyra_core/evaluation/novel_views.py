# SPDX-License-Identifier: Apache-2.0
"""Single image to novel views, as published: the first frame of a clip is all a model sees, the others are the truth.

The model's camera paths are the clip's own (or those of its preset), Gaussians are rendered from the camera of every
scored frame, pictures are fitted to the size of the rendering, and metrics are averaged over frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError
from lyra_core.evaluation.alignment import Alignment, align, checked_scale
from lyra_core.evaluation.clips import Clip, Frame, Shot, evenly
from lyra_core.evaluation.contact_sheet import ContactSheet
from lyra_core.evaluation.metrics import resize_crop, resize_crop_camera
from lyra_core.evaluation.scores import NO_DEPTH, Scorer, summary
from lyra_core.evaluation.views import to_scene_units
from lyra_core.fitting import crop_to, fit_image
from lyra_core.gaussians import Gaussians
from lyra_core.images import quantized
from lyra_core.pipeline import LyraPipeline, camera_paths, input_size, normalize, video_size
from lyra_core.progress import Progress, no_progress
from lyra_core.rendering import render

SPAN = 120
"""Frames after the input that are scored: what the published teacher makes of one picture."""

_BACKGROUND = "white"
_NEAR, _FAR = 0.1, 500.0

FROM_PICTURE = "one picture"

PATHS = ("auto", "reference", "preset")
ClipKind = TypeVar("ClipKind", bound=Clip)


@dataclass(frozen=True)
class Protocol:
    """What is scored, and how.

    Attributes:
        clips: how many, in the order of their names; None for all. Readers stop there.
        frames: how many per clip, evenly spread; None for all.
        span: frames of a path after the first that count; None for all.
        scale: see `alignment`.
        paths: cameras the model makes its videos along: `reference`, those of the clip (published); `preset`, its own;
            `auto`, its own for a decoder with anchors, which knows no others, else the clip's.
        score_input: whether the input view is scored too.
        sheets: folder for contact sheets; None for no pictures.
    """

    clips: int | None = None
    frames: int | None = None
    span: int | None = SPAN
    scale: str = "auto"
    paths: str = "auto"
    score_input: bool = False
    sheets: Path | None = None

    def __post_init__(self) -> None:
        """Raises LyraError for choices that do not exist."""
        checked_scale(self.scale)
        if self.paths not in PATHS:
            raise LyraError(f"unknown paths {self.paths!r}. Choose {', '.join(PATHS)}.")

    def resolved(self, pipeline: LyraPipeline) -> Protocol:
        """With `auto` replaced by what it means for a model."""
        own = "preset" if pipeline.decoder.config.anchored else "reference"
        return replace(self, paths=own) if self.paths == "auto" else self

    def limited(self, clip: ClipKind) -> ClipKind:
        """The clip up to the span."""
        end = None if self.span is None else self.span + 1
        return replace(clip, paths=tuple(path[:end] for path in clip.paths))


@dataclass(frozen=True)
class Reconstruction:
    """A scene that a model made, and how to look at it.

    Attributes:
        gaussians: the scene, in scene units and the axes of the input camera.
        origin: pose `[4, 4]` of the input camera in the data set.
        alignment: scale of the data set's poses.
        size: height and width of what is scored [px].
    """

    gaussians: Gaussians
    origin: Tensor
    alignment: Alignment
    size: tuple[int, int]


def from_picture(pipeline: LyraPipeline, clip: Clip, protocol: Protocol) -> Reconstruction:
    """What the model makes of the clip's input picture; it is told the picture's intrinsics, nothing else."""
    shot = clip.input.read()
    fitted = fitted_shot(shot, *input_size(shot.camera.height, shot.camera.width, pipeline.preset))
    guess = replace(pipeline.depth_estimator(fitted.picture), intrinsics=fitted.camera.intrinsics)
    depth, unit = normalize(guess)
    alignment = align(protocol.scale, clip.input, shot, clip.targets(), depth, unit)
    cameras = camera_paths(depth, pipeline.preset)
    if protocol.paths == "reference":
        cameras = reference_paths(clip, alignment, cameras[0, 0], pipeline.preset.frames)
    guidance = pipeline.guidance(fitted.picture, depth, cameras)
    video = pipeline.videos(guidance, fitted.picture, torch.Generator().manual_seed(0))
    gaussians = pipeline.reconstruct(pipeline.conditioning(fitted.picture, depth, cameras, video))
    return Reconstruction(gaussians, clip.input.camera.c2w, alignment, video_size(depth, pipeline.preset))


@torch.no_grad()
def evaluate_clips(
    pipeline: LyraPipeline,
    clips: Sequence[ClipKind],
    protocol: Protocol,
    *,
    reconstruct: Callable[[LyraPipeline, ClipKind, Protocol], Reconstruction] = from_picture,
    source: str = FROM_PICTURE,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Scores a model on clips.

    Args:
        pipeline: the model.
        clips: what to score it on.
        protocol: how.
        reconstruct: clip to scene.
        source: what `reconstruct` makes it of, for the report.
        progress: counts clips.

    Returns:
        metrics (mean, std, views of each), missing (metric: reason), alignment, clips (scores of every view), settings.

    Raises:
        LyraError: no clip, or one that cannot be read or aligned.
    """
    protocol = protocol.resolved(pipeline)
    if not clips:
        raise LyraError("there is no clip to score. Check --data: is this the folder of the data set?")
    scorer = Scorer.available()
    rows = []
    for done, clip in enumerate(map(protocol.limited, clips)):
        progress("clips", done, len(clips))
        rows.append(_scored(pipeline, clip, reconstruct(pipeline, clip, protocol), protocol, scorer))
    progress("clips", len(clips), len(clips))
    metrics = summary([view for row in rows for view in row["views"]])
    missing = scorer.missing if "abs_rel" in metrics else {**scorer.missing, "depth": NO_DEPTH}
    return {
        "model": pipeline.preset.name,
        "source": source,
        "projection": pipeline.preset.projection,
        "background": _BACKGROUND,
        "metrics": metrics,
        "missing": missing,
        "alignment": {"frame": "input camera", "scale": sorted({row["scale"]["method"] for row in rows})},
        "protocol": {name: getattr(protocol, name) for name in ("frames", "span", "paths", "score_input")},
        "clips": rows,
    }


def fitted_shot(shot: Shot, height: int, width: int) -> Shot:
    """The picture as a model takes it (centre crop, resized, 8 bit), and the camera that goes with it."""
    camera = shot.camera
    rows, columns = crop_to(camera.height, camera.width, height, width).window(camera.height, camera.width)
    cropped = replace(
        camera,
        intrinsics=camera.intrinsics - camera.intrinsics.new_tensor((0.0, 0.0, columns.start, rows.start)),
        width=columns.stop - columns.start,
        height=rows.stop - rows.start,
    )
    return Shot(quantized(fit_image(shot.picture, height, width)), cropped.resized(height, width))


def reference_paths(clip: Clip, alignment: Alignment, first: Cameras, count: int) -> Cameras:
    """Camera paths `[V, count]` of the clip in scene units, with the intrinsics and size of the camera `first` `[]`.

    Frames are taken evenly from each path; one shorter than `count` repeats some.
    """
    poses = []
    for path in clip.paths:
        steps = torch.linspace(0, len(path) - 1, count).round().long().tolist()
        poses.append(torch.stack([path[step].camera.c2w for step in steps]))
    cameras = Cameras(torch.stack(poses), first.intrinsics, first.width, first.height)
    return to_scene_units(cameras, clip.input.camera.c2w, 1.0 / alignment.scale)


def _scored(
    pipeline: LyraPipeline, clip: Clip, scene: Reconstruction, protocol: Protocol, scorer: Scorer
) -> dict[str, Any]:
    frames = clip.targets(protocol.frames, with_input=protocol.score_input)
    sheet = ContactSheet(clip.name)
    shown = {frame.name for frame in evenly(frames, sheet.columns)}
    views: list[dict[str, Any]] = []
    for frame in frames:
        truth, ours, scores = _view(pipeline, frame, scene, scorer)
        views.append({"frame": frame.name, **scores})
        if frame.name in shown:
            sheet.add(truth, ours, f"{frame.name}  {scores['psnr']:.1f} dB")
    if protocol.sheets is not None:
        sheet.save(protocol.sheets / f"{clip.name}.png")
    scale = asdict(scene.alignment)
    return {"clip": clip.name, "scale": scale, "gaussians": len(scene.gaussians), **_means(views), "views": views}


def _view(
    pipeline: LyraPipeline, frame: Frame, scene: Reconstruction, scorer: Scorer
) -> tuple[Tensor, Tensor, dict[str, float]]:
    """Truth and rendering `[H, W, 3]` of one frame, from the one camera of that frame, and their scores."""
    shot = frame.read()
    truth = resize_crop(shot.picture, *scene.size, antialias=True)
    camera = resize_crop_camera(shot.camera, *scene.size)
    camera = to_scene_units(camera, scene.origin, 1.0 / scene.alignment.scale)
    view = render(
        scene.gaussians, camera, projection=pipeline.preset.projection, background=torch.ones(3), near=_NEAR, far=_FAR
    )
    ours = view.color.clamp(0, 1)
    depth = None if frame.depth is None else _fitted_depth(frame.depth(), *scene.size)
    return truth, ours, scorer(ours, truth) | scorer.depth(view.depth, depth)


def _fitted_depth(z: Tensor, height: int, width: int) -> Tensor:
    """Depth map `[H, W]` cut as `resize_crop` cuts pictures, without blending."""
    return resize_crop(z[..., None], height, width, mode="nearest-exact")[..., 0]


def _means(views: list[dict[str, Any]]) -> dict[str, float]:
    return {metric: row["mean"] for metric, row in summary(views).items()}
