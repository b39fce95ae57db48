# SPDX-License-Identifier: Apache-2.0
"""Cost of writing scenes: `python benchmarks/export.py [--gaussians N] [--degree D] [--peer COMMAND]`.

Each job runs in a process of its own, on one thread, with the Gaussians in memory: CPU seconds of `write_scene`, their
ratio to a plain copy of the same arrays to a file, and the highest resident memory above that of the imports, as a
multiple of the arrays. The last row is the whole command from PLY to USDZ. A peer is any other converter's command
line with {input} and {output}; it is timed as a whole, like ours.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from usd_export.cloud import GaussianCloud
from usd_export.formats.ply import read_ply, write_ply
from usd_export.frame import Frame
from usd_export.scene_writer import write_scene

JOBS: dict[str, tuple[str, dict[str, object]]] = {
    "particlefield .usdz": ("a.usdz", {"encoding": "particlefield"}),
    "particlefield half .usdz": ("a.usdz", {"encoding": "particlefield", "half": True}),
    "nurec .usdz": ("a.usdz", {"encoding": "nurec"}),
    "universal folder": ("a", {"encoding": "universal"}),
}
COPY, INPUT = "plain copy", "input"


def room(count: int, degree: int) -> GaussianCloud:
    """Random Gaussians within 3 m of the origin, where one NuRec volume is enough."""
    random = np.random.default_rng(0)
    cloud = GaussianCloud.allocate(count, degree)
    cloud.positions[:] = random.uniform(-3, 3, (count, 3))
    cloud.scales[:] = np.exp(random.uniform(-6, -3, (count, 3)))
    cloud.rotations[:] = random.normal(size=(count, 4))
    cloud.rotations /= np.linalg.norm(cloud.rotations, axis=1, keepdims=True)
    cloud.opacities[:] = random.uniform(0.01, 0.99, count)
    for band in range(cloud.sh.shape[1]):
        cloud.sh[:, band] = random.normal(size=(count, 3))
    return cloud


def copy_arrays(cloud: GaussianCloud, target: Path) -> None:
    """The least that any writer has to do."""
    with target.open("wb") as file:
        for array in vars(cloud).values():
            file.write(array.data)


def run_job(job: str, ply: Path, folder: Path) -> None:
    """Do one job in this process and print what it took."""
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cloud = read_ply(ply)
    before = resource.getrusage(resource.RUSAGE_SELF)
    if job == COPY:
        copy_arrays(cloud, folder / "copy")
    else:
        name, options = JOBS[job]
        write_scene(folder / name, cloud, Frame.identity(), **options)
    after = resource.getrusage(resource.RUSAGE_SELF)
    size = sum(array.nbytes for array in vars(cloud).values())
    result = {
        "user": after.ru_utime - before.ru_utime,
        "system": after.ru_stime - before.ru_stime,
        "memory": (after.ru_maxrss - peak_before) * 1024 / size,
    }
    print(json.dumps(result))


def measure(job: str, ply: Path) -> tuple[dict[str, float], int]:
    """What one job took in a fresh process, and the bytes it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--job", job, str(ply), folder]
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return json.loads(output), size


def measure_command(template: str, ply: Path) -> str:
    """CPU seconds and peak memory of a whole command."""
    with tempfile.TemporaryDirectory() as folder:
        words = [word.format(input=ply, output=Path(folder, "out.usdz")) for word in shlex.split(template)]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    failure = "" if status == 0 else f"   failed with status {os.waitstatus_to_exitcode(status)}"
    return f"{usage.ru_utime:6.2f} {usage.ru_stime:6.2f}   peak {usage.ru_maxrss / 1024:.0f} MB in all{failure}"


def main() -> None:
    """Measure all jobs in one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gaussians", type=int, default=2_044_415)
    parser.add_argument("--degree", type=int, default=0)
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--job", nargs=3, metavar=("NAME", "PLY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job and options.job[0] == INPUT:
        write_ply(options.job[1], room(options.gaussians, options.degree))
        return
    if options.job:
        name, ply, folder = options.job
        run_job(name, Path(ply), Path(folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        ply = Path(folder, "in.ply")
        size = [f"--gaussians={options.gaussians}", f"--degree={options.degree}"]
        # In a child, because the peak memory of a process counts as that of its children until they exceed it.
        subprocess.run([sys.executable, __file__, *size, "--job", INPUT, str(ply), folder], check=True)
        print(f"{options.gaussians} Gaussians, degree {options.degree}")
        print(f"{'job':28} {'user':>6} {'system':>6} {'x copy':>6} {'x data':>6} {'MB':>6}")
        reference = 0.0
        for job in (COPY, *JOBS):
            taken, size = measure(job, ply)
            cpu = taken["user"] + taken["system"]
            reference = reference or cpu
            figures = f"{taken['user']:6.2f} {taken['system']:6.2f} {cpu / reference:6.1f} {taken['memory']:6.2f}"
            print(f"{job:28} {figures} {size / 1e6:6.0f}", flush=True)
        ours = f"{shlex.quote(sys.executable)} -m usd_export {{input}} {{output}} --no-collider"
        for command in (ours, *options.peer):
            print(f"{measure_command(command, ply)}   {command}", flush=True)


if __name__ == "__main__":
    main()
