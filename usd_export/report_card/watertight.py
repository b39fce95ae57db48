# SPDX-License-Identifier: Apache-2.0
"""Judgement: is the collider closed, and does it show its front to where the robots are?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from usd_export.report_card.judgement import Bars, Figure, Judgement, not_run
from usd_export.report_card.observation import Observation
from usd_export.report_card.subject import SolidMesh
from usd_export.rules.findings import Finding

NAME, TITLE = "watertightness", "Watertightness"
_BACKS = Bars(0.02, 0.25)  # share of the visible collider that shows its back
_SAMPLES = 40_000


def judge_watertightness(observation: Observation, mesh: SolidMesh | None) -> Judgement:
    """Count open and overused edges, and rays from the viewpoints that meet the back of a face.

    A static triangle mesh may be open, but what is open was cut, and what shows its back lets bodies through in
    engines with one-sided triangles.
    """
    if mesh is None:
        return not_run(NAME, TITLE, "there is no static collision mesh")
    opened, overused = _bad_edges(mesh)
    backs = _back_share(observation, mesh)
    findings = []
    if opened or overused:
        message = f"the collider is not watertight: {opened} open edges, {overused} with the wrong neighbours"
        findings.append(Finding("warning", "lyra:watertight", message, mesh.where))
    findings += _BACKS.findings(
        backs, "inside-out", f"{backs:.0%} of the visible collider shows its back; turn the faces", mesh.where
    )
    figures = (
        Figure("open edges", opened, "", "0"),
        Figure("edges with the wrong neighbours", overused, "", "0"),
        Figure("visible faces that show their back", round(100 * backs, 2), "%", f"≤ {100 * _BACKS.good:g}"),
        Figure("triangles", len(mesh.triangles)),
        Figure("collision meshes", len(mesh.paths)),
    )
    summary = "Closed" if not opened and not overused else "Open"
    return Judgement(
        NAME, TITLE, f"{summary}, {len(mesh.triangles):,} triangles.", figures=figures, findings=tuple(findings)
    )


def _bad_edges(mesh: SolidMesh) -> tuple[int, int]:
    """Edges with one triangle, and edges whose triangles are not one on either side; points at one place are one."""
    _, merged = np.unique(mesh.vertices, axis=0, return_inverse=True)
    triangles = merged.reshape(-1)[mesh.triangles]
    edges = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    _, index, uses = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True)
    direction = np.where(edges[:, 0] < edges[:, 1], 1, -1)
    balance = np.bincount(index.reshape(-1), weights=direction, minlength=len(uses))
    return int((uses == 1).sum()), int(((uses > 1) & (balance != 0)).sum())


def _back_share(observation: Observation, mesh: SolidMesh) -> float:
    """Share of rays to visible points that meet the collider from behind; 0 if none meets it."""
    chosen: NDArray[np.intp] = np.arange(0, len(observation.points), -(-len(observation.points) // _SAMPLES) or 1)
    origins = observation.origins[chosen]
    rays = observation.points[chosen] - origins
    _, triangles = mesh.tree.first_hits(origins, rays)
    hit = triangles >= 0
    if not hit.any():
        return 0.0
    return float(np.mean(np.einsum("ij,ij->i", mesh.normals[triangles[hit]], rays[hit]) > 0))
