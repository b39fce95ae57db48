# SPDX-License-Identifier: Apache-2.0
"""Which released files a preset needs: `NAME.toml` beside `NAME.yaml`. What nobody knows says "unknown" there."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lyra_core.errors import LyraError
from lyra_core.weights.presets import Preset, one_line

UNKNOWN = "unknown"

OFFICIAL_FOLDER = "official"
"""Folder of the released files, as they came, inside the weights folder."""

Role = Literal["teacher", "tokenizer", "statistics", "decoder", "text"]
"""What a file is converted to; `statistics` belong into the tokenizer's config."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceFile(_Strict):
    """One released file."""

    path: str = Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$")
    """Inside its repository."""
    role: Role
    """What it is for."""
    fetch: Literal["always", "text-encoder", "never"] = "always"
    """When it is downloaded: with the rest, when the text encoder is asked for, or not (used where it is there)."""
    bytes: int | Literal["unknown"]
    """Size."""
    estimated_bytes: int
    """Size to expect where the exact one is unknown."""
    sha256: str = Field(pattern="^([0-9a-f]{64}|unknown)$")
    """Hex digest."""
    md5: str = Field(pattern="^([0-9a-f]{32}|unknown)$")
    """Hex digest; for some files only this one was published."""

    @property
    def expected_bytes(self) -> int:
        """The size, or the estimate of it."""
        return self.estimated_bytes if self.bytes == UNKNOWN else int(self.bytes)


class Repository(_Strict):
    """One repository of released files on the Hugging Face hub."""

    id: str = Field(pattern=r"^\w[\w.-]*/\w[\w.-]*$")
    """Owner and name."""
    revision: str = Field(pattern="^([0-9a-f]{40}|unknown)$")
    """Commit."""
    licence: str
    """Name of the licence of its files."""
    licence_url: str
    """Where that can be read."""
    file: tuple[SourceFile, ...]
    """Its files."""


@dataclass(frozen=True)
class Source:
    """One released file and the repository it comes from."""

    repository: Repository
    file: SourceFile

    @property
    def name(self) -> str:
        """Owner, repository and path: its name in messages, in manifests and in the folder of released files."""
        return f"{self.repository.id}/{self.file.path}"


class Sources(_Strict):
    """All released files of one preset."""

    repository: tuple[Repository, ...]

    @property
    def files(self) -> list[Source]:
        """Every file, in order."""
        return [Source(repository, file) for repository in self.repository for file in repository.file]

    def wanted(self, *, text_encoder: bool) -> list[Source]:
        """What a download brings."""
        kinds = ("always", "text-encoder") if text_encoder else ("always",)
        return [source for source in self.files if source.file.fetch in kinds]

    def of(self, role: Role) -> list[Source]:
        """The files of one role."""
        return [source for source in self.files if source.file.role == role]


def has_sources(preset: Preset) -> bool:
    """Whether the weights of the preset are made from released files."""
    return _path(preset).is_file()


def load_sources(preset: Preset) -> Sources:
    """The released files of a preset. Raises LyraError when it has none, or its list is no such list."""
    path = _path(preset)
    if not has_sources(preset):
        raise LyraError(
            f"model {preset.name!r} is not made from released files: there is nothing to pull or to convert "
            f"({path.name} would list them beside its preset)."
        )
    try:
        return Sources.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LyraError(f"{path} is no list of released files: {one_line(error)}") from error


def official_folder(preset: Preset) -> Path:
    """Where the released files of a preset are kept."""
    return preset.weights_folder / OFFICIAL_FOLDER


def find_official(folder: Path, source: Source) -> Path | None:
    """A released file below `folder`: laid out as our own, as a clone per repository, or as the hub's cache."""
    repository, path = source.repository, source.file.path
    owner, name = repository.id.split("/")
    snapshots = folder / f"models--{owner}--{name}" / "snapshots"
    revisions = sorted(snapshots.iterdir()) if snapshots.is_dir() else []
    pinned = [entry for entry in revisions if repository.revision in (entry.name, UNKNOWN)]
    clones = [entry for entry in _folders(folder) if entry.name.lower() == name.lower()]
    candidates = [folder / repository.id / path, *(entry / path for entry in [*clones, *pinned])]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def _path(preset: Preset) -> Path:
    return preset._path.with_suffix(".toml")
