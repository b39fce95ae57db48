# SPDX-License-Identifier: Apache-2.0
"""`lyra`: the command line. This module stays light, so that help answers at once; commands import on demand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from lyra_core import __version__
from lyra_core.app import train

# Spinning OpenMP workers slow each other down on few cores; torch reads this when it is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    name="lyra",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""From a sentence or a photo to a metric, physics-ready 3D Gaussian scene in USD.

Start here:

* `lyra generate "a small kitchen with a red fridge" -o kitchen.usdz`

* `lyra generate --image photo.jpg -o photo.usdz`

* `lyra doctor`
""",
)

app.add_typer(train.app, name="train")

Output = Annotated[
    Path, typer.Option("--output", "-o", help="Scene: `.usdz`, `.ply`, or a name without suffix for a folder.")
]
MaxGaussians = Annotated[int | None, typer.Option(min=1, help="Keep at most N Gaussians, the most opaque ones.")]
Collider = Annotated[bool, typer.Option("--collider/--no-collider", help="Write a collision mesh for physics.")]
Preview = Annotated[Path | None, typer.Option(help="Preview picture. [default: `<scene>.preview.png`]")]
Json = Annotated[bool, typer.Option("--json", help="Print one machine-readable summary on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"lyra-sim {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Global options."""


@app.command()
def generate(
    output: Output,
    prompt: Annotated[str | None, typer.Argument(help="What to show, in English.")] = None,
    image: Annotated[Path | None, typer.Option(help="A picture instead of a prompt.")] = None,
    depth: Annotated[
        Path | None, typer.Option(help="Depth of that picture: .npz/.npy/.tif in metres, .png 16 bit in millimetres.")
    ] = None,
    model: Annotated[str, typer.Option(help="Preset name, or the path of a preset `.yaml`.")] = "mini",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same machine: same file, byte for byte.")] = 0,
    max_gaussians: MaxGaussians = None,
    collider: Collider = True,
    preview: Preview = None,
    save_inputs: Annotated[
        Path | None, typer.Option(help="Also save the image and depth map the scene is made from to this folder.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a scene from a PROMPT or a picture.

    Writes the scene, `<scene>.preview.png` and `<scene>.json` (where everything came from).

    * `lyra generate "a warehouse aisle with blue shelves and three pallets" -o aisle.usdz`

    * `lyra generate --image photo.jpg -o photo.usdz`

    * `lyra generate --image photo.jpg --depth photo.npz -o photo.usdz --seed 7`

    * `lyra generate "a yard with two trees" -o yard --no-collider --json`
    """
    from lyra_core.app.console import PhaseBars, show_summary, user_errors

    with user_errors(debug):
        from lyra_core.app.generate import GenerateRequest
        from lyra_core.app.generate import generate as run

        request = GenerateRequest(
            output, prompt, image, depth, model, seed, max_gaussians, collider, preview, save_inputs
        )
        with PhaseBars() as bars:
            summary = run(request, bars)
        show_summary(summary.as_dict(), as_json=as_json)


@app.command()
def export(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A Gaussian `.ply`, or a scene written by lyra.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="`.usdz`, `.ply`, or a folder.")],
    max_gaussians: MaxGaussians = None,
    collider: Collider = True,
    preview: Preview = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Convert Gaussians to a scene in USD, or back to `.ply`.

    * `lyra export splats.ply scene.usdz`

    * `lyra export scene.usdz splats.ply`

    * `lyra export splats.ply scene --no-collider --max-gaussians 200000`
    """
    from lyra_core.app.console import PhaseBars, show_summary, user_errors

    with user_errors(debug):
        from lyra_core.app.export import ExportRequest
        from lyra_core.app.export import export as run

        with PhaseBars() as bars:
            summary = run(ExportRequest(source, output, max_gaussians, collider, preview), bars)
        show_summary(summary, as_json=as_json)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A `.usdz`, a scene folder, or a Gaussian `.ply`.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Validate a scene: USD rules, the Gaussian schema, units, collider. Exit code 1 when something is wrong.

    * `lyra check scene.usdz`
    """
    from lyra_core.app.console import user_errors

    with user_errors(debug):
        from lyra_core.app.check import check as run
        from lyra_core.app.check import show

        findings = run(file)
        print(json.dumps({"file": str(file), "findings": findings}) if as_json else show(file, findings))
        raise typer.Exit(1 if findings else 0)


@app.command()
def evaluate(
    suite: Annotated[str, typer.Option(help="What to run: synthetic.")] = "synthetic",
    model: Annotated[str, typer.Option(help="Preset name, or the path of a preset `.yaml`.")] = "mini",
    first_seed: Annotated[int, typer.Option(min=0, help="First world; from 2,000,000 on unseen.")] = 2000000,
    scenes: Annotated[int, typer.Option(min=1, help="How many worlds.")] = 24,
    json_out: Annotated[Path | None, typer.Option(help="Also write the whole report to this file.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score a model: the whole corridor from one image, against true pictures of views it never saw.

    * `lyra evaluate --suite synthetic --scenes 24 --json-out report.json`
    """
    from lyra_core.app.console import PhaseBars, user_errors

    with user_errors(debug):
        from lyra_core.app.evaluate import evaluate as run
        from lyra_core.app.evaluate import show

        with PhaseBars() as bars:
            report = run(suite, model, first_seed, scenes, json_out, bars)
        print(json.dumps(report) if as_json else show(report))


@app.command()
def doctor(as_json: Json = False, debug: Debug = False) -> None:
    """Check this installation: versions, optional parts, GPU, weights, write access."""
    from lyra_core.app.console import user_errors

    with user_errors(debug):
        from lyra_core.app.doctor import diagnose, show

        report = diagnose()
        print(json.dumps(report.as_dict()) if as_json else show(report))
        raise typer.Exit(0 if report.healthy else 1)


def main() -> None:
    """Entry point of the `lyra` command."""
    app()


if __name__ == "__main__":
    main()
