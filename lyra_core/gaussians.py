# SPDX-License-Identifier: Apache-2.0
"""A set of 3D Gaussians with activated values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from lyra_core import spherical_harmonics
from lyra_core.errors import LyraError
from lyra_core.rotations import matrix_to_quaternion, quaternion_multiply

if TYPE_CHECKING:
    from usd_export.cloud import GaussianCloud


def kept_count(count: int, ratio: float) -> int:
    """How many of `count` Gaussians the published pruning keeps.

    The truncation happens in double arithmetic, on purpose: 10,222,080 at ratio 0.8 leaves 2,044,415.
    """
    if not 0.0 <= ratio < 1.0:
        raise LyraError(f"The prune ratio must lie in [0, 1); got {ratio}.")
    return count if ratio == 0.0 else int(count * (1.0 - ratio))


@dataclass
class Gaussians:
    """N Gaussians.

    Attributes:
        means: centres `[N, 3]` [scene units].
        scales: standard deviations along the local axes `[N, 3]` [scene units], linear.
        quats: orientation `[N, 4]`, unit, w x y z.
        opacities: peak opacity `[N]` in [0, 1].
        colors: RGB `[N, 3]`, or spherical harmonics `[N, (degree + 1)^2, 3]`, display-referred sRGB.
    """

    means: Tensor
    scales: Tensor
    quats: Tensor
    opacities: Tensor
    colors: Tensor

    def __post_init__(self) -> None:
        """Check that all parts describe the same N Gaussians."""
        count = self.means.shape[0]
        shapes = [tuple(part.shape) for part in self._parts()[:4]]
        colors = tuple(self.colors.shape)
        if shapes != [(count, 3), (count, 3), (count, 4), (count,)] or colors[0] != count or colors[-1] != 3:
            raise LyraError(
                "Gaussians need means [N, 3], scales [N, 3], quats [N, 4], opacities [N] and colors [N, 3] or "
                f"[N, K, 3]; got {shapes} and {colors}."
            )
        if self.colors.ndim == 3:
            spherical_harmonics.degree_of(self.colors.shape[1])

    def __len__(self) -> int:
        """Number of Gaussians."""
        return self.means.shape[0]

    def __getitem__(self, index: Any) -> Gaussians:
        """Select by slice, boolean mask or index tensor."""
        return self._map(lambda part: part[index])

    def to(self, *args: Any, **kwargs: Any) -> Gaussians:
        """Move or cast like `Tensor.to`."""
        return self._map(lambda part: part.to(*args, **kwargs))

    def detach(self) -> Gaussians:
        """The same values outside the autograd graph."""
        return self._map(Tensor.detach)

    @staticmethod
    def cat(sets: Sequence[Gaussians]) -> Gaussians:
        """Join several sets, in order."""
        parts = zip(*(gaussians._parts() for gaussians in sets), strict=True)
        return Gaussians(*(torch.cat(part) for part in parts))

    def view_colors(self, origin: Tensor) -> Tensor:
        """RGB `[N, 3]` seen from the point `origin` `[3]`; only harmonics depend on it (clamped at 0 from below)."""
        if self.colors.ndim == 2:
            return self.colors
        degree = spherical_harmonics.degree_of(self.colors.shape[1])
        directions = functional.normalize(self.means - origin, dim=-1)
        harmonics = spherical_harmonics.basis(directions, degree)
        return ((harmonics[..., None] * self.colors).sum(dim=1) + 0.5).clamp_min(0.0)

    def prune(self, ratio: float = 0.0, *, max_count: int | None = None) -> Gaussians:
        """Keep the most opaque: all but a share `ratio`, at most `max_count`; in descending order of opacity.

        Nothing to drop leaves the order untouched, as published.
        """
        count = kept_count(len(self), ratio)
        if max_count is not None:
            count = min(count, max_count)
        if count >= len(self):
            return self
        return self[self.opacities.argsort(descending=True, stable=True)[:count]]

    def crop(self, low: Tensor, high: Tensor) -> Gaussians:
        """Keep the Gaussians whose centre lies in the box from `low` to `high` `[3]` (both inclusive)."""
        return self[((self.means >= low) & (self.means <= high)).all(dim=-1)]

    def transformed(self, matrix: Tensor) -> Gaussians:
        """Apply a similarity `[4, 4]` (rotation, uniform scale, translation; column vectors).

        Raises:
            LyraError: the matrix shears, mirrors or scales unevenly.
        """
        matrix = matrix.detach().double()
        scale = torch.linalg.det(matrix[:3, :3]).sign() * torch.linalg.det(matrix[:3, :3]).abs() ** (1 / 3)
        rotation = matrix[:3, :3] / scale
        identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
        if not scale > 0 or not torch.allclose(rotation @ rotation.T, identity, atol=1e-4):
            raise LyraError(
                "Gaussians can only be rotated, moved and scaled uniformly; the matrix does something else."
            )
        turn = matrix_to_quaternion(rotation).to(self.quats)
        colors = self.colors if self.colors.ndim == 2 else spherical_harmonics.rotated(self.colors, rotation)
        return replace(
            self,
            means=self.means @ matrix[:3, :3].T.to(self.means) + matrix[:3, 3].to(self.means),
            scales=self.scales * scale.to(self.scales),
            quats=quaternion_multiply(turn, self.quats),
            colors=colors,
        )

    def to_cloud(self) -> GaussianCloud:
        """As numpy with standard 3DGS meaning; plain RGB becomes the constant harmonic."""
        from usd_export.cloud import GaussianCloud

        sh = self.colors if self.colors.ndim == 3 else ((self.colors - 0.5) / spherical_harmonics.C0)[:, None]
        arrays = [
            part.detach().cpu().float().numpy() for part in (self.means, self.scales, self.quats, self.opacities, sh)
        ]
        positions, scales, rotations, opacities, coefficients = arrays
        return GaussianCloud(
            positions=positions, scales=scales, rotations=rotations, opacities=opacities, sh=coefficients
        )

    @classmethod
    def from_cloud(cls, cloud: GaussianCloud) -> Gaussians:
        """From numpy; a cloud of degree 0 becomes plain RGB."""
        arrays = (cloud.positions, cloud.scales, cloud.rotations, cloud.opacities, cloud.sh)
        means, scales, quats, opacities, sh = (torch.as_tensor(array, dtype=torch.float32) for array in arrays)
        colors = sh[:, 0] * spherical_harmonics.C0 + 0.5 if sh.shape[1] == 1 else sh
        return cls(means, scales, quats, opacities, colors)

    def _parts(self) -> tuple[Tensor, ...]:
        return self.means, self.scales, self.quats, self.opacities, self.colors

    def _map(self, function: Callable[[Tensor], Tensor]) -> Gaussians:
        return Gaussians(*(function(part) for part in self._parts()))
