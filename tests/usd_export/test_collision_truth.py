# SPDX-License-Identifier: Apache-2.0
"""Colliders of procedural worlds against the surfaces the ray tracer saw."""

from __future__ import annotations

import numpy as np
import pytest

from usd_export.collision import SurfaceLabel

from .collision_worlds import GROUND, Observation, nearest_on_collider, observe

REACH = 4.0  # metres from the camera within which the bars hold


@pytest.fixture(scope="module", params=[("bedroom", 2_000_201), ("kitchen", 2_000_202), ("corridor", 2_000_206)])
def seen(request: pytest.FixtureRequest) -> Observation:
    theme, seed = request.param
    return observe(theme, seed)


def test_observed_surfaces_are_met_within_three_centimetres(seen: Observation) -> None:
    near = seen.points[seen.distances < REACH][::4]
    nearest, _ = nearest_on_collider(seen, near)
    errors = np.linalg.norm(nearest - near, axis=1)  # to a sample, so never below the true distance
    assert len(near) > 5000
    assert np.sqrt(np.mean(errors**2)) <= 0.03
    assert np.percentile(errors, 95) <= 0.06


def test_floor_lies_at_zero(seen: Observation) -> None:
    floor = seen.points[np.isin(seen.classes, GROUND) & (seen.distances < REACH)]
    assert len(floor) > 500
    assert np.abs(floor[:, 2]).max() <= 0.01
    nearest, _ = nearest_on_collider(seen, floor)
    assert np.percentile(np.abs(nearest[:, 2]), 95) <= 0.01
    assert np.median(np.abs(nearest[:, 2])) <= 1e-5


def test_labels_agree_with_the_classes(seen: Observation) -> None:
    """On the pixels whose class is a kind of surface too."""
    shown = np.flatnonzero(seen.distances < 2 * REACH)[::4]
    _, triangles = nearest_on_collider(seen, seen.points[shown])
    found, classes = seen.collider.labels[triangles], seen.classes[shown]
    furniture = np.isin(classes, ("bed", "counter", "fridge", "table", "chair", "cabinet", "mobile robot"))
    cases = ((classes == "floor", SurfaceLabel.FLOOR), (classes == "wall", SurfaceLabel.WALL))
    for mine, label in (*cases, (furniture, SurfaceLabel.OBSTACLE)):
        assert mine.sum() > 250
        assert np.mean(found[mine] == label) > 0.93
