# SPDX-License-Identifier: Apache-2.0
"""Output paths: checked before any work is done, so that a failure late in a run is the exception."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyra_core.errors import LyraError
from lyra_core.files import replacing, require_writable_folder

if TYPE_CHECKING:
    from usd_export.scene_target import Target

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class OutputPaths:
    """Where one scene and the files beside it go; `kind` is that of the scene."""

    kind: Target
    scene: Path
    preview: Path
    provenance: Path


def output_paths(scene: Path, preview: Path | None = None) -> OutputPaths:
    """Checks that scene, preview and provenance can be written, before any heavy work.

    Raises LyraError or UsdExportError for an unknown suffix, a missing or read-only folder, a folder in the place of a
    file.
    """
    from usd_export.scene_target import require_scene_target

    kind = require_scene_target(scene)
    preview = preview or scene.with_name(f"{scene.stem}.preview.png")
    if preview.suffix.lower() not in PICTURE_SUFFIXES:
        raise LyraError(f"preview {preview} has the unknown suffix {preview.suffix!r}. Use .png.")
    paths = OutputPaths(kind, scene, preview, scene.with_name(f"{scene.stem}.json"))
    for path in (paths.preview, paths.provenance):
        require_writable_folder(path)
        if path.is_dir():
            raise LyraError(f"{path} is a folder, but a file of that name is to be written. Choose another name.")
    return paths


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes `content` as indented JSON, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far [MB]; 0 on systems that do not tell."""
    if sys.platform == "win32":
        return 0.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)
