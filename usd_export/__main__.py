# SPDX-License-Identifier: Apache-2.0
"""`python -m usd_export`: convert, describe and check Gaussian scenes without torch."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from usd_export import __version__
from usd_export.errors import UsdExportError
from usd_export.options import HELP, MAX_TRIANGLES, Bodies, EncodingChoice, MotionChoice, Preset, Up

_VALUES = ("--up", "--rotate", "--crop", "--scale-ref")
"""Options whose values may begin with a minus."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command = _COMMANDS.get(words[0]) if words else None
        return command(words[1:]) if command else _convert(words)
    except UsdExportError as error:
        print(f"usd_export: {error}", file=sys.stderr)
        return 1


def _info(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m usd_export info",
        description="Show what a scene holds and where it comes from.",
        epilog="example: python -m usd_export info scene.usdz --json",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a splat file, a USD file or a scene folder")
    parser.add_argument("--json", action="store_true", help="print one machine-readable object, e.g. --json")
    options = parser.parse_args(words)
    from usd_export.info import info_rows, scene_info

    info = scene_info(options.file)
    rows = info_rows(info)
    width = max(len(label) for label, _ in rows)
    print(json.dumps(info) if options.json else "\n".join(f"{label:<{width}}  {text}" for label, text in rows))
    return 0


def _check(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m usd_export check",
        description="Check a scene against OpenUSD's, NVIDIA's and our own rules. Exit code 1 after an error.",
        epilog="example: python -m usd_export check scene.usdz --report quality",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a splat file, a USD file or a scene folder")
    parser.add_argument("--report", type=Path, metavar="DIR", help="also judge geometry and physics, on pages in DIR")
    parser.add_argument("--strict", action="store_true", help="fail on warnings and on what was not judged, too")
    parser.add_argument("--json", action="store_true", help="print one machine-readable object, e.g. --json")
    options = parser.parse_args(words)
    from usd_export.report_card import report_card
    from usd_export.report_card.text import exit_code, show

    card = report_card(options.file, directory=options.report, physics=options.report is not None)
    print(card.to_json() if options.json else show(card))
    return exit_code(card, strict=options.strict)


def _convert(words: list[str]) -> int:
    options = _parser().parse_args(_joined(words))
    from usd_export.arguments import parse_conversion
    from usd_export.convert import prepare_scene, write_prepared

    source, *later = options.source
    conversion = parse_conversion(**{**vars(options), "source": source, "later": tuple(later)})
    scene = prepare_scene(conversion, lambda phase, step, total: None)
    for file in write_prepared(conversion, scene):
        print(file)
    for note in scene.notes:
        print(f"note: {note}", file=sys.stderr)
    return 0


def _joined(words: list[str]) -> list[str]:
    """`--up -y` as `--up=-y`: argparse would take -y for an option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in _VALUES:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m usd_export",
        description="Convert Gaussians from one file to another. `python -m usd_export info FILE` describes one, "
        "`python -m usd_export check FILE` judges one.",
        epilog="examples: python -m usd_export splats.ply scene.usdz --up -y --scale-ref 0,0,0:0,0.8,0=2.0; "
        "python -m usd_export frames_*.ply moving.usdz --fps 24",
    )
    parser.add_argument("source", type=Path, metavar="IN", nargs="+", help=HELP["source"])
    parser.add_argument("output", type=Path, metavar="OUT", help=HELP["output"])
    parser.add_argument("--up", choices=get_args(Up), default="auto", help=HELP["up"])
    parser.add_argument("--rotate", metavar="X,Y,Z", help=HELP["rotate"])
    parser.add_argument("--scale-ref", metavar="A:B=M", help=HELP["scale_ref"])
    parser.add_argument("--camera-height", metavar="M", help=HELP["camera_height"])
    parser.add_argument("--crop", metavar="A:B", help=HELP["crop"])
    parser.add_argument("--recenter", action="store_true", help=HELP["recenter"])
    parser.add_argument("--encoding", choices=get_args(EncodingChoice), default="auto", help=HELP["encoding"])
    parser.add_argument("--half", action="store_true", help=HELP["half"])
    parser.add_argument("--max-gaussians", type=int, metavar="N", help=HELP["max_gaussians"])
    parser.add_argument("--no-collider", dest="collider", action="store_false", help=HELP["collider"])
    parser.add_argument("--preset", choices=get_args(Preset), default="indoor", help=HELP["preset"])
    parser.add_argument("--back-wall", action="store_true", help=HELP["back_wall"])
    parser.add_argument("--max-triangles", type=int, default=MAX_TRIANGLES, metavar="N", help=HELP["max_triangles"])
    parser.add_argument("--with-physics-scene", action="store_true", help=HELP["with_physics_scene"])
    parser.add_argument("--ground-check", action="store_true", help=HELP["ground_check"])
    parser.add_argument("--ros-map", type=Path, metavar="DIR", help=HELP["ros_map"])
    parser.add_argument("--motion", choices=get_args(MotionChoice), default="auto", help=HELP["motion"])
    parser.add_argument("--fps", type=float, metavar="N", help=HELP["fps"])
    parser.add_argument("--bodies", choices=get_args(Bodies), default="hull", help=HELP["bodies"])
    parser.add_argument("--at", type=float, metavar="S", help=HELP["at"])
    parser.add_argument("--version", action="version", version=f"usd_export {__version__}")
    return parser


_COMMANDS = {"info": _info, "check": _check}

if __name__ == "__main__":
    sys.exit(main())
