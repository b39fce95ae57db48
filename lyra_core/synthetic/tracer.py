# SPDX-License-Identifier: Apache-2.0
"""Images, exact depth, normals and labels of a procedural world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError

from .lighting import Lighting
from .primitives import Packed
from .shading import Kernels, Shader, tone_mapped
from .tracer_torch import FAR, KernelsTorch

SKY_DEPTH = 50.0
"""z-depth [m] that stands for the sky: far, but finite, so that it can be warped and learned."""

_RAYS_PER_STEP = 1 << 15


class RenderedViews(NamedTuple):
    """What cameras see; leading dimensions are those of the cameras.

    Attributes:
        rgb: display-referred colour `[..., H, W, 3]` in [0, 1], averaged over the supersamples.
        z: z-depth `[..., H, W]` [m] at the pixel centre, `SKY_DEPTH` where nothing is hit.
        normal: world normals `[..., H, W, 3]` at the pixel centre, facing the camera; zero in the sky.
        object_id: instance `[..., H, W]` at the pixel centre, 0 = background (sky and the room itself).
        class_id: index into `CLASSES` `[..., H, W]`.
    """

    rgb: Tensor
    z: Tensor
    normal: Tensor
    object_id: Tensor
    class_id: Tensor


@dataclass(frozen=True)
class _Solids:
    """A packed world together with the kernels that intersect it."""

    packed: Packed
    kernels: Kernels
    shader: Shader
    device: torch.device


def render_packed(
    packed: Packed,
    lighting: Lighting,
    cameras: Cameras,
    *,
    supersample: int = 2,
    device: torch.device | str | None = None,
    backend: str = "auto",
) -> RenderedViews:
    """Ray-trace packed primitives; see `render_world` for the arguments."""
    if supersample < 1:
        raise LyraError(f"supersample must be at least 1; got {supersample}.")
    solids = _prepare(packed, lighting, torch.device(device or cameras.c2w.device), backend)
    flat = cameras.to(device=solids.device, dtype=torch.float32).reshape(-1)
    views = [_render_view(solids, flat[i], supersample) for i in range(len(flat))]
    stacked = [torch.stack(parts) for parts in zip(*views, strict=True)]
    return RenderedViews(*(part.reshape(*cameras.shape, *part.shape[1:]) for part in stacked))


def object_pixels(packed: Packed, camera: Cameras) -> dict[int, int]:
    """How many pixels of one CPU camera (batch shape []) show each instance, by object id."""
    solids = _prepare(packed, Lighting((0.0, 0.0, 1.0), (0.0, 0.0, 0.0)), torch.device("cpu"), "auto")
    ids = [solids.packed.object_id[index.numpy()] for index in _first_hits(solids, camera)]
    values, counts = np.unique(np.concatenate(ids), return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def _first_hits(solids: _Solids, camera: Cameras) -> Iterator[Tensor]:
    """Packed index of the solid behind each pixel that shows one, chunk by chunk."""
    for origins, directions in _rays(camera):
        t, index = solids.kernels.nearest(origins, directions)
        yield index[t < FAR / 2]


def _prepare(packed: Packed, lighting: Lighting, device: torch.device, backend: str) -> _Solids:
    if backend == "auto":
        backend = "numba" if device.type == "cpu" else "torch"
    kernels: Kernels
    if backend == "numba":
        if device.type != "cpu":
            raise LyraError(f"The numba backend renders on the CPU, not on {device}; use backend='torch'.")
        from .tracer_numba import KernelsNumba

        kernels = KernelsNumba(packed)
    elif backend == "torch":
        kernels = KernelsTorch(packed, device)
    else:
        raise LyraError(f"Unknown ray tracing backend {backend!r}; use 'auto', 'numba' or 'torch'.")
    return _Solids(packed, kernels, Shader(packed, lighting, kernels, device), device)


@torch.no_grad()
def _render_view(solids: _Solids, camera: Cameras, supersample: int) -> RenderedViews:
    fine = camera.resized(camera.height * supersample, camera.width * supersample)
    rgb = _trace_colors(solids, fine)
    rgb = rgb.reshape(camera.height, supersample, camera.width, supersample, 3).mean((1, 3))
    return RenderedViews(rgb, *_trace_geometry(solids, camera))


def _trace_colors(solids: _Solids, camera: Cameras) -> Tensor:  # -> [H * W, 3]
    pixel_angle = float(1 / camera.intrinsics[0])
    parts = []
    for origins, directions in _rays(camera):
        t, index = solids.kernels.nearest(origins, directions)
        hit = t < FAR / 2
        color = torch.empty_like(directions)
        color[~hit] = solids.shader.sky(directions[~hit])
        along = directions[hit]
        hits = solids.shader.hits(origins[hit], along, t[hit], index[hit])
        color[hit] = solids.shader.colors(hits, along, pixel_angle)
        parts.append(tone_mapped(color))
    return torch.cat(parts)


def _trace_geometry(solids: _Solids, camera: Cameras) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    forward = camera.c2w[:3, 2]
    object_ids = torch.from_numpy(solids.packed.object_id).to(solids.device)
    class_ids = torch.from_numpy(solids.packed.class_id).to(solids.device)
    parts = []
    for origins, directions in _rays(camera):
        t, index = solids.kernels.nearest(origins, directions)
        hit = t < FAR / 2
        normal = solids.shader.hits(origins, directions, t.clamp_max(1e3), index).normal
        parts.append(
            (
                torch.where(hit, t * (directions @ forward), SKY_DEPTH),
                torch.where(hit[:, None], normal, 0.0),
                torch.where(hit, object_ids[index], 0),
                torch.where(hit, class_ids[index], 0),
            )
        )
    z, normal, object_id, class_id = (torch.cat(column) for column in zip(*parts, strict=True))
    size = (camera.height, camera.width)
    return z.reshape(size), normal.reshape(*size, 3), object_id.reshape(size), class_id.reshape(size)


def _rays(camera: Cameras) -> list[tuple[Tensor, Tensor]]:
    origins, directions = camera.rays()
    flat_o, flat_d = origins.reshape(-1, 3).contiguous(), directions.reshape(-1, 3).contiguous()
    return list(zip(flat_o.split(_RAYS_PER_STEP), flat_d.split(_RAYS_PER_STEP), strict=True))
