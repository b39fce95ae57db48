# SPDX-License-Identifier: Apache-2.0
"""Gaussians as occupancy: how much opaque surface lies in each voxel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from usd_export.cloud import GaussianCloud
from usd_export.collision.fusion import SEEN, Volume
from usd_export.collision.grid import Grid
from usd_export.frame import Frame

_MIN_OPACITY = 0.1
_MAX_SIGMA = 0.5  # metres; wider ones are sky, fog or floaters
_HALF_WIDTHS = np.array([0, 1, 2, 4, 8, 16])  # lattice steps from the centre of a Gaussian to its rim, per axis
_SAMPLE_RADIUS = 1.5  # sigmas from the centre of a Gaussian to its rim
_MAX_SAMPLES = 3e7  # in all: coarser lattices if the cloud is a pile of huge Gaussians
_CHUNK = 1 << 17  # samples at a time, which bounds the memory
_OPAQUE = float(np.log(2.0))  # optical depth of a voxel, half opaque, that counts fully as matter,
_THIN = 0.25  # and below which it does not count at all
_BLUR = 0.8  # voxels
_SHEET = 0.25  # blurred occupancy at the surface: a sheet one voxel thick survives, a lone voxel does not


@dataclass(frozen=True)
class SolidSplats:
    """The Gaussians that may be matter, in world metres."""

    centers: NDArray[np.float64]  # [N, 3]
    axes: NDArray[np.float32]  # [N, 3, 3] rows: local axes scaled by sigma
    sigmas: NDArray[np.float32]  # [N, 3] along the rows of `axes`
    opacities: NDArray[np.float32]  # [N]

    def __len__(self) -> int:
        return len(self.centers)

    def within(self, viewpoints: NDArray[np.float64], radius: float) -> SolidSplats:
        """Those at most `radius` metres from one of the viewpoints [K, 3]."""
        squared = np.full(len(self), np.inf)
        for viewpoint in viewpoints:
            np.minimum(squared, ((self.centers - viewpoint) ** 2).sum(axis=1), out=squared)
        near = squared <= radius**2
        return SolidSplats(self.centers[near], self.axes[near], self.sigmas[near], self.opacities[near])


def solid_splats(cloud: GaussianCloud, frame: Frame) -> SolidSplats:
    """Drop transparent and oversized Gaussians and move the rest to world metres."""
    sigmas = cloud.scales * np.float32(frame.scale)
    keep = (cloud.opacities >= _MIN_OPACITY) & (sigmas.max(axis=1, initial=0.0) <= _MAX_SIGMA)
    rotations = frame.rotation.astype(np.float32) @ _rotation_matrices(cloud.rotations[keep])
    sigmas = sigmas[keep]
    return SolidSplats(
        centers=frame.apply(cloud.positions[keep].astype(np.float64)),
        axes=np.swapaxes(rotations, 1, 2) * sigmas[:, :, None],
        sigmas=sigmas,
        opacities=cloud.opacities[keep],
    )


def coverage(splats: SolidSplats, grid: Grid) -> NDArray[np.float32]:
    """Optical depth [z, x, y] per voxel: opacity times silhouette area over the voxel's face area, summed.

    The mass of a Gaussian, opacity * 2 pi sigma_1 sigma_2 / voxel^2, is spread over samples inside its ellipsoid.
    """
    nx, ny, nz = grid.shape
    total = np.zeros(nx * ny * nz, np.float32)
    widest = np.sort(splats.sigmas, axis=1)[:, 1:]
    mass = splats.opacities * np.float32(2 * np.pi / grid.voxel**2) * widest.prod(axis=1)
    for half_widths, members in _lattice_groups(splats, grid.voxel):
        offsets, weights = _ellipsoid_samples(half_widths)
        step = max(1, _CHUNK // len(offsets))
        for start in range(0, len(members), step):
            chosen = members[start : start + step]
            points = splats.centers[chosen, None] + offsets @ splats.axes[chosen]
            index, inside = grid.cells(points.reshape(-1, 3))
            flat = (index[:, 2] * nx + index[:, 0]) * ny + index[:, 1]
            np.add.at(total, flat[inside], (mass[chosen, None] * weights).reshape(-1)[inside])
    return total.reshape(nz, nx, ny)


def add_splats(volume: Volume, optical_depth: NDArray[np.float32]) -> None:
    """Make opaque voxels matter wherever no depth view has looked."""
    occupancy = np.clip((optical_depth - _THIN) * np.float32(1.0 / (_OPAQUE - _THIN)), 0.0, 1.0)
    occupancy[volume.known == SEEN] = 0.0
    if not occupancy.any():
        return
    blurred = gaussian_filter(occupancy, _BLUR, truncate=3.0, output=occupancy)
    # A flat sheet falls from 0.5 to _SHEET within one voxel, which makes this a distance in voxels.
    distance = (_SHEET - blurred) * np.float32(volume.grid.voxel / _SHEET)
    np.minimum(volume.distance, distance, out=volume.distance, where=(volume.known != SEEN) & (blurred > 0))


def _lattice_groups(splats: SolidSplats, voxel: float) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Groups of Gaussians that share a sample lattice about one voxel wide: half-widths [3] and members [M]."""
    spacing = voxel
    while True:
        wanted = splats.sigmas * np.float32(_SAMPLE_RADIUS / spacing) - 0.5
        level = np.minimum(np.searchsorted(_HALF_WIDTHS, wanted), len(_HALF_WIDTHS) - 1)
        if (2.0 * _HALF_WIDTHS[level] + 1).prod(axis=1).sum() <= _MAX_SAMPLES:
            break
        spacing *= 1.5
    keys = np.ravel_multi_index(tuple(level.T), (len(_HALF_WIDTHS),) * 3)
    for key in np.unique(keys):
        yield _HALF_WIDTHS[list(np.unravel_index(key, (len(_HALF_WIDTHS),) * 3))], np.flatnonzero(keys == key)


def _ellipsoid_samples(half_widths: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lattice points [S, 3] in the ball of `_SAMPLE_RADIUS` sigmas and their share [S] of the mass."""
    axes = [np.linspace(-_SAMPLE_RADIUS, _SAMPLE_RADIUS, 2 * n + 1) if n else np.zeros(1) for n in half_widths]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    squared = (points**2).sum(axis=1)
    inside = squared <= _SAMPLE_RADIUS**2 + 1e-6
    weights = np.exp(-0.5 * squared[inside])
    return points[inside].astype(np.float32), (weights / weights.sum()).astype(np.float32)


def _rotation_matrices(quats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rotation matrices [N, 3, 3] of unit quaternions w, x, y, z [N, 4]."""
    w, x, y, z = np.moveaxis(quats, -1, 0)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, axis=-1).reshape(*quats.shape[:-1], 3, 3)
