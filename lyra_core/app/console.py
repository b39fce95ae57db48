# SPDX-License-Identifier: Apache-2.0
"""What the command line shows: progress with times on stderr, one-line errors, results on stdout."""

from __future__ import annotations

import json
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lyra_core.app.phases import PhaseListener

LONGEST_MESSAGE = 600
"""Messages are cut after this many characters; some libraries list every tensor of a network."""

INTERRUPTED = 130
"""Exit code of a run stopped with Ctrl-C, as shells expect."""


class PhaseBars(PhaseListener):
    """Draws one bar per phase.

    Off a terminal it prints one line per finished phase instead. Ctrl-C is remembered and raised again when the next
    phase or step begins: libraries swallow it where it meets them in an import or a callback.
    """

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True)
        columns: list[ProgressColumn | str] = [
            TextColumn("{task.description:<12}"), BarColumn(bar_width=36), TimeElapsedColumn(),
        ]  # fmt: skip
        self._bars = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = TaskID(0)
        self._interrupted = False
        self._handler: Any = None

    def __enter__(self) -> PhaseBars:
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._interrupt)
        self._bars.start()
        return self

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True
        raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        self._bars.stop()
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)

    def __call__(self, phase: str, step: int, total: int) -> None:
        """Raises KeyboardInterrupt after a Ctrl-C that somebody swallowed."""
        if self._interrupted:
            raise KeyboardInterrupt
        super().__call__(phase, step, total)

    def note(self, text: str) -> None:
        """Prints a line above the bars."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begun(self, phase: str) -> None:
        """Adds a bar of unknown length."""
        self._task = self._bars.add_task(phase, total=None)

    def stepped(self, step: int, total: int) -> None:
        """Moves the bar, if there are steps."""
        if total > 1:
            self._bars.update(self._task, completed=step, total=total)

    def ended(self, phase: str, seconds: float) -> None:
        """Fills the bar, or prints its line."""
        self._bars.update(self._task, completed=1, total=1)
        if not self._console.is_terminal:
            self._console.print(f"{phase:<12} {seconds:6.1f} s", highlight=False)


@contextmanager
def user_errors(debug: bool) -> Iterator[None]:
    """Turns failures into one line on stderr and an exit code; with `debug` the traceback comes too."""
    try:
        yield
    except KeyboardInterrupt:
        _report("interrupted; nothing was written under the final name.", debug)
        raise typer.Exit(INTERRUPTED) from None
    except typer.Exit:
        raise
    except Exception as error:
        _report(one_line(error), debug)
        raise typer.Exit(1) from None


def one_line(error: Exception) -> str:
    """The message of an error for a user, on one line."""
    from lyra_core.errors import LyraError
    from lyra_core.faults import GpuLost, is_gpu_lost, is_out_of_memory
    from usd_export.errors import UsdExportError

    if is_gpu_lost(error):
        error = GpuLost(error)
    text = textwrap.shorten(str(error), LONGEST_MESSAGE, placeholder=" ... (--debug shows all)")
    if isinstance(error, LyraError | UsdExportError):
        return text
    if is_out_of_memory(error):
        return "out of memory. Close other programs, or pass a smaller --max-gaussians."
    if isinstance(error, OSError):
        return f"{text}. Check the path, its permissions and the free space."
    return f"internal error ({type(error).__name__}: {text}). Run again with --debug and report the traceback."


def show_summary(summary: dict[str, Any], *, as_json: bool) -> None:
    """The result on stdout: one JSON object, or a few lines for a person."""
    if as_json:
        print(json.dumps(summary))
        return
    low, high = summary["bounds_m"]["min"], summary["bounds_m"]["max"]
    size = " x ".join(f"{b - a:.1f}" for a, b in zip(low, high, strict=True))
    print(
        f"{summary['gaussians']:,} Gaussians, {size} m, {sum(summary['seconds'].values()):.1f} s, "
        f"peak memory {summary['peak_memory_mb']:.0f} MB"
    )
    for path in summary["files"]:
        print(f"wrote {path}")
    extent = summary["provenance"].get("extent")
    for remark in [*([extent] if extent else []), *summary["warnings"]]:
        print(f"note: {remark}")


def show_table(rows: list[tuple[str, str]]) -> None:
    """Labels and texts on stdout; long texts wrap in their column."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(Text(label), Text(text))
    Console().print(table)


def _report(message: str, debug: bool) -> None:
    if debug:
        Console(stderr=True).print_exception()
    print(f"lyra: {message}", file=sys.stderr)
