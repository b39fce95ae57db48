# SPDX-License-Identifier: Apache-2.0
"""Examining a data set in the published folder layout, ours or others'."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lyra_core.errors import LyraError
from lyra_core.progress import Progress
from lyra_core.synthesis.findings import CheckReport
from lyra_core.synthesis.folders import clip_names, load_cameras, load_view, view_file, view_numbers
from lyra_core.synthesis.latent_file import read_latents
from lyra_core.synthesis.order import pose_order
from lyra_core.synthesis.sample import LATENT_CHANNELS, REVERSED_OFFSET, camera_problems, latent_frames, view_problems
from lyra_core.synthesis.video_file import require_video_codec

ORDER_BUG = (
    "poses of the motion-reversed views run against their frames (the published order bug): reverse `data` in their "
    "pose files along time before training"
)
NO_ORDER = "whether the poses of the motion-reversed views run with their frames cannot be told"

_NEEDED = ("rgb", "pose", "intrinsics")
"""Files that every view has."""


def check_folders(root: Path, report: CheckReport, progress: Progress) -> None:
    """Reads every file and adds to the report; without a video codec everything but videos and depth."""
    clips, numbers, videos = clip_names(root), view_numbers(root), _can_read_videos(report)
    if numbers != list(range(len(numbers))):
        report.warnings.append(f"{root} has views {numbers}; readers of the published data expect 0 to 5, or 0 to 11")
    for done, clip in enumerate(clips, start=1):
        missing = list(_missing_files(root, clip, numbers))
        report.errors.extend(f"{path} is missing" for path in missing)
        if not missing:
            _check_clip(root, clip, numbers, report, videos)
        progress("samples", done, len(clips))
    report.samples = len(clips)


def _can_read_videos(report: CheckReport) -> bool:
    try:
        require_video_codec()
    except LyraError as error:
        report.warnings.append(f"videos and depth were not examined: {error}")
        return False
    return True


def _missing_files(root: Path, clip: str, numbers: list[int]) -> Iterator[Path]:
    """Files that a clip needs and does not have; depth is needed in all views if it is there in one."""
    with_depth = any(view_file(root, number, "depth", clip).exists() for number in numbers)
    for number in numbers:
        kinds = [*_NEEDED, *(["latent"] if number < REVERSED_OFFSET else []), *(["depth"] if with_depth else [])]
        yield from (path for kind in kinds if not (path := view_file(root, number, kind, clip)).exists())


def _check_clip(root: Path, clip: str, numbers: list[int], report: CheckReport, videos: bool) -> None:
    poses: dict[int, np.ndarray] = {}
    for number in numbers:
        with report.listening():
            poses[number], intrinsics = load_cameras(root, number, clip)
            found = camera_problems(poses[number], intrinsics)
            if not found and videos:
                found = view_problems(load_view(root, number, clip))
            elif not found and number < REVERSED_OFFSET:
                found = _latent_problems(view_file(root, number, "latent", clip), len(intrinsics))
            report.errors.extend(f"{root / str(number)}, clip {clip}: {text}" for text in found)
    if any(number >= REVERSED_OFFSET for number in poses):
        order = pose_order(poses)
        report.errors.extend([f"{root}, clip {clip}: {ORDER_BUG}"] if order == "reversed" else [])
        report.warnings.extend([f"{root}, clip {clip}: {NO_ORDER}"] if order == "unclear" else [])


def _latent_problems(path: Path, frames: int) -> list[str]:
    """What can be said about latents without their video."""
    latents = read_latents(path)
    if latents.shape[:2] != (LATENT_CHANNELS, latent_frames(frames)):
        return [f"latents of shape {list(latents.shape)} do not belong to {frames} poses"]
    return [] if np.isfinite(latents).all() else ["latents hold NaN or infinity"]
