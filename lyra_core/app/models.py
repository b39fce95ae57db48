# SPDX-License-Identifier: Apache-2.0
"""`lyra models ...`: which models there are, and how released weights get in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="List models, fetch released weights and convert them: `pull lyra`, then `convert lyra`.",
)

Name = Annotated[str, typer.Argument(help="Preset name, or the path of a preset `.yaml`.")]
Json = Annotated[bool, typer.Option("--json", help="Print one machine-readable summary on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]


@app.command("list")
def list_models(as_json: Json = False, debug: Debug = False) -> None:
    """Every model of this installation, and whether its weights are here."""
    from lyra_core.app.console import show_table, user_errors

    with user_errors(debug):
        from lyra_core.app.models_report import model_list

        models = model_list()
        print(json.dumps(models)) if as_json else show_table(
            [(m["name"], f"{m['state']}: {m['summary']}") for m in models]
        )


@app.command()
def info(
    name: Name,
    plan: Annotated[bool, typer.Option("--plan", help="Also say how it would fit into memory.")] = False,
    vram: Annotated[
        float | None, typer.Option(min=1, metavar="GB", help="Plan for this much GPU memory, not for what is free.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Files, sizes and licences of a model: what is here, what is missing.

    * `lyra models info lyra`

    * `lyra models info lyra --plan --vram 24`
    """
    from lyra_core.app.console import show_table, user_errors

    with user_errors(debug):
        from lyra_core.app.models_report import info_rows, model_info

        facts = model_info(name, plan=plan or vram is not None, vram_gb=vram)
        print(json.dumps(facts)) if as_json else show_table(info_rows(facts))


@app.command()
def pull(
    name: Name,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="Accept the licences shown, without being asked.")
    ] = False,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take the files from a folder or a hub cache instead.")
    ] = None,
    text_encoder: Annotated[
        bool, typer.Option("--text-encoder", help="Also the text encoder (45 GB); its embeddings are zeros otherwise.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fetch the released files of a model, as they are. Interrupted? Run it again: it goes on where it stopped.

    Shows sizes and licences first. Obeys `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and `HF_HOME`.

    * `lyra models pull lyra`

    * `lyra models pull lyra --accept-license --from /mnt/checkpoints`
    """
    from lyra_core.app.console import PhaseBars, user_errors

    with user_errors(debug):
        from lyra_core.app.models_report import accept_licences, pull_summary, show_pull
        from lyra_core.weights.official.pull import plan_pull
        from lyra_core.weights.presets import load_preset

        planned = plan_pull(load_preset(name), folder=source, text_encoder=text_encoder)
        show_pull(planned)
        planned.require_space()
        accept_licences(planned.licensed, accept_license)
        with PhaseBars() as bars:
            planned.run(bars)
        summary = pull_summary(planned)
        print(json.dumps(summary) if as_json else f"released files are in {summary['folder']}; {summary['next']}")


@app.command()
def convert(
    name: Name,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Folder of the released files, if they were not pulled."),
    ] = None,
    text_encoder: Annotated[
        Path | None, typer.Option("--text-encoder", metavar="DIR", help="Folder of a T5 encoder and its tokenizer.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Turn released files into safetensors that the model loads. Nothing in them is ever executed.

    * `lyra models convert lyra`

    * `lyra models convert lyra --from /mnt/checkpoints --text-encoder /mnt/t5-11b`
    """
    from lyra_core.app.console import PhaseBars, user_errors

    with user_errors(debug):
        from lyra_core.app.models_report import conversion_summary
        from lyra_core.weights.official.convert import convert as run
        from lyra_core.weights.presets import load_preset

        with PhaseBars() as bars:
            done = run(load_preset(name), folder=source, text_encoder=text_encoder, progress=bars)
        summary = conversion_summary(done)
        if as_json:
            print(json.dumps(summary))
            return
        for word, paths in (
            ("wrote", summary["written"]),
            ("up to date:", summary["kept"]),
            ("note:", summary["notes"]),
        ):
            for text in paths:
                print(f"{word} {text}")
