# SPDX-License-Identifier: Apache-2.0
"""Judgement: is the collider where the Gaussians are seen?

Visible surface points are compared with the mesh in both directions. Their distance to it gives RMSE and percentile,
and those with no mesh near them are holes. Rays to them that are stopped on the way by matter with no Gaussian near it
tell of phantoms. A least-squares translation between the two catches a collider that got another frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from usd_export.report_card.judgement import Bars, Figure, Judgement, Picture, not_run
from usd_export.report_card.observation import Observation, View
from usd_export.report_card.pictures import ALARM, NOTHING, Rgb, from_colors, heat, png
from usd_export.report_card.subject import SolidMesh
from usd_export.rules.findings import Finding

Array = NDArray[np.float64]

NAME, TITLE = "collider-depth", "Collider against splat depth"
_RMSE = Bars(0.03, 0.08)  # metres
_P95 = Bars(0.06, 0.15)  # metres
_HOLES = Bars(0.01, 0.03)  # share of the visible points
_PHANTOMS = Bars(0.01, 0.05)  # share of the rays
_SHIFT = Bars(0.03, 0.08)  # metres
_GAP = 0.15  # metres between surface and mesh that make a hole or a phantom
_LIMIT = 0.5  # metres; distances are not followed farther
_SAMPLES = 60_000
_CLOUD = 200_000
_ROUNDS = 5
_SOFT = 0.05  # metres; farther points count less for the translation
_SHOWN = 0.10  # metres at the bright end of the picture of distances


@dataclass(frozen=True)
class _Comparison:
    distances: Array  # [P] of the visible points to the mesh, metres
    holes: float  # share
    phantoms: float  # share
    shift: Array  # [3] metres from the Gaussians to the collider


def judge_agreement(observation: Observation, mesh: SolidMesh | None) -> Judgement:
    """Compare what is seen within reach with the collider."""
    if mesh is None:
        missing = Finding("error", "lyra:collider-missing", "nothing collides: robots would fall through", "stage")
        return Judgement(NAME, TITLE, "There is no static collision mesh.", run=False, findings=(missing,))
    near = np.flatnonzero(observation.near)
    if len(near) == 0:
        return not_run(NAME, TITLE, "no opaque surface is visible from the viewpoints; check opacities and frame")
    chosen = near[:: -(-len(near) // _SAMPLES)]
    result = _compare(observation, chosen, mesh)
    return _judgement(observation, mesh, result)


def _compare(observation: Observation, chosen: NDArray[np.intp], mesh: SolidMesh) -> _Comparison:
    points, origins = observation.points[chosen], observation.origins[chosen]
    distances = mesh.tree.distances(points, _LIMIT)
    ranges, hits, triangles = _cast(origins, points, mesh)
    early = hits < ranges - _GAP
    stops = origins[early] + (points - origins)[early] * (hits / ranges)[early, None]
    every = observation.points[:: -(-len(observation.points) // _CLOUD)]
    phantoms = np.isinf(cKDTree(every).query(stops, distance_upper_bound=_GAP)[0]) if early.any() else np.zeros(0)
    facing = (triangles >= 0) & (np.abs(hits - ranges) < _LIMIT)
    normals = mesh.normals[triangles[facing]]
    offsets = np.einsum(
        "ij,ij->i", normals, (origins + (points - origins) * (hits / ranges)[:, None])[facing] - points[facing]
    )
    return _Comparison(
        distances,
        float(np.mean(distances > _GAP)),
        float(phantoms.sum() / len(chosen)),
        _translation(normals, offsets),
    )


def _cast(origins: Array, points: Array, mesh: SolidMesh) -> tuple[Array, Array, NDArray[np.int64]]:
    """Distance of the points and of the mesh along the same rays, and the triangles that are hit."""
    rays = points - origins
    ranges = np.linalg.norm(rays, axis=1)
    hits, triangles = mesh.tree.first_hits(origins, rays / ranges[:, None])
    return ranges, hits, triangles


def _translation(normals: Array, offsets: Array) -> Array:
    """Translation [3] that explains plane offsets [P] along normals [P, 3] best; 0 along what they do not fix."""
    shift: Array = np.zeros(3)
    for _ in range(_ROUNDS if len(offsets) else 0):
        residuals = offsets - normals @ shift
        weights = 1.0 / (1.0 + (residuals / _SOFT) ** 2)
        gram = (normals * weights[:, None]).T @ normals
        ridge = 0.01 * len(offsets) * np.eye(3)
        shift = np.asarray(np.linalg.solve(gram + ridge, normals.T @ (weights * offsets)), np.float64)
    return shift


def _judgement(observation: Observation, mesh: SolidMesh, result: _Comparison) -> Judgement:
    rmse = float(np.sqrt((result.distances**2).mean()))
    p95 = float(np.percentile(result.distances, 95))
    shift = float(np.linalg.norm(result.shift))
    reach = f"within {observation.reach:.1f} m"
    along = ", ".join(f"{100 * value:+.0f}" for value in result.shift)
    where = mesh.where
    findings = [
        *_RMSE.findings(rmse, "collider-rmse", f"the collider misses the Gaussians by {100 * rmse:.1f} cm RMS", where),
        *_P95.findings(p95, "collider-p95", f"5 % of the visible points are {100 * p95:.1f} cm or more off", where),
        *_HOLES.findings(
            result.holes, "collider-holes", f"{result.holes:.1%} of the visible surface has no collider", where
        ),
        *_PHANTOMS.findings(
            result.phantoms, "collider-phantoms", f"unseen matter blocks {result.phantoms:.1%} of the views", where
        ),
        *_SHIFT.findings(shift, "collider-shift", f"the collider is displaced by ({along}) cm", where),
    ]  # fmt: skip
    figures = (
        Figure(f"RMSE {reach}", round(100 * rmse, 2), "cm", f"≤ {100 * _RMSE.good:g}"),
        Figure(f"95th percentile {reach}", round(100 * p95, 2), "cm", f"≤ {100 * _P95.good:g}"),
        Figure("visible surface without collider", round(100 * result.holes, 2), "%", f"≤ {100 * _HOLES.good:g}"),
        Figure("views blocked by unseen matter", round(100 * result.phantoms, 2), "%", f"≤ {100 * _PHANTOMS.good:g}"),
        Figure("displacement", round(100 * shift, 2), "cm", f"≤ {100 * _SHIFT.good:g}"),
        Figure("points compared", len(result.distances)),
        Figure("viewpoints", len(observation.viewpoints), "", ""),
    )
    source = "recorded" if observation.recorded else "guessed, as the scene records none"
    summary = f"RMSE {100 * rmse:.1f} cm, 95 % within {100 * p95:.1f} cm, {reach}; viewpoints {source}."
    return Judgement(
        NAME, TITLE, summary, figures=figures, findings=tuple(findings),
        pictures=tuple(_pictures(observation.best_view, mesh, observation.reach)),
    )  # fmt: skip


def _pictures(view: View, mesh: SolidMesh, reach: float) -> list[Picture]:
    camera, size = view.camera, view.camera.size
    hits, triangles = mesh.tree.first_hits(camera.position, camera.rays())
    return [
        Picture("The Gaussians", png(from_colors(view.picture.color), 2)),
        Picture("The collider", png(_shaded(mesh, triangles, camera.c2w).reshape(size, size, 3), 2)),
        Picture(f"Depth of the Gaussians, 0 to {2 * reach:.0f} m", png(heat(view.picture.depth, 0, 2 * reach), 2)),
        Picture(f"Depth of the collider, 0 to {2 * reach:.0f} m", png(heat(hits.reshape(size, size), 0, 2 * reach), 2)),
        Picture(
            f"Distance from Gaussians to collider, 0 to {100 * _SHOWN:.0f} cm; red: no collider near",
            png(_distance_picture(view, mesh), 2),
        ),
    ]


def _shaded(mesh: SolidMesh, triangles: NDArray[np.int64], c2w: Array) -> Rgb:
    """Lambert shading [P, 3] with a lamp at the camera and some light from above."""
    normals = mesh.normals[triangles]
    light = 0.45 + 0.35 * np.abs(normals @ c2w[:3, 2]) + 0.2 * np.clip(normals[:, 2], 0, 1)
    rgb = np.outer(np.clip(light, 0, 1), [196, 204, 214]).astype(np.uint8)
    rgb[triangles < 0] = NOTHING
    return rgb


def _distance_picture(view: View, mesh: SolidMesh) -> Rgb:
    size, shown = view.camera.size, view.covered
    depth = view.picture.depth.reshape(-1)[shown].astype(np.float64)
    points = view.camera.position + view.camera.rays()[shown] * depth[:, None]
    distances = np.full(size * size, np.nan)
    distances[shown] = mesh.tree.distances(points, _LIMIT)
    rgb = heat(distances.reshape(size, size), 0, _SHOWN)
    rgb[distances.reshape(size, size) > _GAP] = ALARM
    return rgb
