# SPDX-License-Identifier: Apache-2.0
"""`lyra train ...`: everything that made the embedded weights, in legs that can be killed and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Train: the embedded networks on procedural worlds (worlds, tokenizer, depth, decoder, in this order), or the "
    "published decoder, stage by stage, on a teacher's clips.",
)

Data = Annotated[Path, typer.Option("--data", help="Folder of the training worlds.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of this run: weights, metrics, log and the state to resume.")]
Minutes = Annotated[float, typer.Option(help="Length of this leg; run again to go on from its end.")]
Seed = Annotated[int, typer.Option(help="Seed of the data order (and of the start, where one is drawn).")]
Threads = Annotated[int, typer.Option(help="CPU threads.")]
Resume = Annotated[bool, typer.Option(help="Go on from the last saved state.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Smoke = Annotated[bool, typer.Option("--smoke", help="Try it in a minute: fails unless the held-out error falls.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print tokens, arithmetic, memory and hours; train nothing.")]
PRESET_HELP = "Training preset: mini-decoder, mini-dynamic, one of the nine published stages, or the path of a .yaml."


@app.callback(invoke_without_command=True)
def shortcut(
    context: typer.Context,
    preset: Annotated[str | None, typer.Option(metavar="NAME", help=f"Short for `decoder`. {PRESET_HELP}")] = None,
    smoke: Smoke = False,
    dry_run: DryRun = False,
) -> None:
    """`lyra train --preset NAME` is `lyra train decoder --preset NAME`."""
    if context.invoked_subcommand is not None:
        return
    if preset is None:
        print(context.get_help())
        raise typer.Exit()
    decoder(preset=preset, smoke=smoke, dry_run=dry_run)


@app.command()
def worlds(
    data: Data = Path("runs/worlds"),
    first_seed: Annotated[int, typer.Option(help="Seeds below 1,000,000 train, from there on they are held out.")] = 0,
    count: Annotated[int, typer.Option(help="How many worlds.")] = 240,
    model: Annotated[str, typer.Option(help="Preset whose camera paths are followed.")] = "mini",
    stills: Annotated[
        bool, typer.Option("--stills", help="One view of each with its depth, for `train depth`.")
    ] = False,
    moving: Annotated[
        bool, typer.Option("--moving", help="Clips of worlds in which things move, for the preset mini-dynamic.")
    ] = False,
    processes: Annotated[int, typer.Option(help="Worker processes.")] = 2,
    debug: Debug = False,
) -> None:
    """Render procedural worlds: inputs with depth, unseen views, key frames, clips. Existing files are kept."""
    from lyra_core.app.console import PhaseBars, user_errors
    from lyra_core.distillation.generate import generate

    with user_errors(debug), PhaseBars() as progress:
        if moving:
            from lyra_core.distillation.moving_worlds import moving_pipeline, write_moving_worlds
            from lyra_core.distillation.stages import load_stage

            seeds = list(range(first_seed, first_seed + count))
            write_moving_worlds(moving_pipeline(load_stage("mini-dynamic")), data, seeds, progress=progress)
            return
        generate(data, first_seed, count, model=model, stills=stills, processes=processes, progress=progress)


@app.command()
def tokenizer(
    data: Data = Path("runs/worlds"),
    out: Out = Path("runs/tokenizer"),
    minutes: Minutes = 15.0,
    seed: Seed = 0,
    threads: Threads = 1,
    resume: Resume = True,
    debug: Debug = False,
) -> None:
    """Train the video tokenizer from its analytic start."""
    from lyra_core.app.console import user_errors
    from lyra_core.distillation.train_tokenizer import train_tokenizer

    with user_errors(debug):
        train_tokenizer(data, out, minutes=minutes, seed=seed, threads=threads, resume=resume)


@app.command()
def depth(
    data: Data = Path("runs/worlds"),
    out: Out = Path("runs/depth"),
    minutes: Minutes = 20.0,
    seed: Seed = 0,
    threads: Threads = 1,
    resume: Resume = True,
    debug: Debug = False,
) -> None:
    """Train the depth network."""
    from lyra_core.app.console import user_errors
    from lyra_core.distillation.train_depth import train_depth

    with user_errors(debug):
        train_depth(data, out, minutes=minutes, seed=seed, threads=threads, resume=resume)


@app.command()
def decoder(
    preset: Annotated[str, typer.Option(metavar="NAME", help=PRESET_HELP)] = "mini-decoder",
    data: Data = Path("runs/worlds"),
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of this run. [default: runs/decoder, or runs/<preset>]")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model preset whose corridor conditions the embedded decoder.")
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="Weights to start from. [default: those of the stage before, beside --out]")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Length of this leg [default: the preset's]; run again to go on from its end.")
    ] = None,
    seed: Seed = 0,
    threads: Threads = 2,
    resume: Resume = True,
    smoke: Smoke = False,
    dry_run: DryRun = False,
    debug: Debug = False,
) -> None:
    """Train the 3DGS decoder: `mini-decoder` on the corridor's own latents, the published stages on clips.

    * `lyra train decoder --preset mini-decoder --smoke`

    * `lyra train decoder --preset 704_1280_views_121_multi_6 --dry-run`

    * `accelerate launch --num_processes 8 -m lyra_core.app.cli train decoder --preset 176_320_views_17 --data clips`
    """
    from lyra_core.app.console import PhaseBars, user_errors

    with user_errors(debug):
        from lyra_core.distillation.stages import load_stage

        stage = load_stage(preset)
        if dry_run:
            from lyra_core.distillation.cost import cost_lines

            print("\n".join(cost_lines(stage)))
            return
        folder = out or Path("runs") / ("smoke" if smoke else "decoder" if stage.data == "worlds" else stage.name)
        with PhaseBars() as progress:
            if smoke:
                from lyra_core.distillation.smoke import smoke as run_smoke

                report = run_smoke(stage, folder, seed=seed, threads=threads, progress=progress)
                print(f"held-out PSNR {report['psnr_before']:.2f} -> {report['psnr']:.2f} dB")
            elif stage.data == "worlds":
                from lyra_core.distillation.train_decoder import train_decoder, training_pipeline

                train_decoder(
                    training_pipeline(model or stage.model), data, folder, minutes=minutes, seed=seed,
                    threads=threads, resume=resume, stage=stage, progress=progress,
                )  # fmt: skip
            elif stage.data == "moving":
                from lyra_core.distillation.train_dynamic import train_dynamic

                train_dynamic(
                    stage, data, folder, start=start_from, minutes=minutes, seed=seed, threads=threads, resume=resume
                )
            else:
                from lyra_core.distillation.train_clips import train_on_clips

                train_on_clips(
                    stage, data, folder, start=start_from, minutes=minutes, seed=seed, threads=threads, resume=resume
                )


@app.command()
def accept(
    weights: Annotated[Path, typer.Argument(help="A trained .safetensors file; its metrics lie beside it as .json.")],
    command: Annotated[str, typer.Option(help="The command that made it, for the manifest.")],
    metric: Annotated[str, typer.Option(help="Held-out figure that must rise (with a leading -: fall).")],
    data_seeds: Annotated[str, typer.Option(help="Worlds it was trained on, for the manifest, e.g. 0..239.")],
    model: Annotated[str, typer.Option(help="Preset whose weights folder receives it.")] = "mini",
    debug: Debug = False,
) -> None:
    """Ship a network: copy it into the model's weights if its held-out figure beats the one in the manifest."""
    from lyra_core.app.console import user_errors
    from lyra_core.weights.acceptance import accept_weights

    with user_errors(debug):
        typer.echo(accept_weights(weights, command=command, metric=metric, data_seeds=data_seeds, model=model))
