# SPDX-License-Identifier: Apache-2.0
"""COLMAP models (`sparse/0/cameras, images, points3D`, binary or text): cameras, lenses and seen points."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from lyra_core.errors import LyraError
from lyra_core.evaluation.clips import Clip, Distortion, Frame, checked_camera
from lyra_core.images import read_image
from lyra_core.rotations import quaternion_to_matrix

PICTURE_FOLDERS = ("images", "images_2", "images_4", "images_8")
"""Where pictures of a model lie: full size, or reduced by a whole number."""

Item = TypeVar("Item")

_MODELS = {0: "SIMPLE_PINHOLE", 1: "PINHOLE", 2: "SIMPLE_RADIAL", 3: "RADIAL", 4: "OPENCV"}
_PARAMETERS = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8}


@dataclass(frozen=True)
class Lens:
    """Size [px], fx, fy, cx, cy [px] and distortion of one camera."""

    height: int
    width: int
    intrinsics: tuple[float, float, float, float]
    distortion: Distortion


@dataclass(frozen=True)
class PosedImage:
    """One registered image: world-to-camera pose `[4, 4]` and the ids of the points it sees."""

    name: str
    lens: int
    w2c: np.ndarray
    seen: tuple[int, ...]


def colmap_clip(name: str, model: Path, pictures: Path) -> Clip:
    """All registered images of a model in the order of their names; `pictures` holds the picture folders.

    Raises LyraError for damaged files, unknown lenses, missing pictures, and poses that are none.
    """
    lenses = read_lenses(model)
    points = dict(_parsed(model, "points3D", _points_from_bytes, _points_from_text))
    images = read_images(model)
    if len(images) < 2:
        raise LyraError(f"{model} holds {len(images)} images. A clip needs at least two.")
    frames = tuple(_frame(image, lenses, points, model, pictures) for image in images)
    return Clip(name, frames[0], (frames,))


def read_lenses(model: Path) -> dict[int, Lens]:
    """The cameras of a model by id. Raises LyraError for damaged files and lenses that are not supported."""
    return dict(_parsed(model, "cameras", _lenses_from_bytes, _lenses_from_text))


def read_images(model: Path) -> list[PosedImage]:
    """The registered images of a model in the order of their names. Raises LyraError for damaged files."""
    return sorted(_parsed(model, "images", _images_from_bytes, _images_from_text), key=lambda image: image.name)


def find_picture(folder: Path, name: str) -> Path:
    """The picture `name` in one of the picture folders of `folder`. Raises LyraError when it is in none."""
    for picture_folder in PICTURE_FOLDERS:
        if (folder / picture_folder / name).is_file():
            return folder / picture_folder / name
    raise LyraError(f"picture {name} is missing in {folder / PICTURE_FOLDERS[0]}. Download the scene again.")


def _frame(image: PosedImage, lenses: dict[int, Lens], points: dict[int, Tensor], model: Path, folder: Path) -> Frame:
    where = f"{model}, image {image.name}"
    if image.lens not in lenses:
        raise LyraError(f"{where} refers to camera {image.lens}, which is missing. Download the scene again.")
    lens = lenses[image.lens]
    c2w = np.linalg.inv(image.w2c) if np.isfinite(image.w2c).all() else image.w2c
    camera = checked_camera(c2w, lens.intrinsics, (lens.height, lens.width), where)
    seen = [points[index] for index in image.seen if index in points]
    local = torch.stack(seen) @ camera.w2c[:3, :3].T + camera.w2c[:3, 3] if seen else None
    picture = partial(read_image, find_picture(folder, image.name))
    return Frame(image.name, camera, picture, lens.distortion, local)


def _parsed(
    model: Path,
    name: str,
    from_bytes: Callable[[_Bytes], Iterator[Item]],
    from_text: Callable[[list[str]], Iterator[Item]],
) -> list[Item]:
    """What `<name>.bin`, or else `<name>.txt`, of a model holds."""
    binary, text = model / f"{name}.bin", model / f"{name}.txt"
    path = binary if binary.is_file() else text
    if not path.is_file():
        raise LyraError(f"{text.with_suffix('')} (.bin or .txt) is missing. Download the scene again.")
    try:
        if path == binary:
            return list(from_bytes(_Bytes(path.read_bytes())))
        return list(from_text(path.read_text(encoding="utf-8").splitlines()))
    except (ValueError, IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise LyraError(f"{path} is damaged or not a COLMAP file ({error}). Download it again.") from error


class _Bytes:
    """Reads little-endian values one after another."""

    def __init__(self, data: bytes) -> None:
        self.data, self.offset = data, 0

    def __call__(self, layout: str) -> tuple:
        values = struct.unpack_from("<" + layout, self.data, self.offset)
        self.offset += struct.calcsize("<" + layout)
        return values

    def text(self) -> str:
        end = self.data.index(b"\0", self.offset)
        start, self.offset = self.offset, end + 1
        return self.data[start:end].decode()


def _lens(model: str, width: int, height: int, values: tuple[float, ...]) -> Lens:
    if len(values) != _PARAMETERS[model]:
        raise ValueError(f"{model} with {len(values)} parameters")
    if model in ("PINHOLE", "OPENCV"):
        intrinsics, rest = values[:4], values[4:]
    else:
        intrinsics, rest = (values[0], *values[:3]), values[3:]
    k1, k2, p1, p2 = (*rest, 0.0, 0.0, 0.0, 0.0)[:4]
    return Lens(height, width, intrinsics, (k1, k2, p1, p2))  # type: ignore[arg-type]


def _lenses_from_bytes(read: _Bytes) -> Iterator[tuple[int, Lens]]:
    for _ in range(read("Q")[0]):
        index, model, width, height = read("iiQQ")
        name = _MODELS[model]
        yield index, _lens(name, width, height, read(f"{_PARAMETERS[name]}d"))


def _lenses_from_text(lines: list[str]) -> Iterator[tuple[int, Lens]]:
    for words in _words(lines):
        yield int(words[0]), _lens(words[1], int(words[2]), int(words[3]), tuple(map(float, words[4:])))


def _images_from_bytes(read: _Bytes) -> Iterator[PosedImage]:
    for _ in range(read("Q")[0]):
        _, *pose, lens = read("i7di")
        name = read.text()
        seen = tuple(index for _, _, index in (read("ddq") for _ in range(read("Q")[0])) if index >= 0)
        yield PosedImage(name, lens, _w2c(pose), seen)


def _images_from_text(lines: list[str]) -> Iterator[PosedImage]:
    # The second line of an image may be empty, so only comments are dropped.
    kept = [line for line in lines if not line.startswith("#")]
    for head, track in zip(kept[::2], [*kept[1::2], ""], strict=False):
        words = head.split(maxsplit=9)
        seen = tuple(index for index in map(int, track.split()[2::3]) if index >= 0)
        yield PosedImage(words[9], int(words[8]), _w2c(list(map(float, words[1:8]))), seen)


def _points_from_bytes(read: _Bytes) -> Iterator[tuple[int, Tensor]]:
    for _ in range(read("Q")[0]):
        index, x, y, z, _, _, _, _, track = read("Q3d3BdQ")
        read.offset += 8 * track
        yield index, torch.tensor((x, y, z))


def _points_from_text(lines: list[str]) -> Iterator[tuple[int, Tensor]]:
    for words in _words(lines):
        yield int(words[0]), torch.tensor([float(word) for word in words[1:4]])


def _words(lines: list[str]) -> Iterator[list[str]]:
    return (line.split() for line in lines if line.strip() and not line.startswith("#"))


def _w2c(pose: list[float]) -> np.ndarray:
    """Pose `[4, 4]` of a quaternion w, x, y, z and a translation."""
    quaternion = np.array(pose[:4])
    matrix = np.eye(4)
    matrix[:3, :3] = quaternion_to_matrix(torch.from_numpy(quaternion / np.linalg.norm(quaternion))).numpy()
    matrix[:3, 3] = pose[4:]
    return matrix
