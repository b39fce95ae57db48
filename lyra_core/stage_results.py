# SPDX-License-Identifier: Apache-2.0
"""What the stages of the corridor make, as tensors and plain values that `checkpoints` can keep."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from lyra_core.checkpoints import StageResult
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.gaussians import Gaussians
from lyra_core.teacher.image import BaseView
from lyra_core.weights.manifest import Manifest
from lyra_core.weights.presets import Component, Preset


def pack_view(base: BaseView, depth: DepthEstimate) -> StageResult:
    """The picture and its depth, whoever it came from."""
    tensors = {"image": base.image, "z": depth.z, "mask": depth.mask, "intrinsics": depth.intrinsics}
    about = {
        "source": base.source,
        "warnings": list(base.warnings),
        "notes": base.notes,
        "depth": {"source": depth.source, "metric": depth.metric},
    }
    return StageResult(tensors, about)


def unpack_view(result: StageResult) -> tuple[BaseView, DepthEstimate]:
    """Inverse of `pack_view`; the depth is the measured one, whether the picture brought it or not."""
    tensors, about = result
    depth = DepthEstimate(tensors["z"], tensors["mask"], tensors["intrinsics"], **about["depth"])
    return BaseView(tensors["image"], depth, about["source"], tuple(about["warnings"]), about["notes"]), depth


def pack_gaussians(gaussians: Gaussians) -> StageResult:
    """A scene's Gaussians."""
    return StageResult({field.name: getattr(gaussians, field.name) for field in fields(Gaussians)}, {})


def unpack_gaussians(result: StageResult) -> Gaussians:
    """Inverse of `pack_gaussians`."""
    return Gaussians(**result.tensors)


def identity(preset: Preset, *parts: str) -> dict[str, Any]:
    """Which models the `parts` of a preset ("image", "depth", ...) are: configuration and hash of the weights."""
    listed = Manifest.load(preset.weights_folder).files

    def described(part: Component) -> dict[str, Any]:
        entry = listed.get(part.file or "")
        return {**part.model_dump(), "sha256": entry.sha256 if entry else None}

    return {name: described(getattr(preset, name)) for name in parts}
