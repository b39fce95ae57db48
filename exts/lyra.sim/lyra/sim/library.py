# SPDX-License-Identifier: Apache-2.0
"""Scenes made so far: what the folders below the output folder hold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import LyraSimError
from .protocol import MANIFEST_FILE, Manifest, ProtocolError, existing_file

_TITLE_CHARACTERS = 80


@dataclass(frozen=True)
class StoredScene:
    """A complete scene on disk."""

    folder: Path
    manifest: Manifest
    thumbnail: Path | None
    title: str


class SceneLibrary:
    """The scenes of one folder. It need not exist; nothing outside of it is ever read or deleted.

    Attributes:
        broken: Folders `scenes` found whose manifest cannot be used, each with the reason.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken: list[tuple[Path, str]] = []

    def scenes(self) -> list[StoredScene]:
        """All complete scenes, the newest first. Unfinished jobs are left out."""
        found: list[tuple[float, StoredScene]] = []
        self.broken = []
        for folder in self._folders():
            manifest_file = folder / MANIFEST_FILE
            try:
                if not os.path.lexists(manifest_file):
                    continue
                scene = _stored_scene(folder)
                found.append((manifest_file.stat().st_mtime, scene))
            except ProtocolError as error:
                self.broken.append((folder, str(error)))
            except OSError as error:
                self.broken.append((folder, f"{folder} cannot be read: {error.strerror}."))
        found.sort(key=lambda entry: (entry[0], entry[1].folder.name), reverse=True)
        return [scene for _, scene in found]

    def delete(self, scene: StoredScene | Path) -> None:
        """Delete a scene, or a folder from `broken`; stages that show it lose it.

        Raises LyraSimError if it is not one of this library's, or if the system refuses.
        """
        folder = scene if isinstance(scene, Path) else scene.folder
        if folder.name in ("", ".", "..") or folder.parent.resolve() != self.folder.resolve() or folder.is_symlink():
            raise LyraSimError(f"{folder} is not a scene in {self.folder}. Delete it by hand if you want it gone.")
        doomed = folder.with_name(f".{folder.name}.deleted")
        try:
            # Renamed first: a scene is there as a whole or not at all.
            folder.rename(doomed)
            shutil.rmtree(doomed)
        except OSError as error:
            raise LyraSimError(
                f"{folder} cannot be deleted: {error.strerror}. Close the stages that show it, then try again."
            ) from error

    def total_bytes(self) -> int:
        """Size of everything in the folder [bytes], unfinished jobs included; links are not followed."""
        return sum(_file_sizes(self.folder))

    def _folders(self) -> list[Path]:
        try:
            with os.scandir(self.folder) as entries:
                return [
                    self.folder / entry.name
                    for entry in entries
                    if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
                ]
        except OSError:
            return []


def _stored_scene(folder: Path) -> StoredScene:
    manifest = Manifest.read(folder)
    return StoredScene(folder, manifest, _thumbnail(folder, manifest), _title(manifest))


def _thumbnail(folder: Path, manifest: Manifest) -> Path | None:
    try:
        return existing_file(folder, manifest.preview)
    except ProtocolError:
        return None


def _title(manifest: Manifest) -> str:
    """One printable line: the prompt, else what it was made from and when."""
    text = manifest.prompt or f"{manifest.mode} {manifest.job}"
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _TITLE_CHARACTERS else line[: _TITLE_CHARACTERS - 1].rstrip() + "…"


def _file_sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield (Path(parent) / name).lstat().st_size
            except OSError:  # deleted meanwhile
                continue
