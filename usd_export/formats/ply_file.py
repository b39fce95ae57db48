# SPDX-License-Identifier: Apache-2.0
"""The PLY container, without any meaning of the properties: a guard in front of plyfile.

plyfile reads the rows, mapped if binary. It believes the header, so that this is parsed here first, in lines exactly as
plyfile sees them, and compared with the size of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyParseError

from usd_export.errors import UsdExportError

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
_ENCODINGS = ("ascii", "binary_little_endian", "binary_big_endian")
_HEADER_LIMIT = 1 << 20
_LINE_LIMIT = 1 << 16
_BLOCK_ROWS = 1 << 14


@dataclass
class PlyElement:
    """A table of the file: `count` rows of `properties`, each a name and a NumPy type code such as "f4"."""

    name: str
    count: int
    properties: dict[str, str]
    has_lists: bool = False


@dataclass(frozen=True)
class PlyHeader:
    """What the head of a PLY says, before any data is trusted; `size` is its length [bytes]."""

    size: int
    encoding: str
    elements: dict[str, PlyElement]
    comments: tuple[str, ...]


def read_header(path: Path) -> PlyHeader:
    """Read only the header.

    Raises:
        UsdExportError: If the file is missing, empty or no PLY, or a header line breaks the grammar.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_LIMIT)
    except OSError as error:
        raise UsdExportError(f"{path} could not be read: {error.strerror or error}") from error
    if not head:
        raise UsdExportError(f"{path} is empty; expected a 3D Gaussian PLY")
    match = re.match(rb"ply(\r?\n)(?:.*?\1)??end_header\1", head, re.DOTALL)
    if match is None:
        raise UsdExportError(f"{path} is not a PLY file or its header is cut off; expected a 3D Gaussian PLY")
    try:
        return _parse(match[0].decode("ascii").split(match[1].decode())[1:-2], match.end())
    except UnicodeDecodeError as error:
        raise UsdExportError(f"{path} has a header with characters beyond ASCII; remove them from its lines") from error
    except ValueError as error:
        raise UsdExportError(f"{path} has a wrong header ({error}); write or download the file again") from error


def _parse(lines: list[str], size: int) -> PlyHeader:
    """Header from its lines between `ply` and `end_header`; ValueError names the first bad line."""
    encoding, elements, comments = "", dict[str, PlyElement](), list[str]()
    for number, line in enumerate(lines, start=2):
        words = line.split()
        match words:
            case [] | ["obj_info", *_]:
                continue
            case ["comment", *_]:
                comments.append(line.strip()[len("comment ") :])
            case ["format", name, "1.0"] if name in _ENCODINGS and not encoding:
                encoding = name
            case ["element", name, count] if name not in elements and re.fullmatch(r"[0-9]{1,18}", count):
                elements[name] = PlyElement(name, int(count), {})
            case ["property", *description] if elements:
                last = elements[next(reversed(elements))]
                elements[last.name] = _with_property(last, description, number)
            case _:
                raise ValueError(f"line {number}: {line.strip()[:60]!r}")
    if not encoding:
        raise ValueError("no format line")
    return PlyHeader(size, encoding, elements, tuple(comments))


def _with_property(element: PlyElement, description: list[str], number: int) -> PlyElement:
    match description:
        case ["list", length, item, _] if length in _TYPES and item in _TYPES:
            return PlyElement(element.name, element.count, element.properties, has_lists=True)
        case [kind, name] if kind in _TYPES and name not in element.properties:
            element.properties[name] = _TYPES[kind]
            return element
    raise ValueError(f"line {number}: property {' '.join(description)[:60]!r}")


def require_no_lists(path: Path, header: PlyHeader) -> None:
    """Refuse lists: nothing bounds what they claim before they are read, and no splat format has any.

    Raises:
        UsdExportError: If an element with rows holds them.
    """
    for element in header.elements.values():
        if element.has_lists and element.count > 0:
            raise UsdExportError(
                f"{path} holds lists in the element {element.name}, so it is a mesh; expected a 3D Gaussian PLY"
            )


def read_tables(path: Path, header: PlyHeader) -> dict[str, np.ndarray]:
    """Rows of all elements by name, once the promises of the header agree with the file.

    Returns:
        Records [count] with one field per property: of a binary file mapped pages, of an ascii file memory.

    Raises:
        UsdExportError: If the file is shorter or longer than promised, holds lists, or has rows that are not numbers.
    """
    require_no_lists(path, header)
    try:
        _require_size(path, header)
        if header.encoding == "ascii":
            _require_lines(path, header)
        data = PlyData.read(str(path), mmap="r")
    except OSError as error:
        raise UsdExportError(f"{path} could not be read: {error.strerror or error}") from error
    except (PlyParseError, ValueError, OverflowError) as error:
        raise UsdExportError(f"{path} has a wrong header or row ({error}); write or download it again") from error
    return {element.name: np.asarray(element.data) for element in data.elements}


def _require_size(path: Path, header: PlyHeader) -> None:
    """Compare the promises of the header with the size of the file, before anything is allocated."""
    found, promised = path.stat().st_size, header.size
    for element in header.elements.values():
        promised += element.count * _least_row_bytes(header, element)
    if header.encoding == "ascii":
        promised -= 1  # the last line may lack its end
    if found < promised or (found > promised and header.encoding != "ascii"):
        least = "at least " if header.encoding == "ascii" else ""
        raise UsdExportError(
            f"{path} has {found} bytes but its header promises {least}{promised}; write or download the file again"
        )


def _least_row_bytes(header: PlyHeader, element: PlyElement) -> int:
    if header.encoding == "ascii":
        return max(1, 2 * len(element.properties))  # one digit and one separator per value
    return sum(np.dtype(kind).itemsize for kind in element.properties.values())


def _require_lines(path: Path, header: PlyHeader) -> None:
    """Check that ascii rows are as many as promised, and none is so long that splitting it would take much memory."""
    promised, found = sum(element.count for element in header.elements.values()), 0
    with path.open("rb") as file:
        file.seek(header.size)
        while line := file.readline(_LINE_LIMIT):
            if len(line) == _LINE_LIMIT:
                raise UsdExportError(f"{path} has a line of more than {_LINE_LIMIT} bytes; write it again")
            found += not line.isspace()
    if found != promised:
        raise UsdExportError(f"{path} has {found} rows but its header promises {promised}; write or download it again")


def header_bytes(comments: Sequence[str], *elements: tuple[str, int, str, Sequence[str]]) -> bytes:
    """Head of a binary little-endian file; an element is its name, its count, and type and names of its properties."""
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {comment}" for comment in comments)]
    for name, count, kind, properties in elements:
        lines += [f"element {name} {count}", *(f"property {kind} {property}" for property in properties)]
    return "\n".join([*lines, "end_header", ""]).encode()


def row_blocks(count: int) -> Iterator[slice]:
    """Parts of a table that are converted at once, so that what is computed on the way takes a few megabytes."""
    return (slice(start, min(start + _BLOCK_ROWS, count)) for start in range(0, count, _BLOCK_ROWS))


def columns(records: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Named fields of records [n] as float64 [n, len(names)]."""
    table = np.empty((len(records), len(names)), np.float64)
    for column, name in enumerate(names):
        table[:, column] = records[name]
    return table
