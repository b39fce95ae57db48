# SPDX-License-Identifier: Apache-2.0
"""Depth maps of a video, one per frame of the file, read one at a time."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lyra_core import depth_maps
from lyra_core.errors import LyraError
from lyra_core.synthesis.exr import decode_exr

DepthReader = Callable[[int], np.ndarray]
"""Number of a frame to its z-depth `[H, W]`. Raises KeyError where there is none."""

_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class DepthFiles:
    """Where the depth of a video's frames is.

    Attributes:
        path: a zip of `00000.exr ...`, an .npz with an array `depth` `[N, H, W]`, or a folder of depth maps in the
            order of their names.
    """

    path: Path

    def read(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        """z-depth float32 `[H, W]` of some frames, 0 where it is not finite and positive.

        Raises LyraError for missing or damaged files, frames without depth, and depth without a valid value.
        """
        if not self.path.exists():
            raise LyraError(f"depth {self.path} does not exist. Check the path.")
        kinds = {".zip": self._from_zip, ".npz": self._from_array}
        if not self.path.is_dir() and self.path.suffix not in kinds:
            raise LyraError(f"depth {self.path} is of no known kind. Give a zip of .exr, an .npz, or a folder of maps.")
        reading = self._from_folder if self.path.is_dir() else kinds[self.path.suffix]
        try:
            for number, values in zip(numbers, reading(numbers), strict=True):
                z = np.where(np.isfinite(values) & (values > 0), values, 0).astype(np.float32)
                if z.ndim != 2 or not z.any():
                    raise LyraError(f"depth {self.path} has no positive, finite value in frame {number}.")
                yield z
        except _DAMAGE as error:
            raise LyraError(
                f"depth {self.path} is damaged or incomplete ({error}). Make it or fetch it again."
            ) from error

    def _from_zip(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        with zipfile.ZipFile(self.path) as archive:
            names = {int(Path(name).stem): name for name in archive.namelist() if name.endswith(".exr")}
            for number in numbers:
                yield decode_exr(archive.read(names[int(number)]))

    def _from_array(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        with np.load(self.path, allow_pickle=False) as archive:
            depth = archive["depth"]
        if depth.ndim != 3 or len(depth) <= numbers.max():
            raise ValueError(f"array depth has shape {list(depth.shape)}, but frame {numbers.max()} is wanted")
        yield from depth[numbers]

    def _from_folder(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        files = sorted((path for path in self.path.iterdir() if path.suffix in depth_maps.SUFFIXES), key=in_order)
        if len(files) <= numbers.max():
            raise ValueError(f"{len(files)} maps, but frame {numbers.max()} is wanted")
        for number in numbers:
            depth = depth_maps.read_depth(files[number], lambda height, width: (1.0, 1.0, width / 2, height / 2))
            yield np.where(depth.mask.numpy(), depth.z.numpy(), 0)


def in_order(path: Path) -> list[tuple[bool, int, str]]:
    """Sorts frame10 after frame9."""
    return [(text.isdecimal(), int(text) if text.isdecimal() else 0, text) for text in re.split(r"(\d+)", path.stem)]
