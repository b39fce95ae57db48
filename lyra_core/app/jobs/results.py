# SPDX-License-Identifier: Apache-2.0
"""What a finished job says about its files and its scene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lyra_core.app.worker_protocol import VERSION, Artifact, JobRequest, SceneManifest

if TYPE_CHECKING:
    from lyra_core.app.generate import Summary

SCENE, STAGED = "scene", "scene.part"
"""Folder of the scene, and its name until it is complete."""
PREVIEW, PROVENANCE = "preview.png", "scene.json"

_ROOT, _ROOT_ISAAC5 = f"{SCENE}/scene.usda", f"{SCENE}/scene_isaac5.usda"
_KINDS = {_ROOT: "usd", _ROOT_ISAAC5: "usd_isaac5", PREVIEW: "preview", PROVENANCE: "provenance"}
_ENCODINGS = {
    "universal": ["particlefield", "nurec"],
    "particlefield": ["particlefield"],
    "nurec": ["nurec"],
}
_UNUSED_PROMPT = "the prompt was not used: the scene is made from the picture"


def artifacts(folder: Path) -> list[Artifact]:
    """The files of a scene in a job folder, the one to open first."""
    from lyra_core.weights.manifest import sha256

    names = sorted(path.relative_to(folder).as_posix() for path in (folder / SCENE).rglob("*") if path.is_file())
    names.sort(key=lambda name: name != _ROOT)
    return [
        Artifact(
            kind=_KINDS.get(name, "layer"),
            path=name,
            bytes=(folder / name).stat().st_size,
            sha256=sha256(folder / name),
        )
        for name in (*names, PREVIEW, PROVENANCE)
    ]


def finished_manifest(request: JobRequest, summary: Summary, files: list[Artifact]) -> SceneManifest:
    """The content of `manifest.json`."""
    provenance = summary.provenance
    unused = [_UNUSED_PROMPT] if request.mode != "text" and request.prompt else []
    return SceneManifest(
        v=VERSION,
        job=request.job,
        mode=request.mode,
        prompt=request.prompt,
        input=request.input,
        seed=request.seed,
        model=summary.model,
        quality_tier=provenance["quality_tier"],
        models=provenance["models"],
        usd=_ROOT,
        usd_isaac5=_ROOT_ISAAC5 if request.encoding == "universal" else None,
        encodings=_ENCODINGS[request.encoding],
        preview=PREVIEW,
        provenance=PROVENANCE,
        gaussians=summary.gaussians,
        sh_degree=summary.sh_degree,
        bounds_m=summary.bounds_m,
        trusted_viewpoints_m=summary.trusted_viewpoints_m,
        collider=summary.collider,
        metric=summary.metric,
        scale_source=summary.scale_source,
        warnings=[*summary.warnings, *unused],
        up_axis="Z",
        meters_per_unit=1.0,
        time_range=None,
        files=[file.model_dump() for file in files],
        bytes=sum(file.bytes for file in files),
    )
