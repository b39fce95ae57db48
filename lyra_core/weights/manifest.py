# SPDX-License-Identifier: Apache-2.0
"""`manifest.json` beside the weight files: what each one is, how it was made, and the hash that proves it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.weights.receipts import remembered

MANIFEST_NAME = "manifest.json"


class WeightEntry(BaseModel):
    """One weight file: identity and origin."""

    model_config = ConfigDict(extra="forbid")

    sha256: str
    """Hex digest of the file."""
    bytes: int
    """File size."""
    trained: bool
    """False for a file that only stores a deterministic start (no training step was taken)."""
    command: str
    """The command that makes the file again."""
    source: str = ""
    """What it was made from, where that came from elsewhere, e.g. "nvidia/Lyra@COMMIT"."""
    seeds: dict[str, str] = Field(default_factory=dict)
    """Seeds of the data and of the run, e.g. {"train": "0..4095", "run": "0"}."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Held-out numbers the file was accepted on, e.g. {"psnr_exact_depth": 24.1}."""


class Manifest(BaseModel):
    """All weight files of one folder."""

    model_config = ConfigDict(extra="forbid")

    licence: str = "Apache-2.0"
    files: dict[str, WeightEntry] = Field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Reads `folder/manifest.json`; an absent file is an empty manifest."""
        path = folder / MANIFEST_NAME
        if not path.exists():
            return cls()
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise LyraError(f"{path} is not a weight manifest: {_first(error)}. Reinstall or rewrite it.") from error

    def save(self, folder: Path) -> None:
        """Writes `folder/manifest.json`, sorted, so that equal content is equal bytes."""
        ordered = self.model_copy(update={"files": dict(sorted(self.files.items()))})
        with replacing(folder / MANIFEST_NAME) as temporary:
            temporary.write_text(ordered.model_dump_json(indent=2) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def weight_sha256(path: Path) -> str:
    """As `sha256`, without reading a large file again that has not changed since (see `receipts`)."""
    return remembered(path, sha256)


def record(
    path: Path,
    *,
    trained: bool,
    command: str,
    source: str = "",
    seeds: dict[str, str] | None = None,
    metrics: dict[str, float] | None = None,
    folder: Path | None = None,
) -> WeightEntry:
    """Enters the weight file `path` into the manifest of `folder` (None: its own), replacing an older entry of it."""
    folder = folder or path.parent
    entry = WeightEntry(
        sha256=weight_sha256(path),
        bytes=path.stat().st_size,
        trained=trained,
        command=command,
        source=source,
        seeds=seeds or {},
        metrics=metrics or {},
    )
    manifest = Manifest.load(folder)
    manifest.files[path.relative_to(folder).as_posix()] = entry
    manifest.save(folder)
    return entry


def verified(folder: Path, name: str) -> Path:
    """The path of weight file or folder `name`, after its hashes were compared with the manifest (where it lists them).

    Raises LyraError when something is missing or differs from its entry.
    """
    path = folder / name
    if not path.exists():
        raise LyraError(f"weights {name} are missing: expected at {path}. Fetch or train them and put them there.")
    for listed, entry in Manifest.load(folder).files.items():
        if listed != name and not listed.startswith(f"{name}/"):
            continue
        file = folder / listed
        if not file.is_file() or weight_sha256(file) != entry.sha256:
            raise LyraError(
                f"weights {file} differ from {MANIFEST_NAME} (sha256). Reinstall the package, or train or fetch again."
            )
    return path


def _first(error: ValidationError) -> str:
    detail = error.errors()[0]
    return f"{'.'.join(map(str, detail['loc'])) or 'file'}: {detail['msg']}"
