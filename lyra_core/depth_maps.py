# SPDX-License-Identifier: Apache-2.0
"""Depth maps in and out of files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.errors import LyraError
from lyra_core.files import replacing

SUFFIXES = (".npz", ".npy", ".png", ".tif", ".tiff")

_MILLIMETRE = 1e-3


def write_depth(path: Path | str, depth: DepthEstimate) -> None:
    """Writes an .npz with z, mask, intrinsics, metric: everything `read_depth` needs to give back the same values."""
    with replacing(Path(path)) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream, z=depth.z.numpy(), mask=depth.mask.numpy(), intrinsics=depth.intrinsics.numpy(),
            metric=np.array(depth.metric),
        )  # fmt: skip


def read_depth(path: Path | str, assumed_intrinsics: Callable[[int, int], tuple[float, ...]]) -> DepthEstimate:
    """The z-depth of a picture, by suffix.

    .npz: array z (or depth) [m] with optional mask, intrinsics (fx, fy, cx, cy in pixels) and metric (false: z has no
    unit); .npy: the array alone [m]; .png: 16 bit [mm]; .tif: float [m]. Values that are not finite and positive are
    invalid and become as far as the farthest valid one.

    Args:
        path: file to read.
        assumed_intrinsics: (height, width) to intrinsics where the file holds none.

    Raises LyraError when the file is missing, unreadable, of an unknown suffix, or holds no valid depth.
    """
    path = Path(path)
    if not path.is_file():
        raise LyraError(f"depth map {path} does not exist. Check the path.")
    if path.suffix.lower() not in SUFFIXES:
        raise LyraError(f"depth map {path} has an unknown suffix. Use one of {', '.join(SUFFIXES)}.")
    try:
        arrays = _arrays(path)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, UnidentifiedImageError) as error:
        raise LyraError(f"depth map {path} is damaged or not a depth map ({error}). Write it again.") from error
    z = np.asarray(arrays["z"], np.float32).squeeze()
    if z.ndim != 2:
        raise LyraError(f"depth map {path} has shape {z.shape}. Give one value per pixel, [height, width].")
    mask = np.isfinite(z) & (z > 0)
    if "mask" in arrays and np.shape(arrays["mask"]) == z.shape:
        mask &= np.asarray(arrays["mask"], bool)
    if not mask.any():
        raise LyraError(f"depth map {path} has no positive, finite value. Give z-depth in metres.")
    z = np.where(np.isfinite(z) & (z > 0), z, z[mask].max())
    intrinsics = arrays.get("intrinsics", assumed_intrinsics(*z.shape))
    return DepthEstimate(
        z=torch.from_numpy(z),
        mask=torch.from_numpy(mask),
        intrinsics=torch.as_tensor(np.array(intrinsics, np.float32)),
        source="user",
        metric=bool(arrays.get("metric", True)),
    )


def _arrays(path: Path) -> dict[str, Any]:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
        return {**arrays, "z": arrays["z"] if "z" in arrays else arrays["depth"]}
    if suffix == ".npy":
        return {"z": np.load(path, allow_pickle=False)}
    with Image.open(path) as picture:
        values = np.asarray(picture)
    if suffix == ".png":
        return {"z": values.astype(np.float32) * np.float32(_MILLIMETRE)}
    return {"z": values}
