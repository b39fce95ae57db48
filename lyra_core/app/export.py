# SPDX-License-Identifier: Apache-2.0
"""`lyra export`: Gaussians from a file to a scene in USD, or back to a PLY."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lyra_core.app.console import PhaseBars
from lyra_core.app.outputs import output_paths, peak_memory_mb, write_json
from lyra_core.errors import LyraError
from lyra_core.files import replacing

if TYPE_CHECKING:
    from usd_export.cloud import GaussianCloud


@dataclass(frozen=True)
class ExportRequest:
    """What the user asked for."""

    source: Path
    output: Path
    max_gaussians: int | None = None
    collider: bool = True
    preview: Path | None = None


def export(request: ExportRequest, bars: PhaseBars) -> dict[str, Any]:
    """Converts one file; the summary is the content of `--json`.

    A collider that comes with the source is kept; otherwise one is built. Raises LyraError or UsdExportError; then
    nothing was written and older files are untouched.
    """
    paths = output_paths(request.output, request.preview)
    if request.source.resolve() == request.output.resolve():
        raise LyraError(f"{request.output} is the input itself. Choose another output.")
    bars("read", 0, 1)
    from usd_export.collision import build_collider
    from usd_export.scene_reader import open_scene
    from usd_export.scene_writer import write_scene

    cloud, record, collider = open_scene(request.source)
    cloud = _limited(cloud, request.max_gaussians)
    if not request.collider or request.output.suffix.lower() == ".ply":
        collider = None
    elif collider is None:
        bars("collider", 0, 1)
        collider = build_collider(cloud, record.frame)

    bars("preview", 0, 1)
    from lyra_core.app.preview import write_cloud_preview

    details = {**record.provenance, "exported_from": request.source.name}
    with replacing(paths.preview) as preview, replacing(paths.provenance) as provenance:
        caption = f"{len(cloud):,} Gaussians   |   scale: {record.frame.scale_source}"
        write_cloud_preview(preview, cloud, record.frame, collider, request.source.name, caption)
        write_json(provenance, details)
        bars("write", 0, 1)
        files = write_scene(
            paths.scene, cloud, record.frame, collider=collider, provenance=details, camera_hull=record.camera_hull
        )
    bars.finish()
    points = record.frame.apply(cloud.positions)
    return {
        "files": [str(path) for path in (*files, paths.preview, paths.provenance)],
        "gaussians": len(cloud),
        "bounds_m": {"min": points.min(0).tolist(), "max": points.max(0).tolist()},
        "seconds": bars.seconds,
        "peak_memory_mb": peak_memory_mb(),
        "model": record.provenance.get("model"),
        "seed": record.provenance.get("seed"),
        "warnings": list(record.provenance.get("warnings", [])),
        "provenance": details,
        "collider": None if collider is None else asdict(collider.report),
    }


def _limited(cloud: GaussianCloud, count: int | None) -> GaussianCloud:
    """The `count` most opaque Gaussians, in their own order."""
    if count is None or count >= len(cloud):
        return cloud
    kept = np.sort(np.argsort(-cloud.opacities, kind="stable")[:count])
    names = ("positions", "scales", "rotations", "opacities", "sh")
    return replace(cloud, **{name: getattr(cloud, name)[kept] for name in names})
