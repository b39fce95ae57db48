# SPDX-License-Identifier: Apache-2.0
"""Reading the directory of a .usdz of unknown origin: nothing is unpacked, and nothing is believed twice.

USD walks the records in front of the data from the first byte of the file, while zip tools read the directory at its
end. A package is accepted only if both ways lead to the same entries, so that nobody sees what the others do not.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from usd_export.errors import UsdExportError, located
from usd_export.opening.zip_format import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    END,
    END_SIGNATURE,
    LOCAL,
    LOCAL_SIGNATURE,
    ZIP64_EXTRA,
    ZIP64_LOCATOR_SIGNATURE,
)

MAX_ENTRIES = 10_000
"""Far more layers, textures and payloads than a scene has."""

_MAX_DIRECTORY = 8 << 20
_MAX_COMMENT = 0xFFFF
_BLOCK = 1 << 20
_ZIP64_MARK = 0xFFFFFFFF
_ZIP64_LOCATOR = struct.pack("<I", ZIP64_LOCATOR_SIGNATURE)
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_SIZES_AFTER_DATA = 1 << 3


@dataclass(frozen=True)
class PackageEntry:
    """One file of a package.

    Attributes:
        name: Path inside the package.
        header: Offset of the entry's own record [bytes].
        offset: Offset of its data [bytes]; USDZ asks for multiples of 64, which is a matter of speed, not of safety.
        size: Length of its data [bytes].
        checksum: CRC-32 of its data, as the package states it.
    """

    name: str
    header: int
    offset: int
    size: int
    checksum: int


@dataclass(frozen=True)
class _Listed:
    """An entry as the directory describes it."""

    name: str
    flags: int
    method: int
    checksum: int
    stored: int
    size: int
    header: int

    @property
    def place(self) -> str:
        return f"entry {self.name!r} at offset {self.header}"


@dataclass(frozen=True)
class _Directory:
    offset: int
    size: int
    count: int


def check_package(path: Path) -> list[PackageEntry]:
    """Entries of a package that is safe to open, in file order.

    Raises:
        UsdExportError: If the file is no complete zip archive, if an entry is compressed, encrypted, named twice,
            overlaps another one, lies outside the file or has a name that leads out of the package, if the two
            directories of the archive disagree, or if it is ZIP64; naming the entry and its offset.
    """
    try:
        with path.open("rb") as file, located(path):
            size = file.seek(0, 2)
            directory = _find_directory(file, size)
            return list(_located(file, list(_listed(file, directory)), directory.offset))
    except OSError as error:
        raise UsdExportError(f"{path} could not be read: {error.strerror or error}") from error


def damaged_entries(path: Path, entries: Sequence[PackageEntry]) -> list[PackageEntry]:
    """Those entries of a checked package whose data do not have the checksum that the package states."""
    with path.open("rb") as file:
        return [entry for entry in entries if _checksum(file, entry) != entry.checksum]


def _checksum(file: BinaryIO, entry: PackageEntry) -> int:
    checksum, end = 0, entry.offset + entry.size
    for at in range(entry.offset, end, _BLOCK):
        checksum = zlib.crc32(_read(file, at, min(_BLOCK, end - at)), checksum)
    return checksum


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _find_directory(file: BinaryIO, size: int) -> _Directory:
    """Where the directory lies, from the record at the very end of the file."""
    tail_start = max(0, size - END.size - _MAX_COMMENT)
    tail = _read(file, tail_start, size - tail_start)
    place = _end_record(tail)
    if place is None:
        raise UsdExportError(f"no directory at the end (offset {size}); the package is cut off or not a zip archive")
    end = tail_start + place
    _, disk, first_disk, here, count, length, offset, _ = END.unpack_from(tail, place)
    locator = _read(file, end - 20, 4) if end >= 20 else b""
    if locator == _ZIP64_LOCATOR or count == 0xFFFF or _ZIP64_MARK in (length, offset):
        raise UsdExportError(f"the directory record at offset {end} is ZIP64, which USDZ forbids; write it again")
    if disk or first_disk or here != count:
        raise UsdExportError(f"the directory record at offset {end} speaks of several disks; write it again")
    if count > MAX_ENTRIES or length > _MAX_DIRECTORY:
        raise UsdExportError(
            f"the directory record at offset {end} promises {count} entries in {length} bytes; "
            f"at most {MAX_ENTRIES} entries are read"
        )
    if offset + length != end:
        raise UsdExportError(
            f"the directory should end at offset {offset + length} but its end record is at {end}; write it again"
        )
    return _Directory(offset, length, count)


def _end_record(tail: bytes) -> int | None:
    """Place of the last end record whose comment reaches exactly to the end of the file."""
    place = tail.rfind(struct.pack("<I", END_SIGNATURE))
    while place >= 0:
        if place + END.size <= len(tail):
            comment = END.unpack_from(tail, place)[-1]
            if place + END.size + comment == len(tail):
                return place
        place = tail.rfind(struct.pack("<I", END_SIGNATURE), 0, place)
    return None


def _listed(file: BinaryIO, directory: _Directory) -> Iterator[_Listed]:
    """Entries as the directory lists them, each checked on its own."""
    data, at, names = _read(file, directory.offset, directory.size), 0, set[str]()
    for number in range(directory.count):
        where = directory.offset + at
        record = CENTRAL.unpack_from(data, at) if at + CENTRAL.size <= len(data) else (0,) * 17
        name_length, extra_length, comment_length = record[10:13]
        name_at = at + CENTRAL.size
        extra_at = name_at + name_length
        at = extra_at + extra_length + comment_length
        if record[0] != CENTRAL_SIGNATURE or at > len(data):
            raise UsdExportError(
                f"no valid entry {number} of {directory.count} in the directory (offset {where}); write it again"
            )
        flags, method, checksum, stored, size = *record[3:5], *record[7:10]
        entry = _Listed(_entry_name(data[name_at:extra_at], where), flags, method, checksum, stored, size, record[16])
        _require_small(entry.place, (entry.stored, entry.size, entry.header), data[extra_at : extra_at + extra_length])
        _require_plain(entry)
        if entry.name in names:
            raise UsdExportError(f"{entry.place} has the name of an earlier entry; rename one of them")
        names.add(entry.name)
        yield entry
    if at != len(data):
        raise UsdExportError(f"the directory goes on after its last entry (offset {directory.offset + at})")


def _require_small(place: str, numbers: tuple[int, ...], extra: bytes) -> None:
    if any(number == _ZIP64_MARK for number in numbers) or _has_zip64(extra):
        raise UsdExportError(f"{place} is ZIP64, which USDZ forbids; write it again")


def _require_plain(entry: _Listed) -> None:
    if entry.flags & _ENCRYPTED:
        raise UsdExportError(f"{entry.place} is encrypted, which USDZ forbids; write it without a password")
    if entry.method != 0 or entry.stored != entry.size:
        raise UsdExportError(
            f"{entry.place} is compressed ({entry.stored} to {entry.size} bytes), which USDZ forbids; "
            "write it again without compression"
        )
    if entry.flags & _SIZES_AFTER_DATA:
        raise UsdExportError(f"{entry.place} gives its size after its data, where USD does not look; write it again")


def _has_zip64(extra: bytes) -> bool:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == ZIP64_EXTRA:
            return True
        at += 4 + length
    return False


def _entry_name(raw: bytes, where: int) -> str:
    """The name, if it stays inside the package on every system."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsdExportError(f"the entry named {raw!r} at offset {where} is not UTF-8; rename it") from error
    parts = name.removesuffix("/").split("/")
    if not name or not name.isprintable() or "\\" in name:
        raise UsdExportError(f"the entry named {name!r} at offset {where} has no usable name; rename it")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise UsdExportError(f"the entry named {name!r} at offset {where} is an absolute path; rename it")
    if any(part in ("", ".", "..") for part in parts):
        raise UsdExportError(f"the entry named {name!r} at offset {where} leads out of the package; rename it")
    return name


def _located(file: BinaryIO, listed: list[_Listed], directory: int) -> Iterator[PackageEntry]:
    """Walk the records in front of the data as USD does: they must be the listed ones, one right after the other."""
    at = 0
    for entry in sorted(listed, key=lambda entry: entry.header):
        if entry.header != at:
            problem = "overlaps what comes before it" if entry.header < at else "follows bytes of no entry"
            raise UsdExportError(f"{entry.place} {problem} (offset {at} expected); write it again")
        data = _data_offset(file, entry)
        at = data + entry.size
        if at > directory:
            raise UsdExportError(f"{entry.place} reaches to {at}, beyond the data of the package; write it again")
        yield PackageEntry(entry.name, entry.header, data, entry.size, entry.checksum)
    if at != directory:
        raise UsdExportError(f"bytes of no entry lie before the directory (offset {at}); write it again")


def _data_offset(file: BinaryIO, entry: _Listed) -> int:
    """Where the data of an entry begin, if its own record says what the directory says."""
    head = _read(file, entry.header, LOCAL.size)
    record = LOCAL.unpack(head) if len(head) == LOCAL.size else (0,) * 11
    signature, _, flags, method, _, _, checksum, stored, size, name_length, extra_length = record
    rest = _read(file, entry.header + LOCAL.size, name_length + extra_length)
    _require_small(entry.place, (stored, size), rest[name_length:])
    same = (flags, method, checksum, stored, size) == (
        entry.flags, entry.method, entry.checksum, entry.stored, entry.size,
    )  # fmt: skip
    if signature != LOCAL_SIGNATURE or not same or rest[:name_length] != entry.name.encode():
        raise UsdExportError(f"{entry.place} differs from what the directory says about it; write it again")
    return entry.header + LOCAL.size + name_length + extra_length
