# SPDX-License-Identifier: Apache-2.0
"""What a file is, from its first bytes; its name may say anything."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from usd_export.errors import UsdExportError
from usd_export.formats.compressed_ply import is_compressed
from usd_export.formats.ply_file import read_header
from usd_export.formats.spz import GZIP_MAGIC, MAGIC

FileKind = Literal["ply", "compressed ply", "spz", "usd"]

_PLY = (b"ply\n", b"ply\r")
_USD = (b"#usda", b"PXR-USDC", b"PK\x03\x04")


def file_kind(path: Path) -> FileKind:
    """Tell the format of a Gaussian scene file.

    Raises:
        UsdExportError: If the file is missing, empty or of no known format.
    """
    if not path.is_file():
        raise UsdExportError(f"{path} does not exist or is not a file")
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise UsdExportError(f"{path} could not be read: {error.strerror or error}") from error
    if not start:
        raise UsdExportError(f"{path} is empty; expected a PLY, SPZ or USD file")
    if start.startswith(_USD):
        return "usd"
    if start.startswith((MAGIC, GZIP_MAGIC)):
        return "spz"
    if start.startswith(_PLY):
        return "compressed ply" if is_compressed(read_header(path)) else "ply"
    raise UsdExportError(f"{path} is no PLY, SPZ or USD file by its first bytes; write or download it again")
