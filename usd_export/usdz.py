# SPDX-License-Identifier: Apache-2.0
"""USDZ packages: stored zip entries whose data start on multiples of 64 bytes, without clock times.

Format: APPNOTE.TXT 6.3 (zip) and the USDZ specification. Written by hand because zip libraries neither align the data
nor accept entries of 2 to 4 GiB without ZIP64, which USDZ forbids.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from usd_export.errors import UsdExportError
from usd_export.opening.zip_format import CENTRAL, CENTRAL_SIGNATURE, END, END_SIGNATURE, LOCAL, LOCAL_SIGNATURE

ALIGNMENT = 64
MAX_BYTES = 2**32 - 1

_VERSION = 10
_DATE = (1 << 5) | 1  # 1980-01-01, the zip epoch: packages of equal content are equal
_PADDING_ID = 0x1986  # extra field that USD's own writer pads with
_BLOCK = 1 << 20


@dataclass(frozen=True)
class _Entry:
    name: bytes
    size: int
    checksum: int
    offset: int


def write_usdz(target: Path, files: Sequence[Path]) -> None:
    """Pack files, the root layer first, under their own names.

    Raises:
        UsdExportError: If the package would exceed 4 GiB, the limit of the format.
    """
    total = sum(file.stat().st_size + 4 * ALIGNMENT + 2 * len(file.name) for file in files)
    if total > MAX_BYTES:
        raise UsdExportError(f"the package would have {total} bytes, more than USDZ allows; write to a folder instead")
    with target.open("wb") as package:
        entries = []
        for file in files:
            entry = _Entry(file.name.encode(), file.stat().st_size, _checksum(file), package.tell())
            package.write(_local_header(entry))
            for block in _blocks(file):
                package.write(block)
            entries.append(entry)
        start = package.tell()
        for entry in entries:
            package.write(_central_header(entry))
        count, size = len(entries), package.tell() - start
        package.write(END.pack(END_SIGNATURE, 0, 0, count, count, size, start, 0))


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while block := source.read(_BLOCK):
            yield block


def _checksum(file: Path) -> int:
    checksum = 0
    for block in _blocks(file):
        checksum = zlib.crc32(block, checksum)
    return checksum


def _local_header(entry: _Entry) -> bytes:
    unpadded = entry.offset + LOCAL.size + len(entry.name) + 4
    extra = struct.pack("<HH", _PADDING_ID, padding := -unpadded % ALIGNMENT) + bytes(padding)
    header = LOCAL.pack(
        LOCAL_SIGNATURE, _VERSION, 0, 0, 0, _DATE, entry.checksum, entry.size, entry.size, len(entry.name), len(extra)
    )
    return header + entry.name + extra


def _central_header(entry: _Entry) -> bytes:
    header = CENTRAL.pack(
        CENTRAL_SIGNATURE, _VERSION, _VERSION, 0, 0, 0, _DATE, entry.checksum, entry.size, entry.size,
        len(entry.name), 0, 0, 0, 0, 0, entry.offset,
    )  # fmt: skip
    return header + entry.name
