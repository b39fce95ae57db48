# SPDX-License-Identifier: Apache-2.0
"""The baseline without learning: put every pixel back where its depth says."""

from __future__ import annotations

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.gaussians import Gaussians
from lyra_core.pipeline import Conditioning

SIGMA = 0.35
"""Standard deviation of a lifted pixel over its footprint; larger ones fatten silhouettes."""

OPACITY = 0.95


def lift(conditioning: Conditioning) -> Gaussians:
    """The input image and the filled holes of every path's last frame as isotropic Gaussians.

    It sees what the decoder sees: the same depth, the same warp, the same fill.
    """
    anchors = conditioning.anchors
    if anchors is None:
        raise ValueError("the lift needs conditioning with anchors")
    known = torch.ones_like(anchors.input_distance[0], dtype=torch.bool)
    parts = [lifted(anchors.input_rgb[0], anchors.input_distance[0], conditioning.input_camera[0], known)]
    for view in range(anchors.rgb.shape[1]):
        rgb, distance, known = (maps[0, view, -1] for maps in (anchors.rgb, anchors.distance, anchors.known))
        parts.append(lifted(rgb, distance, conditioning.cameras[view, -1], ~known))
    return Gaussians.cat(parts)


def lifted(rgb: Tensor, distance: Tensor, camera: Cameras, wanted: Tensor) -> Gaussians:
    """Pixels `[H, W, 3]` at `distance` `[H, W]` of one camera, those where `wanted` is True."""
    origins, directions = camera.rays()
    means = (origins + directions * distance[..., None])[wanted]
    sigma = SIGMA * distance[wanted] / camera.intrinsics[0]
    count = len(means)
    return Gaussians(
        means=means,
        scales=sigma[:, None].expand(count, 3).clone(),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(count, 4).clone(),
        opacities=torch.full((count,), OPACITY),
        colors=rgb[wanted],
    )
