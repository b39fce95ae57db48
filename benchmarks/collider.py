# SPDX-License-Identifier: Apache-2.0
"""Cost of a collision mesh from Gaussians alone: `python benchmarks/collider.py [--gaussians N]`.

User seconds of this process for a furnished room of 8 x 6 x 3 m covered with flat Gaussians of about 1 cm, one run, and
the peak of its memory. The target for 2,044,415 Gaussians is 5 s. `--profile` lists where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import time

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh, build_collider
from usd_export.frame import Frame

ROOM = (np.array([-4.0, -3.0, 0.0]), np.array([4.0, 3.0, 3.0]))
FURNITURE = (
    (np.array([-1.0, -0.5, 0.0]), np.array([0.6, 0.4, 0.75])),
    (np.array([2.6, -2.8, 0.0]), np.array([3.6, -1.2, 2.0])),
    (np.array([-3.8, 1.0, 0.0]), np.array([-2.9, 2.8, 0.45])),
    (np.array([1.2, 1.6, 0.0]), np.array([1.7, 2.1, 1.0])),
)


def room(count: int) -> GaussianCloud:
    """Flat Gaussians on the inside of the room and the outside of its furniture, in metres, floor at z = 0."""
    random = np.random.default_rng(0)
    boxes = (ROOM, *FURNITURE)
    areas = np.array([[np.prod(np.delete(high - low, axis)) for axis in range(3) for _ in "-+"] for low, high in boxes])
    faces = random.choice(areas.size, size=count, p=areas.ravel() / areas.sum())
    lows, highs = (np.stack(corner)[faces // 6] for corner in zip(*boxes, strict=True))
    axis, rows = faces % 6 // 2, np.arange(count)
    points = lows + random.random((count, 3)) * (highs - lows)
    points[rows, axis] = np.where(faces % 2, highs[rows, axis], lows[rows, axis]) + random.normal(0, 0.003, count)
    scales = np.exp(random.normal(np.log(0.01), 0.4, (count, 3)))
    scales[rows, axis] *= 0.2
    quats = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)) + random.normal(0, 0.05, (count, 4))
    return GaussianCloud.from_colors(
        points.astype(np.float32),
        scales.astype(np.float32),
        (quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float32),
        random.uniform(0.2, 1.0, count).astype(np.float32),
        _checkered(points).astype(np.float32),
    )


def _checkered(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Grey squares of half a metre."""
    odd = np.floor(points / 0.5).sum(axis=1) % 2
    return np.repeat(0.3 + 0.4 * odd[:, None], 3, axis=1)


def user_seconds() -> float:
    """CPU seconds that this process has spent outside of the kernel."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gaussians", type=int, default=2_044_415)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    cloud = room(arguments.gaussians)
    build_collider(room(20_000), Frame.identity())  # imports and first-call set-up are not what is measured
    profiler = cProfile.Profile(time.process_time)
    start = user_seconds()
    collider: ColliderMesh = (
        profiler.runcall(build_collider, cloud, Frame.identity())
        if arguments.profile
        else build_collider(cloud, Frame.identity())
    )
    seconds = user_seconds() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    report = collider.report
    print(
        f"{len(cloud):,} Gaussians: {seconds:.2f} user seconds, {report.triangles:,} triangles, "
        f"voxel {100 * report.voxel_size:.1f} cm, floor {report.observed_floor_area:.1f} m2, peak {peak:.2f} GB"
    )
    if arguments.profile:
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(35)


if __name__ == "__main__":
    main()
