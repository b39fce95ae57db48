# SPDX-License-Identifier: Apache-2.0
"""`lyra export`: what `python -m usd_export` does, with a preview, a provenance file and progress."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyra_core.app.console import PhaseBars
from lyra_core.app.outputs import output_paths, peak_memory_mb, write_json
from lyra_core.files import replacing

if TYPE_CHECKING:
    from usd_export.convert import Conversion


def export(conversion: Conversion, preview: Path | None, bars: PhaseBars) -> dict[str, Any]:
    """Converts one file; the summary is the content of `--json`.

    A collider that comes with the source is kept; otherwise one is built. Raises LyraError or UsdExportError; then
    nothing was written and older files are untouched.
    """
    paths = output_paths(conversion.output, preview)
    from usd_export.convert import prepare_scene, write_prepared

    scene = prepare_scene(conversion, bars)
    cloud, record, collider = scene.cloud, scene.record, scene.collider
    bars("preview", 0, 1)
    from lyra_core.app.preview import write_cloud_preview

    with replacing(paths.preview) as picture, replacing(paths.provenance) as provenance:
        caption = f"{len(cloud):,} Gaussians   |   scale: {record.frame.scale_source}"
        write_cloud_preview(picture, cloud, record.frame, collider, conversion.source.name, caption)
        write_json(provenance, record.provenance)
        bars("write", 0, 1)
        files = write_prepared(conversion, scene)
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
        "warnings": list(scene.notes),
        "provenance": record.provenance,
        "collider": None if collider is None else asdict(collider.report),
    }
