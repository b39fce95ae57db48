# SPDX-License-Identifier: Apache-2.0
"""Our own rules for NuRec volumes, which no public validator looks into."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd

from usd_export.encodings.nurec import read_nurec_model
from usd_export.encodings.nurec_payload import SPECULAR_WIDTHS, NurecArrays, NurecModel
from usd_export.errors import UsdExportError
from usd_export.rules.findings import Finding, error, warning

_DEGREE = 3  # of the harmonics: the only one that Isaac Sim 5 draws, at full speed
_COARSE = 0.002  # metres between neighbouring float16 positions
_FLOAT16_FRACTION = 2.0**-10
_FIELDS = ("field:density", "field:emissiveColor")
_CROP = ("omni:nurec:crop:minBounds", "omni:nurec:crop:maxBounds")


def volume_findings(prim: Usd.Prim, metres: float) -> Iterator[Finding]:
    """Apply all rules to a volume whose own unit of length is `metres`."""
    yield from _fields(prim)
    if prim.GetAttribute("omni:nurec:useProxyTransform").Get():
        yield warning(
            "nurec-transform", "useProxyTransform makes Kit ignore the volume's own transform", prim.GetPath()
        )
    try:
        model = read_nurec_model(prim)
    except UsdExportError as problem:
        yield error("nurec-payload", str(problem), prim.GetPath())
        return
    yield from _harmonics(prim, model)
    yield from _numbers(prim, model.arrays, metres)
    yield from _boxes(prim, model.arrays.positions.astype(np.float64))


def _fields(prim: Usd.Prim) -> Iterator[Finding]:
    """Both fields must lead to one payload that exists."""
    resolved = set()
    for name in _FIELDS:
        relationship = prim.GetRelationship(name)
        targets = relationship.GetTargets() if relationship else []
        field = prim.GetStage().GetPrimAtPath(targets[0]) if targets else None
        asset = field.GetAttribute("filePath").Get() if field else None
        if not isinstance(asset, Sdf.AssetPath) or not asset.resolvedPath:
            yield error("nurec-field", f"{name} does not lead to a payload that exists", prim.GetPath())
        else:
            resolved.add(asset.resolvedPath)
    if len(resolved) > 1:
        yield error("nurec-field", "density and colour lead to different payloads", prim.GetPath())


def _harmonics(prim: Usd.Prim, model: NurecModel) -> Iterator[Finding]:
    where, width = prim.GetPath(), model.arrays.features_specular.shape[1]
    announced, active = (_list(values) for values in (model.radiance_degrees, model.active_features))
    if model.radiance_degrees != {_DEGREE}:
        yield error("nurec-harmonics", f"radiance_sph_degree is {announced}; only {_DEGREE} is drawn everywhere", where)
    if model.active_features != {_DEGREE}:
        yield error("nurec-harmonics", f"n_active_features is {active}; only {_DEGREE} is drawn everywhere", where)
    if width != SPECULAR_WIDTHS[_DEGREE]:
        message = (
            f"features_specular is {width} wide; degree {_DEGREE} needs {SPECULAR_WIDTHS[_DEGREE]}, pad it with zeros"
        )
        yield error("nurec-harmonics", message, where)


def _list(values: frozenset[int]) -> str:
    return " and ".join(str(value) for value in sorted(values)) or "missing"


def _numbers(prim: Usd.Prim, arrays: NurecArrays, metres: float) -> Iterator[Finding]:
    """Values must be finite float16; positions far from the origin lose their precision."""
    for name, values in vars(arrays).items():
        if values.dtype != np.float16:
            yield error("nurec-precision", f"{name} is not float16, which Isaac Sim 5 does not draw", prim.GetPath())
        bad = int((~np.isfinite(values).all(axis=1)).sum())
        if bad:
            yield error("finite", f"{name} has {bad} rows with NaN or infinite values", prim.GetPath())
    farthest = float(np.abs(arrays.positions.astype(np.float32)).max())
    if np.isfinite(farthest) and farthest > 0:
        step = metres * _FLOAT16_FRACTION * 2.0 ** (np.ceil(np.log2(farthest)) - 1)
        if step > _COARSE * (1 + 1e-6):
            message = f"float16 positions step by up to {1000 * step:.1f} mm; recentre or partition the volume"
            yield warning("nurec-precision", message, prim.GetPath())


def _boxes(prim: Usd.Prim, positions: NDArray[np.float64]) -> Iterator[Finding]:
    """What lies outside of the crop box is not drawn; what lies outside of the extent may be culled."""
    low, high = (prim.GetAttribute(name).Get() for name in _CROP)
    if low is None or high is None:
        yield error("nurec-crop", "the crop box is missing", prim.GetPath())
    elif outside := _outside(positions, np.array([low, high])):
        yield error("nurec-crop", f"the crop box hides {outside} centres", prim.GetPath())
    extent = np.array(prim.GetAttribute("extent").Get() or [], np.float64)
    if extent.shape != (2, 3):
        yield error("extent", "the volume has no extent", prim.GetPath())
    elif outside := _outside(positions, extent):
        yield error("extent", f"{outside} centres lie outside the extent", prim.GetPath())


def _outside(positions: NDArray[np.float64], box: NDArray[np.float64]) -> int:
    """Centres [N, 3] outside of a box [2, 3], which may have been drawn around them before they became float16."""
    slack = _FLOAT16_FRACTION * np.abs(positions)
    return int(((positions < box[0] - slack) | (positions > box[1] + slack)).any(axis=1).sum())
