# SPDX-License-Identifier: Apache-2.0
"""Our own rules for Gaussians that move: what decides whether they play as they were meant to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pxr import Usd

from usd_export.dynamic.playing import ARRAYS, array_time_codes, time_codes
from usd_export.rules.findings import Finding, error, warning

_EXTENT_SLACK = 1e-4

Values = dict[str, NDArray[np.floating]]


def motion_findings(stage: Usd.Stage, splats: list[Usd.Prim]) -> Iterator[Finding]:
    """Apply all rules to the particle fields of a stage; nothing is found where nothing moves."""
    codes = [code for prim in splats for code in time_codes(prim)]
    if codes:
        yield from _time_range(stage, min(codes), max(codes))
    for prim in splats:
        yield from _instants(prim, array_time_codes(prim))


def _time_range(stage: Usd.Stage, first: float, last: float) -> Iterator[Finding]:
    """Players go from start to end; without a range they stand still."""
    where = stage.GetRootLayer().GetDisplayName()
    if not stage.HasAuthoredTimeCodeRange():
        message = f"Gaussians move from time code {first:g} to {last:g}, but startTimeCode and endTimeCode are missing"
        yield error("motion", message, where)
    elif first < stage.GetStartTimeCode() or last > stage.GetEndTimeCode():
        played = f"{stage.GetStartTimeCode():g} to {stage.GetEndTimeCode():g}"
        yield warning("motion", f"Gaussians move from time code {first:g} to {last:g}, the stage plays {played}", where)


def _instants(prim: Usd.Prim, codes: list[float]) -> Iterator[Finding]:
    """One finding of each kind, at the first time code that it applies to."""
    found: dict[str, Finding] = {}
    before: Values = {}
    for code in codes:
        now = _values(prim, code)
        for kind, finding in _instant(prim, code, before, now):
            found.setdefault(kind, finding)
        before = now
    yield from found.values()


def _instant(prim: Usd.Prim, code: float, before: Values, now: Values) -> Iterator[tuple[str, Finding]]:
    where = prim.GetPath()
    for name in ARRAYS:
        old, new = before.get(name), now.get(name)
        if old is not None and new is not None and len(old) != len(new):
            message = f"{name} have {len(new)} rows at time code {code:g} and {len(old)} before; nothing is blended"
            yield f"count {name}", error("motion", message, where)
        if new is not None and not np.isfinite(new).all():
            yield f"finite {name}", error("finite", f"{name} have NaN or infinite values at time code {code:g}", where)
    if flipped := _flipped(before.get("orientations"), now.get("orientations")):
        message = f"{flipped} quaternions change their sign at time code {code:g}; readers that blend their parts err"
        yield "sign", warning("motion", message, where)
    extent, positions = now.get("extent"), now.get("positions")
    if extent is not None and extent.shape == (2, 3) and positions is not None:
        slack = _EXTENT_SLACK * (1 + np.abs(extent).max())
        outside = ((positions < extent[0] - slack) | (positions > extent[1] + slack)).any(axis=1).sum()
        if outside:
            yield "extent", error("extent", f"{outside} centres lie outside the extent at time code {code:g}", where)


def _flipped(old: NDArray[np.floating] | None, new: NDArray[np.floating] | None) -> int:
    """Quaternions that lie nearer to the negative of those before."""
    if old is None or new is None or len(old) != len(new):
        return 0
    return int(((old * new).sum(axis=1) < 0).sum())


def _values(prim: Usd.Prim, code: float) -> Values:
    """Arrays of a particle field at a time code, the half twins where there are no floats."""
    values: Values = {}
    for name in (*ARRAYS, "extent"):
        for candidate in (name, f"{name}h"):
            attribute = prim.GetAttribute(candidate)
            value = attribute.Get(code) if attribute else None
            if value is not None:
                values.setdefault(name, np.array(value, np.float32))
    return values
