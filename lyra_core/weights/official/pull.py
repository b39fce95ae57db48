# SPDX-License-Identifier: Apache-2.0
"""Getting the released files of a preset: what is missing, how much that is, under which licences - and then fetch it.

What was fetched is entered into `official/manifest.json` with its commit and sha256, and held to that entry ever after.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lyra_core.errors import LyraError
from lyra_core.progress import Progress, no_progress
from lyra_core.weights.manifest import MANIFEST_NAME, Manifest, WeightEntry, weight_sha256
from lyra_core.weights.official.hub import Folder, Hub, Offer, Origin, free_bytes, hub_cache, hub_is_offline, part_path
from lyra_core.weights.official.sources import UNKNOWN, Repository, Source, load_sources, official_folder
from lyra_core.weights.presets import Preset

_BLOCK = 1 << 22
_ALGORITHMS = {"sha256": "sha256", "md5": "md5", "git hash": "sha1"}


@dataclass(frozen=True)
class Item:
    """One file of the list; `offer` is None when it is already here and as recorded."""

    source: Source
    path: Path
    offer: Offer | None

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.path.stat().st_size if self.offer is None else self.offer.bytes

    @property
    def present(self) -> bool:
        """Whether its content is on this machine, if perhaps not checked yet."""
        return self.path.is_file()

    @property
    def missing_bytes(self) -> int:
        """What is still to be fetched of it; an interrupted attempt counts."""
        if self.present or self.offer is None:
            return 0
        part = part_path(self.path, self.offer)
        return max(0, self.bytes - (part.stat().st_size if part.is_file() else 0))


@dataclass(frozen=True)
class Pull:
    """What one download would do.

    Attributes:
        preset: whose files.
        origin: where they come from.
        items: all of them, in order.
    """

    preset: Preset
    origin: Origin
    items: tuple[Item, ...]

    @property
    def missing_bytes(self) -> int:
        """How much is still to be fetched."""
        return sum(item.missing_bytes for item in self.items)

    @property
    def licensed(self) -> list[Repository]:
        """Repositories with files that are still to be fetched."""
        repositories = {
            item.source.repository.id: item.source.repository for item in self.items if item.offer is not None
        }
        return list(repositories.values())

    def require_space(self) -> None:
        """Raises LyraError when the disk cannot hold what is missing."""
        folder = official_folder(self.preset)
        free = free_bytes(folder)
        if free < self.missing_bytes:
            raise LyraError(
                f"{gigabytes(self.missing_bytes)} are missing, but only {gigabytes(free)} are free for {folder}. "
                "Free some space, or put the weights of a copied preset elsewhere."
            )

    def run(self, progress: Progress = no_progress) -> None:
        """Fetches and verifies what is missing. Raises LyraError; complete files stay, partial ones are continued."""
        self.require_space()
        for item in self.items:
            if item.offer is None:
                continue
            if item.present:
                self._enter(item, item.offer)
                continue
            item.path.parent.mkdir(parents=True, exist_ok=True)
            offer = self.origin.look_up(item.source, item.offer.commit)  # addresses of large files expire
            self.origin.fetch(item.source, offer, item.path, progress)
            try:
                self._enter(item, offer)
            except LyraError:
                item.path.unlink(missing_ok=True)
                raise

    def _enter(self, item: Item, offer: Offer) -> None:
        """Compares the file with all that is known about it, and records it. Raises LyraError for other content."""
        source, folder = item.source, official_folder(self.preset)
        manifest = Manifest.load(folder)
        known = _known_digests(source, offer, manifest.files.get(source.name))
        found = _digests(item.path, {"sha256", *(name for name, _ in known)})
        for name, expected in known:
            if expected != found[name]:
                raise LyraError(
                    f"{source.name} has {name} {found[name]}, expected {expected}: the content is not what it should "
                    "be and is not kept. Fetch it again; if this repeats, do not use that source."
                )
        manifest.files[source.name] = WeightEntry(
            sha256=found["sha256"],
            bytes=item.path.stat().st_size,
            trained=True,
            command=f"lyra models pull {self.preset.name}",
            source=f"{source.repository.id}@{offer.commit}",
        )
        manifest.licence = licences(self.preset, manifest)
        manifest.save(folder)


def plan_pull(preset: Preset, *, folder: Path | None = None, text_encoder: bool = False) -> Pull:
    """Looks up every file: on this machine, then at its origin; nothing is fetched yet.

    Args:
        preset: whose released files.
        folder: take them from there; None asks the hub (or, offline, its cache).
        text_encoder: whether the text encoder is wanted too.

    Raises LyraError for a file that differs from its record, and when the origin does not have one.
    """
    sources = load_sources(preset).wanted(text_encoder=text_encoder)
    origin: Origin = Folder(folder) if folder else hub_cache() if hub_is_offline() else Hub()
    manifest = Manifest.load(official_folder(preset))
    return Pull(preset, origin, tuple(_item(preset, source, origin, manifest) for source in sources))


def recorded_official(preset: Preset, source: Source, path: Path) -> WeightEntry | None:
    """The record of a released file in our own folder, after comparing; None when it has none or is elsewhere.

    Raises LyraError when the file is not what was recorded.
    """
    entry = Manifest.load(official_folder(preset)).files.get(source.name)
    if entry is None or path != official_folder(preset) / source.name:
        return None
    if path.stat().st_size != entry.bytes or weight_sha256(path) != entry.sha256:
        raise LyraError(
            f"{path} differs from {MANIFEST_NAME} (sha256 {entry.sha256}). Remove it and run `lyra models pull "
            f"{preset.name}` again."
        )
    return entry


def licences(preset: Preset, manifest: Manifest) -> str:
    """The licences of all files a manifest lists, by name."""
    listed = [source for source in load_sources(preset).files if source.name in manifest.files]
    return ", ".join(sorted({source.repository.licence for source in listed}))


def gigabytes(count: int) -> str:
    """A size for a person."""
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"


def _item(preset: Preset, source: Source, origin: Origin, manifest: Manifest) -> Item:
    path = official_folder(preset) / source.name
    if path.is_file() and recorded_official(preset, source, path):
        return Item(source, path, None)
    offer = origin.look_up(source, _revision(source, manifest))
    if source.file.bytes not in (UNKNOWN, offer.bytes):
        raise LyraError(
            f"{source.name} has {offer.bytes} bytes at {offer.location}, expected {source.file.bytes}: it is another "
            "file. Nothing was fetched."
        )
    return Item(source, path, offer)


def _revision(source: Source, manifest: Manifest) -> str:
    """The commit to ask for: as listed, else the one that an earlier pull met and recorded for this repository."""
    if source.repository.revision != UNKNOWN:
        return source.repository.revision
    prefix = source.repository.id + "@"
    commits = [
        entry.source.removeprefix(prefix) for entry in manifest.files.values() if entry.source.startswith(prefix)
    ]
    return next((commit for commit in commits if commit != UNKNOWN), UNKNOWN)


def _known_digests(source: Source, offer: Offer, recorded: WeightEntry | None) -> list[tuple[str, str]]:
    """Every digest that is known of a file, as (name, hex): as listed, as recorded, as the hub tells it."""
    known = [("sha256", source.file.sha256), ("md5", source.file.md5)]
    if recorded is not None:
        known.append(("sha256", recorded.sha256))
    if offer.etag is not None:
        known.append(("sha256" if len(offer.etag) == 64 else "git hash", offer.etag))
    return [(name, value) for name, value in known if value != UNKNOWN]


def _digests(path: Path, names: set[str]) -> dict[str, str]:
    """Hex digests of a file by name, in one reading."""
    digests = {name: hashlib.new(_ALGORITHMS[name], usedforsecurity=name == "sha256") for name in names}
    if "git hash" in digests:
        digests["git hash"].update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            for digest in digests.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in digests.items()}
