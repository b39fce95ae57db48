# SPDX-License-Identifier: Apache-2.0
"""The numpy form of Gaussians that move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud, merge_clouds
from usd_export.dynamic.clusters import find_clusters
from usd_export.dynamic.interpolation import blend, sign_aligned
from usd_export.dynamic.rigid_fit import RigidFit, fit_rigid
from usd_export.errors import UsdExportError, located


@dataclass(frozen=True, eq=False)
class DynamicCloud:
    """Gaussians at several instants, in one frame.

    Attributes:
        static: What does not move, or None.
        moving: One cloud per instant, of equal counts and degree; row i is the same Gaussian at every instant. A tuple,
            or any sequence that loads an instant when it is asked for: the writers look at one after the other and
            keep none.
        times: Instants [T] in seconds, strictly increasing.
        clusters: Rigid cluster [N] of each moving Gaussian, numbered from 0; -1 for one that is in none.

    Raises:
        UsdExportError: If there are fewer than two instants, times do not increase, or the numbers do not match.
    """

    static: GaussianCloud | None
    moving: Sequence[GaussianCloud]
    times: NDArray[np.number]
    clusters: NDArray[np.integer] | None = None

    def __post_init__(self) -> None:
        times = np.asarray(self.times, np.float64)
        if times.shape != (len(self.moving),):
            raise UsdExportError(f"{len(self.moving)} instants have times of shape {list(times.shape)}; give one each")
        if len(times) < 2:
            raise UsdExportError(f"{len(times)} instants do not move; give two or more, or export a static scene")
        if not np.isfinite(times).all():
            raise UsdExportError("the times have NaN or infinite values; give seconds")
        if self.static is not None and len(self.static) == 0:
            object.__setattr__(self, "static", None)
        late = np.flatnonzero(np.diff(times) <= 0)
        if len(late):
            number = int(late[0]) + 1
            raise UsdExportError(
                f"the times must increase strictly: instant {number} is at {times[number]:g} s, the one before at "
                f"{times[number - 1]:g} s; sort the instants and drop doubles"
            )

    def __len__(self) -> int:
        return len(self.times)

    def at(self, time: float) -> GaussianCloud:
        """What USD shows at a time [s]: the static Gaussians first, then the moving ones.

        Between two instants everything is blended (see `usd_export.dynamic.interpolation`), or stands still if their
        numbers differ; so it does before the first instant and after the last one. Motion that is stored as frames
        always jumps from one instant to the next.
        """
        times = np.asarray(self.times, np.float64)
        place = float(np.interp(time, times, np.arange(len(times))))
        before = min(int(place), len(times) - 2)
        moving = self._between(before, place - before)
        return moving if self.static is None else merge_clouds([self.static, moving])

    def _between(self, before: int, share: float) -> GaussianCloud:
        if share in (0, 1):
            return self.moving[before + int(share)]
        first, second = self.moving[before], self.moving[before + 1]
        return blend(first, second, share) if first.sh.shape == second.sh.shape else first

    def instants(self, *, matched: bool = True) -> Iterator[GaussianCloud]:
        """The moving Gaussians, valid and with quaternions whose signs follow the instant before, one at a time.

        Args:
            matched: Whether every instant must hold the same Gaussians.

        Raises:
            UsdExportError: At the first instant that holds invalid values, or other numbers of Gaussians or harmonics
                than the first one.
        """
        first: GaussianCloud | None = None
        rotations = np.empty((0, 4), np.float32)
        for number, cloud in enumerate(self.moving):
            with located(f"instant {number} at {self.times[number]:g} s"):
                cloud.validate()
                first = first or cloud
                if matched:
                    _require_match(cloud, first)
            if cloud.rotations.shape == rotations.shape:
                cloud = replace(cloud, rotations=sign_aligned(cloud.rotations, rotations))
            rotations = cloud.rotations
            yield cloud

    @cached_property
    def rigid_fit(self) -> RigidFit | None:
        """Rigid motion of the clusters; None if there are none.

        Raises:
            UsdExportError: If the clusters do not fit the Gaussians, or as `instants` does.
        """
        clusters = self._clusters_of(len(self.moving[0]))
        return None if clusters is None else fit_rigid(self.instants(), clusters)

    def clustered(self) -> DynamicCloud:
        """The cloud with rigid clusters: those that are known, else those that `find_clusters` finds.

        Raises:
            UsdExportError: As `instants` does.
        """
        return self if self.clusters is not None else replace(self, clusters=find_clusters(self.instants()))

    def _clusters_of(self, count: int) -> NDArray[np.integer] | None:
        """The clusters, checked; None if there are none."""
        if self.clusters is None:
            return None
        clusters = np.asarray(self.clusters)
        if clusters.shape != (count,) or clusters.dtype.kind not in "iu":
            raise UsdExportError(
                f"clusters have shape {list(clusters.shape)} and type {clusters.dtype}; give one integer for each of "
                f"{count} moving Gaussians"
            )
        if clusters.min() < -1:
            raise UsdExportError(f"clusters have the number {clusters.min()}; -1 stands for none, others count from 0")
        return clusters if clusters.max() >= 0 else None


def _require_match(cloud: GaussianCloud, first: GaussianCloud) -> None:
    if cloud.sh.shape != first.sh.shape:
        raise UsdExportError(
            f"{len(cloud)} Gaussians of degree {cloud.sh_degree}, but {len(first)} of degree {first.sh_degree} at the "
            "first instant; every instant must hold the same ones, unless motion is stored as frames"
        )
