# SPDX-License-Identifier: Apache-2.0
"""From a scene on disk to a request to spawn it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .errors import LyraSimError
from .library import StoredScene
from .protocol import MANIFEST_FILE
from .stage.scene_asset import check_asset
from .stage.types import SpawnRequest

_OPTIONS = {field.name for field in fields(SpawnRequest)} - {"usd_file", "encoding", "provenance"}


def spawn_request(scene: StoredScene, encoding: str, options: Mapping[str, Any]) -> SpawnRequest:
    """What to spawn, checked as far as the disk goes.

    Args:
        scene: A complete scene.
        encoding: particlefield or nurec.
        options: Further fields of `SpawnRequest`.

    Raises:
        LyraSimError: For an unknown option, and if the scene lacks files or the encoding.
    """
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise LyraSimError(f"There is no option {unknown[0]!r}. Choose from {', '.join(sorted(_OPTIONS))}.")
    problems = check_asset(scene.folder, encoding)
    if problems:
        raise LyraSimError(" ".join(problems))
    return SpawnRequest(
        usd_file=scene.manifest.root_file(scene.folder, encoding),
        encoding=encoding,
        provenance=provenance(scene),
        **options,
    )


def provenance(scene: StoredScene) -> dict[str, Any]:
    """Where a scene comes from, as plain values for a prim's custom data."""
    manifest = scene.manifest
    return {
        "prompt": manifest.prompt,
        "prompt_sha256": hashlib.sha256(manifest.prompt.encode()).hexdigest() if manifest.prompt else None,
        "seed": manifest.seed,
        "model": manifest.model,
        "job": manifest.job,
        "manifest": (scene.folder / MANIFEST_FILE).as_posix(),
    }
