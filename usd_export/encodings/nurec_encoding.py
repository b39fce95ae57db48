# SPDX-License-Identifier: Apache-2.0
"""Gaussians to the values of a NuRec file and back: float16, before activation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import FloatArray, GaussianCloud
from usd_export.encodings.half import to_half
from usd_export.encodings.nurec_payload import SPECULAR_WIDTHS, NurecArrays

MAX_LOGIT = 11.0
"""Beyond it an opacity does not change visibly, and it keeps opacities of exactly 0 and 1 finite."""


def encode(cloud: GaussianCloud, origin: NDArray[np.floating], metres_per_unit: float = 1.0) -> NurecArrays:
    """Pre-activation float16 values of valid Gaussians.

    Args:
        cloud: Gaussians in their own frame.
        origin: The point [3] of that frame that becomes the volume's origin.
        metres_per_unit: Length of the frame's unit; the values are in metres.

    Raises:
        UsdExportError: If a value does not fit into float16.
    """
    local, opacities = cloud.positions - np.asarray(origin, np.float32), cloud.opacities
    with np.errstate(divide="ignore"):
        logits = np.clip(np.log(opacities) - np.log1p(-opacities), -MAX_LOGIT, MAX_LOGIT)
    return NurecArrays(
        positions=to_half("positions", local * np.float32(metres_per_unit)),
        rotations=to_half("rotations", cloud.rotations),
        scales=to_half("scales", np.log(cloud.scales) + np.float32(np.log(metres_per_unit))),
        densities=to_half("opacities", logits[:, None]),
        features_albedo=to_half("harmonics", cloud.sh[:, 0]),
        features_specular=to_half("harmonics", cloud.sh[:, 1:].reshape(len(cloud), -1)),
    )


def decode(arrays: NurecArrays) -> GaussianCloud:
    """Activated values; harmonics that are zero for all Gaussians, as padding is, are left out.

    Raises:
        UsdExportError: If the values are not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite afterwards is refused below
        rotations = arrays.rotations.astype(np.float32)
        lengths = np.linalg.norm(rotations, axis=1, keepdims=True)
        rotations /= np.where(lengths > 0, lengths, 1)
        opacities = np.reciprocal(1 + np.exp(-arrays.densities[:, 0].astype(np.float32)))
        scales = np.exp(arrays.scales.astype(np.float32))
    return GaussianCloud(
        positions=arrays.positions.astype(np.float32),
        scales=scales,
        rotations=rotations,
        opacities=opacities,
        sh=_harmonics(arrays),
    ).validate()


def _harmonics(arrays: NurecArrays) -> FloatArray:
    """All coefficients [N, (degree + 1)^2, 3] of the lowest degree that holds them."""
    specular = arrays.features_specular
    used = [low for low, high in pairwise(SPECULAR_WIDTHS) if specular[:, low:high].any()]
    width = SPECULAR_WIDTHS[SPECULAR_WIDTHS.index(used[-1]) + 1] if used else 0
    sh = np.empty((len(specular), 1 + width // 3, 3), np.float32)
    sh[:, 0] = arrays.features_albedo
    sh[:, 1:] = specular[:, :width].reshape(len(specular), -1, 3)
    return sh
