# SPDX-License-Identifier: Apache-2.0
"""Damaged files against every reader: `python -m tests.fuzz.run --cases 100000 --layer-cases 1000`.

Never a crash, a hang, a stack trace, memory beyond twice the size of the data, or a file that was not asked for. The
content of a failing case is kept in the folder `--save`. Exit code 1 if a case fails.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .formats import FORMATS, LAYERS, PARSERS, content, suffix

ROOT = Path(__file__).parents[2]


@dataclass
class Tally:
    """Outcomes of one format, and the messages of the failed cases."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)


def run(name: str, first: int, last: int, folder: Path) -> Tally:
    """Run the cases `first` to `last - 1` of a format in worker processes; a dead one costs one case."""
    seeds, scratch = folder / f"{name}.seeds", folder / f"{name}.scratch"
    for part in (seeds, scratch):
        part.mkdir()
    FORMATS[name].write_seeds(seeds)
    tally, case = Tally(), first
    while case < last:
        case = _run_worker(name, seeds, scratch, case, last, tally)
    strays = sorted(file.name for file in scratch.iterdir() if file.name != f"case{suffix(name)}")
    if strays:
        tally.failures[-1] = f"files nobody asked for: {', '.join(strays)}"
    return tally


def _run_worker(name: str, seeds: Path, scratch: Path, first: int, last: int, tally: Tally) -> int:
    """Run cases until the end or the death of the worker; returns the next case."""
    command = [sys.executable, "-m", "tests.fuzz.worker", name, str(seeds), str(scratch), str(first), str(last)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch), "PXR_WORK_THREAD_LIMIT": "1"}
    current = first - 1
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, cwd=scratch, env=environment, stdout=subprocess.PIPE, stderr=log) as worker,
    ):
        for line in worker.stdout or ():
            current, *result = json.loads(line)
            if result:
                tally.outcomes[result[0]] += 1
                if result[0] == "failed":
                    tally.failures[current] = result[1]
        worker.wait()
        log.seek(0)
        last_words = log.read().decode(errors="replace")[-2000:]
    if worker.returncode and current < first:
        raise SystemExit(f"the worker for {name} does not start:\n{last_words}")
    if worker.returncode:
        tally.outcomes["failed"] += 1
        tally.failures[current] = f"the worker died ({_reason(worker.returncode)})\n{last_words}"
    return current + 1


def _reason(returncode: int) -> str:
    return signal.Signals(-returncode).name if returncode < 0 else f"exit code {returncode}"


def save(name: str, tally: Tally, folder: Path, target: Path) -> None:
    """Keep the contents of failed cases."""
    target.mkdir(parents=True, exist_ok=True)
    seeds = [file.read_bytes() for file in sorted((folder / f"{name}.seeds").iterdir())]
    for case in tally.failures:
        if case >= 0:
            (target / f"{name}_{case}{suffix(name)}").write_bytes(content(name, seeds, case))


def main() -> int:
    """Run what the command line asks for and print one line per format and per failure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000, help="damaged files for our own parsers, in total")
    parser.add_argument("--layer-cases", type=int, default=1000, help="damaged USD layers and packages, in total")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of each format")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--save", type=Path, default=ROOT / "out" / "fuzz", help="folder for failing files")
    arguments = parser.parse_args()
    failed = 0
    for name in arguments.formats:
        group, total = (PARSERS, arguments.cases) if name in PARSERS else (LAYERS, arguments.layer_cases)
        count = -(-total // sum(other in group for other in arguments.formats))
        before = _processor_seconds()
        with tempfile.TemporaryDirectory() as temporary:
            tally = run(name, arguments.first, arguments.first + count, Path(temporary))
            save(name, tally, Path(temporary), arguments.save) if tally.failures else None
        numbers = " ".join(f"{kind} {tally.outcomes[kind]}" for kind in ("accepted", "refused", "failed"))
        print(f"{name}: cases {count} {numbers} ({_processor_seconds() - before:.0f} s)", flush=True)
        for case, message in tally.failures.items():
            print(f"  case {case}: {message}")
        failed += len(tally.failures)
    return int(failed > 0)


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
