# SPDX-License-Identifier: Apache-2.0
"""Cost of writing scenes that move: `python benchmarks/dynamic.py [--gaussians N] [--instants T]`.

Every motion, and one static scene of the same Gaussians, is written in a process of its own on one thread; instants are
made when they are asked for, as if they were read from files. CPU seconds leave out what making them costs. Columns:
seconds, seconds per instant as a multiple of the static scene, highest resident memory above that of the imports as a
multiple of the arrays of one instant, and bytes written.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from usd_export.cloud import GaussianCloud
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.motion import Motion
from usd_export.frame import Frame
from usd_export.scene_writer import write_scene

JOBS = ("static", "samples", "clips", "rigid", "frames")


class Instants(Sequence[GaussianCloud]):
    """Two halves of a box that travel in opposite directions; counts the CPU seconds that it takes."""

    def __init__(self, count: int, instants: int) -> None:
        random = np.random.default_rng(0)
        self.instants, self.seconds = instants, 0.0
        self.start = GaussianCloud.allocate(count, 0)
        self.start.positions[:] = random.uniform(-3, 3, (count, 3))
        self.start.scales[:] = np.exp(random.uniform(-6, -3, (count, 3)))
        self.start.rotations[:] = [1, 0, 0, 0]
        self.start.opacities[:] = random.uniform(0.01, 0.99, count)
        self.start.sh[:] = random.normal(size=(count, 1, 3))
        self.sides = np.where(np.arange(count) < count // 2, 1, -1)

    def __len__(self) -> int:
        return self.instants

    def __getitem__(self, index: int) -> GaussianCloud:  # type: ignore[override]
        if index >= self.instants:
            raise IndexError(index)
        begin = time.process_time()
        positions = self.start.positions + np.float32(0.05 * index) * self.sides[:, None].astype(np.float32)
        cloud = replace(self.start, positions=positions, opacities=np.roll(self.start.opacities, index))
        cloud = replace(cloud, scales=cloud.scales * np.float32(1 + 0.01 * index), sh=cloud.sh + np.float32(index))
        self.seconds += time.process_time() - begin
        return cloud


def run_job(job: str, count: int, instants: int, folder: Path) -> None:
    """Do one job in this process and print what it took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    moving = Instants(count, instants)
    begin = time.process_time()
    if job == "static":
        write_scene(folder / "scene", moving.start, Frame.identity())
    else:
        clusters = (moving.sides < 0).astype(np.int64)
        cloud = DynamicCloud(None, moving, np.arange(instants) / 24, clusters)
        write_scene(folder / "scene", cloud, Frame.identity(), motion=Motion(job, bodies="none"))  # type: ignore[arg-type]
    seconds = time.process_time() - begin - moving.seconds
    memory = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    print(json.dumps({"seconds": seconds, "memory": memory}))


def main() -> None:
    """Run all jobs and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, default=200_000)
    parser.add_argument("--instants", type=int, default=30)
    parser.add_argument("--job", nargs=2, metavar=("JOB", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run_job(options.job[0], options.gaussians, options.instants, Path(options.job[1]))
        return
    static = 0.0
    sizes = ["--gaussians", str(options.gaussians), "--instants", str(options.instants)]
    for job in JOBS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, *sizes, "--job", job, folder]
            took = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        static = static or took["seconds"]
        ratio = took["seconds"] / (static * (1 if job == "static" else options.instants))
        memory = took["memory"] / (56 * options.gaussians)
        print(f"{job:8} {took['seconds']:6.2f} s  x {ratio:5.2f}  memory x {memory:5.2f}  {size / 1e6:7.1f} MB")


if __name__ == "__main__":
    main()
