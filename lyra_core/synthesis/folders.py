# SPDX-License-Identifier: Apache-2.0
"""The published folder layout, one folder per view.

Readers of the published data count the folders to know the number of views, and skip the one called `flag`; everything
that is not theirs lies in there.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

import numpy as np

from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.synthesis import codecs
from lyra_core.synthesis.exr import decode_exr, encode_exr
from lyra_core.synthesis.latent_file import read_latents, write_latents
from lyra_core.synthesis.sample import InputView, Sample, View, target_depth
from lyra_core.synthesis.shards import DAMAGE
from lyra_core.synthesis.video_file import decode_mp4, encode_mp4

LAYOUT = """\
<view>/rgb/<clip>.mp4           24 frames a second
<view>/latent/<clip>.pkl        float32 [1, 16, T, h, w], diffusion space; not for motion-reversed views
<view>/pose/<clip>.npz          data float32 [F, 4, 4] c2w, inds [F]
<view>/intrinsics/<clip>.npz    data float32 [F, 4] fx, fy, cx, cy [pixels], inds [F]
<view>/depth/<clip>.zip         00000.exr ..., half-precision channel Z; 0 where there is none
<view>/mask/<clip>.zip          00000.png ..., where the 3D cache saw the pixel
flag/                           what each sample is, its input, this card"""
"""Files of a data set, for people."""

T = TypeVar("T")

OWN = "flag"
"""Folder that readers of the published layout skip."""

SUFFIXES = {
    "rgb": "mp4", "latent": "pkl", "pose": "npz", "intrinsics": "npz", "depth": "zip", "mask": "zip",
}  # fmt: skip
"""File suffix by kind."""


def view_file(root: Path, number: int, kind: str, clip: str) -> Path:
    """Where the file of a kind is."""
    return root / str(number) / kind / f"{clip}.{SUFFIXES[kind]}"


def view_numbers(root: Path) -> list[int]:
    """Numbers of the views in a folder, ascending."""
    return sorted(int(path.name) for path in root.iterdir() if path.is_dir() and path.name.isdecimal())


def clip_names(root: Path) -> list[str]:
    """All clips that any view has a file of."""
    found = {
        path.stem
        for number in view_numbers(root)
        for kind, suffix in SUFFIXES.items()
        for path in (root / str(number) / kind).glob(f"*.{suffix}")
        if not path.name.startswith(".")  # half-written
    }
    return sorted(found)


def about_path(root: Path, clip: str) -> Path:
    """The file that is written last: a clip that has it is complete."""
    return root / OWN / "clips" / f"{clip}.json"


def write_folders(root: Path, sample: Sample) -> None:
    """Writes all files of a sample. Raises LyraError when there is no video codec."""
    for view in sample.views:
        _write_view(root, view, sample)
    own = about_path(root, sample.name)
    if sample.input is not None:
        _write(own.with_suffix(".npz"), codecs.encode_npz(vars(sample.input)))
    _write(own, codecs.encode_json(sample.about))


def load_folders(root: Path, clip: str, views: Collection[int] | None = None) -> Sample:
    """A clip, all views or a selection; depth and mask may be missing, as in published data.

    Raises LyraError naming the file that is missing or damaged.
    """
    numbers = [number for number in view_numbers(root) if views is None or number in views]
    own = about_path(root, clip)
    try:
        source = InputView(**codecs.decode_npz(own.with_suffix(".npz").read_bytes()))
    except FileNotFoundError:
        source = None
    about = json.loads(own.read_text(encoding="utf-8")) if own.exists() else {}
    return Sample(clip, tuple(load_view(root, number, clip) for number in numbers), source, about)


def load_view(root: Path, number: int, clip: str) -> View:
    """One view of a clip. Raises as `load_folders`."""
    c2w, intrinsics = load_cameras(root, number, clip)
    frames = _decoded(view_file(root, number, "rgb", clip), decode_mp4)
    depth_file, mask_file, latent_file = (view_file(root, number, kind, clip) for kind in ("depth", "mask", "latent"))
    depth = np.zeros(frames.shape[:3], np.float16)
    if depth_file.exists():
        depth = _decoded(depth_file, lambda content: np.stack([decode_exr(file) for file in _unzipped(content)]))
    known = np.isfinite(depth) & (depth > 0)
    if mask_file.exists():
        known = _decoded(mask_file, lambda content: np.stack([codecs.decode_png(f) > 0 for f in _unzipped(content)]))
    latents = read_latents(latent_file) if latent_file.exists() else None
    return View(number, frames, depth.astype(np.float16), known, c2w, intrinsics, latents)


def load_cameras(root: Path, number: int, clip: str) -> tuple[np.ndarray, np.ndarray]:
    """c2w `[F, 4, 4]` and intrinsics `[F, 4]` of a view. Raises as `load_folders`."""
    poses, intrinsics = (
        _decoded(view_file(root, number, kind, clip), codecs.decode_npz)["data"].astype(np.float32)
        for kind in ("pose", "intrinsics")
    )
    return poses.reshape(-1, 4, 4), intrinsics


def _write_view(root: Path, view: View, sample: Sample) -> None:
    order = np.arange(len(view.frames))
    contents = {
        "rgb": encode_mp4(view.frames),
        "pose": codecs.encode_npz({"data": view.c2w, "inds": order}),
        "intrinsics": codecs.encode_npz({"data": view.intrinsics, "inds": order}),
        "depth": _zipped([encode_exr(z) for z in target_depth(sample, view)], "exr"),
        "mask": _zipped([codecs.encode_png(known) for known in view.known], "png"),
    }
    for kind, content in contents.items():
        _write(view_file(root, view.number, kind, sample.name), content)
    if view.latents is not None:
        path = view_file(root, view.number, "latent", sample.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_latents(path, view.latents)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _decoded(path: Path, decode: Callable[[bytes], T]) -> T:
    """What a file holds. Raises LyraError naming it when it is missing or damaged."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError as error:
        raise LyraError(f"{path} is missing. Make the clip again, or leave its view out.") from error
    except (*DAMAGE, LyraError) as error:
        raise LyraError(f"{path} is damaged or unreadable ({error}). Make it or fetch it again.") from error


def _zipped(files: list[bytes], suffix: str) -> bytes:
    """A zip of numbered files, which are compressed already; it carries no dates."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for index, content in enumerate(files):
            archive.writestr(zipfile.ZipInfo(f"{index:05d}.{suffix}"), content)
    return stream.getvalue()


def _unzipped(content: bytes) -> list[bytes]:
    """The files of a zip, by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [archive.read(name) for name in sorted(archive.namelist())]
