# SPDX-License-Identifier: Apache-2.0
"""Sharded tars: `shard-00000.tar` holds samples as the files of `members`, `shard-00000.json` is its index.

The index gives offset, size and CRC-32 of every member, so that any part of any sample is read with one seek and no
damage goes unnoticed, and the SHA-256 of the tar. Names, owners and dates in the tar do not depend on who wrote it:
the same samples give the same bytes. Readers of WebDataset can stream the tars without the index.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError

from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.synthesis.members import Frames, assembled, members
from lyra_core.synthesis.sample import Sample
from lyra_core.weights.manifest import sha256

DAMAGE = (OSError, SyntaxError, ValueError, KeyError, TypeError, EOFError, SafetensorError, zlib.error,
          zipfile.BadZipFile, tarfile.TarError)  # fmt: skip
"""What decoders raise for damaged bytes."""


class Place(BaseModel):
    """Where a member is in its tar."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    offset: int
    size: int
    crc32: int


class ShardIndex(BaseModel):
    """What is in a tar."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    sha256: str
    bytes: int
    samples: dict[str, dict[str, Place]]
    """Members by suffix, by name of the sample."""
    failed: dict[str, str]
    """Samples that belong here and could not be made: name and reason."""


def shard_name(number: int) -> str:
    """Name of the tar, without its folder."""
    return f"shard-{number:05d}.tar"


def index_path(tar: Path) -> Path:
    """Where the index of a tar is."""
    return tar.with_suffix(".json")


def write_staged(path: Path, sample: Sample, frames: Frames) -> None:
    """One finished sample as a tar of its own, until its shard is complete."""
    with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for suffix, content in members(sample, frames):
            _add(tar, f"{sample.name}.{suffix}", content)


def seal(tar: Path, staged: Mapping[str, Path], failed: Mapping[str, str]) -> None:
    """Joins staged samples into a shard and writes its index; tar first, so that an index always has its tar."""
    with replacing(tar) as temporary:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as target:
            for path in staged.values():
                with tarfile.open(path) as source:
                    for member in source:
                        target.addfile(member, source.extractfile(member))
        index = _index(temporary, staged, failed)
    with replacing(index_path(tar)) as temporary:
        temporary.write_text(index.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_index(tar: Path) -> ShardIndex:
    """The index of a tar. Raises LyraError when it is missing or damaged."""
    path = index_path(tar)
    try:
        return ShardIndex.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        reason = "damaged" if path.exists() else "missing"
        raise LyraError(f"the index {path} is {reason}. {_remedy(tar)}") from error


def load_sample(tar: Path, index: ShardIndex, name: str, views: Collection[int] | None = None) -> Sample:
    """One sample of a shard, all views or a selection. Raises LyraError naming the shard that is damaged."""
    places = index.samples[name]
    with _damage_named(tar, name), tar.open("rb") as stream:
        return assembled(name, lambda suffix: _content(stream, places[suffix]), views)


def load_member(tar: Path, index: ShardIndex, name: str, suffix: str) -> bytes:
    """One member of a sample. Raises as `load_sample`."""
    with _damage_named(tar, name), tar.open("rb") as stream:
        return _content(stream, index.samples[name][suffix])


@contextmanager
def _damage_named(tar: Path, name: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        detail = f"no member {error}" if isinstance(error, KeyError) else error
        raise LyraError(f"shard {tar} is damaged at sample {name} ({detail}). {_remedy(tar)}") from error


def shard_damage(tar: Path, index: ShardIndex) -> str | None:
    """What is wrong with the bytes of a tar, or None."""
    if not tar.is_file():
        return f"shard {tar} is missing. {_remedy(tar)}"
    size = tar.stat().st_size
    if size != index.bytes:
        return f"shard {tar} has {size:,} bytes instead of {index.bytes:,}. {_remedy(tar)}"
    return None if sha256(tar) == index.sha256 else f"shard {tar} is damaged (its SHA-256 differs). {_remedy(tar)}"


def _remedy(tar: Path) -> str:
    return f"Delete {tar.name} and {index_path(tar).name}, and run `lyra synthesize` again: it makes what is missing."


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _index(tar: Path, names: Iterable[str], failed: Mapping[str, str]) -> ShardIndex:
    samples: dict[str, dict[str, Place]] = {name: {} for name in names}
    with tarfile.open(tar) as opened, tar.open("rb") as stream:
        for member in opened:
            name, _, suffix = member.name.partition(".")
            stream.seek(member.offset_data)
            content = stream.read(member.size)
            samples[name][suffix] = Place(offset=member.offset_data, size=member.size, crc32=zlib.crc32(content))
    return ShardIndex(sha256=sha256(tar), bytes=tar.stat().st_size, samples=samples, failed=dict(failed))


def _content(stream: io.BufferedReader, place: Place) -> bytes:
    stream.seek(place.offset)
    content = stream.read(place.size)
    if zlib.crc32(content) != place.crc32:
        raise ValueError("a checksum differs")
    return content
