# SPDX-License-Identifier: Apache-2.0
"""`lyra`: the command line. This module stays light, so that help answers at once; commands import on demand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lyra_core import __version__
from lyra_core.app import models, render, synthesize, train, view
from lyra_core.app.batch import command as batch
from lyra_core.app.options import Quality, Ram, Steps, Vram
from usd_export.options import HELP, MAX_TRIANGLES, Bodies, EncodingChoice, MotionChoice, Preset, Up

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
app.add_typer(models.app, name="models")

Output = Annotated[
    Path, typer.Option("--output", "-o", help="Scene: `.usdz`, `.ply`, or a name without suffix for a folder.")
]
MaxGaussians = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Keep at most N Gaussians, the most opaque ones.")
]
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
    video: Annotated[
        Path | None,
        typer.Option(help="A video instead (or a folder of frames, or a result of ViPE): the scene moves as it does."),
    ] = None,
    cameras: Annotated[
        Path | None, typer.Option(help="Cameras of that video, with --depth of its frames: .json, .npz or COLMAP.")
    ] = None,
    times: Annotated[
        str,
        typer.Option(metavar="A:B:STEP", help="Which of the 121 frames are reconstructed; or `0,60,120`, `all`."),
    ] = "0:121:4",
    start: Annotated[float, typer.Option(min=0, metavar="S", help="Second of the video at which the clip begins.")] = 0,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds of the clip. [default: 5.0, 121 frames at 24 a second]")
    ] = None,
    smoothing: Annotated[
        int, typer.Option(min=0, metavar="N", help="Calm what moves by N passes of a mean over neighbouring instants.")
    ] = 0,
    model: Annotated[str, typer.Option(help="Preset name, or the path of a preset `.yaml`.")] = "mini",
    quality: Quality = "standard",
    steps: Steps = None,
    vram: Vram = None,
    ram: Ram = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same machine: same file, byte for byte.")] = 0,
    max_gaussians: MaxGaussians = None,
    encoding: Annotated[EncodingChoice, typer.Option(metavar="HOW", help=HELP["encoding"])] = "auto",
    camera_height: Annotated[str | None, typer.Option(metavar="M", help=HELP["camera_height"])] = None,
    collider: Collider = True,
    preset: Annotated[Preset, typer.Option(metavar="KIND", help=HELP["preset"])] = "indoor",
    with_physics_scene: Annotated[bool, typer.Option("--with-physics-scene", help=HELP["with_physics_scene"])] = False,
    ground_check: Annotated[bool, typer.Option("--ground-check", help=HELP["ground_check"])] = False,
    ros_map: Annotated[Path | None, typer.Option(metavar="DIR", help=HELP["ros_map"])] = None,
    preview: Preview = None,
    save_inputs: Annotated[
        Path | None, typer.Option(help="Also save the image and depth map the scene is made from to this folder.")
    ] = None,
    keep_intermediates: Annotated[
        bool,
        typer.Option(
            "--keep-intermediates",
            help="Keep what the stages make in `<scene>.stages`: the next run with other settings repeats only what "
            "depends on them.",
        ),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a scene from a PROMPT, a picture or a video.

    Writes the scene, `<scene>.preview.png` and `<scene>.json` (where everything came from).

    * `lyra generate "a warehouse aisle with blue shelves and three pallets" -o aisle.usdz`

    * `lyra generate --image photo.jpg -o photo.usdz`

    * `lyra generate --image photo.jpg --depth photo.npz -o photo.usdz --seed 7`

    * `lyra generate "a yard with two trees" -o yard --preset outdoor --camera-height 1.6 --json`

    * `lyra generate "a warehouse aisle" -o aisle5.usdz --encoding nurec`

    * `lyra generate --image photo.jpg -o photo.usdz --model lyra --quality draft --vram 24`

    * `lyra generate --video clip.mp4 -o moving.usdz --times 0:121:8 --preview moving.mp4`
    """
    from lyra_core.app.console import PhaseBars, show_summary, user_errors

    with user_errors(debug):
        if video is not None:
            from lyra_core.app.generate_video import VideoRequest, generate_video, require_video_options
            from usd_export.arguments import parse_length

            require_video_options(
                prompt=prompt, image=image, encoding=encoding, ground_check=ground_check, ros_map=ros_map,
                save_inputs=save_inputs, keep_intermediates=keep_intermediates,
            )  # fmt: skip
            wanted = VideoRequest(
                output, video, cameras=cameras, depth=depth, times=times, start=start, duration=duration,
                smoothing=smoothing, model=model, quality=quality, steps=steps, vram_gib=vram, ram_gib=ram, seed=seed,
                max_gaussians=max_gaussians, collider=collider, collider_preset=preset,
                camera_height=None if camera_height is None else parse_length(camera_height, "--camera-height"),
                physics_scene=with_physics_scene, preview=preview,
            )  # fmt: skip
            with PhaseBars() as bars:
                summary = generate_video(wanted, bars)
            show_summary(summary.as_dict(), as_json=as_json)
            return
        from lyra_core.app.generate import GenerateRequest
        from lyra_core.app.generate import generate as run
        from usd_export.arguments import parse_length

        request = GenerateRequest(
            output, prompt=prompt, image=image, depth=depth, model=model, quality=quality, steps=steps, vram_gib=vram,
            ram_gib=ram, seed=seed, max_gaussians=max_gaussians, collider=collider, collider_preset=preset,
            encoding=encoding, physics_scene=with_physics_scene, ground_check=ground_check, ros_map=ros_map,
            camera_height=None if camera_height is None else parse_length(camera_height, "--camera-height"),
            preview=preview, save_inputs=save_inputs, keep_intermediates=keep_intermediates,
        )  # fmt: skip
        with PhaseBars() as bars:
            summary = run(request, bars)
        show_summary(summary.as_dict(), as_json=as_json)


@app.command()
def refine(
    scene: Annotated[
        Path, typer.Argument(help="A scene made with `--keep-intermediates`, or the folder of its stages.")
    ],
    output: Output,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps; each looks at one frame.")] = 300,
    model: Annotated[
        str | None, typer.Option(help="Preset `.yaml` the scene was made with. [default: the preset it names]")
    ] = None,
    encoding: Annotated[EncodingChoice, typer.Option(metavar="HOW", help=HELP["encoding"])] = "auto",
    collider: Collider = True,
    preset: Annotated[Preset, typer.Option(metavar="KIND", help=HELP["preset"])] = "indoor",
    preview: Preview = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fit a scene to the frames it was decoded from, as a new scene. Nothing does this unless you ask for it.

    Optimises every Gaussian against the teacher's frames and the input picture. Every eighth frame is held back: the
    step that shows these best is kept, and if none beats the scene as it is, nothing is written.

    * `lyra generate "a small kitchen" -o kitchen.usdz --keep-intermediates`

    * `lyra refine kitchen.usdz -o kitchen-refined.usdz`

    * `lyra refine kitchen.stages -o kitchen-refined.ply --steps 1000 --no-collider`
    """
    from lyra_core.app.console import PhaseBars, show_summary, user_errors

    with user_errors(debug):
        from lyra_core.app.generate import GenerateRequest
        from lyra_core.app.refine import RefineRequest, gains
        from lyra_core.app.refine import refine as run

        wanted = GenerateRequest(output, collider=collider, collider_preset=preset, encoding=encoding, preview=preview)
        with PhaseBars() as bars:
            summary, result = run(RefineRequest(scene, steps, model, wanted), bars)
        if not as_json:
            print(gains(result))
        show_summary(summary.as_dict(), as_json=as_json)


@app.command()
def export(
    source: Annotated[Path, typer.Argument(metavar="IN", help=HELP["source"])],
    output: Annotated[Path, typer.Argument(metavar="OUT", help=HELP["output"])],
    up: Annotated[Up, typer.Option(metavar="AXIS", help=HELP["up"])] = "auto",
    rotate: Annotated[str | None, typer.Option(metavar="X,Y,Z", help=HELP["rotate"])] = None,
    scale_ref: Annotated[str | None, typer.Option(metavar="A:B=M", help=HELP["scale_ref"])] = None,
    camera_height: Annotated[str | None, typer.Option(metavar="M", help=HELP["camera_height"])] = None,
    crop: Annotated[str | None, typer.Option(metavar="A:B", help=HELP["crop"])] = None,
    recenter: Annotated[bool, typer.Option("--recenter", help=HELP["recenter"])] = False,
    encoding: Annotated[EncodingChoice, typer.Option(metavar="HOW", help=HELP["encoding"])] = "auto",
    half: Annotated[bool, typer.Option("--half", help=HELP["half"])] = False,
    max_gaussians: MaxGaussians = None,
    collider: Collider = True,
    preset: Annotated[Preset, typer.Option(metavar="KIND", help=HELP["preset"])] = "indoor",
    back_wall: Annotated[bool, typer.Option("--back-wall", help=HELP["back_wall"])] = False,
    max_triangles: Annotated[int, typer.Option(metavar="N", help=HELP["max_triangles"])] = MAX_TRIANGLES,
    with_physics_scene: Annotated[bool, typer.Option("--with-physics-scene", help=HELP["with_physics_scene"])] = False,
    ground_check: Annotated[bool, typer.Option("--ground-check", help=HELP["ground_check"])] = False,
    ros_map: Annotated[Path | None, typer.Option(metavar="DIR", help=HELP["ros_map"])] = None,
    motion: Annotated[MotionChoice, typer.Option(metavar="HOW", help=HELP["motion"])] = "auto",
    fps: Annotated[float | None, typer.Option(metavar="N", help=HELP["fps"])] = None,
    bodies: Annotated[Bodies, typer.Option(metavar="SHAPE", help=HELP["bodies"])] = "hull",
    at: Annotated[float | None, typer.Option(metavar="S", help=HELP["at"])] = None,
    preview: Preview = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Convert Gaussians to a scene in USD, or back to `.ply`. Without torch: `python -m usd_export IN OUT`.

    * `lyra export splats.ply scene.usdz`

    * `lyra export scan.ply scan.usdz --up z --scale-ref 0,0,0:0,0.8,0=2.0`

    * `lyra export scene.usdz corner.usdz --crop -2,0,-0.1:2,4,2.5 --recenter`

    * `lyra export scan.ply lab.usdz --with-physics-scene --ground-check --ros-map maps`

    * `lyra export scene.usdz splats.ply`

    * `lyra export splats.ply scene --no-collider --max-gaussians 200000`

    * `lyra export frames moving.usdz --fps 24` (a folder with one splat file per instant)
    """
    from lyra_core.app.console import PhaseBars, show_summary, user_errors

    with user_errors(debug):
        from lyra_core.app.export import export as run
        from usd_export.arguments import parse_conversion

        conversion = parse_conversion(
            source, output, up=up, rotate=rotate, scale_ref=scale_ref, camera_height=camera_height, crop=crop,
            recenter=recenter, encoding=encoding, half=half, max_gaussians=max_gaussians, collider=collider,
            preset=preset, back_wall=back_wall, max_triangles=max_triangles, with_physics_scene=with_physics_scene,
            ground_check=ground_check, ros_map=ros_map, motion=motion, fps=fps, bodies=bodies, at=at,
        )  # fmt: skip
        with PhaseBars() as bars:
            summary = run(conversion, preview, bars)
        show_summary(summary, as_json=as_json)


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="A splat file, a USD file, or a scene folder.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what a scene holds and where it comes from: counts, bounds, encodings, colliders, scale, provenance.

    * `lyra info scene.usdz`

    * `lyra info scene --json`
    """
    from lyra_core.app.console import show_table, user_errors

    with user_errors(debug):
        from usd_export.info import info_rows, scene_info

        facts = scene_info(file)
        print(json.dumps(facts)) if as_json else show_table(info_rows(facts))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A `.usdz`, a scene folder, or a splat file.")],
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also judge geometry and physics; `report.html` and `report.json` go here."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings and on what could not be judged.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check a scene against OpenUSD's, NVIDIA's (with the Gaussian rule) and our own rules.

    With `--report` it is also judged: collider against splats, floor, scale, drop test, rollout.
    Exit code 1 after an error; warnings and judgements that could not be made leave it at 0 unless `--strict`.

    * `lyra check scene.usdz`

    * `lyra check scene.usdz --report quality`

    * `lyra check scene --report quality --strict --json`
    """
    from lyra_core.app.console import PhaseBars, user_errors

    with user_errors(debug):
        from usd_export.report_card import report_card
        from usd_export.report_card.text import exit_code, show

        with PhaseBars() as bars:
            card = report_card(file, directory=report, physics=report is not None, progress=bars)
        print(card.to_json() if as_json else show(card))
        raise typer.Exit(exit_code(card, strict=strict))


@app.command()
def evaluate(
    suite: Annotated[
        str,
        typer.Option(help="One of synthetic, dynamic, re10k, dl3dv, tanks, lyra, ceiling, ablations, published."),
    ] = "synthetic",
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the data set of the suite.")] = None,
    model: Annotated[str, typer.Option(help="Preset name, or the path of a preset `.yaml`.")] = "mini",
    first_seed: Annotated[int, typer.Option(min=0, help="First world; from 2,000,000 on unseen.")] = 2000000,
    scenes: Annotated[int | None, typer.Option(min=1, help="How many worlds (24) or clips (all).")] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Score N frames per clip, evenly spread. [default: all]")
    ] = None,
    span: Annotated[int, typer.Option(min=1, metavar="N", help="Frames after the input that count.")] = 120,
    scale: Annotated[
        str,
        typer.Option(metavar="HOW", help="Poses to scene units: auto, none, median-depth, triangulation, or a number."),
    ] = "auto",
    paths: Annotated[
        str, typer.Option(metavar="HOW", help="Cameras of the model's videos: auto, reference (published) or preset.")
    ] = "auto",
    sheets: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Contact sheets go here: truth above, ours below.")
    ] = None,
    json_out: Annotated[Path | None, typer.Option(help="Also write the whole report to this file.")] = None,
    plan: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Rows and budget of the ablations. [default: the package's]")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score a model against true pictures of views it never saw, beside what papers report.

    `synthetic` makes its own worlds. `re10k` (RealEstate10K), `dl3dv` (DL3DV-10K) and `tanks` (Tanks-and-Temples) give
    the model the first frame of each clip and score it on the others; `lyra` takes data in the published layout of
    Lyra and, where the decoder can, starts from its latents. `ceiling` measures what a diffusion teacher could gain at
    most. `ablations` trains the paper's ablation table at a tiny scale in the folder `--data` (default
    `runs/ablations`; hours on two cores; run it again to go on). `published` only prints the numbers of papers.

    * `lyra evaluate --suite synthetic --scenes 24 --json-out report.json`

    * `lyra evaluate --suite re10k --data RealEstate10K/test --scenes 16 --frames 24 --sheets sheets`

    * `lyra evaluate --suite lyra --data static --model lyra --json-out report.json`

    * `lyra evaluate --suite ceiling --scenes 16 --sheets sheets`

    * `lyra evaluate --suite ablations --sheets sheets`

    * `lyra evaluate --suite published`
    """
    from lyra_core.app.console import PhaseBars, user_errors

    with user_errors(debug):
        from lyra_core.app.evaluate import EvaluateRequest, show
        from lyra_core.app.evaluate import evaluate as run

        request = EvaluateRequest(
            suite, model, data=data, first_seed=first_seed, scenes=scenes, frames=frames, span=span, scale=scale,
            paths=paths, sheets=sheets, json_out=json_out, plan=plan,
        )  # fmt: skip
        with PhaseBars() as bars:
            report = run(request, bars)
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


app.command()(synthesize.synthesize)
app.command()(render.render)
app.command()(view.view)
app.command()(batch.batch)


def main() -> None:
    """Entry point of the `lyra` command."""
    app()


if __name__ == "__main__":
    main()
