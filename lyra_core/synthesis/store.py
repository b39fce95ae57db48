# SPDX-License-Identifier: Apache-2.0
"""Where finished samples go, how a later run knows them, and what is remembered of those that failed.

Any number of processes and machines may work in one folder: every file is written beside its place and renamed, and two
that make the same sample make the same bytes.
"""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from lyra_core.files import replacing
from lyra_core.synthesis import codecs
from lyra_core.synthesis.folders import about_path, write_folders
from lyra_core.synthesis.job import Job, own_folder
from lyra_core.synthesis.sample import Sample
from lyra_core.synthesis.shards import index_path, read_index, seal, shard_name, write_staged

FAILURES = "failures"
"""Folder of the records of samples that could not be made."""


def read_failures(own: Path) -> dict[str, str]:
    """Reasons by name, for all samples that could not be made so far; `own` as of `own_folder`."""
    records = (json.loads(path.read_bytes()) for path in sorted((own / FAILURES).glob("*.json")))
    return {record["name"]: record["reason"] for record in records}


class Store(ABC):
    """The samples and failures of one data set."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.own = own_folder(job.root, job.layout)

    @abstractmethod
    def finished(self, group: int) -> set[str]:
        """Names of the samples of a group that need not be made."""

    @abstractmethod
    def write(self, sample: Sample) -> None:
        """Keeps a sample; what follows a kill sees all of it or nothing."""

    @abstractmethod
    def complete(self, group: int, accepted: Mapping[str, str]) -> None:
        """Called when all samples of a group are finished, or their failures accepted."""

    def stages_folder(self, name: str) -> Path:
        """Where the unfinished work on a sample is kept."""
        return self.own / "pending" / f"{name}.stages"

    def clear(self) -> None:
        """Removes the folder of unfinished work if nothing is in it."""
        folder = self.own / "pending"
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def record_failure(self, name: str, reason: str) -> None:
        """Remembers that a sample could not be made, and how often."""
        path = self._failure(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        attempts = json.loads(path.read_text(encoding="utf-8"))["attempts"] if path.exists() else 0
        with replacing(path) as temporary:
            temporary.write_bytes(codecs.encode_json({"name": name, "reason": reason, "attempts": attempts + 1}))

    def forget_failure(self, name: str) -> None:
        """The sample has been made."""
        self._failure(name).unlink(missing_ok=True)

    def _failure(self, name: str) -> Path:
        return self.own / FAILURES / f"{name}.json"


class ShardStore(Store):
    """Samples wait in tars of their own until their shard is complete."""

    def finished(self, group: int) -> set[str]:
        tar = self._tar(group)
        if tar.exists() and index_path(tar).exists():
            index = read_index(tar)
            return {*index.samples, *index.failed}
        return {item.name for item in self.job.groups[group] if self._staged(item.name).exists()}

    def write(self, sample: Sample) -> None:
        path = self._staged(sample.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent, sample.name)
        write_staged(path, sample, self.job.frames)

    def complete(self, group: int, accepted: Mapping[str, str]) -> None:
        tar = self._tar(group)
        names = [item.name for item in self.job.groups[group]]
        if not (tar.exists() and index_path(tar).exists()):
            staged = {name: self._staged(name) for name in names if name not in accepted}
            _remove_leftovers(tar.parent, tar.stem)
            seal(tar, staged, {name: accepted[name] for name in names if name in accepted})
        for name in names:
            self._staged(name).unlink(missing_ok=True)

    def _tar(self, group: int) -> Path:
        return self.job.root / shard_name(group)

    def _staged(self, name: str) -> Path:
        return self.own / "pending" / f"{name}.tar"


class FolderStore(Store):
    """Samples lie in the published folders as soon as they are finished."""

    def finished(self, group: int) -> set[str]:
        return {item.name for item in self.job.groups[group] if about_path(self.job.root, item.name).exists()}

    def write(self, sample: Sample) -> None:
        for folder in self.job.root.glob("*/*/"):
            _remove_leftovers(folder, sample.name)
        write_folders(self.job.root, sample)

    def complete(self, group: int, accepted: Mapping[str, str]) -> None:
        """Nothing is left to do."""


def open_store(job: Job) -> Store:
    """The store of a job's layout."""
    return ShardStore(job) if job.layout == "shards" else FolderStore(job)


def _remove_leftovers(folder: Path, stem: str) -> None:
    """Removes what a killed run was writing under the name `stem`; see `replacing`."""
    for path in folder.glob(f".{stem}.*.part.*"):
        path.unlink(missing_ok=True)


def remove_stages(store: Store, name: str) -> None:
    """Drops the unfinished work on a sample."""
    shutil.rmtree(store.stages_folder(name), ignore_errors=True)
