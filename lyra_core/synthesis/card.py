# SPDX-License-Identifier: Apache-2.0
"""The card beside every data set: what is in it, who made it from what, what is missing, how to read it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from lyra_core import __version__
from lyra_core.files import replacing
from lyra_core.synthesis import folders, members
from lyra_core.synthesis.job import CARD_NAME, Settings, own_folder, read_settings
from lyra_core.synthesis.reading import open_dataset
from lyra_core.synthesis.sample import REVERSED_OFFSET
from lyra_core.synthesis.store import read_failures
from lyra_core.trajectories import PUBLISHED_PATHS

_SOURCES = {
    "prompts": "a list of prompts",
    "worlds": "captions of procedural worlds",
    "pictures": "pictures",
    "llm": "prompts written by a language model",
    "vipe": "videos with the cameras and depth that ViPE estimated",
}

_MOST_FAILURES = 50
"""More than these are counted, not listed."""


def write_card(root: Path) -> None:
    """Writes or renews the card of a data set of ours. Raises LyraError when there is none."""
    path = own_folder(root, read_settings(root).layout) / CARD_NAME
    with replacing(path) as temporary:
        temporary.write_text(card(root), encoding="utf-8")


def card(root: Path) -> str:
    """Text of the card; the same data gives the same text."""
    settings, dataset = read_settings(root), open_dataset(root)
    abouts = [dataset.about(name) for name in dataset.names]
    own = own_folder(root, settings.layout)
    return "\n\n".join(
        (
            _front(len(abouts)),
            f"# {root.absolute().name}",
            _contents(settings, abouts),
            _origin(settings, abouts),
            _failures(read_failures(own)),
            _format(settings),
        )
    ) + "\n"  # fmt: skip


def _front(count: int) -> str:
    """What data hubs read."""
    tags = "[lyra, novel-view-synthesis, self-distillation]"
    return f"---\ntags: {tags}\nsize: {count}\n---"


def _contents(settings: Settings, abouts: list[dict[str, Any]]) -> str:
    height, width = settings.preset["video_size"]
    paths = ", ".join(_path(number) for number in settings.views)
    rows = [
        f"{len(abouts)} of {settings.count} samples are here; samples still waiting for their shard are not counted."
        if len(abouts) < settings.count
        else f"{len(abouts)} samples.",
        f"Each is {len(settings.views)} videos ({paths}) of {settings.preset['frames']} frames, "
        f"{height} x {width} pixels for pictures of 16:9, with latents, depth and cameras, and the input picture.",
        f"Depth comes from: {_counted(abouts, 'depth_source')}. "
        f"Pictures come from: {_counted(abouts, 'image_source')}.",
        "Lengths are scene units: the median depth of the input picture is 1. Poses are camera-to-world with OpenCV "
        "axes; the input camera is the identity.",
    ]
    return "## Contents\n\n" + "\n\n".join(rows)


def _path(number: int) -> str:
    """Number and name of a view."""
    name = f"{number} {PUBLISHED_PATHS[number % REVERSED_OFFSET]}"
    return f"{name} motion-reversed" if number >= REVERSED_OFFSET else name


def _origin(settings: Settings, abouts: list[dict[str, Any]]) -> str:
    strength = settings.preset["start_strength"]
    shown = (
        "no diffusion model: the videos are the warped input picture with filled holes"
        if strength == 0
        else f"a diffusion model at start strength {strength:g}; depth is stored where the picture was known"
    )
    weights = [f"| {part} | {about['kind']} | {about['sha256'] or 'none'} |" for part, about in settings.models.items()]
    seeds = [about["seed"] for about in abouts if "seed" in about]
    span = f"Seeds {min(seeds)} to {max(seeds)}." if seeds else ""
    table = "\n".join(("| part | kind | SHA-256 of the weights |", "| --- | --- | --- |", *weights))
    return (
        f"## Origin\n\nMade by `lyra synthesize` of lyra-sim {__version__} with the model `{settings.model}`, "
        f"{shown}. Items: {_SOURCES[settings.source]}. {span}\n\nLicence of the weights: {settings.licence}. That of "
        f"the data is for whoever publishes it to state, within those of weights and pictures.\n\n{table}"
    )


def _failures(failed: dict[str, str]) -> str:
    if not failed:
        return "## Failures\n\nNone."
    listed = [f"* {name}: {reason}" for name, reason in list(failed.items())[:_MOST_FAILURES]]
    more = [f"* and {len(failed) - _MOST_FAILURES} more"] if len(failed) > _MOST_FAILURES else []
    head = f"## Failures\n\nSamples that could not be made: {len(failed)}. None was replaced by another.\n"
    return "\n".join((head, *listed, *more))


def _format(settings: Settings) -> str:
    module = folders if settings.layout == "folders" else members
    return (
        f"## Format\n\n```text\n{module.LAYOUT}\n```\n\n"
        "```python\nfrom lyra_core.synthesis.reading import open_dataset\n\n"
        "data = open_dataset(path)\nsample = data.load(data.names[0])\n```\n\n"
        "`lyra synthesize --check DIR` examines every file."
    )


def _counted(abouts: list[dict[str, Any]], field: str) -> str:
    counts = Counter(about.get(field, "unknown") for about in abouts)
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items())) or "nothing yet"
