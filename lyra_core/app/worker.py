# SPDX-License-Identifier: Apache-2.0
"""`python -m lyra_core.app.worker`: jobs for a client in another process, such as the extension in Isaac Sim."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lyra_core.app.worker_protocol import Message
    from lyra_core.weights.presets import Preset

IDLE_TIMEOUT = 600.0
"""Default of `--idle-timeout` [s]."""

_EPILOG = """\
one job:
  mkdir job; echo '{"v": 1, "job": "job", "mode": "text", "prompt": "a small kitchen"}' > job/request.json
  python -m lyra_core.app.worker --job job
The scene is in job/scene, its description in job/manifest.json. Other fields of the request, with their defaults:
input, input_sha256, depth (of mode image), model "mini", seed 0, max_gaussians, encoding "universal", collider true,
collider_preset "indoor", camera_height_m.

Every line on stdout is a JSON object: hello, progress, log, artifact, heartbeat, then result, error or cancelled.
Everything else that is printed goes to job/worker.log. The job is cancelled by a file job/cancel, by SIGTERM, and by
the end of stdin where that is a pipe.

warm:
  python -m lyra_core.app.worker --serve
reads lines such as {"v": 1, "type": "job", "job_dir": "/absolute/path/of/job"} and keeps models loaded between jobs.

exit status: 0 after a result, a probe, or when a warm worker is closed; 1 after an error; 2 for bad arguments;
130 when a job was cancelled."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one worker; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.idle_timeout > 0:
        parser.error("--idle-timeout must be a positive number of seconds")
    from lyra_core.app.jobs.output import take_stdout

    lines = take_stdout()
    faulthandler.enable()
    if options.probe:
        return _probe(lines)
    return _run_once(lines, options.job.absolute()) if options.job else _serve(lines, options.idle_timeout)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lyra_core.app.worker",
        description="Make scenes for a client in another process.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--job", type=Path, metavar="DIR", help="run the job whose request.json is in DIR")
    what.add_argument("--probe", action="store_true", help="print one JSON line about this installation")
    what.add_argument("--serve", action="store_true", help="run the jobs that stdin names, until stdin ends")
    parser.add_argument(
        "--idle-timeout", type=float, default=IDLE_TIMEOUT, metavar="S",
        help="with --serve: end after S seconds without a job, e.g. --idle-timeout 60",
    )  # fmt: skip
    return parser


def _probe(lines: int) -> int:
    from lyra_core.app.jobs.probe import probe

    os.write(lines, json.dumps(probe(), allow_nan=False).encode() + b"\n")
    os._exit(0)  # torch may still be loading


def _run_once(lines: int, folder: Path) -> int:
    from lyra_core.app.generate import load_pipeline
    from lyra_core.app.jobs.output import MessageWriter
    from lyra_core.app.jobs.run import job_name, run_job
    from lyra_core.app.jobs.watch import Watch

    writer = MessageWriter(lines)
    watch = Watch(writer)
    watch.start()
    writer.begin(job_name(folder))
    return _status(run_job(folder, writer, watch, load_pipeline))


def _serve(lines: int, idle_timeout: float) -> int:
    from lyra_core.app.jobs.output import MessageWriter
    from lyra_core.app.jobs.run import run_job
    from lyra_core.app.jobs.warm import Orders, Pipelines
    from lyra_core.app.jobs.watch import Watch
    from lyra_core.app.worker_protocol import Log

    writer = MessageWriter(lines)

    def loaded(preset: Preset) -> None:
        writer.send(Log(level="info", msg=f"model {preset.name} is loaded and stays so"))

    orders, pipelines = Orders(writer), Pipelines(loaded)
    watch = Watch(writer, orders.take, orders.close)
    watch.start()
    while folder := orders.next(idle_timeout):
        last = run_job(folder, writer, watch, pipelines)
        if not pipelines.after(last) or watch.closing:
            return _status(last)
    return 0


def _status(last: Message) -> int:
    from lyra_core.app.jobs.watch import INTERRUPTED

    return {"result": 0, "cancelled": INTERRUPTED}.get(last.type, 1)


if __name__ == "__main__":
    sys.exit(main())
