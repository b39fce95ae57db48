# SPDX-License-Identifier: Apache-2.0
"""Finding and reading the pictures of a data set: files and videos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from lyra_core.errors import LyraError

SUFFIXES = (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG")


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width [px] from the header of a picture file. Raises LyraError when it is none."""
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except (OSError, UnidentifiedImageError) as error:
        raise LyraError(f"{path} is not a readable picture. Download it again.") from error


def picture_named(folder: Path, stem: str) -> Path:
    """The picture `stem` in a folder, whatever its suffix. Raises LyraError when it is not there."""
    for suffix in SUFFIXES:
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise LyraError(f"picture {stem} is missing in {folder}. Every camera needs its picture: download the scene again.")


def pictures_in(folder: Path) -> list[Path]:
    """All pictures of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def video_shape(path: Path) -> tuple[int, tuple[int, int]]:
    """Number of frames and (height, width) [px] of a video, without decoding it. Raises LyraError as `video_frames`."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        return sum(packet.size > 0 for packet in container.demux(stream)), (stream.height, stream.width)


def video_frames(path: Path) -> Tensor:
    """All frames of a video `[F, H, W, 3]`, 8 bit. Keeps the last video, because frames are asked for one by one.

    Raises LyraError when it cannot be decoded, or PyAV is not installed.
    """
    return _decoded(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _decoded(path: Path, changed: int) -> Tensor:
    """The frames of the version that was written at `changed` [ns]."""
    with _opened(path) as container:
        return torch.from_numpy(np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An open video; what goes wrong with it becomes a LyraError."""
    library = optional_library("av", "PyAV (pip install av)", f"read the video {path}")
    try:
        with library.open(str(path)) as container:
            yield container
    except (OSError, ValueError, IndexError) as error:  # PyAV's errors are of the former two
        raise LyraError(f"video {path} cannot be decoded ({' '.join(str(error).split())}). Write it again.") from error


def optional_library(module: str, name: str, purpose: str) -> Any:
    """An optional module. Raises LyraError saying what it is needed for when it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise LyraError(f"{name} is needed to {purpose}. Install it first.") from error
