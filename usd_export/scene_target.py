# SPDX-License-Identifier: Apache-2.0
"""Whether a scene can be written to a place as asked for: checked before any long work."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from usd_export.errors import UsdExportError
from usd_export.files import require_writable_folder
from usd_export.formats.splat_writer import SPLAT_SUFFIXES, splat_format
from usd_export.layout import Encoding

Target = Literal["usdz", "splats", "folder"]


def default_encoding(path: str | Path) -> Encoding:
    """The encoding that suits an output best: everything a folder can hold, else what today's Isaac Sim draws."""
    return "universal" if require_scene_target(path) == "folder" else "particlefield"


def require_scene_target(path: str | Path) -> Target:
    """Check, before any long work, that a scene can be written to `path`.

    Returns:
        The kind of output: "usdz", "splats" (a file of nothing else) or "folder" (no suffix, a trailing slash, or an
        existing folder).

    Raises:
        UsdExportError: If the suffix is unknown or the folder around it is missing or read-only.
    """
    target = Path(path)
    if target.is_dir() or str(path).endswith("/") or not target.suffix:
        kind: Target = "folder"
    elif target.suffix.lower() == ".usdz":
        kind = "usdz"
    elif splat_format(target):
        kind = "splats"
    else:
        known = ", ".join((".usdz", *SPLAT_SUFFIXES))
        raise UsdExportError(f"{path} has the unknown suffix {target.suffix}; use {known} or a folder name")
    if kind == "folder" and target.exists() and not target.is_dir():
        raise UsdExportError(f"{path} is a file, not a folder; choose another output name")
    require_writable_folder(target if target.is_dir() else target.absolute().parent)
    return kind


def require_scene_options(target: Path, kind: Target, encoding: Encoding, half: bool) -> None:
    """Check, before any long work, that an output can be written as asked for.

    Raises:
        UsdExportError: If encoding, precision and kind of output do not go together.
    """
    if kind == "splats" and (encoding != "particlefield" or half):
        raise UsdExportError(f"{target} has no choice of encodings; write a .usdz or a folder for {encoding}")
    if kind == "usdz" and encoding == "universal":
        raise UsdExportError(f"{target} can hold one encoding only; choose particlefield or nurec, or write a folder")
    if half and encoding == "nurec":
        raise UsdExportError("half precision is an option of particle fields; NuRec volumes always have it")


def require_motion_target(target: Path, kind: Target, encoding: Encoding) -> None:
    """Check, before any long work, that Gaussians that move can be written to an output.

    Raises:
        UsdExportError: If the kind of output or the encoding knows no motion.
    """
    if kind == "splats":
        raise UsdExportError(f"{target} holds one moment: take it with --at, or write a .usdz or a folder")
    if encoding != "particlefield":
        raise UsdExportError(
            f"{encoding} stores no motion; choose particlefield, or write a NuRec scene per instant (see docs/usd.md)"
        )
