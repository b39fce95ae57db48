# SPDX-License-Identifier: Apache-2.0
"""A worker that misbehaves on demand: the second double of these tests, besides the fake Kit.

It is a real child process that speaks the protocol with the standard library alone. `make_interpreter` writes an
executable that takes the place of the worker's Python; whatever module it is told to run, it runs this file with the
chosen behaviour. A prompt `do: NAME` chooses the behaviour of one job.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import shlex
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONG_S = 120.0
"""How long a behaviour lasts that is meant to be ended from outside [s]."""

SCENE = """#usda 1.0
(
    defaultPrim = "World"
    metersPerUnit = 1
    upAxis = "Z"
)

def Xform "World" (
    kind = "component"
    variants = { string encoding = "ENCODING" }
    prepend variantSets = "encoding"
)
{
    def Xform "Scene" (
        variants = { string sensors = "splats" }
        prepend variantSets = "sensors"
    )
    {
        def Xform "Collision"
        {
            uniform token purpose = "guide"

            def Mesh "mesh" (
                prepend apiSchemas = ["PhysicsCollisionAPI", "PhysicsMeshCollisionAPI"]
            )
            {
                float3[] extent = [(-2, -2, 0), (2, 2, 0)]
                int[] faceVertexCounts = [4]
                int[] faceVertexIndices = [0, 1, 2, 3]
                point3f[] points = [(-2, -2, 0), (2, -2, 0), (2, 2, 0), (-2, 2, 0)]
                uniform token physics:approximation = "none"
                uniform token subdivisionScheme = "none"
            }
        }
        variantSet "sensors" = {
            "proxy" {
                over "Gaussians"
                {
                    token visibility = "invisible"
                }
            }
            "splats" {
            }
        }
    }
    variantSet "encoding" = {
        "nurec" {
            over "Scene" {
                def Volume "Gaussians"
                {
                    float3[] extent = [(-2, -2, 0), (2, 2, 2)]
                }
            }
        }
        "particlefield" {
            over "Scene" {
                def ParticleField3DGaussianSplat "Gaussians" {
                    float3[] extent = [(-2, -2, 0), (2, 2, 2)]
                    float[] opacities = [0.5]
                    quatf[] orientations = [(1, 0, 0, 0)]
                    point3f[] positions = [(0, 0, 1)]
                    float3[] scales = [(0.1, 0.1, 0.1)]
                    float3[] radiance:sphericalHarmonicsCoefficients = [(0.5, 0.5, 0.5)] (elementSize = 1)
                    uniform int radiance:sphericalHarmonicsDegree = 0
                }
            }
        }
    }
}
"""


def make_interpreter(folder: Path, behaviour: str = "ok") -> Path:
    """An executable in `folder` that stands in for the worker's Python."""
    path = folder / f"python-{behaviour}"
    command = shlex.join([sys.executable, str(Path(__file__).resolve()), behaviour])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)
    return path


class Given(Exception):
    """The job is to be given up."""


class Channel:
    """Standard output: one message per line, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.job = ""
        self.seq = 0

    def say(self, kind: str, /, **fields: Any) -> None:
        with self._lock:
            message = {"v": 1, "job": self.job, "seq": self.seq, "t": time.time(), "type": kind, **fields}
            self.seq += 1
            self._write(json.dumps(message) + "\n")

    def print(self, text: str) -> None:
        """Output that is no message."""
        with self._lock:
            self._write(text)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class JobRun:
    """One job as the behaviours see it."""

    def __init__(self, folder: Path, channel: Channel, gone: threading.Event) -> None:
        self.folder = folder
        self.request: dict[str, Any] = json.loads((folder / "request.json").read_text())
        self.channel = channel
        self.gone = gone
        self.say = channel.say

    def hello(self) -> None:
        self.say("hello", pid=os.getpid(), versions={"lyra-sim": "0.1.0"}, device="cpu")

    def check(self) -> None:
        """Raises Given once the client wants an end."""
        if self.gone.is_set() or (self.folder / "cancel").exists():
            raise Given

    def linger(self, seconds: float = LONG_S) -> None:
        """Work that can be cancelled."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            time.sleep(0.02)

    def finish(self) -> None:
        """Phases, files, manifest, result."""
        for step in range(3):
            self.check()
            self.say("progress", phase="paint", step=step, total=3, fraction=step / 3, eta_s=3.0 - step)
        for entry in write_scene(self.folder, self.request)["files"]:
            self.say("artifact", **entry)
        self.say("result", manifest="manifest.json")


def write_scene(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """A complete scene of one Gaussian and a floor in a job folder; returns the manifest."""
    (folder / "scene").mkdir()
    (folder / "scene" / "scene.usda").write_text(SCENE.replace("ENCODING", "particlefield"))
    (folder / "scene" / "scene_isaac5.usda").write_text(SCENE.replace("ENCODING", "nurec"))
    (folder / "preview.png").write_bytes(grey_png(64, 36))
    (folder / "scene.json").write_text(json.dumps({"seed": request["seed"]}))
    kinds = {"scene/scene.usda": "usd", "scene/scene_isaac5.usda": "usd", "preview.png": "preview"}
    files = [file_entry(folder, name, kind) for name, kind in {**kinds, "scene.json": "provenance"}.items()]
    manifest = {
        "v": 1,
        **{key: request[key] for key in ("job", "mode", "prompt", "input", "seed", "model")},
        "quality_tier": "preview",
        "models": {"mini.safetensors": "0" * 64},
        "usd": "scene/scene.usda",
        "usd_isaac5": "scene/scene_isaac5.usda",
        "encodings": ["particlefield", "nurec"],
        "preview": "preview.png",
        "provenance": "scene.json",
        "gaussians": 1,
        "sh_degree": 0,
        "bounds_m": {"min": [-2.0, -2.0, 0.0], "max": [2.0, 2.0, 2.0]},
        "trusted_viewpoints_m": {"min": [-0.5, -0.5, 1.0], "max": [0.5, 0.5, 1.6], "count": 12},
        "collider": {"triangles": 2, "watertight": False} if request["collider"] else None,
        "metric": True,
        "scale_source": "the model's own claim",
        "warnings": ["a made-up scene of one Gaussian"],
        "up_axis": "Z",
        "meters_per_unit": 1.0,
        "time_range": None,
        "files": files,
        "bytes": sum(entry["bytes"] for entry in files),
    }
    part = folder / "manifest.json.part"
    part.write_text(json.dumps(manifest))
    part.replace(folder / "manifest.json")
    return manifest


def file_entry(folder: Path, name: str, kind: str) -> dict[str, Any]:
    content = (folder / name).read_bytes()
    return {"kind": kind, "path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def grey_png(width: int, height: int) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# ------------------------------------------------------------------------------------------------------- behaviours


def ok(job: JobRun) -> None:
    job.hello()
    job.finish()


def slow(job: JobRun) -> None:
    job.hello()
    job.say("progress", phase="load", step=0, total=10, fraction=None, eta_s=None)
    job.linger()
    job.finish()


def noisy(job: JobRun) -> None:
    job.channel.print("Loading weights...\n\r 10%|#  |\r 90%|## |\n\u2588 done\n\n")
    os.write(1, b"not \xff\xfe UTF-8\n")
    job.hello()
    job.say("log", level="warning", msg="the picture is dark")
    job.finish()


def garbage(job: JobRun) -> None:
    job.hello()
    for line in (
        "{",
        "[1, 2]",
        '{"v": 1}',
        '{"v": 1, "job": "x", "seq": 0, "t": 0, "type": "progress"}',
        '{"v": 1, "job": "x", "seq": 0, "t": NaN, "type": "heartbeat"}',
        '{"v": 1, "job": "x", "seq": 0, "t": 0, "type": "result", "manifest": "../../manifest.json"}',
        '{"v": 1, "job": 7, "seq": 0, "t": 0, "type": "cancelled"}',
        '{"a":' * 50_000,
    ):
        job.channel.print(line + "\n")
    job.finish()


def huge_line(job: JobRun) -> None:
    job.hello()
    job.channel.print('{"v": 1, "msg": "' + "x" * (3 << 20) + '"}\n')
    job.finish()


def crash_import(job: JobRun) -> None:
    raise ModuleNotFoundError("No module named 'lyra_core'")


def crash(job: JobRun) -> None:
    job.hello()
    job.say("progress", phase="paint", step=1, total=3, fraction=None, eta_s=None)
    raise RuntimeError("the decoder met a number that is none")


def killed(job: JobRun) -> None:
    job.hello()
    os.kill(os.getpid(), signal.SIGKILL)


def stubborn(job: JobRun) -> None:
    """Hears nothing: no cancel file, no SIGTERM, no closed input."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    job.hello()
    job.say("progress", phase="paint", step=1, total=3, fraction=None, eta_s=None)
    time.sleep(LONG_S)


def deaf(job: JobRun) -> None:
    """Does not look at the cancel file, but ends at SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    job.hello()
    job.say("progress", phase="paint", step=1, total=3, fraction=None, eta_s=None)
    time.sleep(LONG_S)


def silent(job: JobRun) -> None:
    """No heartbeat (see `beats`)."""
    job.hello()
    job.linger()


def partial(job: JobRun) -> None:
    job.hello()
    (job.folder / "scene.part").mkdir()
    (job.folder / "scene.part" / "scene.usda").write_text(SCENE[: len(SCENE) // 2])
    os._exit(1)


def unfinished(job: JobRun) -> None:
    """Claims a result that is not there."""
    job.hello()
    job.say("result", manifest="manifest.json")


def no_result(job: JobRun) -> None:
    job.hello()


def hostile(job: JobRun) -> None:
    """A manifest that points out of its folder."""
    job.hello()
    manifest = write_scene(job.folder, job.request)
    (job.folder / "manifest.json").write_text(json.dumps({**manifest, "usd": "../../../etc/passwd"}))
    job.say("result", manifest="manifest.json")


def flood(job: JobRun) -> None:
    job.hello()
    for number in range(100_000):
        job.channel.print(f"line {number}\n")
    job.finish()


def endless(job: JobRun) -> None:
    """Floods until it is ended."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    job.hello()
    while True:
        job.channel.print("x" * 1000 + "\n")


def wrong_version(job: JobRun) -> None:
    job.channel.print(json.dumps({"v": 2, "job": job.channel.job, "seq": 0, "t": 0, "type": "greeting"}) + "\n")
    time.sleep(LONG_S)


def family(job: JobRun) -> None:
    """Leaves a child behind that holds standard output; its id is in `child.pid`."""
    job.hello()
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG_S})"])
    (job.folder / "child.pid").write_text(str(child.pid))
    job.finish()


def hang_at_exit(job: JobRun) -> None:
    job.hello()
    job.finish()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(LONG_S)


def out_of_memory(job: JobRun) -> None:
    job.hello()
    job.say("error", code="out_of_memory", msg="no memory left on the card", hint="choose mini", retryable=True)
    raise SystemExit(1)


def closing(job: JobRun) -> None:
    """See `serve`."""
    ok(job)


BEHAVIOURS: dict[str, Callable[[JobRun], None]] = {
    behaviour.__name__: behaviour
    for behaviour in (
        ok,
        slow,
        noisy,
        garbage,
        huge_line,
        crash_import,
        crash,
        killed,
        stubborn,
        deaf,
        silent,
        partial,
        unfinished,
        no_result,
        hostile,
        flood,
        endless,
        wrong_version,
        family,
        hang_at_exit,
        out_of_memory,
        closing,
    )
}


def probe(behaviour: str) -> int:
    """`--probe`: behaviours named `probe_…` misbehave, all others report a working environment."""
    report: dict[str, Any] = {
        "v": 1,
        "python": "3.11.9",
        "executable": sys.executable,
        "versions": {"lyra-sim": "0.1.0", "torch": "2.11.0", "usd-core": "26.11"},
        "gpus": [{"name": "Test GPU", "memory_bytes": 24 << 30}],
        "cuda": True,
        "models": [{"name": "mini", "summary": "small", "quality_tier": "preview", "ready": True, "detail": ""}],
        "disk_free_bytes": 1 << 40,
        "problems": [],
    }
    if behaviour == "crash_import":
        raise ModuleNotFoundError("No module named 'lyra_core'")
    if behaviour == "probe_incomplete":
        raise ModuleNotFoundError("No module named 'torch'")
    if behaviour == "probe_syntax":
        compile("match x:\n  case 1 pass", "worker.py", "exec")
    if behaviour == "probe_hang":
        time.sleep(LONG_S)
    if behaviour == "probe_garbage":
        print("\x7fELF\n{]\n{not json}")
        return 0
    if behaviour == "probe_flood":
        while True:
            print("y" * 1000)
    if behaviour == "probe_silent":
        return 0
    changes: dict[str, dict[str, Any]] = {
        "probe_old": {"python": "3.9.18"},
        "probe_version": {"v": 2},
        "probe_malformed": {"gpus": [{"name": 7}]},
        "probe_problems": {"cuda": False, "gpus": [], "problems": ["no graphics card"]},
    }
    print("a library says hello")
    print(json.dumps({**report, **changes.get(behaviour, {})}))
    return 0


def run_job(folder: Path, behaviour: str, channel: Channel, gone: threading.Event) -> int:
    job = JobRun(folder, channel, gone)
    channel.job, channel.seq = job.request["job"], 0
    prompt = job.request["prompt"] or ""
    chosen = prompt.removeprefix("do: ") if prompt.startswith("do: ") else behaviour
    over = threading.Event()
    if chosen not in ("silent", "crash_import", "wrong_version"):
        threading.Thread(target=beats, args=(channel, over), daemon=True).start()
    try:
        BEHAVIOURS[chosen](job)
    except Given:
        job.say("cancelled")
        return 130
    finally:
        over.set()
    return 0


def beats(channel: Channel, over: threading.Event) -> None:
    while not over.wait(0.1):
        channel.say("heartbeat")


def listen(orders: queue.Queue[str | None], gone: threading.Event) -> None:
    """Lines of standard input; its end means that the parent is gone."""
    for line in sys.stdin:
        orders.put(line)
    gone.set()
    orders.put(None)


def serve(
    behaviour: str, idle_timeout_s: float, channel: Channel, gone: threading.Event, orders: queue.Queue[str | None]
) -> int:
    """Job after job; with the behaviour `closing` the second one is refused, as by a worker about to exit."""
    served = 0
    while order := next_order(orders, idle_timeout_s):
        folder = Path(json.loads(order)["job_dir"])
        if behaviour == "closing" and served:
            channel.job = folder.name
            channel.say("error", code="bad_request", msg="another job is running", hint="wait", retryable=True)
            break
        run_job(folder, behaviour, channel, gone)
        channel.job = ""
        served += 1
    return 0


def next_order(orders: queue.Queue[str | None], timeout_s: float) -> str | None:
    """A line of standard input; none after its end, and when none came in time."""
    try:
        return orders.get(timeout=timeout_s)
    except queue.Empty:
        return None


def main(behaviour: str, arguments: list[str]) -> int:
    if "--probe" in arguments:
        return probe(behaviour)
    gone = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: gone.set())
    orders: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=listen, args=(orders, gone), daemon=True).start()
    channel = Channel()
    if "--serve" in arguments:
        return serve(behaviour, float(arguments[arguments.index("--idle-timeout") + 1]), channel, gone, orders)
    return run_job(Path(arguments[arguments.index("--job") + 1]), behaviour, channel, gone)


if __name__ == "__main__":
    status = main(sys.argv[1], sys.argv[2:])
    sys.stdout.flush()
    os._exit(status)  # the listening thread may sit in a read
