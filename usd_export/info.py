# SPDX-License-Identifier: Apache-2.0
"""What a scene file says about itself, as plain values and as rows for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom, UsdPhysics

from usd_export.dynamic.playing import is_shown, time_codes
from usd_export.encodings.nurec import is_nurec_volume, read_nurec_volume
from usd_export.encodings.particle_field import PRIM_TYPE, SH_DEGREE
from usd_export.errors import UsdExportError
from usd_export.formats.file_kind import file_kind
from usd_export.formats.ply_file import read_header
from usd_export.layout import ROOT_LAYER
from usd_export.opening.stage import open_stage
from usd_export.provenance import KEY, plain_record, python_dictionary
from usd_export.scene_reader import open_scene, world_matrix

Facts = dict[str, Any]

_RECORD = {"generator": str, "version": str, "provenance": dict, "frame": dict, "cameraHull": list}
_STAGE_ROWS = {"up axis": "up_axis", "metres per unit": "metres_per_unit", "variants": "variants"}


def scene_info(path: str | Path) -> Facts:
    """Describe a scene file without building anything from it.

    Returns:
        JSON-ready values: `file`, `bytes`, `gaussians`, `bounds_m` of their centres, `encodings` and `colliders` one
        by one, for USD `up_axis`, `metres_per_unit` and `variants`, and the record (see `usd_export.provenance`). Of
        Gaussians that move the first instant counts, and USD files that play have a `time_range` in time codes.

    Raises:
        UsdExportError: If the file cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise UsdExportError(f"{path} does not exist; give a splat file, a USD file or a scene folder")
    file = path / ROOT_LAYER if path.is_dir() else path
    facts = _stage_info(file) if file_kind(file) == "usd" else _splat_info(file)
    parts = [part for part in path.rglob("*") if part.is_file()] if path.is_dir() else [path]
    return {"file": str(path), "bytes": sum(part.stat().st_size for part in parts), **facts}


def _splat_info(file: Path) -> Facts:
    """Facts of a file that holds nothing but Gaussians."""
    cloud, record, _ = open_scene(file)
    kind = file_kind(file)
    written = None if kind == "spz" else plain_record(read_header(file).comments)
    encoding = {"encoding": kind, "gaussians": len(cloud), "sh_degree": cloud.sh_degree}
    return {
        "gaussians": len(cloud),
        "bounds_m": _bounds([record.frame.apply(cloud.positions)]),
        "encodings": [encoding],
        "colliders": [],
        **_checked(written or {"frame": record.plain()["frame"]}),
    }


def _stage_info(file: Path) -> Facts:
    stage = open_stage(file)
    prims = list(stage.Traverse(Usd.TraverseInstanceProxies()))
    shown = [prim for prim in prims if is_shown(prim, Usd.TimeCode.EarliestTime())]
    splats = [part for prim in shown if (part := _splat_facts(prim))]
    root = stage.GetDefaultPrim()
    record = stage.GetRootLayer().customLayerData.get(KEY) or (root.GetCustomDataByKey(KEY) if root else None)
    return {
        "gaussians": sum(len(centres) for _, centres in splats),
        "bounds_m": _bounds([centres for _, centres in splats]),
        "encodings": [facts for facts, _ in splats],
        **_time_range(stage),
        "colliders": [_collider_facts(prim) for prim in prims if prim.HasAPI(UsdPhysics.CollisionAPI)],
        "up_axis": str(UsdGeom.GetStageUpAxis(stage)),
        "metres_per_unit": UsdGeom.GetStageMetersPerUnit(stage),
        "variants": _variants(root) if root else {},
        **_checked(python_dictionary(record) if isinstance(record, dict) else {}),
    }


def _checked(record: Mapping[str, Any]) -> Facts:
    """What is a record of ours by its types: files of others may use the key for anything."""
    return {key: record[key] for key, kind in _RECORD.items() if isinstance(record.get(key), kind)}


def _splat_facts(prim: Usd.Prim) -> tuple[Facts, NDArray[np.float64]] | None:
    """Encoding of a prim and world centres [N, 3] of its Gaussians in metres; None if it holds none."""
    if prim.GetTypeName() == PRIM_TYPE:
        start = Usd.TimeCode.EarliestTime()
        half = not prim.GetAttribute("positions").Get(start)
        centres = np.array(prim.GetAttribute("positionsh" if half else "positions").Get(start) or (), np.float64)
        degree, encoding, precision = prim.GetAttribute(SH_DEGREE).Get(), "particlefield", "half" if half else "float"
    elif is_nurec_volume(prim):
        cloud = read_nurec_volume(prim)
        centres, degree = cloud.positions.astype(np.float64), cloud.sh_degree
        encoding, precision = "nurec", "half"
    else:
        return None
    matrix, instants = world_matrix(prim), len(time_codes(prim))
    facts = {
        "prim": str(prim.GetPath()),
        "encoding": encoding,
        "gaussians": len(centres),
        "sh_degree": degree,
        "precision": precision,
        **({"instants": instants} if instants else {}),
    }
    return facts, centres.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def _time_range(stage: Usd.Stage) -> Facts:
    """First and last time code of a stage, and their unit; nothing if it does not say them."""
    if not stage.HasAuthoredTimeCodeRange():
        return {}
    start, end, rate = stage.GetStartTimeCode(), stage.GetEndTimeCode(), stage.GetTimeCodesPerSecond()
    return {"time_range": {"start": start, "end": end, "time_codes_per_second": rate}}


def _collider_facts(prim: Usd.Prim) -> Facts:
    """What physics sees of one colliding prim, and the report of the group that it belongs to."""
    facts = {
        "prim": str(prim.GetPath()),
        "type": str(prim.GetTypeName()),
        "enabled": bool(UsdPhysics.CollisionAPI(prim).GetCollisionEnabledAttr().Get()),
        "purpose": str(UsdGeom.Imageable(prim).ComputePurpose()),
    }
    if prim.IsA(UsdGeom.Mesh):
        mesh = UsdGeom.Mesh(prim)
        facts["vertices"] = len(mesh.GetPointsAttr().Get() or ())
        facts["triangles"] = len(mesh.GetFaceVertexCountsAttr().Get() or ())
    if prim.HasAPI(UsdPhysics.MeshCollisionAPI):
        facts["approximation"] = str(UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get())
    report = prim.GetParent().GetCustomDataByKey(f"{KEY}:report")
    return facts | ({"report": python_dictionary(report)} if isinstance(report, dict) else {})


def _variants(prim: Usd.Prim) -> dict[str, list[str]]:
    """Choices of every variant set, the selected one first."""
    sets = prim.GetVariantSets()
    choices = {name: sets.GetVariantSet(name) for name in sets.GetNames()}
    return {
        name: sorted(choice.GetVariantNames(), key=lambda option: option != choice.GetVariantSelection())
        for name, choice in choices.items()
    }


def _bounds(parts: list[NDArray[np.float64]]) -> dict[str, list[float]] | None:
    """Smallest and largest corner of all points; None if there are none."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return None
    low, high = np.min([part.min(0) for part in filled], 0), np.max([part.max(0) for part in filled], 0)
    return {"min": low.tolist(), "max": high.tolist()}


def info_rows(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The facts as label and text, the most asked for first."""
    stage = [(label, str(info[key])) for label, key in _STAGE_ROWS.items() if info.get(key)]
    hull = [("camera hull", f"{len(info['cameraHull'])} trusted viewpoints")] if "cameraHull" in info else []
    generator = [("generator", f"{info['generator']} {info.get('version', '')}")] if "generator" in info else []
    return [
        ("file", f"{info['file']} ({info['bytes']:,} bytes)"),
        ("Gaussians", f"{info['gaussians']:,}"),
        ("bounds", _bounds_text(info["bounds_m"])),
        *(("encoding", _sentence(facts)) for facts in info["encodings"]),
        *(("collider", _sentence(facts)) for facts in info["colliders"]),
        *stage,
        *_time_rows(info.get("time_range")),
        *_frame_rows(info.get("frame", {})),
        *hull,
        *generator,
        *_flat(info.get("provenance", {})),
    ]


def _time_rows(time_range: Mapping[str, float] | None) -> Iterator[tuple[str, str]]:
    """How long a scene plays."""
    if time_range:
        start, end, rate = (time_range[key] for key in ("start", "end", "time_codes_per_second"))
        yield "time", f"{(end - start) / rate:g} s: time codes {start:g} to {end:g}, {rate:g} per second"


def _frame_rows(frame: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where metres, the vertical and the floor come from."""
    metres, spread = frame.get("metresPerSceneUnit"), frame.get("scaleUncertainty")
    if isinstance(metres, int | float):
        precision = f"+- {100 * spread:.2g} %" if isinstance(spread, int | float) else "of unknown precision"
        yield "scale", f"{metres:g} m per scene unit {precision}: {frame.get('scaleSource')}"
    for label, key in (("vertical", "upSource"), ("floor", "floorSource")):
        if key in frame:
            yield label, str(frame[key])


def _bounds_text(bounds: Mapping[str, list[float]] | None) -> str:
    if bounds is None:
        return "none"
    low, high = bounds["min"], bounds["max"]
    corners = (", ".join(f"{value:.2f}" for value in corner) for corner in (low, high))
    size = " x ".join(f"{b - a:.2f}" for a, b in zip(low, high, strict=True))
    return f"{' .. '.join(corners)} m ({size} m)"


def _sentence(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{label} {text}" for label, text in _flat(facts))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as dotted labels; a list of texts gives one row each."""
    for key, value in values.items():
        label = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{label}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, str) for item in value):
            yield from ((label, str(item)) for item in value)
        else:
            yield label, f"{value:g}" if isinstance(value, float) else str(value)
