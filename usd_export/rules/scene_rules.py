# SPDX-License-Identifier: Apache-2.0
"""Our own rules for scenes with Gaussians and colliders: what the public validators leave unchecked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Usd, UsdGeom, UsdPhysics

from usd_export.encodings.nurec import is_nurec_volume
from usd_export.encodings.particle_field import COLOR_SPACE, PRIM_TYPE, SH_COEFFICIENTS
from usd_export.rules.findings import Finding, error, warning
from usd_export.rules.motion_rules import motion_findings
from usd_export.rules.nurec_rules import volume_findings

_FLOAT_ATTRIBUTES = ("positions", "orientations", "scales", "opacities", SH_COEFFICIENTS)
_COLOR_SPACES = (COLOR_SPACE, "lin_rec709_scene")
_EXTENT_SLACK = 1e-4


def scene_findings(stage: Usd.Stage) -> list[Finding]:
    """Apply all own rules to a stage."""
    prims = list(Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()))
    splats = [prim for prim in prims if prim.GetTypeName() == PRIM_TYPE]
    colliders = [prim for prim in prims if prim.HasAPI(UsdPhysics.CollisionAPI)]
    volumes = [prim for prim in prims if is_nurec_volume(prim)]
    found = [*_stage_units(stage), *_encodings(stage, splats, volumes)]
    for rule in _SPLAT_RULES:
        found += [finding for prim in splats for finding in rule(prim)]
    for prim in volumes:
        found += [*_uniform(prim), *volume_findings(prim, _metres(prim))]
    for rule in _COLLIDER_RULES:
        found += [finding for prim in colliders for finding in rule(prim)]
    return [*found, *motion_findings(stage, splats), *_overlap([*splats, *volumes], colliders)]


def _stage_units(stage: Usd.Stage) -> Iterator[Finding]:
    where = stage.GetRootLayer().GetDisplayName()
    if UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.z:
        yield warning("up-axis", f"up axis is {UsdGeom.GetStageUpAxis(stage)}; Isaac Sim expects Z", where)
    if UsdGeom.GetStageMetersPerUnit(stage) != 1.0:
        metres = UsdGeom.GetStageMetersPerUnit(stage)
        yield warning("metres", f"one unit is {metres:g} m; Isaac Sim expects 1 m", where)


def _encodings(stage: Usd.Stage, splats: list[Usd.Prim], volumes: list[Usd.Prim]) -> Iterator[Finding]:
    if not splats and not volumes:
        yield error("gaussians", f"no {PRIM_TYPE} and no NuRec volume", stage.GetRootLayer().GetDisplayName())
    drawn = [[prim for prim in prims if _is_visible(prim)] for prims in (splats, volumes)]
    if all(drawn):
        yield error("one-encoding", "particle field and NuRec volume together are drawn twice", drawn[1][0].GetPath())


def _is_visible(prim: Usd.Prim) -> bool:
    return UsdGeom.Imageable(prim).ComputeVisibility() != UsdGeom.Tokens.invisible


def _metres(prim: Usd.Prim) -> float:
    """Metres per unit of a prim's own frame."""
    matrix = np.array(UsdGeom.XformCache().GetLocalToWorldTransform(prim))[:3, :3]
    return float(np.cbrt(abs(np.linalg.det(matrix)))) * UsdGeom.GetStageMetersPerUnit(prim.GetStage())


def _precision(prim: Usd.Prim) -> Iterator[Finding]:
    for name in _FLOAT_ATTRIBUTES:
        is_float, is_half = (prim.GetAttribute(n).HasAuthoredValue() for n in (name, f"{name}h"))
        if is_float and is_half:
            yield error("precision", f"{name} is given as float and as half", prim.GetPath())
        elif is_half:
            yield error("precision", f"{name} is given only as half, which many readers skip", prim.GetPath())


def _finite(prim: Usd.Prim) -> Iterator[Finding]:
    for name in _FLOAT_ATTRIBUTES:
        values = _values(prim, name)
        bad = 0 if values is None else int((~np.isfinite(values.reshape(len(values), -1)).all(axis=1)).sum())
        if bad:
            yield error("finite", f"{name} has {bad} rows with NaN or infinite values", prim.GetPath())


def _covered(prim: Usd.Prim) -> Iterator[Finding]:
    extent, positions = _values(prim, "extent"), _values(prim, "positions")
    if extent is None or positions is None or extent.shape != (2, 3) or len(positions) == 0:
        return
    slack = _EXTENT_SLACK * (1 + np.abs(extent).max())
    outside = ((positions < extent[0] - slack) | (positions > extent[1] + slack)).any(axis=1).sum()
    if outside:
        yield error("extent", f"{outside} centres lie outside the extent", prim.GetPath())


def _uniform(prim: Usd.Prim) -> Iterator[Finding]:
    matrix = np.array(UsdGeom.XformCache().GetLocalToWorldTransform(prim))[:3, :3]
    determinant = np.linalg.det(matrix)
    if not determinant > 0:
        yield error("transform", f"the transform mirrors or flattens (determinant {determinant:.3g})", prim.GetPath())
    elif not np.allclose(matrix @ matrix.T / determinant ** (2 / 3), np.eye(3), atol=1e-4):
        yield error("transform", "the transform shears or does not scale uniformly", prim.GetPath())


def _color_space(prim: Usd.Prim) -> Iterator[Finding]:
    token = prim.GetAttribute("colorSpace:name")
    if not token or token.Get() not in _COLOR_SPACES:
        yield warning("colour-space", f"colorSpace:name is not one of {', '.join(_COLOR_SPACES)}", prim.GetPath())


def _triangles(prim: Usd.Prim) -> Iterator[Finding]:
    if not prim.IsA(UsdGeom.Mesh):
        return
    counts = _values(prim, "faceVertexCounts")
    indices = _values(prim, "faceVertexIndices")
    points = _values(prim, "points")
    if counts is None or indices is None or points is None or not len(counts) or not len(points):
        yield error("collider", "the collision mesh is empty", prim.GetPath())
        return
    if not (counts == 3).all() or len(indices) != 3 * len(counts):
        yield error("collider", "the collision mesh has faces that are not triangles", prim.GetPath())
        return
    if indices.min() < 0 or indices.max() >= len(points):
        yield error("collider", "the collision mesh refers to vertices that do not exist", prim.GetPath())
        return
    if not np.isfinite(points).all():
        yield error("collider", "the collision mesh has NaN or infinite vertices", prim.GetPath())
        return
    a, b, c = (points[indices.reshape(-1, 3)[:, corner]].astype(np.float64) for corner in range(3))
    flat = int((np.linalg.norm(np.cross(b - a, c - a), axis=1) == 0).sum())
    if flat:
        yield error("collider", f"the collision mesh has {flat} triangles without area", prim.GetPath())


def _guide(prim: Usd.Prim) -> Iterator[Finding]:
    imageable = UsdGeom.Imageable(prim)
    if not prim.IsA(UsdGeom.Mesh) or prim.HasAPI(UsdPhysics.RigidBodyAPI):
        return
    if imageable.ComputeVisibility() == UsdGeom.Tokens.invisible:
        yield error("collider", "the collision mesh is invisible; use purpose guide instead", prim.GetPath())
    if imageable.ComputePurpose() != UsdGeom.Tokens.guide:
        yield warning("collider", "the collision mesh is rendered: its purpose is not guide", prim.GetPath())


def _overlap(splats: list[Usd.Prim], colliders: list[Usd.Prim]) -> Iterator[Finding]:
    """A collider that lies elsewhere got another frame than the splats."""
    purposes = [UsdGeom.Tokens.default_, UsdGeom.Tokens.guide]
    cache = UsdGeom.BBoxCache(Usd.TimeCode.EarliestTime(), purposes, useExtentsHint=False)
    boxes = [cache.ComputeWorldBound(prim).ComputeAlignedRange() for prim in splats]
    meshes = [prim for prim in colliders if prim.IsA(UsdGeom.Mesh)]
    for prim in meshes if boxes else []:
        box = cache.ComputeWorldBound(prim).ComputeAlignedRange()
        if all(Gf.Range3d.GetIntersection(box, other).IsEmpty() for other in boxes):
            yield error("overlap", "the collision mesh does not touch the Gaussians' bounds", prim.GetPath())


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
