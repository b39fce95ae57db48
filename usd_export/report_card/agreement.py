# SPDX-License-Identifier: Apache-2.0
"""Judgement: is the collider where the Gaussians are seen?

Observed surface points are compared with the mesh in both directions. Their distance to it gives RMSE and percentile,
and those with no mesh near them are holes. Rays to them that are stopped on the way by matter with no Gaussian near it
tell of phantoms. A least-squares translation between the two catches a collider that got another frame. What was made
up beyond the picture that a scene was made from is no truth to be measured against: it is told apart, and only said if
there is next to no collider there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from usd_export.report_card.judgement import Bars, Figure, Judgement, Picture, not_run
from usd_export.report_card.observation import Observation
from usd_export.report_card.pictures import ALARM, NOTHING, UNJUDGED, Rgb, from_colors, heat, png
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
_MADE_UP_HOLES = 0.05  # share of the made-up points above which robots must be warned
_SHOWN = 0.10  # metres at the bright end of the picture of distances


@dataclass(frozen=True)
class _Comparison:
    distances: Array  # [P] of the visible points to the mesh, metres
    holes: float  # share
    phantoms: float  # share
    shift: Array  # [3] metres from the Gaussians to the collider
    made_up: Array  # [Q] as `distances`, of the made-up points


def judge_agreement(observation: Observation, mesh: SolidMesh | None) -> Judgement:
    """Compare what is seen within reach with the collider."""
    if mesh is None:
        missing = Finding("error", "lyra:collider-missing", "nothing collides: robots would fall through", "stage")
        return Judgement(NAME, TITLE, "There is no static collision mesh.", run=False, findings=(missing,))
    chosen = _some(observation.near & observation.observed)
    if len(chosen) == 0:
        return not_run(NAME, TITLE, "no opaque surface is visible from the viewpoints; check opacities and frame")
    return _judgement(observation, mesh, _compare(observation, chosen, mesh))


def _some(points: NDArray[np.bool_]) -> NDArray[np.intp]:
    """At most `_SAMPLES` of the set points."""
    every = np.flatnonzero(points)
    return every[:: -(-len(every) // _SAMPLES) or 1]


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
        mesh.tree.distances(observation.points[_some(observation.near & ~observation.observed)], _LIMIT),
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
        *_made_up_findings(result.made_up, where),
    ]  # fmt: skip
    figures = (
        Figure(f"RMSE {reach}", round(100 * rmse, 2), "cm", f"≤ {100 * _RMSE.good:g}"),
        Figure(f"95th percentile {reach}", round(100 * p95, 2), "cm", f"≤ {100 * _P95.good:g}"),
        Figure("visible surface without collider", round(100 * result.holes, 2), "%", f"≤ {100 * _HOLES.good:g}"),
        Figure("views blocked by unseen matter", round(100 * result.phantoms, 2), "%", f"≤ {100 * _PHANTOMS.good:g}"),
        Figure("displacement", round(100 * shift, 2), "cm", f"≤ {100 * _SHIFT.good:g}"),
        Figure("points compared", len(result.distances)),
        *_made_up_figures(observation, result.made_up),
        Figure("viewpoints", len(observation.viewpoints), "", ""),
    )
    source = "recorded" if observation.recorded else "guessed, as the scene records none"
    summary = f"RMSE {100 * rmse:.1f} cm, 95 % within {100 * p95:.1f} cm, {reach}; viewpoints {source}."
    return Judgement(
        NAME, TITLE, summary, figures=figures, findings=tuple(findings), pictures=tuple(_pictures(observation, mesh))
    )


def _made_up_findings(distances: Array, where: str) -> list[Finding]:
    holes = float(np.mean(distances > _GAP)) if len(distances) else 0.0
    if holes <= _MADE_UP_HOLES:
        return []
    message = f"{holes:.1%} of what was made up beyond the picture has no collider; keep robots to what it shows"
    return [Finding("warning", "lyra:made-up-holes", message, where)]


def _made_up_figures(observation: Observation, distances: Array) -> list[Figure]:
    """How much is visible that nobody observed, and how well the collider follows it."""
    if len(distances) == 0:
        return []
    share = float(np.mean(~observation.observed[observation.near]))
    return [
        Figure("made up beyond the picture, not judged above", round(100 * share, 1), "% of what is visible"),
        Figure("95th percentile there", round(100 * float(np.percentile(distances, 95)), 2), "cm"),
        Figure("without collider there", round(100 * float(np.mean(distances > _GAP)), 2), "%",
               f"≤ {100 * _MADE_UP_HOLES:g}"),
    ]  # fmt: skip


def _pictures(observation: Observation, mesh: SolidMesh) -> list[Picture]:
    view, reach = observation.showcase, 2 * observation.reach
    camera = view.camera
    shape = (camera.height, camera.width)
    hits, triangles = mesh.tree.first_hits(camera.position, camera.rays())
    scale = f"0 (dark) to {reach:.0f} m (bright)"
    return [
        Picture("The Gaussians", png(from_colors(view.picture.color))),
        Picture("The collider", png(_shaded(mesh, triangles, camera.c2w).reshape(*shape, 3))),
        Picture(f"Depth of the Gaussians, {scale}", png(heat(view.picture.depth, 0, reach))),
        Picture(f"Depth of the collider, {scale}", png(heat(hits.reshape(shape), 0, reach))),
        Picture(
            f"Distance from Gaussians to collider, 0 (dark) to {100 * _SHOWN:.0f} cm (bright). Red: no collider near. "
            f"Grey: made up beyond the picture, or farther than {reach:.0f} m; {observation.reach:.0f} m are judged.",
            png(_distance_picture(observation, mesh)),
        ),
    ]


def _shaded(mesh: SolidMesh, triangles: NDArray[np.int64], c2w: Array) -> Rgb:
    """Lambert shading [P, 3] with a lamp at the camera and some light from above."""
    normals = mesh.normals[triangles]
    light = 0.45 + 0.35 * np.abs(normals @ c2w[:3, 2]) + 0.2 * np.clip(normals[:, 2], 0, 1)
    rgb = np.outer(np.clip(light, 0, 1), [196, 204, 214]).astype(np.uint8)
    rgb[triangles < 0] = NOTHING
    return rgb


def _distance_picture(observation: Observation, mesh: SolidMesh) -> Rgb:
    view, points = observation.showcase, observation.showcase.points
    shape = (view.camera.height, view.camera.width)
    nearest = mesh.tree.distances(points, _LIMIT)
    ranges = np.linalg.norm(points - view.camera.position, axis=1)
    compared = ~observation.made_up & (ranges <= 2 * observation.reach)
    distances, grey = np.full(view.covered.shape, np.nan), view.covered.copy()
    distances[view.covered] = np.where(compared, nearest, np.nan)
    grey[view.covered] = ~compared
    rgb = heat(distances.reshape(shape), 0, _SHOWN)
    rgb[grey.reshape(shape)] = UNJUDGED
    rgb[distances.reshape(shape) > _GAP] = ALARM
    return rgb
