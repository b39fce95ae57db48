# SPDX-License-Identifier: Apache-2.0
"""Examining a data set, ours or the published kind: missing files, damage, wrong sizes, NaN, the order bug."""

from __future__ import annotations

from pathlib import Path

from lyra_core.progress import Progress, no_progress
from lyra_core.synthesis.check_folders import check_folders
from lyra_core.synthesis.findings import CheckReport
from lyra_core.synthesis.job import layout_of, own_folder, read_items, read_settings
from lyra_core.synthesis.reading import Folders, Shards, open_dataset
from lyra_core.synthesis.sample import problems
from lyra_core.synthesis.shards import shard_damage
from lyra_core.synthesis.store import read_failures


def check_dataset(root: Path, progress: Progress = no_progress) -> CheckReport:
    """Reads every file of a data set in any layout. Raises LyraError when there is none."""
    dataset, report = open_dataset(root), CheckReport()
    if isinstance(dataset, Shards):
        _check_shards(dataset, report, progress)
    elif isinstance(dataset, Folders):
        check_folders(root, report, progress)
    if layout_of(root) is not None:
        _check_complete(root, set(dataset.names), report)
    return report


def _check_shards(dataset: Shards, report: CheckReport, progress: Progress) -> None:
    sound: list[str] = []
    for tar in dataset.tars:
        damage = shard_damage(tar, dataset.indices[tar])
        report.errors.extend([damage] if damage else [])
        sound.extend([] if damage else dataset.indices[tar].samples)
    for done, name in enumerate(sound, start=1):
        with report.listening():
            report.errors.extend(f"{name}: {problem}" for problem in problems(dataset.load(name)))
        progress("samples", done, len(sound))
    report.samples = len(sound)


def _check_complete(root: Path, names: set[str], report: CheckReport) -> None:
    """Compares what is there with what was asked for."""
    failed = read_failures(own_folder(root, read_settings(root).layout))
    report.errors.extend(f"{name} could not be made: {reason}" for name, reason in failed.items())
    missing = [item.name for item in read_items(root) if item.name not in names and item.name not in failed]
    if missing:
        report.errors.append(
            f"{len(missing)} samples are not here yet, the first is {missing[0]}: run the command of this folder again"
        )
