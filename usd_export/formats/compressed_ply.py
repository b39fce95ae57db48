# SPDX-License-Identifier: Apache-2.0
"""The compressed PLY of PlayCanvas: 16 bytes per Gaussian, in chunks of 256 with a common range.

| element | per | properties |
|---|---|---|
| chunk | 256 Gaussians | float: least and greatest position, log scale and base colour (old files: 0 and 1) |
| vertex | Gaussian | uint: position 11 10 11 bits, rotation 2 10 10 10, log scale 11 10 11, colour, opacity 8 8 8 8 |
| sh | Gaussian | optional; uchar: f_rest of degree 1 to 3, from -4 to 4 in 256 steps |

The first component sits in the highest bits. A rotation is the index of its largest component in w, x, y, z and the
three others from -sqrt(1/2) to sqrt(1/2). Stated precision: half a step of each of these, and a whole one for harmonics
in the first and last step, which are read as -4 and 4.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import SH_C0, GaussianCloud
from usd_export.errors import UsdExportError, located
from usd_export.files import replacing
from usd_export.formats.ply import harmonic_columns, harmonic_degree, harmonic_names, read_harmonics
from usd_export.formats.ply_file import (
    PlyElement,
    PlyHeader,
    columns,
    header_bytes,
    read_header,
    read_tables,
    row_blocks,
)
from usd_export.formats.smallest_three import with_largest, without_largest

Array = NDArray[np.float64]
Words = NDArray[np.uint32]

CHUNK = 256
"""Gaussians that share a range."""
SH_LIMIT = 4.0
"""Higher harmonics are held from -SH_LIMIT to SH_LIMIT."""

_RANGED = ("x", "y", "z", "scale_x", "scale_y", "scale_z", "r", "g", "b")
_CHUNK_NAMES = [f"{end}_{name}" for first in (0, 3, 6) for end in ("min", "max") for name in _RANGED[first : first + 3]]
_PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
_11_10_11 = (11, 10, 11)
_8_8_8_8 = (8, 8, 8, 8)
_2_10_10_10 = (2, 10, 10, 10)
_ROWS_PER_BLOCK = 64 * CHUNK


def is_compressed(header: PlyHeader) -> bool:
    """Whether a PLY is of this format rather than an ordinary 3D Gaussian PLY."""
    return "chunk" in header.elements


def read_compressed_ply(path: str | Path) -> GaussianCloud:
    """Read a compressed PLY; peak memory is the cloud, a few megabytes and the mapped pages of the file.

    Raises:
        UsdExportError: If the file is missing, no compressed PLY, truncated, inconsistent, or holds invalid values.
    """
    path = Path(path)
    header = read_header(path)
    degree = _require_elements(path, header)
    tables = read_tables(path, header)
    cloud = GaussianCloud.allocate(len(tables["vertex"]), degree)
    with np.errstate(over="ignore", invalid="ignore"):
        _read_vertices(tables["vertex"], _ranges(tables["chunk"]), cloud)
        if degree:
            _read_harmonics(tables["sh"], cloud)
    with located(path):
        return cloud.validate()


def _require_elements(path: Path, header: PlyHeader) -> int:
    """Check types and counts; the degree of the harmonics."""
    if header.encoding != "binary_little_endian":
        raise UsdExportError(f"{path} is a compressed PLY of format {header.encoding}; expected binary_little_endian")
    chunk, vertex = (header.elements.get(name, PlyElement(name, 0, {})) for name in ("chunk", "vertex"))
    _require_kind(path, chunk, _CHUNK_NAMES[: 2 * _ranged(chunk.properties)], "f4")
    _require_kind(path, vertex, _PACKED, "u4")
    if vertex.count == 0:
        raise UsdExportError(f"{path} has no Gaussians; nothing can be exported from it")
    if chunk.count != -(-vertex.count // CHUNK):
        raise UsdExportError(f"{path} has {chunk.count} chunks for {vertex.count} Gaussians; expected one per {CHUNK}")
    if "sh" not in header.elements:
        return 0
    sh = header.elements["sh"]
    degree = harmonic_degree(path, sh)
    _require_kind(path, sh, harmonic_names(degree), "u1")
    if sh.count != vertex.count:
        raise UsdExportError(f"{path} has harmonics for {sh.count} of {vertex.count} Gaussians; write it again")
    return degree


def _ranged(properties: Container[str]) -> int:
    """How many of the nine values have a range in the file: colours may lack one."""
    return 9 if any(name in properties for name in _CHUNK_NAMES[12:]) else 6


def _require_kind(path: Path, element: PlyElement, names: Sequence[str], kind: str) -> None:
    wrong = [name for name in names if element.properties.get(name) != kind]
    if wrong:
        raise UsdExportError(
            f"{path} lacks the property {wrong[0]} of the element {element.name} in the type "
            "of the format; expected a compressed PLY of PlayCanvas"
        )


def _read_vertices(vertices: np.ndarray, ranges: NDArray[np.float32], cloud: GaussianCloud) -> None:
    """Write everything but the higher harmonics into `cloud`; ranges [2, chunks, 9]."""
    for block in row_blocks(len(vertices)):
        records = vertices[block]
        low, high = ranges[:, np.arange(block.start, block.stop) // CHUNK].astype(np.float64)
        position, rotation, scale, color = (records[name] for name in _PACKED)
        parts = _unpacked(color, _8_8_8_8)
        unit = np.concatenate([_unpacked(position, _11_10_11), _unpacked(scale, _11_10_11), parts[:, :3]], axis=1)
        values = low * (1 - unit) + high * unit
        kept = (_unpacked(rotation, _2_10_10_10)[:, 1:] - 0.5) * np.sqrt(2)
        cloud.positions[block] = values[:, :3]
        cloud.scales[block] = np.exp(values[:, 3:6])
        cloud.rotations[block] = with_largest(rotation >> np.uint32(30), kept)
        cloud.opacities[block] = parts[:, 3]
        cloud.sh[block, 0] = (values[:, 6:] - 0.5) / SH_C0


def _ranges(chunks: np.ndarray) -> NDArray[np.float32]:
    """Least and greatest position, log scale and colour [2, chunks, 9]."""
    ranges = np.empty((2, len(chunks), 9), np.float32)
    ranges[0], ranges[1] = 0, 1
    known = _ranged(chunks.dtype.names or ())
    for block in row_blocks(len(chunks)):
        for end, prefix in enumerate(("min", "max")):
            ranges[end, block, :known] = columns(chunks[block], [f"{prefix}_{name}" for name in _RANGED[:known]])
    return ranges


def _read_harmonics(harmonics: np.ndarray, cloud: GaussianCloud) -> None:
    for block in row_blocks(len(harmonics)):
        steps = read_harmonics(harmonics[block], cloud.sh_degree)
        values = np.where(steps == 0, 0, np.where(steps == 255, 1, (steps + 0.5) / 256))
        cloud.sh[block, 1:] = 2 * SH_LIMIT * (values - 0.5)


def _unpacked(words: Words, bits: Sequence[int]) -> Array:
    """Fields [n, len(bits)] of 32-bit words, each from 0 to 1; the first is the highest."""
    shift, fields = 32, []
    for width in bits:
        shift -= width
        fields.append(((words >> np.uint32(shift)) & np.uint32((1 << width) - 1)) / ((1 << width) - 1))
    return np.stack(fields, axis=1)


def _packed(fields: Array, bits: Sequence[int]) -> Words:
    """Words [n] of fields [n, len(bits)], each from 0 to 1."""
    words = np.zeros(len(fields), np.uint32)
    for column, width in zip(fields.T, bits, strict=True):
        steps = np.floor(np.clip(column, 0, 1) * ((1 << width) - 1) + 0.5)
        words = (words << np.uint32(width)) | steps.astype(np.uint32)
    return words


def write_compressed_ply(path: str | Path, cloud: GaussianCloud, comments: Sequence[str] = ()) -> None:
    """Write a compressed PLY; the Gaussians are put in `chunk_order`, so that chunks are compact.

    Args:
        path: Target; its content is replaced only when the new file is complete.
        cloud: Gaussians, written in their own frame.
        comments: ASCII lines for the header, without line breaks.

    Raises:
        UsdExportError: If the cloud is invalid or the target cannot be written.
    """
    cloud.validate()
    count, rest = len(cloud), harmonic_names(cloud.sh_degree)
    order = chunk_order(cloud)
    elements = [("chunk", -(-count // CHUNK), "float", _CHUNK_NAMES), ("vertex", count, "uint", list(_PACKED))]
    if rest:
        elements.append(("sh", count, "uchar", rest))
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        file.write(header_bytes(comments, *elements))
        vertices = []
        for part in _parts(order):
            ranges, words = _packed_chunks(cloud, part)
            file.write(ranges.tobytes())
            vertices.append(words)
        for words in vertices:
            file.write(words.tobytes())
        for part in _parts(order):
            file.write(_packed_harmonics(cloud, part).tobytes())


def chunk_order(cloud: GaussianCloud) -> NDArray[np.intp]:
    """Order [N] of the Gaussians along a Z-order curve, ties in their old order."""
    low, high = cloud.positions.min(axis=0), cloud.positions.max(axis=0)
    span = np.where(high > low, high.astype(np.float64) - low, 1)
    codes = np.zeros(len(cloud), np.uint64)
    for axis in range(3):
        cells = ((cloud.positions[:, axis].astype(np.float64) - low[axis]) * ((1 << 21) - 1) / span[axis]).astype(
            np.uint64
        )
        codes |= _spread(cells) << np.uint64(axis)
    return np.argsort(codes, kind="stable")


def _spread(cells: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each of 21 bits moved to three times its place."""
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        cells = (cells | (cells << np.uint64(shift))) & np.uint64(mask)
    return cells


def _parts(order: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    return (order[start : start + _ROWS_PER_BLOCK] for start in range(0, len(order), _ROWS_PER_BLOCK))


def _packed_chunks(cloud: GaussianCloud, part: NDArray[np.intp]) -> tuple[NDArray[np.float32], Words]:
    """Ranges [chunks, 18] and words [n, 4] of some Gaussians."""
    colors = 0.5 + SH_C0 * cloud.sh[part, 0].astype(np.float64)
    values = np.concatenate([cloud.positions[part], np.log(cloud.scales[part].astype(np.float64)), colors], axis=1)
    starts = np.arange(0, len(part), CHUNK)
    low, high = (ends.reduceat(values, starts).astype("<f4") for ends in (np.minimum, np.maximum))
    base, top = (np.repeat(ends, CHUNK, axis=0)[: len(part)].astype(np.float64) for ends in (low, high))
    unit = np.divide(values - base, top - base, out=np.zeros_like(values), where=top > base)
    largest, kept = without_largest(cloud.rotations[part].astype(np.float64))
    words = [
        _packed(unit[:, :3], _11_10_11),
        _packed(np.concatenate([largest[:, None] / 3, kept / np.sqrt(2) + 0.5], axis=1), _2_10_10_10),
        _packed(unit[:, 3:6], _11_10_11),
        _packed(np.concatenate([unit[:, 6:], cloud.opacities[part, None]], axis=1), _8_8_8_8),
    ]
    ranges = np.concatenate([ends[:, group : group + 3] for group in (0, 3, 6) for ends in (low, high)], axis=1)
    return ranges, np.stack(words, axis=1).astype("<u4")


def _packed_harmonics(cloud: GaussianCloud, part: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Steps [n, 3 * bands], channel-major."""
    values = harmonic_columns(cloud.sh[part, 1:]).astype(np.float64)
    return np.clip(np.trunc((values / (2 * SH_LIMIT) + 0.5) * 256), 0, 255).astype(np.uint8)
