# SPDX-License-Identifier: Apache-2.0
"""What the `lyra models` verbs say: lists, sizes, licences, and the question whether those are accepted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lyra_core.errors import LyraError
from lyra_core.weights.manifest import Manifest
from lyra_core.weights.official.sources import (
    Repository,
    Source,
    find_official,
    has_sources,
    load_sources,
    official_folder,
)
from lyra_core.weights.presets import Preset, load_preset, preset_names

if TYPE_CHECKING:
    from lyra_core.weights.official.convert import Conversion
    from lyra_core.weights.official.pull import Pull

GIB = 1 << 30


def model_list() -> list[dict[str, str]]:
    """Name, state and summary of every preset of the package."""
    return [
        {"name": preset.name, "state": _state(preset), "summary": preset.summary}
        for preset in map(load_preset, preset_names())
    ]


def model_info(name: str, *, plan: bool = False, vram_gb: float | None = None) -> dict[str, Any]:
    """Everything about one model that can be said without loading it; `plan` adds the memory plan.

    Raises LyraError for an unknown model.
    """
    preset = load_preset(name)
    facts: dict[str, Any] = {
        "name": preset.name,
        "summary": preset.summary,
        "state": _state(preset),
        "quality_tier": preset.quality_tier,
        "trained_on": preset.trained_on,
        "folder": str(preset.weights_folder),
        "licence": Manifest.load(preset.weights_folder).licence if not preset.missing_files else "",
        "guardrail": preset.guardrail,
        "files": [_weight_facts(preset, file) for file in preset.files],
        "released_files": [_source_facts(preset, source) for source in _sources(preset)],
    }
    if plan:
        from lyra_core.memory.plan import plan_lines

        facts["plan"] = plan_lines(preset, None if vram_gb is None else int(vram_gb * GIB))
    return facts


def info_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """`model_info` as a table."""
    rows = [(label, facts[label]) for label in ("name", "summary", "state", "trained_on", "folder", "guardrail")]
    rows += [("licence", facts["licence"])] if facts["licence"] else []
    rows += [("weights", f"{file['name']}: {_size_text(file)}") for file in facts["files"]]
    for file in facts["released_files"]:
        where = "here" if file["here"] else "not here"
        remark = {"always": "", "text-encoder": ", optional", "never": ", stands in for other files"}[file["fetch"]]
        rows.append(("released", f"{file['name']}: {_size_text(file)}, {file['licence']}, {where}{remark}"))
    rows += [("plan", line) for line in facts.get("plan", [])]
    return [(label.replace("_", " "), text) for label, text in rows]


def show_pull(planned: Pull) -> None:
    """On stderr: every file with size and licence, then the total and the free space."""
    from lyra_core.weights.official.hub import free_bytes
    from lyra_core.weights.official.pull import gigabytes

    for item in planned.items:
        state = "to check" if item.present and item.offer else "here" if item.present else "to fetch"
        repository = item.source.repository
        print(f"{state:<8} {gigabytes(item.bytes):>10}  {item.source.name}  ({repository.licence})", file=sys.stderr)
    folder = official_folder(planned.preset)
    free = gigabytes(free_bytes(folder))
    print(f"total to fetch: {gigabytes(planned.missing_bytes)}; free for {folder}: {free}", file=sys.stderr)


def accept_licences(repositories: list[Repository], accepted: bool) -> None:
    """Shows the licences and asks. Raises LyraError when they are not accepted, or there is nobody to ask."""
    if not repositories:
        return
    for licence, url in sorted({(repository.licence, repository.licence_url) for repository in repositories}):
        ids = ", ".join(repository.id for repository in repositories if repository.licence == licence)
        print(f"licence: {licence}, {url}, for {ids}", file=sys.stderr)
    if accepted:
        return
    if not sys.stdin.isatty():
        raise LyraError("the licences above have to be accepted. Read them, then add --accept-license.")
    if not typer.confirm("Do you accept these licences?", err=True):
        raise LyraError("the licences were not accepted; nothing was fetched.")


def pull_summary(planned: Pull) -> dict[str, Any]:
    """What was fetched and where it is."""
    manifest = Manifest.load(official_folder(planned.preset))
    return {
        "folder": str(official_folder(planned.preset)),
        "files": {name: entry.sha256 for name, entry in manifest.files.items()},
        "sources": {name: entry.source for name, entry in manifest.files.items()},
        "licence": manifest.licence,
        "next": f"now run: lyra models convert {planned.preset.name}",
    }


def conversion_summary(done: Conversion) -> dict[str, list[str]]:
    """What was written, as plain JSON values."""
    return {
        "written": [str(path) for path in done.written],
        "kept": [str(path) for path in done.kept],
        "notes": list(done.notes),
    }


def _state(preset: Preset) -> str:
    """Whether a model can run, and if not, what comes next."""
    missing = preset.missing_files
    if not missing:
        return "ready"
    if not has_sources(preset):
        return f"incomplete ({', '.join(missing)})"
    needed = [source for source in _sources(preset) if source.file.fetch == "always"]
    pulled = all(find_official(official_folder(preset), source) for source in needed)
    return "pulled, not converted" if pulled else "not pulled"


def _sources(preset: Preset) -> list[Source]:
    return load_sources(preset).files if has_sources(preset) else []


def _weight_facts(preset: Preset, file: str) -> dict[str, Any]:
    path = preset.weights_folder / file
    return {"name": file, "here": path.exists(), "bytes": _bytes(path) if path.exists() else None}


def _source_facts(preset: Preset, source: Source) -> dict[str, Any]:
    found = find_official(official_folder(preset), source)
    return {
        "name": source.name,
        "role": source.file.role,
        "fetch": source.file.fetch,
        "here": found is not None,
        "bytes": found.stat().st_size if found else None,
        "expected_bytes": source.file.expected_bytes,
        "revision": source.repository.revision,
        "sha256": source.file.sha256,
        "licence": source.repository.licence,
        "licence_url": source.repository.licence_url,
    }


def _bytes(path: Path) -> int:
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )


def _size_text(file: dict[str, Any]) -> str:
    from lyra_core.weights.official.pull import gigabytes

    if file["bytes"] is not None:
        return gigabytes(file["bytes"])
    return f"about {gigabytes(file['expected_bytes'])}" if "expected_bytes" in file else "missing"
