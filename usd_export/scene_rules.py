# SPDX-License-Identifier: Apache-2.0
"""Our own rules for scenes with Gaussians and colliders: what the public validators leave unchecked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Usd, UsdGeom, UsdPhysics

from usd_export.particle_field import COLOR_SPACE, PRIM_TYPE, SH_COEFFICIENTS

_FLOAT_ATTRIBUTES = ("positions", "orientations", "scales", "opacities", SH_COEFFICIENTS)
_COLOR_SPACES = (COLOR_SPACE, "lin_rec709_scene")
_EXTENT_SLACK = 1e-4

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a file.

    Attributes:
        severity: "error" for what breaks readers or physics, "warning" for what deserves a look.
        rule: Name of the rule, prefixed by who made it: `usd:`, `nvidia:` or `lyra:`.
        message: What is wrong.
        where: Prim path, layer or file.
    """

    severity: Severity
    rule: str
    message: str
    where: str


def scene_findings(stage: Usd.Stage) -> list[Finding]:
    """Apply all own rules to a stage."""
    prims = list(Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()))
    splats = [prim for prim in prims if prim.GetTypeName() == PRIM_TYPE]
    colliders = [prim for prim in prims if prim.HasAPI(UsdPhysics.CollisionAPI)]
    found = [*_stage_units(stage), *_encodings(stage, prims, splats)]
    for rule in _SPLAT_RULES:
        found += [finding for prim in splats for finding in rule(prim)]
    for rule in _COLLIDER_RULES:
        found += [finding for prim in colliders for finding in rule(prim)]
    return found + list(_overlap(splats, colliders))


def _error(rule: str, message: str, where: object) -> Finding:
    return Finding("error", f"lyra:{rule}", message, str(where))


def _warning(rule: str, message: str, where: object) -> Finding:
    return Finding("warning", f"lyra:{rule}", message, str(where))


def _stage_units(stage: Usd.Stage) -> Iterator[Finding]:
    where = stage.GetRootLayer().GetDisplayName()
    if UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.z:
        yield _warning("up-axis", f"up axis is {UsdGeom.GetStageUpAxis(stage)}; Isaac Sim expects Z", where)
    if UsdGeom.GetStageMetersPerUnit(stage) != 1.0:
        metres = UsdGeom.GetStageMetersPerUnit(stage)
        yield _warning("metres", f"one unit is {metres:g} m; Isaac Sim expects 1 m", where)


def _encodings(stage: Usd.Stage, prims: list[Usd.Prim], splats: list[Usd.Prim]) -> Iterator[Finding]:
    volumes = [prim for prim in prims if prim.GetAttribute("omni:nurec:isNuRecVolume").IsValid()]
    if splats and volumes:
        yield _error("one-encoding", "particle field and NuRec volume together are drawn twice", volumes[0].GetPath())
    if not splats and not volumes:
        yield _error("gaussians", f"no {PRIM_TYPE} and no NuRec volume", stage.GetRootLayer().GetDisplayName())


def _precision(prim: Usd.Prim) -> Iterator[Finding]:
    for name in _FLOAT_ATTRIBUTES:
        is_float, is_half = (prim.GetAttribute(n).HasAuthoredValue() for n in (name, f"{name}h"))
        if is_float and is_half:
            yield _error("precision", f"{name} is given as float and as half", prim.GetPath())
        elif is_half:
            yield _error("precision", f"{name} is given only as half, which many readers skip", prim.GetPath())


def _finite(prim: Usd.Prim) -> Iterator[Finding]:
    for name in _FLOAT_ATTRIBUTES:
        values = _values(prim, name)
        bad = 0 if values is None else int((~np.isfinite(values.reshape(len(values), -1)).all(axis=1)).sum())
        if bad:
            yield _error("finite", f"{name} has {bad} rows with NaN or infinite values", prim.GetPath())


def _covered(prim: Usd.Prim) -> Iterator[Finding]:
    extent, positions = _values(prim, "extent"), _values(prim, "positions")
    if extent is None or positions is None or extent.shape != (2, 3) or len(positions) == 0:
        return
    slack = _EXTENT_SLACK * (1 + np.abs(extent).max())
    outside = ((positions < extent[0] - slack) | (positions > extent[1] + slack)).any(axis=1).sum()
    if outside:
        yield _error("extent", f"{outside} centres lie outside the extent", prim.GetPath())


def _uniform(prim: Usd.Prim) -> Iterator[Finding]:
    matrix = np.array(UsdGeom.XformCache().GetLocalToWorldTransform(prim))[:3, :3]
    determinant = np.linalg.det(matrix)
    if not determinant > 0:
        yield _error("transform", f"the transform mirrors or flattens (determinant {determinant:.3g})", prim.GetPath())
    elif not np.allclose(matrix @ matrix.T / determinant ** (2 / 3), np.eye(3), atol=1e-4):
        yield _error("transform", "the transform shears or does not scale uniformly", prim.GetPath())


def _color_space(prim: Usd.Prim) -> Iterator[Finding]:
    token = prim.GetAttribute("colorSpace:name")
    if not token or token.Get() not in _COLOR_SPACES:
        yield _warning("colour-space", f"colorSpace:name is not one of {', '.join(_COLOR_SPACES)}", prim.GetPath())


def _triangles(prim: Usd.Prim) -> Iterator[Finding]:
    if not prim.IsA(UsdGeom.Mesh):
        return
    counts = _values(prim, "faceVertexCounts")
    indices = _values(prim, "faceVertexIndices")
    points = _values(prim, "points")
    if counts is None or indices is None or points is None or not len(counts) or not len(points):
        yield _error("collider", "the collision mesh is empty", prim.GetPath())
        return
    if not (counts == 3).all() or len(indices) != 3 * len(counts):
        yield _error("collider", "the collision mesh has faces that are not triangles", prim.GetPath())
        return
    if indices.min() < 0 or indices.max() >= len(points):
        yield _error("collider", "the collision mesh refers to vertices that do not exist", prim.GetPath())
        return
    a, b, c = (points[indices.reshape(-1, 3)[:, corner]].astype(np.float64) for corner in range(3))
    flat = int((np.linalg.norm(np.cross(b - a, c - a), axis=1) == 0).sum())
    if flat:
        yield _error("collider", f"the collision mesh has {flat} triangles without area", prim.GetPath())


def _guide(prim: Usd.Prim) -> Iterator[Finding]:
    imageable = UsdGeom.Imageable(prim)
    if not prim.IsA(UsdGeom.Mesh) or prim.HasAPI(UsdPhysics.RigidBodyAPI):
        return
    if imageable.ComputeVisibility() == UsdGeom.Tokens.invisible:
        yield _error("collider", "the collision mesh is invisible; use purpose guide instead", prim.GetPath())
    if imageable.ComputePurpose() != UsdGeom.Tokens.guide:
        yield _warning("collider", "the collision mesh is rendered: its purpose is not guide", prim.GetPath())


def _overlap(splats: list[Usd.Prim], colliders: list[Usd.Prim]) -> Iterator[Finding]:
    """A collider that lies elsewhere got another frame than the splats."""
    purposes = [UsdGeom.Tokens.default_, UsdGeom.Tokens.guide]
    cache = UsdGeom.BBoxCache(Usd.TimeCode.EarliestTime(), purposes, useExtentsHint=False)
    boxes = [cache.ComputeWorldBound(prim).ComputeAlignedRange() for prim in splats]
    meshes = [prim for prim in colliders if prim.IsA(UsdGeom.Mesh)]
    for prim in meshes if boxes else []:
        box = cache.ComputeWorldBound(prim).ComputeAlignedRange()
        if all(Gf.Range3d.GetIntersection(box, other).IsEmpty() for other in boxes):
            yield _error("overlap", "the collision mesh does not touch the Gaussians' bounds", prim.GetPath())


def _values(prim: Usd.Prim, name: str) -> NDArray[np.generic] | None:
    attribute = prim.GetAttribute(name)
    value = attribute.Get(Usd.TimeCode.EarliestTime()) if attribute else None
    return None if value is None else np.array(value)


_SPLAT_RULES: tuple[Callable[[Usd.Prim], Iterator[Finding]], ...] = (
    _precision,
    _finite,
    _covered,
    _uniform,
    _color_space,
)
_COLLIDER_RULES: tuple[Callable[[Usd.Prim], Iterator[Finding]], ...] = (_triangles, _guide)
