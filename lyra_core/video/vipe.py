# SPDX-License-Identifier: Apache-2.0
"""Results of ViPE in the published layout: `rgb/<clip>.mp4`, `pose`, `intrinsics` (.npz) and `depth` (.zip) beside it.

`mask/` and whatever else ViPE writes is left alone, as the published reader does. Scale is that of the depth model ViPE
was run with (`vipe infer -p lyra` uses MoGe, which is not metric), so the unit is not taken for the metre.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lyra_core.errors import LyraError
from lyra_core.synthesis.codecs import decode_npz
from lyra_core.synthesis.shards import DAMAGE
from lyra_core.video.depth_files import DepthFiles
from lyra_core.video.given import GivenCameras, posed_as_given
from lyra_core.video.posed import FrameSize, PosedVideo
from lyra_core.video.reading import WHOLE, Part, read_video

_KINDS = {"rgb": "mp4", "pose": "npz", "intrinsics": "npz", "depth": "zip"}


def is_vipe(path: Path) -> bool:
    """Whether a folder looks like a result of ViPE."""
    return (path / "rgb").is_dir() and (path / "pose").is_dir()


def vipe_clips(root: Path) -> list[str]:
    """Names of the clips in a result folder. Raises LyraError when there is none, or one lacks a file."""
    clips = sorted(path.stem for path in (root / "rgb").glob("*.mp4"))
    if not clips:
        raise LyraError(f"{root} holds no result of ViPE: there is no rgb/*.mp4. Run `vipe infer` on the video first.")
    for clip in clips:
        missing = [path for kind in _KINDS if not (path := _file(root, kind, clip)).is_file()]
        if missing:
            raise LyraError(f"{missing[0]} is missing. Run ViPE on {clip} again, with depth saved.")
    return clips


def read_vipe(root: Path, frames: int, size: FrameSize, part: Part = WHOLE, *, clip: str | None = None) -> PosedVideo:
    """A clip of a result folder, `frames` frames of it.

    Args:
        root: folder of the results.
        frames: how many.
        size: height and width of a source frame to those wanted.
        part: which part of the video.
        clip: its name; None where there is only one.

    Raises:
        LyraError: files that are missing, damaged or do not belong together, and whatever `read_video` raises.
    """
    names = vipe_clips(root)
    if clip is None and len(names) > 1:
        raise LyraError(f"{root} holds {len(names)} clips ({', '.join(names[:5])} ...). Choose one of them.")
    name = clip or names[0]
    if name not in names:
        raise LyraError(f"{root} holds no clip {name!r}; it has {', '.join(names[:5])}.")
    video = read_video(_file(root, "rgb", name), frames, size, part, numbered=True)
    poses = _by_frame(_file(root, "pose", name), (16,))
    lenses = {number: _pinhole(lens) for number, lens in _by_frame(_file(root, "intrinsics", name), (4, 9)).items()}
    cameras = GivenCameras(
        {number: pose.reshape(4, 4) for number, pose in poses.items()}, lenses, None, False, f"{root}, clip {name}"
    )
    assert video.numbers is not None
    return posed_as_given(video, cameras, DepthFiles(_file(root, "depth", name)).read(video.numbers), "ViPE")


def _file(root: Path, kind: str, clip: str) -> Path:
    return root / kind / f"{clip}.{_KINDS[kind]}"


def _by_frame(path: Path, sizes: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Rows of `data` by their frame numbers `inds`. Raises LyraError for damaged files and rows of other sizes."""
    try:
        arrays: dict[str, Any] = decode_npz(path.read_bytes())
        data = np.asarray(arrays["data"], np.float64)
        numbers = np.asarray(arrays.get("inds", np.arange(len(data)))).ravel()
        rows = data.reshape(len(numbers), -1)
    except DAMAGE as error:
        raise LyraError(f"{path} is damaged or no file of ViPE ({error}). Run ViPE again.") from error
    if rows.shape[1] not in sizes:
        raise LyraError(f"{path} holds rows of {rows.shape[1]} numbers instead of {sizes[0]}. Run ViPE again.")
    return dict(zip(numbers.astype(int).tolist(), rows, strict=True))


def _pinhole(lens: np.ndarray) -> np.ndarray:
    """fx, fy, cx, cy of themselves or of a 3 x 3 matrix."""
    return lens if len(lens) == 4 else lens[[0, 4, 2, 5]]
