# SPDX-License-Identifier: Apache-2.0
"""Cost of splat files: `python benchmarks/reading.py [--gaussians N] [--degree D] [--stream] [--folder DIR]`.

CPU seconds and peak resident memory with mapped pages, each job in a process of its own. Without `--stream`: every
reader and writer of splat formats. With `--stream`: a binary PLY to a particle field in a scene folder, the way to very
large scenes (`--gaussians 20000000 --stream`: 1.1 GB in, 1.1 GB out). The data are random and are deleted afterwards.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from usd_export.formats.compressed_ply import read_compressed_ply, write_compressed_ply
from usd_export.formats.ply import harmonic_names, read_ply
from usd_export.formats.spz import read_spz, write_spz
from usd_export.frame import Frame
from usd_export.scene_writer import write_scene

BLOCK = 1 << 16


def write_source(path: Path, count: int, degree: int) -> None:
    """A binary PLY of a room: positions in 10 m, small sigmas, f_rest near 0."""
    random = np.random.default_rng(0)
    rest = harmonic_names(degree)
    names = [*"xyz", "f_dc_0", "f_dc_1", "f_dc_2", *rest, "opacity"]
    names += [*(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    middle = np.array([0] * len(names))
    spread = np.array([5, 5, 2, 1, 1, 1, *[0.1] * len(rest), 2, 0.5, 0.5, 0.5, 1, 1, 1, 1], np.float32)
    middle[-7:-4] = -4
    with path.open("wb") as file:
        file.write("\n".join([*head, *(f"property float {name}" for name in names), "end_header", ""]).encode())
        for start in range(0, count, BLOCK):
            rows = random.standard_normal((min(BLOCK, count - start), len(names)), np.float32)
            file.write((rows * spread + middle).astype("<f4").tobytes())


def stream(source: Path) -> None:
    write_scene(source.with_name("streamed"), read_ply(source), Frame.identity(), encoding="particlefield")


def written(source: Path, suffix: str) -> Path:
    return source.with_name(source.stem + suffix)


JOBS: dict[str, Callable[[Path], object]] = {
    "read PLY": read_ply,
    "PLY to compressed PLY": lambda source: write_compressed_ply(written(source, ".compressed.ply"), read_ply(source)),
    "read compressed PLY": lambda source: read_compressed_ply(written(source, ".compressed.ply")),
    "PLY to SPZ": lambda source: write_spz(written(source, ".spz"), read_ply(source)),
    "read SPZ": lambda source: read_spz(written(source, ".spz")),
    "PLY to particle field": stream,
}


def measured(name: str, source: Path) -> tuple[float, float]:
    """CPU seconds of a job, and peak memory of its process [GiB]."""
    begin = time.process_time()
    JOBS[name](source)
    return time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gaussians", type=int, default=2_044_415)
    parser.add_argument("--degree", type=int, default=0)
    parser.add_argument("--stream", action="store_true", help="only PLY to particle field")
    parser.add_argument("--folder", type=Path, help="where the files go for the time of the run")
    arguments = parser.parse_args()
    names = ["PLY to particle field"] if arguments.stream else list(JOBS)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        source = Path(folder, "source.ply")
        write_source(source, arguments.gaussians, arguments.degree)
        print(f"{arguments.gaussians} Gaussians of degree {arguments.degree}, {source.stat().st_size / 1e6:.0f} MB")
        for name in names:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, memory = pool.apply(measured, (name, source))
            print(f"{name:24s} {seconds:7.2f} s CPU  {memory:5.2f} GiB")


if __name__ == "__main__":
    main()
