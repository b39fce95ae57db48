# SPDX-License-Identifier: Apache-2.0
"""SPZ files of Niantic, versions 2 and 3: one gzip stream of a 16 byte header and one column after the other.

| column | bytes | meaning |
|---|---|---|
| positions | 9 | three signed 24 bit numbers, the header's count of fraction bits (here 12: steps of 1/4096 unit) |
| opacities | 1 | 0 to 1 in 255 steps |
| colours | 3 | f_dc from -10/3 to 10/3 in 255 steps |
| scales | 3 | natural logarithm from -10 in steps of 1/16 |
| rotations | 4 or 3 | version 3: largest of x, y, z, w (2 bits) and sign and 9 bits of the others; version 2: x, y, z |
| harmonics | 3 * bands | coefficient-major; written from -1 to 1 in steps of 1/16 (first band) and 1/8 (others) |

The file's axes are x right, y up, z backward (RUB). A cloud has the OpenCV axes that 3D Gaussian PLY files use, so that
y and z change their sign on the way. What lies outside a range is clipped. Stated precision: half a step of each.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import MAX_SH_DEGREE, GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.files import replacing
from usd_export.formats.smallest_three import with_largest, without_largest

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]

GZIP_MAGIC = b"\x1f\x8b"
MAGIC = b"NGSP"
FRACTION_BITS = 12
"""Fraction bits of written positions, unless the scene is too large for them."""

_HEADER = struct.Struct("<4sIIBBBB")
_EXTENSIONS = 0x2  # flag: records of type, length and payload follow the columns
_EXTENSION = struct.Struct("<II")
_AXES_EXTENSION, _RUB = 0xADBE0003, 4  # another choice of axes, and the one that is the default anyway
_MAX_EXTENSION_BYTES = 1 << 16
_POSITION_LIMIT = (1 << 23) - 1
_COLOR_SCALE = 0.15
_MAGNITUDE = 511 * np.sqrt(2)  # steps per unit of a smallest quaternion component
_FLIP = np.array([1, -1, -1])  # between RUB and OpenCV axes: half a turn about x
_SH_FLIP = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1])  # the same turn of bands 1 to 3
_ROWS_PER_BLOCK = 1 << 16
_READ_BYTES = 1 << 18
# A claim that no real scene meets: splats shrink to a third or so, a bomb to a thousandth.
_BOMB_BYTES, _BOMB_RATIO = 1 << 26, 64


@dataclass(frozen=True)
class _Header:
    version: int
    count: int
    degree: int
    fraction_bits: int
    flags: int

    @property
    def widths(self) -> dict[str, int]:
        """Bytes per Gaussian of each column, in file order."""
        rotation = 4 if self.version == 3 else 3
        harmonics = 3 * ((self.degree + 1) ** 2 - 1)
        return {"positions": 9, "opacities": 1, "colors": 3, "scales": 3, "rotations": rotation, "harmonics": harmonics}

    @property
    def size(self) -> int:
        """Bytes of the header and all columns."""
        return _HEADER.size + self.count * sum(self.widths.values())


def read_spz(path: str | Path) -> GaussianCloud:
    """Read an SPZ of version 2 or 3 and degree 0 to 3 into OpenCV axes; peak memory is the cloud plus the columns.

    Raises:
        UsdExportError: If the file is missing, no SPZ, of another version or degree, truncated, or too large for the
            count in its header.
    """
    path = Path(path)
    try:
        header, data = _inflate(path)
    except OSError as error:
        raise UsdExportError(f"{path} could not be read: {error.strerror or error}") from error
    except zlib.error as error:
        raise UsdExportError(f"{path} is damaged ({error}); write or download the file again") from error
    _require_default_axes(path, header, memoryview(data)[header.size :])
    return _decode(header, data).validate()


def _inflate(path: Path) -> tuple[_Header, bytearray]:
    """Decompress no more than the header promises."""
    data, header, limit = bytearray(), None, _HEADER.size
    inflater = zlib.decompressobj(wbits=31)
    with path.open("rb") as file:
        _require_gzip(path, file.read(2 * len(MAGIC)))
        file.seek(0)
        while not inflater.eof and len(data) <= limit:
            block = inflater.unconsumed_tail or file.read(_READ_BYTES)
            if not block:
                raise UsdExportError(f"{path} ends after {len(data)} decompressed bytes; write or download it again")
            data += inflater.decompress(block, limit + 1 - len(data))
            if header is None and len(data) >= _HEADER.size:
                header = _parse(path, data[: _HEADER.size])
                limit = header.size + (_MAX_EXTENSION_BYTES if header.flags & _EXTENSIONS else 0)
    if header is None or not header.size <= len(data) <= limit:
        promised = header.size if header else _HEADER.size
        found = f"{len(data)} bytes" if inflater.eof else "more"
        raise UsdExportError(f"{path} holds {found} but its header promises {promised}; write or download it again")
    return header, data


def _require_gzip(path: Path, start: bytes) -> None:
    if not start:
        raise UsdExportError(f"{path} is empty; expected an SPZ file")
    if start.startswith(MAGIC):
        version = int.from_bytes(start[len(MAGIC) :], "little")
        raise UsdExportError(f"{path} is an SPZ of version {version} without gzip; save it as version 3")
    if not start.startswith(GZIP_MAGIC):
        raise UsdExportError(f"{path} is no SPZ file; expected gzip data")


def _parse(path: Path, data: bytes | bytearray) -> _Header:
    magic, version, count, degree, fraction_bits, flags, _ = _HEADER.unpack(data)
    if magic != MAGIC:
        raise UsdExportError(f"{path} is gzip data but no SPZ file; expected NGSP at its start")
    if version not in (2, 3):
        raise UsdExportError(f"{path} is an SPZ of version {version}; save it as version 3")
    if count == 0:
        raise UsdExportError(f"{path} has no Gaussians; nothing can be exported from it")
    if degree > MAX_SH_DEGREE:
        raise UsdExportError(
            f"{path} has spherical harmonics of degree {degree}; only 0 to {MAX_SH_DEGREE} can be read"
        )
    if fraction_bits > 24:
        raise UsdExportError(f"{path} claims {fraction_bits} fraction bits of 24; write or download the file again")
    header = _Header(version, count, degree, fraction_bits, flags)
    if header.size > max(_BOMB_BYTES, _BOMB_RATIO * path.stat().st_size):
        raise UsdExportError(f"{path} claims {count} Gaussians, which its size cannot hold; write or download it again")
    return header


def _require_default_axes(path: Path, header: _Header, records: memoryview) -> None:
    """Refuse the one extension that changes the meaning of the columns."""
    place = 0
    while header.flags & _EXTENSIONS and place + _EXTENSION.size <= len(records):
        kind, length = _EXTENSION.unpack_from(records, place)
        payload = records[place + _EXTENSION.size : place + _EXTENSION.size + length]
        if kind == _AXES_EXTENSION and int.from_bytes(payload, "little") not in (0, _RUB):
            raise UsdExportError(f"{path} has other axes than right, up, backward; save it in those (RUB)")
        place += _EXTENSION.size + length


def _decode(header: _Header, data: bytearray) -> GaussianCloud:
    """Turn the columns into a cloud, block by block."""
    table, offset = {}, _HEADER.size
    for name, width in header.widths.items():
        column = np.frombuffer(data, np.uint8, header.count * width, offset)
        table[name], offset = column.reshape(header.count, width), offset + header.count * width
    cloud = GaussianCloud.allocate(header.count, header.degree)
    rotations = _rotations_3 if header.version == 3 else _rotations_2
    for block in _blocks(header.count):
        cloud.positions[block] = _positions(table["positions"][block], header.fraction_bits) * _FLIP
        cloud.opacities[block] = table["opacities"][block, 0] / 255
        cloud.sh[block, 0] = (table["colors"][block] / 255 - 0.5) / _COLOR_SCALE
        cloud.scales[block] = np.exp(table["scales"][block] / 16 - 10)
        cloud.rotations[block] = _opencv_wxyz(rotations(table["rotations"][block]))
        if header.degree:
            harmonics = table["harmonics"][block].reshape(block.stop - block.start, -1, 3)
            cloud.sh[block, 1:] = (harmonics / 128 - 1) * _SH_FLIP[: harmonics.shape[1], None]
    return cloud


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _ROWS_PER_BLOCK, count)) for start in range(0, count, _ROWS_PER_BLOCK))


def _positions(column: Bytes, fraction_bits: int) -> Array:
    low, middle, high = column.reshape(-1, 3, 3).astype(np.int32).transpose(2, 0, 1)
    words = low | middle << 8 | high << 16
    return ((words ^ 0x800000) - 0x800000) / (1 << fraction_bits)


def _rotations_3(column: Bytes) -> Array:
    """Quaternions x, y, z, w [n, 4] from the index of the largest component and the three others."""
    words = np.ascontiguousarray(column).view("<u4")[:, 0].astype(np.int64)
    fields = np.stack([words >> shift & 0x3FF for shift in (20, 10, 0)], axis=1)
    return with_largest(words >> 30, np.where(fields & 0x200, -1, 1) * (fields & 0x1FF) / _MAGNITUDE)


def _rotations_2(column: Bytes) -> Array:
    """Quaternions x, y, z, w [n, 4] from x, y, z and a positive w."""
    return with_largest(np.full(len(column), 3), column / 127.5 - 1)


def _opencv_wxyz(quaternions: Array) -> Array:
    """Quaternions w, x, y, z in OpenCV axes from x, y, z, w in the axes of the file."""
    return np.concatenate([quaternions[:, 3:], quaternions[:, :3] * _FLIP], axis=1)


def write_spz(path: str | Path, cloud: GaussianCloud, *, version: int = 3) -> None:
    """Write an SPZ; the same cloud gives the same bytes.

    Args:
        path: Target; its content is replaced only when the new file is complete.
        cloud: Gaussians in OpenCV axes (x right, y down, z forward).
        version: 3, or 2 for readers from before 2025; its rotations are coarser.

    Raises:
        UsdExportError: If the cloud is invalid or too large for the format, or the target cannot be written.
    """
    if version not in (2, 3):
        raise UsdExportError(f"SPZ version {version} cannot be written; use 2 or 3")
    cloud.validate()
    bits = _fraction_bits(cloud)
    header = _HEADER.pack(MAGIC, version, len(cloud), cloud.sh_degree, bits, 0, 0)
    columns: list[Callable[[slice], Bytes]] = [
        lambda block: _packed_positions(cloud.positions[block], bits),
        lambda block: _steps(255 * cloud.opacities[block]),
        lambda block: _steps(255 * (_COLOR_SCALE * cloud.sh[block, 0] + 0.5)),
        lambda block: _steps(16 * (np.log(cloud.scales[block].astype(np.float64)) + 10)),
        lambda block: (_packed_rotations_3 if version == 3 else _packed_rotations_2)(cloud.rotations[block]),
        lambda block: _packed_harmonics(cloud.sh[block, 1:]),
    ]
    deflater = zlib.compressobj(wbits=31)
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        file.write(deflater.compress(header))
        for column in columns:
            for block in _blocks(len(cloud)):
                file.write(deflater.compress(column(block).tobytes()))
        file.write(deflater.flush())


def _fraction_bits(cloud: GaussianCloud) -> int:
    """As many as leave room for the farthest position."""
    farthest = float(np.abs(cloud.positions).max())
    fitting = [bits for bits in range(FRACTION_BITS + 1) if farthest * 2**bits <= _POSITION_LIMIT]
    if not fitting:
        raise UsdExportError(f"positions reach {farthest:g}, and SPZ ends at {_POSITION_LIMIT}; recentre or scale them")
    return fitting[-1]


def _steps(values: NDArray[np.floating]) -> Bytes:
    return np.clip(np.floor(values.astype(np.float64) + 0.5), 0, 255).astype(np.uint8)


def _packed_positions(positions: NDArray[np.float32], bits: int) -> Bytes:
    words = np.rint(positions.astype(np.float64) * _FLIP * 2**bits).astype("<i4")
    return np.ascontiguousarray(words).view(np.uint8).reshape(-1, 3, 4)[:, :, :3]


def _file_xyzw(quaternions: NDArray[np.float32]) -> Array:
    """Quaternions x, y, z, w in the axes of the file from w, x, y, z in OpenCV axes."""
    values = quaternions.astype(np.float64)
    return np.concatenate([values[:, 1:] * _FLIP, values[:, :1]], axis=1)


def _packed_rotations_3(quaternions: NDArray[np.float32]) -> Bytes:
    largest, kept = without_largest(_file_xyzw(quaternions))
    words = largest.astype(np.uint32)
    for component in kept.T:
        magnitude = np.minimum(np.floor(np.abs(component) * _MAGNITUDE + 0.5), 511).astype(np.uint32)
        words = words << np.uint32(10) | (component < 0).astype(np.uint32) << np.uint32(9) | magnitude
    return words.astype("<u4").view(np.uint8)


def _packed_rotations_2(quaternions: NDArray[np.float32]) -> Bytes:
    values = _file_xyzw(quaternions)
    values *= np.where(values[:, 3:] < 0, -1, 1) / np.linalg.norm(values, axis=1, keepdims=True)
    return _steps(127.5 * (values[:, :3] + 1))


def _packed_harmonics(harmonics: NDArray[np.float32]) -> Bytes:
    """Steps [n, bands, 3] around 128, coarser than a byte in favour of compression: 8 in the first band, 16 above."""
    bands = harmonics.shape[1]
    coarse = np.where(np.arange(bands) < 3, 8, 16)[:, None]
    values = harmonics.astype(np.float64) * _SH_FLIP[:bands, None] * 128
    return _steps(np.floor(values / coarse + 0.5) * coarse + 128)
