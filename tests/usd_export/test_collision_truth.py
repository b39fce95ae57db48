# SPDX-License-Identifier: Apache-2.0
"""Colliders of twenty held-out worlds against the surfaces that the ray tracer saw.

Three of them are looked at in every run, all of them with `pytest -m "slow or not slow"`; `-rP` shows the figures.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from usd_export.collision import SurfaceLabel
from usd_export.report_card.drop_test import BODIES, judge_drops
from usd_export.report_card.floor_map import map_floor
from usd_export.report_card.observation import observe as look_around
from usd_export.report_card.subject import load_subject
from usd_export.scene_writer import write_scene

from .collision_worlds import GROUND, HELD_OUT, Observation, nearest_on_collider, observe

REACH = 4.0  # metres from the camera within which the bars hold
QUICK = (("kitchen", 2_000_202), ("corridor", 2_000_206), ("yard", 2_000_207))
LABELLED = (("bedroom", 2_000_201), *QUICK[:2])  # classes tell floor, walls and furniture apart
ABOVE = 0.15  # metres over the floor from which the collider is looked for

observed = lru_cache(maxsize=len(QUICK))(observe)


def each(worlds: tuple[tuple[str, int], ...]) -> list:
    return [pytest.param(world, marks=[] if world in QUICK else pytest.mark.slow, id=f"{world}") for world in worlds]


@pytest.fixture(scope="module", params=each(HELD_OUT))
def seen(request: pytest.FixtureRequest) -> Observation:
    return observed(*request.param)


def test_observed_surfaces_are_met_within_three_centimetres(seen: Observation) -> None:
    errors = seen.tree.distances(seen.points[seen.distances < REACH][::4], 1.0)
    rmse, most = np.sqrt(np.mean(errors**2)), np.percentile(errors, 95)
    print(f"{seen.world}: RMSE {100 * rmse:.2f} cm, 95 % within {100 * most:.2f} cm")
    assert len(errors) > 500
    assert rmse <= 0.03
    assert most <= 0.06


def test_floor_lies_at_zero(seen: Observation) -> None:
    floor = seen.points[np.isin(seen.classes, GROUND) & (seen.distances < REACH)]
    falls, _ = seen.tree.first_hits(floor + np.array([0, 0, ABOVE]), np.array([0.0, 0.0, -1.0]))
    heights = np.abs(floor[:, 2] + ABOVE - falls)  # infinite where there is no collider
    true, most = np.abs(floor[:, 2]).max(), np.percentile(heights, 95, method="inverted_cdf")
    print(f"{seen.world}: true floor within {100 * true:.2f} cm, collider's floor 95 % within {100 * most:.2f} cm")
    assert len(floor) > 500
    assert true <= 0.01
    assert most <= 0.01
    assert np.median(heights) <= 1e-5


def test_everything_that_is_dropped_comes_to_rest(seen: Observation, tmp_path: Path) -> None:
    """20 balls and 20 cubes over the visible floor."""
    pytest.importorskip("newton", reason="needs the physics extra: pip install lyra-sim[physics]")
    write_scene(tmp_path / "s.usdz", seen.cloud, seen.frame, collider=seen.collider, camera_hull=np.zeros((1, 3)))
    subject = load_subject(tmp_path / "s.usdz")
    judgement, drops = judge_drops(subject, map_floor(look_around(subject)))
    print(f"{seen.world}: {judgement.summary}")
    assert drops is not None
    assert len(drops.spots) == BODIES
    assert not drops.through.any() and not drops.moving.any() and not drops.lifted.any()


@pytest.mark.parametrize("world", each(LABELLED))
def test_labels_agree_with_the_classes(world: tuple[str, int]) -> None:
    """On the pixels whose class is a kind of surface too."""
    seen = observed(*world)
    shown = np.flatnonzero(seen.distances < 2 * REACH)[::4]
    triangles = nearest_on_collider(seen, seen.points[shown])
    found, classes = seen.collider.labels[triangles], seen.classes[shown]
    furniture = np.isin(classes, ("bed", "counter", "fridge", "table", "chair", "cabinet", "mobile robot"))
    cases = ((classes == "floor", SurfaceLabel.FLOOR), (classes == "wall", SurfaceLabel.WALL))
    for mine, label in (*cases, (furniture, SurfaceLabel.OBSTACLE)):
        assert mine.sum() > 250
        assert np.mean(found[mine] == label) > 0.93
