# SPDX-License-Identifier: Apache-2.0
"""What about a prim changes over time."""

from __future__ import annotations

from collections.abc import Iterator

from pxr import Usd, UsdGeom

from usd_export.encodings.particle_field import SH_COEFFICIENTS

ARRAYS = ("positions", "orientations", "scales", "opacities", SH_COEFFICIENTS)


def time_codes(prim: Usd.Prim) -> list[float]:
    """Time codes at which the Gaussians of a particle field change, move, appear or vanish; empty if they never do."""
    codes = set(array_time_codes(prim))
    for place in lineage(prim):
        if is_moved(place):
            codes.update(UsdGeom.Xformable(place).GetTimeSamples())
        if _is_animated(place):
            codes.update(UsdGeom.Imageable(place).GetVisibilityAttr().GetTimeSamples())
    return sorted(codes)


def array_time_codes(prim: Usd.Prim) -> list[float]:
    """Time codes at which the arrays of a particle field have samples; empty if none has more than one."""
    return sorted({code for name in ARRAYS for code in _samples(prim, name) + _samples(prim, f"{name}h")})


def is_switched(prim: Usd.Prim) -> bool:
    """Whether a prim is visible only part of the time."""
    return any(map(_is_animated, lineage(prim)))


def is_shown(prim: Usd.Prim, time: Usd.TimeCode) -> bool:
    """Whether a prim, as far as its visibility changes over time, is visible; what is always hidden counts as shown."""
    return not any(
        UsdGeom.Imageable(place).GetVisibilityAttr().Get(time) == UsdGeom.Tokens.invisible
        for place in lineage(prim)
        if _is_animated(place)
    )


def _samples(prim: Usd.Prim, name: str) -> list[float]:
    """Time codes of an attribute with several samples; a single one does not move."""
    attribute = prim.GetAttribute(name)
    return attribute.GetTimeSamples() if attribute and attribute.ValueMightBeTimeVarying() else []


def _is_animated(prim: Usd.Prim) -> bool:
    return bool(prim.IsA(UsdGeom.Imageable) and UsdGeom.Imageable(prim).GetVisibilityAttr().ValueMightBeTimeVarying())


def is_moved(prim: Usd.Prim) -> bool:
    """Whether the own transform of a prim changes over time."""
    return bool(prim.IsA(UsdGeom.Xformable) and UsdGeom.Xformable(prim).TransformMightBeTimeVarying())


def lineage(prim: Usd.Prim) -> Iterator[Usd.Prim]:
    """A prim and everything above it."""
    while prim and not prim.IsPseudoRoot():
        yield prim
        prim = prim.GetParent()
