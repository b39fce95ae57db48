# SPDX-License-Identifier: Apache-2.0
"""Output paths: checked before any work is done, written so that a failure changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyra_core.errors import LyraError
from lyra_core.files import replacing, require_writable_folder

SCENE_SUFFIXES = (".usdz", ".ply", "")
"""What a scene can be written as; no suffix means an unpacked folder."""

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class OutputPaths:
    """Where one scene and the files beside it go."""

    scene: Path
    preview: Path
    provenance: Path


def output_paths(scene: Path, preview: Path | None = None) -> OutputPaths:
    """Checks that scene, preview and provenance can be written, before any heavy work.

    Raises LyraError for an unknown suffix, a missing or read-only folder, a folder in the place of a file.
    """
    if scene.suffix.lower() not in SCENE_SUFFIXES:
        raise LyraError(f"output {scene} has the unknown suffix {scene.suffix!r}. Use .usdz, .ply, or a folder name.")
    preview = preview or scene.with_name(f"{scene.stem}.preview.png")
    if preview.suffix.lower() not in PICTURE_SUFFIXES:
        raise LyraError(f"preview {preview} has the unknown suffix {preview.suffix!r}. Use .png.")
    paths = OutputPaths(scene, preview, scene.with_name(f"{scene.stem}.json"))
    if scene.suffix:
        _require_file_target(scene)
    else:
        _require_folder_target(scene)
    _require_file_target(paths.preview)
    _require_file_target(paths.provenance)
    return paths


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes `content` as indented JSON, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _require_file_target(path: Path) -> None:
    require_writable_folder(path)
    if path.is_dir():
        raise LyraError(f"output {path} is a folder. Choose another name.")


def _require_folder_target(path: Path) -> None:
    require_writable_folder(path)
    if path.exists() and not path.is_dir():
        raise LyraError(f"output {path} is a file, and no suffix means a folder. Add .usdz, or choose another name.")
    if path.is_dir() and any(path.iterdir()) and not (path / "scene.usda").exists():
        raise LyraError(f"folder {path} holds other files than a scene. Choose an empty or a new folder.")
