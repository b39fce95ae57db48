# SPDX-License-Identifier: Apache-2.0
"""Moving Gaussians as one particle field with a time sample per instant, in one layer or in value clips.

```
moving.usdc             /Moving: the particle field; its values at the default time are those of the first instant
moving_default.usdc     the same without motion, if that is in clips
moving_manifest.usdc    which attributes the clips have
moving_000.usdc, ...    consecutive instants
```

A layer is saved after each instant: USD then keeps a note of where the arrays are in the file instead of the arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, Vt

from usd_export.cloud import GaussianCloud
from usd_export.dynamic.motion import set_time_range
from usd_export.encodings.gaussian_layers import particle_field_bytes
from usd_export.encodings.particle_field import PRIM_TYPE, declare_instants, write_instant, write_particle_field
from usd_export.layers import new_layer
from usd_export.layout import MOVING_LAYER

CLUSTERS = "lyra:clusters"
"""Rigid cluster of each Gaussian, on the particle field."""

_PRIM = "/Moving"


def write_samples(
    folder: Path, instants: Iterator[GaussianCloud], codes: list[float], rate: float, *, half: bool
) -> Usd.Stage:
    """Write all instants as time samples of `/Moving` in one layer.

    Args:
        folder: Receives the layer.
        instants: Valid clouds of equal size, one per time code.
        codes: Time codes.
        rate: Time codes of a second.
        half: Whether values are stored in half precision.

    Returns:
        The stage of the layer, saved.
    """
    stage = new_layer(folder / MOVING_LAYER, _PRIM, rate)
    set_time_range(stage, codes)
    for code, cloud in zip(codes, instants, strict=True):
        prim = stage.GetPrimAtPath(_PRIM) or write_particle_field(stage, _PRIM, cloud, half=half)
        write_instant(prim, cloud, Usd.TimeCode(code), half=half)
        stage.Save()
    return stage


def write_clips(
    folder: Path,
    instants: Iterator[GaussianCloud],
    codes: list[float],
    rate: float,
    *,
    half: bool,
    clip_bytes: int,
) -> tuple[Usd.Stage, list[Path]]:
    """Write the instants into value clips of `/Moving`, consecutive ones together up to `clip_bytes`.

    Takes what `write_samples` takes.

    Returns:
        The stage of the layer that refers to the clips, saved, and all other layers.
    """
    first = next(instants)
    still, manifest = _renamed(folder, "default"), _renamed(folder, "manifest")
    stage = new_layer(still, _PRIM, rate)
    write_particle_field(stage, _PRIM, first, half=half)
    stage.Save()
    stage = new_layer(manifest, _PRIM, rate)
    declare_instants(stage.DefinePrim(_PRIM, PRIM_TYPE), half=half)
    stage.Save()
    size = max(1, clip_bytes // particle_field_bytes(first, half=half))
    starts = range(0, len(codes), size)
    clips = [_renamed(folder, f"{number:03d}") for number in range(len(starts))]
    every = chain([first], instants)
    for clip, start in zip(clips, starts, strict=True):
        stage = new_layer(clip, _PRIM, rate)
        prim = stage.DefinePrim(_PRIM, PRIM_TYPE)
        for code in codes[start : start + size]:
            write_instant(prim, next(every), Usd.TimeCode(code), half=half)
            stage.Save()
    top = new_layer(folder / MOVING_LAYER, _PRIM, rate)
    set_time_range(top, codes)
    prim = top.DefinePrim(_PRIM)
    prim.GetReferences().AddReference(f"./{still.name}")
    _refer_to_clips(prim, clips, [codes[start] for start in starts], (codes[0], codes[-1]), manifest)
    top.Save()
    return top, [still, manifest, *clips]


def _refer_to_clips(
    prim: Usd.Prim, clips: list[Path], starts: list[float], ends: tuple[float, float], manifest: Path
) -> None:
    api = Usd.ClipsAPI(prim)
    api.SetClipPrimPath(_PRIM)
    api.SetClipAssetPaths(Sdf.AssetPathArray([f"./{clip.name}" for clip in clips]))
    api.SetClipActive(Vt.Vec2dArray([(start, number) for number, start in enumerate(starts)]))
    api.SetClipTimes(Vt.Vec2dArray([(end, end) for end in ends]))
    api.SetClipManifestAssetPath(f"./{manifest.name}")


def write_clusters(stage: Usd.Stage, clusters: NDArray[np.integer]) -> None:
    """Note the rigid cluster of each Gaussian on `/Moving`, for readers that look for it."""
    attribute = stage.GetPrimAtPath(_PRIM).CreateAttribute(CLUSTERS, Sdf.ValueTypeNames.IntArray, custom=True)
    attribute.Set(Vt.IntArray.FromNumpy(np.ascontiguousarray(clusters, np.int32)))
    stage.Save()


def _renamed(folder: Path, ending: str) -> Path:
    return folder / f"{Path(MOVING_LAYER).stem}_{ending}.usdc"
