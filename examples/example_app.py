# SPDX-License-Identifier: Apache-2.0
"""What all examples for Isaac Sim and Isaac Lab share: where the extension is, their first options, their end."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXTENSIONS = Path(__file__).resolve().parents[1] / "exts"


def argument_parser(description: str | None, prompt: str) -> argparse.ArgumentParser:
    """A parser with the options that all examples have; `prompt` is the default of the first."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt", nargs="?", default=prompt, help="what the scene shows (default: %(default)s)")
    parser.add_argument("--gui", action="store_true", help="open a window instead of running headless")
    return parser


def finish(app: Any, problems: Sequence[str]) -> None:
    """End the application; with problems, print them and end the process with status 1."""
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    if problems:
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(1)  # close() may end the process itself, with status 0
    print("PASSED")
    app.close()
