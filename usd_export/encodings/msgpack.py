# SPDX-License-Identifier: Apache-2.0
"""MessagePack for files of unknown origin: the plain types, without extensions, with bounds on everything.

Format: the MessagePack specification of 2013 and later, which tells text (str) from bytes (bin).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from usd_export.errors import UsdExportError

MAX_BIN = 2**32 - 1
"""Largest array in bytes."""

_MAX_DEPTH = 32
_MAX_ITEMS = 100_000
_MAX_TEXT = 1 << 16
_BLOCK = 1 << 20


class Readable(Protocol):
    """The part of a binary file that is needed here."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


@dataclass(frozen=True)
class Zeros:
    """A bin of so many zero bytes, without the memory for it."""

    size: int


def pack(value: Any) -> Iterator[bytes | memoryview | Zeros]:
    """Encode nested values piece by piece, without copies of the arrays.

    Args:
        value: None, bool, int, float, str, contiguous numpy array or `Zeros` (both become bin), list, or dictionary.

    Raises:
        UsdExportError: If an array is larger than the format allows.
    """
    if isinstance(value, Mapping):
        yield _length(len(value), 0x80, 0xDE)
        for key, item in value.items():
            yield from pack(key)
            yield from pack(item)
    elif isinstance(value, list | tuple):
        yield _length(len(value), 0x90, 0xDC)
        for item in value:
            yield from pack(item)
    elif isinstance(value, np.ndarray):
        yield _bin_header(value.nbytes)
        if value.nbytes:
            yield value.reshape(-1).view(np.uint8).data
    elif isinstance(value, Zeros):
        yield _bin_header(value.size)
        yield value
    else:
        yield _pack_scalar(value)


def _pack_scalar(value: bool | int | float | str | None) -> bytes:
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _pack_int(value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0xCB, value)
    text = value.encode()
    if len(text) < 32:
        return bytes([0xA0 | len(text)]) + text
    if len(text) < 256:
        return struct.pack(">BB", 0xD9, len(text)) + text
    return struct.pack(">BH", 0xDA, len(text)) + text


def _pack_int(value: int) -> bytes:
    """The shortest form."""
    if 0 <= value < 128:
        return bytes([value])
    for code, form in ((0xCC, ">BB"), (0xCD, ">BH"), (0xCE, ">BI"), (0xCF, ">BQ")):
        if 0 <= value < 256 ** (struct.calcsize(form) - 1):
            return struct.pack(form, code, value)
    return struct.pack(">b", value) if value >= -32 else struct.pack(">Bq", 0xD3, value)


def _length(count: int, short: int, long: int) -> bytes:
    return bytes([short | count]) if count < 16 else struct.pack(">BH", long, count)


def _bin_header(size: int) -> bytes:
    if size > MAX_BIN:
        raise UsdExportError(f"an array of {size} bytes is more than MessagePack allows; split the cloud")
    if size < 256:
        return struct.pack(">BB", 0xC4, size)
    return struct.pack(">BH", 0xC5, size) if size < 65536 else struct.pack(">BI", 0xC6, size)


def unpack(stream: Readable, budget: int) -> Any:
    """Decode one value that fills the stream.

    Args:
        stream: Read from its current position to its end.
        budget: Bytes that may be read at most; announced sizes are checked against it before memory is taken.

    Returns:
        None, bool, int, float, str, bytearray, list or dictionary.

    Raises:
        UsdExportError: Naming the offset, if the stream ends early or late, breaks a bound or holds another type.
    """
    reader = _Reader(stream, budget)
    value = reader.value(0)
    if stream.read(1):
        raise reader.error("there are bytes after the end of the data")
    return value


class _Reader:
    def __init__(self, stream: Readable, budget: int) -> None:
        self.stream, self.budget = stream, budget
        self.offset = self.items = 0

    def error(self, problem: str) -> UsdExportError:
        return UsdExportError(f"{problem} (offset {self.offset} of the unpacked data)")

    def value(self, depth: int) -> Any:
        self.items += 1
        if self.items > _MAX_ITEMS:
            raise self.error(f"there are more than {_MAX_ITEMS} values")
        if depth > _MAX_DEPTH:
            raise self.error(f"values are nested deeper than {_MAX_DEPTH} levels")
        code = self.take(1)[0]
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 256
        if code < 0x90:
            return self.mapping(code & 15, depth)
        if code < 0xA0:
            return self.array(code & 15, depth)
        if code < 0xC0:
            return self.text(code & 31)
        return self.coded(code, depth)

    def coded(self, code: int, depth: int) -> Any:
        """A value whose first byte says only its type."""
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code in _SCALARS:
            return self.number(_SCALARS[code])
        if code in _BINS:
            return self.take(self.number(_BINS[code]))
        if code in _TEXTS:
            return self.text(self.number(_TEXTS[code]))
        if code in _ARRAYS:
            return self.array(self.number(_ARRAYS[code]), depth)
        if code in _MAPS:
            return self.mapping(self.number(_MAPS[code]), depth)
        raise self.error(f"type 0x{code:02x} is not used in such files")

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, size: int) -> str:
        if size > _MAX_TEXT:
            raise self.error(f"a text of {size} bytes is longer than {_MAX_TEXT}")
        try:
            return self.take(size).decode()
        except UnicodeDecodeError as error:
            raise self.error("a text is not UTF-8") from error

    def array(self, count: int, depth: int) -> list[Any]:
        return [self.value(depth + 1) for _ in range(count)]

    def mapping(self, count: int, depth: int) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if not isinstance(key, str | int) or key in result:
                raise self.error("a key is a duplicate or neither text nor a number")
            result[key] = self.value(depth + 1)
        return result

    def take(self, size: int) -> bytearray:
        """Exactly `size` bytes; memory grows with what is really there."""
        if size > self.budget - self.offset:
            raise self.error(f"{size} bytes are announced, more than the {self.budget} allowed for a file of this size")
        data = bytearray()
        while len(data) < size:
            block = self.stream.read(min(size - len(data), _BLOCK))
            if not block:
                raise self.error(f"the data end {size - len(data)} bytes early")
            data += block
        self.offset += size
        return data


_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_SCALARS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_BINS = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_TEXTS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_ARRAYS = {0xDC: ">H", 0xDD: ">I"}
_MAPS = {0xDE: ">H", 0xDF: ">I"}
