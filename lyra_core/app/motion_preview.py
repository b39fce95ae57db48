# SPDX-License-Identifier: Apache-2.0
"""Previews of a moving scene: a sheet of instants, and a film in which camera and time move."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lyra_core.app.preview import EMPTY, sheet, subtitle
from lyra_core.cameras import Cameras
from lyra_core.dynamic.consistency import spread_frames
from lyra_core.dynamic.scene import DynamicScene
from lyra_core.files import replacing

SHOWN = 4
"""Instants on the sheet, if there are as many."""

FILM_RATE = 24
"""Frames per second of the film."""

MAX_SECONDS = 12.0
"""Longest film; a longer clip is played faster."""

_SWAY = 0.6
"""How far the film's camera leaves the video's, as a share of the path to the left."""


def write_motion_preview(path: Path, scene: DynamicScene, frames: torch.Tensor, title: str) -> None:
    """Draws instants from first to last: the video above, the scene from another place below.

    Args:
        path: picture file, replaced atomically.
        scene: what to show.
        frames: the video's frames at the scene's instants `[T, H, W, 3]`.
        title: heading, e.g. the name of the video.
    """
    chosen = spread_frames(len(scene.times), SHOWN)
    times = scene.times[chosen]
    aside = swayed(scene, scene.cameras[chosen], torch.ones(len(chosen)))
    seen = scene.render(aside, times, background=torch.tensor(EMPTY)).color
    cells = [
        (f"video at {float(time):.2f} s", _bytes(frames[index])) for index, time in zip(chosen, times, strict=True)
    ]
    cells += [
        (f"scene at {float(time):.2f} s, moved aside", _bytes(view)) for view, time in zip(seen, times, strict=True)
    ]
    report = scene.report
    share = f"{100 * report.static_share:.0f} % of {report.static + report.moving:,} Gaussians stand still"
    with replacing(path) as temporary:
        sheet(cells, title, f"{subtitle(scene.still)}   |   {share}").save(temporary)


def write_film(path: Path, scene: DynamicScene, *, size: tuple[int, int] | None = None) -> None:
    """Writes an .mp4 that plays the motion once while the camera sways from side to side.

    Raises LyraError where nothing here can write .mp4.
    """
    from lyra_core.synthesis.video_file import encode_mp4

    count = max(2, round(min(scene.duration, MAX_SECONDS) * FILM_RATE))
    times = torch.linspace(float(scene.times[0]), float(scene.times[-1]), count)
    cameras = film_cameras(scene, times, size)
    pictures = [
        _bytes(
            scene.render(cameras[index : index + 1], times[index : index + 1], background=torch.tensor(EMPTY)).color[0]
        )
        for index in range(count)
    ]
    content = encode_mp4(np.stack(pictures))
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def film_cameras(scene: DynamicScene, times: torch.Tensor, size: tuple[int, int] | None = None) -> Cameras:
    """Cameras `[N]` beside the video's at each time, swaying once from side to side; sides of the picture are even."""
    share = torch.sin(torch.linspace(0.0, 2.0 * math.pi, len(times)))
    cameras = Cameras.stack([scene.camera_at(float(time)) for time in times])
    height, width = size or (cameras.height, cameras.width)
    return swayed(scene, cameras, share).resized(height - height % 2, width - width % 2)


def swayed(scene: DynamicScene, cameras: Cameras, share: torch.Tensor) -> Cameras:
    """Cameras `[N]` moved along the scene's first sideways path by a share `[N]` of it; negative goes the other way."""
    names = list(scene.provenance["camera_paths"])
    path = scene.still.path_cameras[names.index("left") if "left" in names else 0]
    offset = _SWAY * path.c2w[-1, :3, 3].norm() * share
    local = torch.eye(4).repeat(len(cameras), 1, 1)
    local[:, 0, 3] = -offset
    return replace(cameras, c2w=cameras.c2w @ local.to(cameras.c2w))


def _bytes(picture: torch.Tensor) -> np.ndarray:
    return (picture.clamp(0, 1) * 255).round().byte().numpy()
