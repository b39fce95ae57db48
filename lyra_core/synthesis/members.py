# SPDX-License-Identifier: Apache-2.0
"""A sample as the files of a shard, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal

import numpy as np

from lyra_core.synthesis import codecs
from lyra_core.synthesis.sample import InputView, Sample, View
from lyra_core.synthesis.video_file import decode_mp4, encode_mp4

LAYOUT = """\
<clip>.json                 what the sample is, and the numbers of its views
<clip>.input.png            the input picture
<clip>.input.npz            its z [H, W] f32 (median 1), mask, intrinsics [4]
<clip>.safetensors          <view>.latents [16, T, h, w] f32 in diffusion space,
                            <view>.c2w [F, 4, 4], <view>.intrinsics [F, 4] f32
<clip>.<view>.npz           depth [F, H, W] f16 with holes filled, known: bits, where the 3D cache saw the pixel
<clip>.<view>.<frame>.png   frames; or <clip>.<view>.mp4"""
"""Members of a tar, for people."""

Frames = Literal["png", "mp4"]
"""How frames are kept: without loss, or small."""

Read = Callable[[str], bytes]
"""Gives the content of a member by its suffix. Raises KeyError where there is none."""


def members(sample: Sample, frames: Frames) -> Iterator[tuple[str, bytes]]:
    """Suffix and content of every member, in the order they are written."""
    numbers = [view.number for view in sample.views]
    yield "json", codecs.encode_json({"views": numbers, "about": sample.about})
    if sample.input is not None:
        yield "input.png", codecs.encode_png(sample.input.image)
        fields = ("z", "mask", "intrinsics")
        yield "input.npz", codecs.encode_npz({name: getattr(sample.input, name) for name in fields})
    yield "safetensors", codecs.encode_tensors(_tensors(sample.views))
    for view in sample.views:
        yield from _view_members(view, frames)


def assembled(name: str, read: Read, views: Collection[int] | None = None) -> Sample:
    """The sample called `name`, all views or a selection of them; one member after another is asked for."""
    content = json.loads(read("json"))
    tensors = codecs.decode_tensors(read("safetensors"))
    numbers = [number for number in content["views"] if views is None or number in views]
    return Sample(name, tuple(_view(number, tensors, read) for number in numbers), _input(read), content["about"])


def _tensors(views: tuple[View, ...]) -> dict[str, np.ndarray]:
    named = ((f"{view.number}.{name}", getattr(view, name)) for view in views for name in _FIELDS)
    return {name: array for name, array in named if array is not None}


_FIELDS = ("latents", "c2w", "intrinsics")


def _view_members(view: View, frames: Frames) -> Iterator[tuple[str, bytes]]:
    yield f"{view.number}.npz", codecs.encode_npz({"depth": view.depth, "known": np.packbits(view.known)})
    if frames == "mp4":
        yield f"{view.number}.mp4", encode_mp4(view.frames)
        return
    for index, pixels in enumerate(view.frames):
        yield f"{view.number}.{index:05d}.png", codecs.encode_png(pixels)


def _view(number: int, tensors: dict[str, np.ndarray], read: Read) -> View:
    fields: dict[str, Any] = {name: tensors.get(f"{number}.{name}") for name in _FIELDS}
    if fields["c2w"] is None or fields["intrinsics"] is None:
        raise KeyError(f"cameras of view {number}")
    maps = codecs.decode_npz(read(f"{number}.npz"))
    known = np.unpackbits(maps["known"], count=maps["depth"].size).astype(bool).reshape(maps["depth"].shape)
    frames = _frames(number, len(maps["depth"]), read)
    return View(number, frames, maps["depth"], known, **fields)


def _frames(number: int, count: int, read: Read) -> np.ndarray:
    try:
        return decode_mp4(read(f"{number}.mp4"))
    except KeyError:
        return np.stack([codecs.decode_png(read(f"{number}.{index:05d}.png")) for index in range(count)])


def _input(read: Read) -> InputView | None:
    try:
        image = codecs.decode_png(read("input.png"))
    except KeyError:
        return None
    return InputView(image, **codecs.decode_npz(read("input.npz")))
