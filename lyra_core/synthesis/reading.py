# SPDX-License-Identifier: Apache-2.0
"""Reading a data set, whatever its layout."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from lyra_core.errors import LyraError
from lyra_core.synthesis.folders import about_path, clip_names, load_folders, view_numbers
from lyra_core.synthesis.job import layout_of
from lyra_core.synthesis.sample import Sample
from lyra_core.synthesis.shards import DAMAGE, ShardIndex, index_path, load_member, load_sample, read_index


class Dataset(Protocol):
    """Samples by name."""

    @property
    def names(self) -> list[str]:
        """All samples, ascending."""
        ...

    def load(self, name: str, views: Collection[int] | None = None) -> Sample:
        """A sample with all views or a selection of them. Raises LyraError naming the file that is damaged."""
        ...

    def about(self, name: str) -> dict[str, Any]:
        """What is known of a sample; nothing for data of others."""
        ...


class Shards:
    """Sharded tars in a folder, those that are closed."""

    def __init__(self, root: Path) -> None:
        self.tars = [tar for tar in sorted(root.glob("shard-*.tar")) if index_path(tar).exists()]

    @cached_property
    def indices(self) -> dict[Path, ShardIndex]:
        """Index of every tar."""
        return {tar: read_index(tar) for tar in self.tars}

    @cached_property
    def _tar_of(self) -> dict[str, Path]:
        return {name: tar for tar, index in self.indices.items() for name in index.samples}

    @property
    def names(self) -> list[str]:
        return sorted(self._tar_of)

    def load(self, name: str, views: Collection[int] | None = None) -> Sample:
        tar = self._tar(name)
        return load_sample(tar, self.indices[tar], name, views)

    def about(self, name: str) -> dict[str, Any]:
        tar = self._tar(name)
        return json.loads(load_member(tar, self.indices[tar], name, "json"))["about"]

    def _tar(self, name: str) -> Path:
        if name not in self._tar_of:
            raise LyraError(f"there is no sample {name!r}. Known: {len(self._tar_of)} samples.")
        return self._tar_of[name]


class Folders:
    """The published layout, ours or others'."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def names(self) -> list[str]:
        return clip_names(self.root)

    def load(self, name: str, views: Collection[int] | None = None) -> Sample:
        return load_folders(self.root, name, views)

    def about(self, name: str) -> dict[str, Any]:
        path = about_path(self.root, name)
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except DAMAGE as error:
            raise LyraError(f"{path} is damaged. Make the clip again.") from error


def open_dataset(root: Path) -> Dataset:
    """The data set in a folder. Raises LyraError when there is none."""
    if not root.is_dir():
        raise LyraError(f"{root} is no folder. Give the folder of a data set.")
    if layout_of(root) == "shards" or any(root.glob("shard-*.tar")):
        return Shards(root)
    if layout_of(root) == "folders" or view_numbers(root):
        return Folders(root)
    raise LyraError(f"{root} holds no data set: neither shard-*.tar nor folders 0, 1, ... of views.")
