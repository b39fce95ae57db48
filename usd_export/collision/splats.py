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

    centers: NDArray[np.float32]  # [N, 3]
    quats: NDArray[np.float32]  # [N, 4] own axes to the cloud's
    rotation: NDArray[np.float32]  # [3, 3] the cloud's axes to the world's
    sigmas: NDArray[np.float32]  # [N, 3] along their own axes
    opacities: NDArray[np.float32]  # [N]
    harmonics: NDArray[np.float32]  # [N, 3] constant terms of the colours

    def __len__(self) -> int:
        return len(self.centers)

    def within(self, viewpoints: NDArray[np.float64], radius: float) -> SolidSplats:
        """Those at most `radius` metres from one of the viewpoints [K, 3]."""
        squared = np.full(len(self), np.inf, np.float32)
        for viewpoint in viewpoints.astype(np.float32):
            offsets = self.centers - viewpoint
            np.minimum(squared, np.einsum("ij,ij->i", offsets, offsets), out=squared)
        near = squared <= radius**2
        if near.all():
            return self
        return SolidSplats(
            centers=self.centers[near],
            quats=self.quats[near],
            rotation=self.rotation,
            sigmas=self.sigmas[near],
            opacities=self.opacities[near],
            harmonics=self.harmonics[near],
        )

    def axes(self, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """World component x local axis x Gaussian [3, 3, M]: the axes of some Gaussians, as long as their sigmas."""
        turned = self.rotation @ _rotation_matrices(self.quats[chosen]).reshape(3, -1)
        return turned.reshape(3, 3, -1) * self.sigmas[chosen].T


def solid_splats(cloud: GaussianCloud, frame: Frame) -> SolidSplats:
    """Drop transparent and oversized Gaussians and move the rest to world metres."""
    sigmas = cloud.scales * np.float32(frame.scale)
    widest = np.maximum(np.maximum(sigmas[:, 0], sigmas[:, 1]), sigmas[:, 2])
    keep = np.flatnonzero((cloud.opacities >= _MIN_OPACITY) & (widest <= _MAX_SIGMA))
    matrix = frame.matrix.astype(np.float32)
    return SolidSplats(
        centers=cloud.positions.take(keep, axis=0) @ matrix[:3, :3].T + matrix[:3, 3],
        quats=cloud.rotations.take(keep, axis=0),
        rotation=frame.rotation.astype(np.float32),
        sigmas=sigmas.take(keep, axis=0),
        opacities=cloud.opacities.take(keep),
        harmonics=cloud.sh[:, 0].take(keep, axis=0),
    )


def coverage(splats: SolidSplats, grid: Grid) -> NDArray[np.float32]:
    """Optical depth [z, x, y] per voxel: opacity times silhouette area over the voxel's face area, summed.

    The mass of a Gaussian, opacity * 2 pi sigma_1 sigma_2 / voxel^2, is spread over samples inside its ellipsoid.
    """
    nx, ny, nz = grid.shape
    total = np.zeros(nx * ny * nz, np.float32)
    cells = np.float32(1.0 / grid.voxel)
    centers = (splats.centers - grid.origin.astype(np.float32)) * cells + np.float32(0.5)  # from the grid's corner
    a, b, c = splats.sigmas.T
    silhouettes = a * b * c / np.minimum(np.minimum(a, b), c)
    mass = splats.opacities * np.float32(2 * np.pi / grid.voxel**2) * silhouettes
    for half_widths, members in _lattice_groups(splats, grid.voxel):
        offsets, weights = _ellipsoid_samples(half_widths)
        step = max(1, _CHUNK // len(offsets))
        for start in range(0, len(members), step):
            chosen = members[start : start + step]
            x, y, z = centers[chosen].T[:, None]
            if len(offsets) > 1:
                axes = splats.axes(chosen) * cells
                x, y, z = (offsets @ axes[i] + middle for i, middle in enumerate((x, y, z)))
            inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny) & (z >= 0) & (z < nz)
            shares = (weights[:, None] * mass[chosen])[inside]
            x, y, z = (values[inside].astype(np.int64) for values in (x, y, z))
            np.add.at(total, (z * nx + x) * ny + y, shares)
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
    base = len(_HALF_WIDTHS)
    lattices = np.stack(np.meshgrid(*[_HALF_WIDTHS] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    spacing = voxel
    while True:
        wanted = splats.sigmas * np.float32(_SAMPLE_RADIUS / spacing) - np.float32(0.5)
        level = np.zeros(wanted.shape, np.uint8)
        for half_width in _HALF_WIDTHS[:-1].astype(np.float32):
            level += wanted > half_width
        keys = (level[:, 0] * np.uint8(base) + level[:, 1]) * np.uint8(base) + level[:, 2]
        counts = np.bincount(keys, minlength=len(lattices))
        if counts @ (2.0 * lattices + 1).prod(axis=1) <= _MAX_SAMPLES:
            break
        spacing *= 1.5
    order, ends = np.argsort(keys, kind="stable"), np.cumsum(counts)
    for key in np.flatnonzero(counts):
        yield lattices[key], order[ends[key] - counts[key] : ends[key]]


def _ellipsoid_samples(half_widths: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lattice points [S, 3] in the ball of `_SAMPLE_RADIUS` sigmas and their share [S] of the mass."""
    axes = [np.linspace(-_SAMPLE_RADIUS, _SAMPLE_RADIUS, 2 * n + 1) if n else np.zeros(1) for n in half_widths]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    squared = (points**2).sum(axis=1)
    inside = squared <= _SAMPLE_RADIUS**2 + 1e-6
    weights = np.exp(-0.5 * squared[inside])
    return points[inside].astype(np.float32), (weights / weights.sum()).astype(np.float32)


def _rotation_matrices(quats: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rotation matrices [3, 3, M] of unit quaternions w, x, y, z [M, 4]; the last axis is contiguous for speed."""
    w, x, y, z = np.ascontiguousarray(quats.T)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows).reshape(3, 3, -1)
