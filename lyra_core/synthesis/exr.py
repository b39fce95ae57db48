# SPDX-License-Identifier: Apache-2.0
"""Depth as OpenEXR: the part of the format that depth files use, one channel Z in scan lines.

Written: half precision in ZIP blocks of 16 lines. Read: half or single precision; uncompressed, ZIPS or ZIP.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

_MAGIC = b"\x76\x2f\x31\x01\x02\x00\x00\x00"  # magic number, version 2, one part in scan lines
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f2"), 2: np.dtype("<f4")}
_LINES = {0: 1, 2: 1, 3: 16}
"""Compression (none, ZIPS, ZIP) to scan lines a block."""


def encode_exr(depth: np.ndarray) -> bytes:
    """A file of half-precision depth `[H, W]`."""
    height, width = depth.shape
    lines = _LINES[3]
    blocks = [_packed(depth[top : top + lines].astype("<f2").tobytes()) for top in range(0, height, lines)]
    header = _header(height, width)
    start = len(header) + 8 * len(blocks)
    ends = np.cumsum([8 + len(block) for block in blocks])
    offsets = (start + np.concatenate(([0], ends[:-1]))).astype("<u8")
    bodies = (struct.pack("<ii", lines * i, len(block)) + block for i, block in enumerate(blocks))
    return header + offsets.tobytes() + b"".join(bodies)


def decode_exr(content: bytes) -> np.ndarray:
    """Depth `[H, W]`, in the precision of the file. Raises ValueError for damaged bytes and other kinds of file."""
    try:
        return _decoded(content)
    except (struct.error, zlib.error, IndexError, KeyError) as error:
        raise ValueError(f"not an OpenEXR file with one channel Z in ZIP, ZIPS or no compression ({error})") from error


def _decoded(content: bytes) -> np.ndarray:
    if not content.startswith(_MAGIC):
        raise ValueError("not an OpenEXR file in scan lines")
    attributes, position = _attributes(content)
    channels, compression = attributes["channels"], attributes["compression"][0]
    name, _, rest = channels.partition(b"\0")
    if name != b"Z" or len(rest) != 17:
        raise ValueError("the file has other channels than Z")
    kind, lines = _TYPES[struct.unpack_from("<i", rest)[0]], _LINES[compression]
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    if not (0 < width <= 1 << 16 and 0 < height <= 1 << 16):
        raise ValueError(f"a size of {width} x {height} pixels is not possible")
    rows: list[np.ndarray] = []
    for offset in struct.unpack_from(f"<{-(-height // lines)}Q", content, position):
        _, size = struct.unpack_from("<ii", content, offset)
        count = min(lines, height - len(rows)) * width
        block = _unpacked(content[offset + 8 : offset + 8 + size], count * kind.itemsize)
        rows.extend(np.frombuffer(block, kind, count).reshape(-1, width))
    return np.stack(rows)


def _header(height: int, width: int) -> bytes:
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channel = b"Z\0" + struct.pack("<iB3xii", 1, 0, 1, 1) + b"\0"
    values = (
        ("channels", "chlist", channel),
        ("compression", "compression", b"\x03"),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    )
    named = (f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value for name, kind, value in values)
    return _MAGIC + b"".join(named) + b"\0"


def _attributes(content: bytes) -> tuple[dict[str, bytes], int]:
    """Values by name, and where the table of offsets begins."""
    attributes, position = {}, len(_MAGIC)
    while content[position] != 0:
        name_end = content.index(b"\0", position)
        kind_end = content.index(b"\0", name_end + 1)
        (size,) = struct.unpack_from("<i", content, kind_end + 1)
        start = kind_end + 5
        attributes[content[position:name_end].decode()] = content[start : start + size]
        position = start + size
    return attributes, position + 1


def _packed(raw: bytes) -> bytes:
    """ZIP as OpenEXR has it: bytes of even and odd places apart, differences, deflate; raw where that is no shorter."""
    values = np.frombuffer(raw, np.uint8)
    apart = np.concatenate((values[::2], values[1::2])).astype(np.int32)
    apart[1:] = (np.diff(apart) + 128) & 255
    deflated = zlib.compress(apart.astype(np.uint8).tobytes())
    return deflated if len(deflated) < len(raw) else raw


def _unpacked(block: bytes, size: int) -> bytes:
    """Inverse of `_packed`, for `size` bytes."""
    if len(block) == size:
        return block
    inflated = zlib.decompressobj().decompress(block, size + 1)  # no more than this, whatever the block claims
    if len(inflated) != size:
        raise ValueError("a block does not have the size it should have")
    apart = np.frombuffer(inflated, np.uint8).astype(np.int64)
    apart[1:] -= 128
    apart = np.cumsum(apart).astype(np.uint8)
    values = np.empty_like(apart)
    values[::2], values[1::2] = apart[: -(-size // 2)], apart[-(-size // 2) :]
    return values.tobytes()
