# SPDX-License-Identifier: Apache-2.0
"""`lyra train ...`: everything that made the embedded weights, in legs that can be killed and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Train the embedded networks on procedural worlds, in this order: worlds, tokenizer, depth, decoder.",
)

Data = Annotated[Path, typer.Option("--data", help="Folder of the training worlds.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of this run: weights, metrics, log and the state to resume.")]
Minutes = Annotated[float, typer.Option(help="Length of this leg; run again to go on from its end.")]
Seed = Annotated[int, typer.Option(help="Seed of the data order (and of the start, where one is drawn).")]
Threads = Annotated[int, typer.Option(help="CPU threads.")]
Resume = Annotated[bool, typer.Option(help="Go on from the last saved state.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.command()
def worlds(
    data: Data = Path("runs/worlds"),
    first_seed: Annotated[int, typer.Option(help="Seeds below 1,000,000 train, from there on they are held out.")] = 0,
    count: Annotated[int, typer.Option(help="How many worlds.")] = 240,
    model: Annotated[str, typer.Option(help="Preset whose camera paths are followed.")] = "mini",
    processes: Annotated[int, typer.Option(help="Worker processes.")] = 2,
    debug: Debug = False,
) -> None:
    """Render procedural worlds: inputs with depth, unseen views, key frames, clips. Existing files are kept."""
    from lyra_core.app.console import PhaseBars, user_errors
    from lyra_core.distillation.generate import generate

    with user_errors(debug), PhaseBars() as progress:
        generate(data, first_seed, count, model=model, processes=processes, progress=progress)


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
    data: Data = Path("runs/worlds"),
    out: Out = Path("runs/decoder"),
    model: Annotated[str, typer.Option(help="Preset whose corridor conditions the decoder.")] = "mini",
    minutes: Minutes = 40.0,
    seed: Seed = 0,
    threads: Threads = 2,
    resume: Resume = True,
    debug: Debug = False,
) -> None:
    """Train the 3DGS decoder on the corridor's own latents; the first leg starts from scratch."""
    from lyra_core.app.console import PhaseBars, user_errors
    from lyra_core.distillation.train_decoder import train_decoder, training_pipeline

    with user_errors(debug), PhaseBars() as progress:
        train_decoder(
            training_pipeline(model), data, out,
            minutes=minutes, seed=seed, threads=threads, resume=resume, progress=progress,
        )  # fmt: skip


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
