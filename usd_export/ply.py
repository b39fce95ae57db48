# SPDX-License-Identifier: Apache-2.0
"""3D Gaussian Splatting PLY files: the property sets of INRIA, gsplat and Lyra, binary.

Stored values are pre-activation: opacity is a logit, scale a natural logarithm, f_dc = (colour - 0.5) / SH_C0, rot is
w, x, y, z and need not be normalised, f_rest is channel-major (all red, all green, all blue coefficients).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyParseError

from usd_export.cloud import MAX_SH_DEGREE, FloatArray, GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.files import replacing

MIN_SCALE = 1e-8
"""Smallest standard deviation that is read, and what the writer adds before the logarithm, as Lyra does."""
OPACITY_MARGIN = 1e-6
"""Distance that opacities keep from 0 and 1 before the logit, as in Lyra."""

_POSITION = ("x", "y", "z")
_DC = ("f_dc_0", "f_dc_1", "f_dc_2")
_SCALE = ("scale_0", "scale_1", "scale_2")
_ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")
_REQUIRED = (*_POSITION, *_DC, "opacity", *_SCALE, *_ROTATION)

_HEADER_LIMIT = 1 << 20
_ROWS_PER_BLOCK = 1 << 14


@dataclass(frozen=True)
class PlyHeader:
    """What the head of a PLY says, before any data is trusted."""

    size: int
    encoding: str
    elements: tuple[tuple[str, int], ...]
    has_lists: bool
    comments: tuple[str, ...]


def read_header(path: Path) -> PlyHeader:
    """Read only the header.

    Raises:
        UsdExportError: If the file is missing, empty or no PLY.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_LIMIT)
    except OSError as error:
        raise UsdExportError(f"{path} could not be read: {error.strerror or error}") from error
    if not head:
        raise UsdExportError(f"{path} is empty; expected a 3D Gaussian PLY")
    end = re.search(rb"^end_header\r?\n", head, re.MULTILINE)
    if not re.match(rb"ply\r?\n", head) or end is None:
        raise UsdExportError(f"{path} is not a PLY file or its header is cut off; expected a 3D Gaussian PLY")
    lines = head[: end.start()].decode("utf-8", "replace").splitlines()
    encoding = next((line.split()[1] for line in lines if re.match(r"format \S+", line)), "unknown")
    elements = tuple((m[1], int(m[2])) for line in lines if (m := re.match(r"element (\S+) (\d+)\s*$", line)))
    return PlyHeader(
        size=end.end(),
        encoding=encoding,
        elements=elements,
        has_lists=any(line.startswith("property list") for line in lines),
        comments=tuple(line[len("comment ") :] for line in lines if line.startswith("comment ")),
    )


def read_ply(path: str | Path) -> GaussianCloud:
    """Read a 3D Gaussian PLY of spherical harmonic degree 0 to 3.

    The file is memory-mapped and converted block by block, so that peak memory is the cloud plus a few megabytes.

    Raises:
        UsdExportError: If the file is missing, no Gaussian PLY, truncated, inconsistent, or holds invalid values.
    """
    path = Path(path)
    header = read_header(path)
    _require_supported(path, header)
    vertices = _map_vertices(path, header)
    names = vertices.dtype.names or ()
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise UsdExportError(f"{path} lacks the properties {', '.join(missing)}; expected a 3D Gaussian PLY")
    rest = _rest_names(path, names)
    try:
        return _activate(vertices, rest).validate()
    except UsdExportError as error:
        raise UsdExportError(f"{path}: {error}") from error


def _require_supported(path: Path, header: PlyHeader) -> None:
    if header.encoding not in ("binary_little_endian", "binary_big_endian"):
        raise UsdExportError(f"{path} is a PLY of format {header.encoding}; convert it to binary_little_endian")
    counts = dict(header.elements)
    if "vertex" not in counts:
        raise UsdExportError(f"{path} has no vertex element; expected a 3D Gaussian PLY")
    if "chunk" in counts:
        raise UsdExportError(f"{path} is a compressed PLY; convert it to an ordinary 3D Gaussian PLY first")
    if header.has_lists:
        raise UsdExportError(f"{path} holds lists such as faces, so it is a mesh; expected a 3D Gaussian PLY")
    if counts["vertex"] == 0:
        raise UsdExportError(f"{path} has no Gaussians; nothing can be exported from it")


def _map_vertices(path: Path, header: PlyHeader) -> np.ndarray:
    """Memory-map the vertex records and check that the file is exactly as long as its header promises."""
    try:
        data = PlyData.read(str(path), mmap="r")
    except (PlyParseError, ValueError, OSError, OverflowError) as error:
        raise UsdExportError(
            f"{path} is truncated or its header is wrong ({error}); write or download the file again"
        ) from error
    expected = header.size + sum(element.data.nbytes for element in data.elements)
    found = path.stat().st_size
    if found != expected:
        raise UsdExportError(
            f"{path} has {found} bytes but its header promises {expected}; write or download the file again"
        )
    return data["vertex"].data


def _rest_names(path: Path, names: Sequence[str]) -> list[str]:
    """Names of the higher harmonics in file order."""
    count = sum(name.startswith("f_rest_") for name in names)
    rest = [f"f_rest_{i}" for i in range(count)]
    allowed = [3 * ((degree + 1) ** 2 - 1) for degree in range(MAX_SH_DEGREE + 1)]
    if count not in allowed or not set(rest) <= set(names):
        raise UsdExportError(
            f"{path} has {count} f_rest properties; expected f_rest_0 onwards, 0, 9, 24 or 45 of them (degree 0 to 3)"
        )
    return rest


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_PER_BLOCK) for start in range(0, count, _ROWS_PER_BLOCK))


def _activate(vertices: np.ndarray, rest: Sequence[str]) -> GaussianCloud:
    """Turn stored records [N] into a cloud."""
    count, bands = len(vertices), len(rest) // 3
    cloud = GaussianCloud(
        positions=np.empty((count, 3), np.float32),
        scales=np.empty((count, 3), np.float32),
        rotations=np.empty((count, 4), np.float32),
        opacities=np.empty(count, np.float32),
        sh=np.empty((count, 1 + bands, 3), np.float32),
    )
    with np.errstate(over="ignore", invalid="ignore"):
        for block in _blocks(count):
            records = np.array(vertices[block])
            cloud.positions[block] = _columns(records, _POSITION)
            cloud.scales[block] = np.maximum(np.exp(_columns(records, _SCALE)), MIN_SCALE)
            cloud.rotations[block] = _normalised(_columns(records, _ROTATION))
            cloud.opacities[block] = _sigmoid(_columns(records, ("opacity",))[:, 0])
            cloud.sh[block, 0] = _columns(records, _DC)
            cloud.sh[block, 1:] = _columns(records, rest).reshape(len(records), 3, bands).transpose(0, 2, 1)
    return cloud


def _columns(records: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Named fields of records [N] as float64 [N, len(names)]."""
    table = np.empty((len(records), len(names)), np.float64)
    for column, name in enumerate(names):
        table[:, column] = records[name]
    return table


def _normalised(quaternions: np.ndarray) -> np.ndarray:
    """Unit quaternions [N, 4]; zero ones stay zero, for validation to report."""
    norms = np.linalg.norm(quaternions, axis=1, keepdims=True)
    return quaternions / np.where(norms > 0, norms, 1)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def write_ply(path: str | Path, cloud: GaussianCloud, comments: Sequence[str] = ()) -> None:
    """Write a binary little-endian PLY with Lyra's properties, plus f_rest when the cloud has higher harmonics.

    Args:
        path: Target; its content is replaced only when the new file is complete.
        cloud: Gaussians, written in their own frame.
        comments: Lines for the header, without line breaks.

    Raises:
        UsdExportError: If the cloud is invalid or the target cannot be written.
    """
    cloud.validate()
    rest = [f"f_rest_{i}" for i in range(3 * (cloud.sh.shape[1] - 1))]
    names = [*_POSITION, *_DC, *rest, "opacity", *_SCALE, *_ROTATION]
    header = ["ply", "format binary_little_endian 1.0", *(f"comment {line}" for line in comments)]
    header += [f"element vertex {len(cloud)}", *(f"property float {name}" for name in names), "end_header", ""]
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        file.write("\n".join(header).encode())
        for block in _blocks(len(cloud)):
            file.write(_stored(cloud, block).tobytes())


def _stored(cloud: GaussianCloud, block: slice) -> FloatArray:
    """Pre-activation rows [n, P] of a block, little-endian float32, columns in file order."""
    opacities = np.clip(cloud.opacities[block].astype(np.float64), OPACITY_MARGIN, 1 - OPACITY_MARGIN)
    rest = cloud.sh[block, 1:].transpose(0, 2, 1).reshape(len(opacities), -1)
    columns = [
        cloud.positions[block],
        cloud.sh[block, 0],
        rest,
        np.log(opacities / (1 - opacities))[:, None],
        np.log(cloud.scales[block].astype(np.float64) + MIN_SCALE),
        cloud.rotations[block],
    ]
    return np.concatenate(columns, axis=1).astype("<f4")
