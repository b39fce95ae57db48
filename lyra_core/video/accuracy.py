# SPDX-License-Identifier: Apache-2.0
"""How far estimated cameras and depth are from the truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lyra_core.video.posed import PosedVideo


@dataclass(frozen=True)
class Accuracy:
    """Errors of a clip after the estimate was brought to the scale of the truth.

    Attributes:
        position: root mean square of the distance of camera centres, as a share of the length of the path.
        rotation: mean angle between the cameras' axes [degrees].
        worst_rotation: largest of them [degrees].
        depth: mean of |log z - log true z|, both maps at the scale of the cameras.
        flicker: standard deviation over time of the scale of the depth maps (logarithm).
    """

    position: float
    rotation: float
    worst_rotation: float
    depth: float
    flicker: float


def accuracy(estimate: PosedVideo, truth: PosedVideo) -> Accuracy:
    """Errors of an estimate; the scale is the one that fits the camera centres, or depth where the camera stands."""
    found, true = (video.cameras.c2w.double() for video in (estimate, truth))
    valid = estimate.mask & truth.mask
    ratio = torch.where(valid, truth.depth / estimate.depth.clamp_min(1e-9), torch.nan).double().log()
    by_frame = ratio.flatten(1).nanmedian(dim=1).values
    length = (true[1:, :3, 3] - true[:-1, :3, 3]).norm(dim=-1).sum()
    scale = by_frame.median().exp()
    if not (truth.static_camera or estimate.static_camera):
        scale = (true[:, :3, 3] * found[:, :3, 3]).sum() / found[:, :3, 3].square().sum()
    off = (scale * found[:, :3, 3] - true[:, :3, 3]).square().sum(-1).mean().sqrt()
    turns = true[:, :3, :3].transpose(1, 2) @ found[:, :3, :3]
    chord = (turns - torch.eye(3, dtype=turns.dtype)).flatten(1).norm(dim=1)
    angles = torch.rad2deg(2 * (chord / 8**0.5).clamp_max(1).asin())
    return Accuracy(
        position=float(off / length.clamp_min(1e-9)),
        rotation=float(angles.mean()),
        worst_rotation=float(angles.max()),
        depth=float((ratio - scale.log()).abs().nanmean()),
        flicker=float(by_frame.std()),
    )
