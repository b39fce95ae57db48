# SPDX-License-Identifier: Apache-2.0
"""`lyra synthesize`: training data from the teacher. This module stays light; the work is imported on demand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from lyra_core.synthesis.findings import CheckReport
    from lyra_core.synthesis.items import Item, Kind
    from lyra_core.synthesis.run import Report

_MOST_SHOWN = 20


@dataclass(frozen=True)
class _Source:
    """Where items come from, as the options say."""

    prompts: Path | None
    worlds: int | None
    images: Path | None
    llm: str | None
    vipe: list[Path] | None
    count: int
    seed: int

    @property
    def kind(self) -> Kind:
        """Which source it is. Raises LyraError unless exactly one is given."""
        from lyra_core.errors import LyraError

        options: dict[Kind, object] = {
            "prompts": self.prompts, "worlds": self.worlds, "pictures": self.images, "llm": self.llm,
            "vipe": self.vipe or None,
        }  # fmt: skip
        given = [kind for kind, value in options.items() if value is not None]
        if len(given) != 1:
            raise LyraError("give exactly one of --prompts, --worlds, --images, --llm and --vipe.")
        return given[0]


Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def synthesize(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder of the data set; it is gone on with.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Prompts, one per line; # begins a comment.")
    ] = None,
    worlds: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Prompts that describe N procedural worlds.")
    ] = None,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Pictures instead of prompts.")] = None,
    llm: Annotated[
        str | None, typer.Option(metavar="DIR", help="Let a language model (transformers folder) write the prompts.")
    ] = None,
    vipe: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Videos: result folder of ViPE; give it again for more folders."),
    ] = None,
    text_to_video: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only make videos of the prompts (diffusers model), for ViPE to look at."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many prompts the language model writes.")] = 100,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the first sample, the next has the next; of the first world.")
    ] = 0,
    model: Annotated[str, typer.Option(help="Preset name, or the path of a preset `.yaml`.")] = "mini",
    layout: Annotated[
        Literal["shards", "folders"], typer.Option(help="Tars with an index, or the published folders (needs PyAV).")
    ] = "shards",
    frames: Annotated[
        Literal["png", "mp4"], typer.Option(help="Frames in shards: without loss, or small (needs PyAV).")
    ] = "png",
    per_shard: Annotated[int, typer.Option(min=1, metavar="N", help="Samples a shard.")] = 64,
    shard: Annotated[str, typer.Option(metavar="I/N", help="Make part I of N only: 0/4 ... 3/4 on four machines.")] = (
        "0/1"
    ),
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes; each holds the model once.")] = 1,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="CPU threads of each.")] = 1,
    runner: Annotated[
        Literal["processes", "ray"], typer.Option(help="Work here, or on the Ray cluster (the folder must be shared).")
    ] = "processes",
    accept_failures: Annotated[
        bool, typer.Option("--accept-failures", help="Close shards without samples that failed; the card names them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much it will be; make nothing.")] = False,
    check: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Examine a data set instead, also one of others in the published folders."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one machine-readable summary on stdout.")] = False,
    debug: Debug = False,
) -> None:
    """Make training data: prompts, pictures or videos become videos along the camera paths, with latents and depth.

    Killed? Run it again: it goes on where it was. A sample that fails is recorded and tried again by the next run;
    nothing is replaced. Same settings, same machine: same bytes. Exit code 1 while samples are missing.

    * `lyra synthesize --worlds 240 -o data --workers 4`

    * `lyra synthesize --prompts prompts.txt -o data --dry-run`

    * `lyra synthesize --images pictures --model lyra --layout folders -o sdg --shard 0/8`

    * `lyra synthesize --llm /mnt/models/writer --count 500 -o data`

    * `lyra synthesize --prompts prompts.txt --text-to-video Wan-AI/Wan2.1-T2V-1.3B-Diffusers -o videos`

    * `lyra synthesize --vipe vipe_results --model lyra --layout folders -o dynamic`

    * `lyra synthesize --check data`
    """
    from lyra_core.app.console import PhaseBars, show_table, user_errors

    with user_errors(debug):
        if check is not None:
            from lyra_core.synthesis.check import check_dataset

            with PhaseBars() as bars:
                found = check_dataset(check, bars)
            _show_check(found, as_json)
            raise typer.Exit(1 if found.errors else 0)

        from lyra_core.errors import LyraError

        source = _Source(prompts, worlds, images, llm, vipe, count, seed)
        kind = source.kind
        if output is None:
            raise LyraError("say where the data set goes: --output DIR.")

        from lyra_core.synthesis.job import Job
        from lyra_core.synthesis.run import Share
        from lyra_core.synthesis.run import synthesize as run
        from lyra_core.synthesis.sizes import forecast, show
        from lyra_core.synthesis.workers import Effort

        items = _items(source, output, planned=dry_run)
        if text_to_video is not None:
            from lyra_core.synthesis.filming import film

            with PhaseBars() as bars:
                made = film(items, text_to_video, model, output, bars)
            print(json.dumps({"made": made})) if as_json else _show_filmed(made, output)
            return
        job = Job(output, model, tuple(items), kind, layout, frames, per_shard)
        share = Share.parse(shard)
        if dry_run:
            plan = forecast(job, sum(len(job.groups[group]) for group in share.groups(job)))
            print(json.dumps(plan.as_dict())) if as_json else show_table(show(plan))
            return
        with PhaseBars() as bars:
            report = run(job, share, Effort(workers, threads, 1, accept_failures, runner), bars)
        _show_report(report, output, as_json)
        raise typer.Exit(1 if report.failed else 0)


def _items(source: _Source, output: Path, *, planned: bool) -> list[Item]:
    """What to make. Prompts that take long to write are those of an earlier run into the same folder, so that all runs
    and machines share them; where something is only `planned`, they are not written.
    """
    from lyra_core.synthesis.items import from_pictures, from_prompts, from_vipe, from_worlds, read_prompts, unwritten
    from lyra_core.synthesis.job import layout_of, read_items, read_settings
    from lyra_core.synthesis.prompt_writer import TransformersPrompts

    kind = source.kind
    if source.prompts is not None:
        return from_prompts(read_prompts(source.prompts), source.seed)
    if source.images is not None:
        return from_pictures(source.images, source.seed)
    if source.vipe:
        return from_vipe(source.vipe, source.seed)
    count = source.worlds or source.count
    known = read_items(output) if layout_of(output) and read_settings(output).source == kind else []
    if len(known) == count and known[0].seed == source.seed:
        return known
    if planned:
        return unwritten(count, source.seed)
    if source.worlds is not None:
        return from_worlds(source.seed, count)
    return from_prompts(TransformersPrompts(str(source.llm))(count, seed=source.seed), source.seed)


def _show_filmed(made: int, output: Path) -> None:
    print(
        f"{output}: {made} videos made. Next: run ViPE on each (`vipe infer -p lyra VIDEO`), then\n"
        "lyra synthesize --vipe VIPE_RESULTS -o DATA"
    )


def _show_check(report: CheckReport, as_json: bool) -> None:
    if as_json:
        print(json.dumps(vars(report)))
        return
    for word, texts in (("error", report.errors), ("warning", report.warnings)):
        for text in texts[:_MOST_SHOWN]:
            print(f"{word}: {text}")
        if len(texts) > _MOST_SHOWN:
            print(f"{word}: {len(texts) - _MOST_SHOWN} more (--json lists all)")
    verdict = f"{len(report.errors)} errors" if report.errors else "sound"
    print(f"{report.samples} samples examined: {verdict}, {len(report.warnings)} warnings")


def _show_report(report: Report, output: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps(vars(report)))
        return
    for name, reason in list(report.failed.items())[:_MOST_SHOWN]:
        print(f"failed: {name}: {reason}")
    print(f"{output}: {report.made} samples made, {report.kept} there before, {len(report.failed)} failed")
