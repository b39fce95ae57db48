# SPDX-License-Identifier: Apache-2.0
"""The layout of the Lyra data: one folder per camera path, one file per clip in each of its sub-folders.

    <path>/rgb/<clip>.mp4 (or a folder <clip>/ of pictures)     F frames
    <path>/pose/<clip>.npz, <path>/intrinsics/<clip>.npz        data [F, 4, 4] c2w and [F, 4] px; inds [F]
    <path>/latent/<clip>.pkl                                    torch.save of float32 [1, 16, T, h, w]
    <path>/depth/<clip>.zip                                     %05d.exr, channel Z (only in the training data)

Paths are numbered as `trajectories.PUBLISHED_PATHS`; numbers from 6 on are motion-reversed targets and not read.
"""

from __future__ import annotations

import codecs
import io
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.evaluation.clips import Clip, Frame, checked_camera
from lyra_core.evaluation.datasets.pictures import (
    optional_library,
    picture_size,
    pictures_in,
    video_frames,
    video_shape,
)
from lyra_core.images import read_image
from lyra_core.trajectories import PUBLISHED_PATHS, PUBLISHED_VIEW_ORDER

_COMPRESSION = 8
_RECONSTRUCT = np.zeros(0).__reduce__()[0]
_TRUSTED: tuple[Any, ...] = (
    np.ndarray,
    np.dtype,
    type(np.dtype(np.float32)),
    (_RECONSTRUCT, "numpy.core.multiarray._reconstruct"),
    (_RECONSTRUCT, "numpy._core.multiarray._reconstruct"),
    codecs.encode,
)
"""All that a pickled numpy array consists of; anything else in a latent file is refused."""


@dataclass(frozen=True)
class LyraClip(Clip):
    """A clip with all its camera paths in the decoder's order; the input is frame 0 of the first.

    Attributes:
        latent_files: one per path, as the teacher wrote them; empty where the data has none.
    """

    latent_files: tuple[Path, ...] = ()

    def latents(self) -> Tensor:
        """What the teacher wrote `[V, 16, T, h, w]`, in its own (diffusion) scale.

        Raises LyraError for files that are no such latents, or that do not fit the number of frames.
        """
        frames = len(self.paths[0])
        latents = torch.cat([_read_latents(path) for path in self.latent_files])
        if _COMPRESSION * (latents.shape[2] - 1) + 1 != frames:
            raise LyraError(
                f"{self.latent_files[0]} has {latents.shape[2]} latent frames, which do not make {frames} frames with "
                "poses. Give the whole clip: every frame needs its pose."
            )
        return latents


def lyra_clips(root: Path) -> Iterator[LyraClip]:
    """All clips of a folder in the Lyra layout, each read when its turn comes.

    Raises LyraError for a path that lacks a clip, files that are damaged, and videos, poses and intrinsics of
    different length.
    """
    folders = [root / str(PUBLISHED_PATHS.index(name)) for name in PUBLISHED_VIEW_ORDER]
    folders = [folder for folder in folders if folder.is_dir()]
    names = sorted({path.stem for folder in folders for path in folder.glob("pose/*.npz")})
    return (_clip(name, folders) for name in names)


def _clip(name: str, folders: list[Path]) -> LyraClip:
    paths = tuple(_frames(folder, name) for folder in folders)
    lengths = {len(path) for path in paths}
    if len(lengths) != 1:
        raise LyraError(f"the camera paths of clip {name} have {sorted(lengths)} frames. They must be of equal length.")
    latents = [folder / "latent" / f"{name}.pkl" for folder in folders]
    missing = [path for path in latents if not path.is_file()]
    if missing and len(missing) < len(latents):
        raise LyraError(f"{missing[0]} is missing. Every camera path of a clip needs its latents.")
    return LyraClip(name, paths[0][0], paths, () if missing else tuple(latents))


def _frames(folder: Path, name: str) -> tuple[Frame, ...]:
    poses, numbers = _array(folder / "pose" / f"{name}.npz")
    intrinsics, same = _array(folder / "intrinsics" / f"{name}.npz")
    pictures = _Pictures(folder / "rgb", name)
    if len(poses) != pictures.count or len(intrinsics) != len(poses) or sorted(numbers) != list(range(len(poses))):
        raise LyraError(
            f"{pictures.source} has {pictures.count} frames, but there are {len(poses)} poses and {len(intrinsics)} "
            "intrinsics. Give the whole clip: every frame needs its pose, and there are no strides here."
        )
    if list(numbers) != list(same):
        raise LyraError(f"pose and intrinsics of {pictures.source} number their frames differently. Write them again.")
    depth = folder / "depth" / f"{name}.zip"
    frames: dict[int, Frame] = {}
    for row, number in enumerate(int(number) for number in numbers):
        label = f"{folder.name}/{name}/{number:05d}"
        camera = checked_camera(poses[row], intrinsics[row].tolist(), pictures.size, f"{folder / 'pose'}, {label}")
        reader = partial(read_exr_depth, depth, number) if depth.is_file() else None
        frames[number] = Frame(label, camera, partial(pictures.read, number), depth=reader)
    return tuple(frames[number] for number in sorted(frames))


class _Pictures:
    """The frames of one clip along one path: a video, or a folder of pictures."""

    def __init__(self, folder: Path, name: str) -> None:
        """Raises LyraError when there is neither."""
        self.source = folder / f"{name}.mp4"
        self.files = pictures_in(folder / name) if (folder / name).is_dir() else []
        if self.files:
            self.source = folder / name
            self.count, self.size = len(self.files), picture_size(self.files[0])
            return
        if not self.source.is_file():
            raise LyraError(f"{self.source} is missing. Every camera path of a clip needs its video.")
        self.count, self.size = video_shape(self.source)

    def read(self, number: int) -> Tensor:
        """Frame `[H, W, 3]` in [0, 1]."""
        if self.files:
            return read_image(self.files[number])
        return video_frames(self.source)[number].float() / 255


def _array(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """`data` and `inds` of an .npz file."""
    if not path.is_file():
        raise LyraError(f"{path} is missing. Every camera path of a clip needs its poses and intrinsics.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            data, numbers = archive["data"], archive["inds"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise LyraError(f"{path} is damaged or has no arrays data and inds ({error}). Write it again.") from error
    if len(data) != len(numbers):
        raise LyraError(f"{path} holds {len(data)} rows for {len(numbers)} frames. Write it again.")
    return data, numbers


def _read_latents(path: Path) -> Tensor:
    """Latents `[1, 16, T, h, w]`; unpickles arrays of numbers and nothing else."""
    try:
        with torch.serialization.safe_globals(list(_TRUSTED)):
            value: Any = torch.load(path, map_location="cpu", weights_only=True)
        latents = torch.as_tensor(value).float()
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise LyraError(f"{path} holds no latents ({reason}). It must be a saved float array.") from error
    if latents.ndim != 5 or latents.shape[0] != 1 or not latents.isfinite().all():
        raise LyraError(f"{path} holds {list(latents.shape)}, not finite latents [1, 16, T, h, w]. Write it again.")
    return latents


def read_exr_depth(path: Path, number: int) -> Tensor:
    """z-depth `[H, W]` of one frame in a depth archive, 0 where unknown.

    Raises LyraError when the archive is damaged, lacks the frame, or OpenEXR is not installed.
    """
    library = optional_library("OpenEXR", "OpenEXR (pip install OpenEXR)", f"read the depth maps {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            image = library.InputFile(io.BytesIO(archive.read(f"{number:05d}.exr")))
        window = image.header()["dataWindow"]
        width, height = window.max.x - window.min.x + 1, window.max.y - window.min.y + 1
        pixel = optional_library("Imath", "OpenEXR", "read depth maps").PixelType
        values = np.frombuffer(image.channel("Z", pixel(pixel.FLOAT)), np.float32).reshape(height, width)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise LyraError(f"{path}, frame {number} is no depth map ({error}). Write it again.") from error
    return torch.from_numpy(np.where(np.isfinite(values) & (values > 0), values, 0.0).astype(np.float32))
