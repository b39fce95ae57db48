# SPDX-License-Identifier: Apache-2.0
"""What the decoder trains on: for each world the corridor's own conditioning, and true views of it.

`cache_conditioning` walks every world of `generate` through `pipeline.condition` once, from its ONE input image, and
keeps the result on disk in half precision, so that training sees what inference sees and pays for it once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras, intrinsics_from_fov
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.decoder import Anchors
from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.pipeline import Conditioning, LyraPipeline, distance_from_z
from lyra_core.progress import Progress, no_progress
from lyra_core.teacher.teacher import VideoLatents

FOV_X = float(np.radians(70.0))
"""Horizontal field of view of every procedural view [rad]."""


@dataclass(frozen=True)
class Targets:
    """True views of a world: rgb `[N, H, W, 3]` in [0, 1], z `[N, H, W]` and cameras `[N]` in scene units."""

    rgb: Tensor
    z: Tensor
    cameras: Cameras


def exact_depth(z: np.ndarray) -> DepthEstimate:
    """The ray tracer's z-depth `[H, W]` [m] as the corridor takes it."""
    height, width = z.shape
    depth = torch.from_numpy(z.astype(np.float32))
    mask = torch.ones_like(depth, dtype=torch.bool)
    return DepthEstimate(depth, mask, intrinsics_from_fov(FOV_X, width, height), "exact:procedural", True)


def load_targets(path: Path) -> Targets:
    """The true views in a file of `generate`."""
    with np.load(path) as data:
        unit = float(np.median(data["input_z"].astype(np.float32)))
        rgb = torch.from_numpy(data["rgb"]).float() / 255
        z = torch.from_numpy(data["z"].astype(np.float32)) / unit
        c2w = torch.from_numpy(data["c2w"])
    height, width = z.shape[1:]
    return Targets(rgb, z, Cameras(c2w, intrinsics_from_fov(FOV_X, width, height), width, height))


@dataclass(frozen=True)
class KeyFrames:
    """What the camera paths would really show in their key frames after the first.

    Attributes:
        rgb: `[V, K, H, W, 3]` in [0, 1].
        distance: along the pixel rays `[V, K, H, W]` [scene units].
        free: False where the camera would have passed through something solid `[V, K]`.
    """

    rgb: Tensor
    distance: Tensor
    free: Tensor


def load_keys(path: Path, scene: Path, cameras: Cameras, views: Tensor | None = None) -> KeyFrames:
    """The true key frames of all views or a selection `[V]` of them.

    Raises LyraError where the file was made for other paths than those of `cameras` `[V, F]`.
    """
    with np.load(scene) as data:
        unit = float(np.median(data["input_z"].astype(np.float32)))
    with np.load(path) as data:
        arrays = {name: torch.from_numpy(data[name]) for name in data.files}
    if views is not None:
        arrays = {name: array[views] for name, array in arrays.items()}
    count = arrays["c2w"].shape[1]
    step = (cameras.shape[-1] - 1) // count
    keys = cameras[:, step::step]
    if not torch.allclose(keys.c2w, arrays["c2w"], atol=1e-4):
        raise LyraError(f"{path} was made for other camera paths. Delete it and run `lyra train worlds` again.")
    return KeyFrames(arrays["rgb"].float() / 255, distance_from_z(arrays["z"].float() / unit, keys), arrays["free"])


def load_input(path: Path) -> tuple[Tensor, DepthEstimate]:
    """The input image `[H, W, 3]` and its exact depth in a file of `generate`."""
    with np.load(path) as data:
        return torch.from_numpy(data["input_rgb"]).float() / 255, exact_depth(data["input_z"])


def save_conditioning(path: Path, conditioning: Conditioning) -> None:
    """Write what the decoder needs: key frames as bytes, everything else in half precision."""
    anchors = conditioning.anchors
    if anchors is None:
        raise LyraError("only conditioning of an anchored decoder is cached; this preset has no anchors.")
    arrays = {
        "latents": conditioning.video.latents.half(),
        "plucker": conditioning.plucker_latents[0].half(),
        "c2w": conditioning.cameras.c2w,
        "intrinsics": conditioning.cameras.intrinsics,
        "rgb": (anchors.rgb[0] * 255).round().byte(),
        "distance": anchors.distance[0].half(),
        "known": anchors.known[0],
        "input_rgb": (anchors.input_rgb[0] * 255).round().byte(),
        "input_distance": anchors.input_distance[0].half(),
    }
    with replacing(path) as temporary:
        np.savez(temporary, **{name: tensor.numpy() for name, tensor in arrays.items()})  # type: ignore[arg-type]


def load_conditioning(path: Path, views: Tensor | None = None) -> Conditioning:
    """Read a file of `save_conditioning`, all views or a selection `[K]` of them."""
    with np.load(path) as data:
        arrays = {name: torch.from_numpy(data[name]) for name in data.files}
    if views is not None:
        for name in ("latents", "plucker", "c2w", "intrinsics", "rgb", "distance", "known"):
            arrays[name] = arrays[name][views]
    height, width = arrays["rgb"].shape[2:4]
    input_height, input_width = arrays["input_distance"].shape
    input_camera = Cameras(
        torch.eye(4)[None], intrinsics_from_fov(FOV_X, input_width, input_height)[None], input_width, input_height
    )
    cameras = Cameras(arrays["c2w"], arrays["intrinsics"], width, height)
    rgb, distance = arrays["rgb"].float() / 255, arrays["distance"].float()
    image, input_distance = arrays["input_rgb"].float() / 255, arrays["input_distance"].float()
    video = VideoLatents(arrays["latents"].float(), rgb, distance, arrays["known"])
    anchors = Anchors(rgb[None], distance[None], arrays["known"][None], image[None], input_distance[None], input_camera)
    depth = DepthEstimate(
        input_distance, torch.ones_like(input_distance, dtype=torch.bool), input_camera.intrinsics[0], "cached", False
    )
    return Conditioning(image, depth, cameras, video, arrays["plucker"].float()[None], anchors)


@torch.no_grad()
def cache_conditioning(
    pipeline: LyraPipeline, scenes: list[Path], out: Path, *, progress: Progress = no_progress
) -> None:
    """Fill `out` with one file per scene file; existing ones are kept (resumable)."""
    out.mkdir(parents=True, exist_ok=True)
    for done, path in enumerate(scenes, start=1):
        target = out / path.name
        if not target.exists():
            save_conditioning(target, pipeline.condition(*load_input(path)))
        progress("conditioning", done, len(scenes))


def with_latents(conditioning: Conditioning, other: Conditioning) -> Conditioning:
    """The same scene with another scene's latents: shows how much the decoder listens to them."""
    video = dataclasses.replace(conditioning.video, latents=other.video.latents)
    return dataclasses.replace(conditioning, video=video)
