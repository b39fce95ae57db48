# SPDX-License-Identifier: Apache-2.0
"""The numpy form of a Gaussian scene, with activated values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usd_export.errors import UsdExportError

SH_C0 = 0.28209479177387814
"""Value of the constant real spherical harmonic: colour = 0.5 + SH_C0 * f_dc."""
MAX_SH_DEGREE = 3

FloatArray = NDArray[np.float32]


@dataclass
class GaussianCloud:
    """N Gaussians in the standard 3DGS meaning, all arrays float32.

    Attributes:
        positions: Centres [N, 3], in the length unit of the cloud's own frame.
        scales: Standard deviations along the local axes [N, 3], linear, greater than 0.
        rotations: Unit quaternions [N, 4], order w, x, y, z, local axes to the cloud's frame.
        opacities: Peak opacities [N] in [0, 1].
        sh: Spherical harmonic coefficients [N, (degree + 1)^2, 3] of display-referred sRGB, constant term first,
            in the INRIA basis: colour = max(0, 0.5 + sum_k sh[k] * Y_k(direction from the camera to the centre)).
    """

    positions: FloatArray
    scales: FloatArray
    rotations: FloatArray
    opacities: FloatArray
    sh: FloatArray

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics, from the number of coefficients.

        Raises:
            UsdExportError: If the coefficients are not [N, 1 | 4 | 9 | 16, 3].
        """
        counts = {(degree + 1) ** 2: degree for degree in range(MAX_SH_DEGREE + 1)}
        if self.sh.ndim != 3 or self.sh.shape[2] != 3 or self.sh.shape[1] not in counts:
            raise UsdExportError(
                f"spherical harmonics have shape {list(self.sh.shape)}; expected [N, 1, 3], [N, 4, 3], [N, 9, 3] "
                "or [N, 16, 3] (degree 0 to 3)"
            )
        return counts[self.sh.shape[1]]

    @property
    def base_colors(self) -> FloatArray:
        """View-independent colours [N, 3], 0.5 + SH_C0 * sh[:, 0], not clamped."""
        return 0.5 + np.float32(SH_C0) * self.sh[:, 0]

    @classmethod
    def allocate(cls, count: int, degree: int) -> GaussianCloud:
        """Build a cloud of `count` Gaussians whose values are still to be written."""
        shapes = ((count, 3), (count, 3), (count, 4), (count,), (count, (degree + 1) ** 2, 3))
        return cls(*(np.empty(shape, np.float32) for shape in shapes))

    @classmethod
    def from_colors(
        cls,
        positions: FloatArray,  # [N, 3]
        scales: FloatArray,  # [N, 3]
        rotations: FloatArray,  # [N, 4]
        opacities: FloatArray,  # [N]
        colors: FloatArray,  # [N, 3]
    ) -> GaussianCloud:
        """Build a degree 0 cloud from direct RGB colours."""
        return cls(positions, scales, rotations, opacities, ((colors - 0.5) / SH_C0).astype(np.float32)[:, None])

    def validate(self) -> GaussianCloud:
        """Check every invariant that readers of the exported file rely on.

        Returns:
            The cloud itself, so that calls can be chained.

        Raises:
            UsdExportError: Naming the first array that breaks a rule, how many Gaussians do, and what to do.
        """
        self._validate_shapes()
        for name in ("positions", "scales", "rotations", "opacities", "sh"):
            rows = getattr(self, name).reshape(len(self), -1)
            _require(np.isfinite(rows), f"{name} with NaN or infinite values")
        _require(self.scales > 0, "scales that are not greater than 0")
        norms = np.linalg.norm(self.rotations, axis=1)
        _require(norms > 1e-8, "rotations that are zero quaternions")
        _require(np.abs(norms - 1) <= 1e-3, "rotations that are not unit quaternions")
        _require((self.opacities >= 0) & (self.opacities <= 1), "opacities outside 0..1")
        return self

    def _validate_shapes(self) -> None:
        count = len(self.positions)
        if count == 0:
            raise UsdExportError("the cloud has no Gaussians; nothing can be exported from it")
        expected = {"positions": (count, 3), "scales": (count, 3), "rotations": (count, 4), "opacities": (count,)}
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise UsdExportError(f"{name} have shape {list(found)}, expected {list(shape)}, one row per Gaussian")
        _ = self.sh_degree
        if len(self.sh) != count:
            raise UsdExportError(f"spherical harmonics are given for {len(self.sh)} of {count} Gaussians")


def merge_clouds(clouds: list[GaussianCloud]) -> GaussianCloud:
    """One cloud of the highest degree among the parts; missing harmonics are zero."""
    if len(clouds) == 1:
        return clouds[0]
    bands = max(cloud.sh.shape[1] for cloud in clouds)
    harmonics = [np.pad(cloud.sh, ((0, 0), (0, bands - cloud.sh.shape[1]), (0, 0))) for cloud in clouds]
    columns = {
        name: np.concatenate([getattr(cloud, name) for cloud in clouds])
        for name in ("positions", "scales", "rotations", "opacities")
    }
    return GaussianCloud(**columns, sh=np.concatenate(harmonics))


def _require(good: NDArray[np.bool_], problem: str) -> None:
    """Raise for the Gaussians of which something in `good` [N, ...] is false."""
    if not good.all():
        bad = np.flatnonzero(~good.reshape(len(good), -1).all(axis=1))
        raise UsdExportError(
            f"{len(bad)} of {len(good)} Gaussians have {problem} (the first is number {bad[0]}); "
            "remove or repair them and export again"
        )
