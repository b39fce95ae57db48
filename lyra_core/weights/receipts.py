# SPDX-License-Identifier: Apache-2.0
"""Hashes of large files, remembered: an unchanged file of 14 GB is hashed once, not at every start.

`.sha256.json` beside a file says what the file looked like when it was hashed. Size, inode and the times of its last
change must be the same to the nanosecond, else it is hashed again. This finds damage and replaced files; who may write
into the folder of the weights can also forge the receipt, as he could the manifest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from lyra_core.files import replacing

RECEIPTS_NAME = ".sha256.json"

LARGE = 2**26
"""Files below this size are hashed every time, in a tenth of a second at most, and leave no receipt [bytes]."""


class Receipt(BaseModel):
    """What one file looked like when its hash was computed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    inode: int
    mtime_ns: int
    ctime_ns: int
    """Cannot be set back by whoever restores the modification time."""
    sha256: str


_RECEIPTS = TypeAdapter(dict[str, Receipt])


def remembered(path: Path, sha256: Callable[[Path], str]) -> str:
    """What `sha256` says of a file as it is now, asked for or known from a receipt."""
    if path.stat().st_size < LARGE:
        return sha256(path)
    known = _receipts(path.parent).get(path.name)
    if known is not None and known == _receipt(path, known.sha256):
        return known.sha256
    before = _receipt(path, "")
    receipt = _receipt(path, sha256(path))
    if receipt.model_copy(update={"sha256": ""}) == before:  # nobody wrote meanwhile
        _keep(path, receipt)
    return receipt.sha256


def _receipt(path: Path, digest: str) -> Receipt:
    state = path.stat()
    return Receipt(
        bytes=state.st_size, inode=state.st_ino, mtime_ns=state.st_mtime_ns, ctime_ns=state.st_ctime_ns, sha256=digest
    )


def _receipts(folder: Path) -> dict[str, Receipt]:
    """All receipts of a folder; none where the file is missing or damaged."""
    try:
        return _RECEIPTS.validate_json((folder / RECEIPTS_NAME).read_bytes())
    except (OSError, ValidationError):
        return {}


def _keep(path: Path, receipt: Receipt) -> None:
    """Enters a receipt; where the folder cannot be written, the file is simply hashed again next time."""
    listed = _receipts(path.parent) | {path.name: receipt}
    current = {name: entry for name, entry in sorted(listed.items()) if (path.parent / name).is_file()}
    try:
        with replacing(path.parent / RECEIPTS_NAME) as temporary:
            temporary.write_bytes(_RECEIPTS.dump_json(current, indent=2))
    except OSError:
        return
