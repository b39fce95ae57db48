# SPDX-License-Identifier: Apache-2.0
"""`lyra batch`: this module stays light; the work is imported on demand."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lyra_core.app.batch.run import Report

_MOST_SHOWN = 20


class _Stop:
    """Ctrl-C or SIGTERM once: finish what is running; twice: stop now."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        typer.echo("finishing the scenes that are being made; once more stops at once", err=True)


def batch(
    wishes: Annotated[
        Path, typer.Argument(metavar="LIST", help="`.jsonl`, one scene per line; or a text with one prompt per line.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder; it is gone on with.")],
    model: Annotated[str | None, typer.Option(help="Preset for lines that name none. [default: mini]")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, or actors on the cluster.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each.")] = 1,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster that shares DIR, e.g. `auto`.")
    ] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Judge every scene for robots.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable summary on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
) -> None:
    """Make many scenes from a LIST, with a gallery (`index.html`) and a catalogue for domain randomisation.

    A line: `{"prompt": "a small kitchen", "seed": 3, "variations": 10}`. Further keys: image, depth, model, quality,
    max_gaussians, encoding, collider_preset, camera_height.

    Run it again to go on, to retry what failed, or after adding lines: a scene whose inputs have not changed is not
    made again. A scene that ends its worker three times goes to DIR/quarantine; delete its file there to try again.
    While a disk is full the run waits. Ctrl-C lets the running scenes finish. Exit code 1 if a scene is missing.

    * `lyra batch prompts.jsonl -o scenes --workers 2`

    * `lyra batch prompts.txt -o /shared/scenes --ray auto --workers 8 --model lyra`
    """
    from lyra_core.app.console import PhaseBars, user_errors

    with user_errors(debug):
        from lyra_core.app.batch.run import Effort, run_batch
        from lyra_core.app.batch.wishes import read_wishes

        found, bad = read_wishes(wishes, model=model)
        with PhaseBars() as bars:
            stop = _Stop()
            result = run_batch(
                output, found, bad, Effort(workers, threads, report, ray),
                progress=bars, tell=bars.note, stopping=lambda: stop.asked,
            )  # fmt: skip
        print(json.dumps(asdict(result)) if as_json else _show(result, output))
        raise typer.Exit(0 if result.complete else 1)


def _show(report: Report, output: Path) -> str:
    missing = {**report.failed, **report.quarantined}
    lines = [f"{report.made} made, {report.kept} kept, {len(missing)} not made, {report.left} left"]
    lines += [f"not made: {name}: {reason}" for name, reason in list(missing.items())[:_MOST_SHOWN]]
    if len(missing) > _MOST_SHOWN:
        lines.append(f"... and {len(missing) - _MOST_SHOWN} more, see {output}/index.html")
    return "\n".join([*lines, f"wrote {output}/index.html"])
