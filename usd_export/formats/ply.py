# SPDX-License-Identifier: Apache-2.0
"""3D Gaussian Splatting PLY files: the property sets of INRIA, gsplat and Lyra, ascii or binary of either byte order.

Stored values are pre-activation: opacity is a logit, scale a natural logarithm, f_dc = (colour - 0.5) / SH_C0, rot is
w, x, y, z and need not be normalised, f_rest is channel-major (all red, all green, all blue coefficients). Other
properties such as normals, and other elements, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from usd_export.cloud import MAX_SH_DEGREE, FloatArray, GaussianCloud
from usd_export.errors import UsdExportError, located
from usd_export.files import replacing
from usd_export.formats.ply_file import (
    PlyElement,
    PlyHeader,
    columns,
    header_bytes,
    read_header,
    read_tables,
    require_no_lists,
    row_blocks,
)

MIN_SCALE = 1e-8
"""Smallest standard deviation that is read, and what the writer adds before the logarithm, as Lyra does."""
OPACITY_MARGIN = 1e-6
"""Distance that opacities keep from 0 and 1 before the logit, as in Lyra."""

_POSITION = ("x", "y", "z")
_DC = ("f_dc_0", "f_dc_1", "f_dc_2")
_SCALE = ("scale_0", "scale_1", "scale_2")
_ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")
_REQUIRED = (*_POSITION, *_DC, "opacity", *_SCALE, *_ROTATION)


def read_ply(path: str | Path) -> GaussianCloud:
    """Read a 3D Gaussian PLY of spherical harmonic degree 0 to 3.

    A binary file is memory-mapped and converted block by block, so that peak memory is the cloud, a few megabytes and
    the mapped pages, which the system can take back. The rows of an ascii file are in memory once more.

    Raises:
        UsdExportError: If the file is missing, no Gaussian PLY, truncated, inconsistent, or holds invalid values.
    """
    path = Path(path)
    header = read_header(path)
    vertex = _require_gaussians(path, header)
    degree = harmonic_degree(path, vertex)
    _require_floats(path, vertex, [*_REQUIRED, *harmonic_names(degree)])
    cloud = _activated(read_tables(path, header)["vertex"], degree)
    with located(path):
        return cloud.validate()


def _require_gaussians(path: Path, header: PlyHeader) -> PlyElement:
    """The vertex element, if it holds what a Gaussian needs."""
    vertex = header.elements.get("vertex")
    if vertex is None:
        raise UsdExportError(f"{path} has no vertex element; expected a 3D Gaussian PLY")
    if "chunk" in header.elements:
        raise UsdExportError(f"{path} is a compressed PLY; read it with read_compressed_ply or open_scene")
    require_no_lists(path, header)
    if vertex.count == 0:
        raise UsdExportError(f"{path} has no Gaussians; nothing can be exported from it")
    missing = [name for name in _REQUIRED if name not in vertex.properties]
    if missing:
        raise UsdExportError(f"{path} lacks the properties {', '.join(missing)}; expected a 3D Gaussian PLY")
    return vertex


def _require_floats(path: Path, element: PlyElement, names: Sequence[str]) -> None:
    """Integers would be another format, and let a small file ask for much memory."""
    whole = [name for name in names if element.properties[name] not in ("f4", "f8")]
    if whole:
        raise UsdExportError(f"{path} has the property {whole[0]} as integers; expected float or double")


def harmonic_names(degree: int) -> list[str]:
    """Properties of the higher harmonics in file order."""
    return [f"f_rest_{i}" for i in range(3 * ((degree + 1) ** 2 - 1))]


def harmonic_degree(path: Path, element: PlyElement) -> int:
    """Degree of the harmonics that an element holds.

    Raises:
        UsdExportError: If their properties are not those of degree 0 to 3.
    """
    found = {name for name in element.properties if name.startswith("f_rest_")}
    for degree in range(MAX_SH_DEGREE + 1):
        if found == set(harmonic_names(degree)):
            return degree
    raise UsdExportError(
        f"{path} has {len(found)} f_rest properties; expected f_rest_0 onwards, 0, 9, 24 or 45 of them (degree 0 to 3)"
    )


def read_harmonics(records: np.ndarray, degree: int) -> np.ndarray:
    """Higher harmonics [n, bands, 3] as records [n] of a file store them: all red ones, all green, all blue."""
    return columns(records, harmonic_names(degree)).reshape(len(records), 3, -1).transpose(0, 2, 1)


def harmonic_columns(harmonics: FloatArray) -> FloatArray:
    """Higher harmonics [n, bands, 3] in the order of a file [n, 3 * bands]; inverse of `read_harmonics`."""
    return harmonics.transpose(0, 2, 1).reshape(len(harmonics), -1)


def _activated(vertices: np.ndarray, degree: int) -> GaussianCloud:
    """Turn stored records [N] into a cloud."""
    cloud = GaussianCloud.allocate(len(vertices), degree)
    with np.errstate(over="ignore", invalid="ignore"):
        for block in row_blocks(len(vertices)):
            records = vertices[block]
            cloud.positions[block] = columns(records, _POSITION)
            cloud.scales[block] = np.maximum(np.exp(columns(records, _SCALE)), MIN_SCALE)
            cloud.rotations[block] = _normalised(columns(records, _ROTATION))
            cloud.opacities[block] = _sigmoid(columns(records, ("opacity",))[:, 0])
            cloud.sh[block, 0] = columns(records, _DC)
            cloud.sh[block, 1:] = read_harmonics(records, degree)
    return cloud


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
        comments: ASCII lines for the header, without line breaks.

    Raises:
        UsdExportError: If the cloud is invalid or the target cannot be written.
    """
    cloud.validate()
    names = [*_POSITION, *_DC, *harmonic_names(cloud.sh_degree), "opacity", *_SCALE, *_ROTATION]
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        file.write(header_bytes(comments, ("vertex", len(cloud), "float", names)))
        for block in row_blocks(len(cloud)):
            file.write(_stored(cloud, block).tobytes())


def _stored(cloud: GaussianCloud, block: slice) -> FloatArray:
    """Pre-activation rows [n, P] of a block, little-endian float32, columns in file order."""
    opacities = np.clip(cloud.opacities[block].astype(np.float64), OPACITY_MARGIN, 1 - OPACITY_MARGIN)
    columns = [
        cloud.positions[block],
        cloud.sh[block, 0],
        harmonic_columns(cloud.sh[block, 1:]),
        np.log(opacities / (1 - opacities))[:, None],
        np.log(cloud.scales[block].astype(np.float64) + MIN_SCALE),
        cloud.rotations[block],
    ]
    return np.concatenate(columns, axis=1).astype("<f4")
