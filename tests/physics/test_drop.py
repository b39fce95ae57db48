# SPDX-License-Identifier: Apache-2.0
"""Balls dropped in Newton on written .usdz files: they rest where a surface was seen and fall where nothing was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial import cKDTree

from lyra_core.synthetic.classes import CLASSES
from lyra_core.synthetic.grammar import World, make_world, render_world
from lyra_core.synthetic.request import Item, Request
from usd_export.cloud import GaussianCloud
from usd_export.collision import DepthView, build_collider
from usd_export.frame import Frame, estimate_frame
from usd_export.report_card.newton_drop import drop_bodies
from usd_export.scene_writer import write_scene

pytest.importorskip("newton", reason="needs the physics extra: pip install lyra-sim[physics]")

RADIUS = 0.1  # metres
DROP = 0.1
SECONDS = 1.0
SCENES = {  # what is asked for, voxel size of the collider [m]
    "living room": (Request(items=(Item("table"),)), 0.05),
    "warehouse": (Request(), 0.05),
    "yard": (Request(), 0.08),
}
GROUND = ("floor", "grass", "road")
TOLERANCE = 0.03


@dataclass(frozen=True)
class Observation:
    """What the base view of a world shows, in the exported frame."""

    points: np.ndarray  # [H * W, 3] metres
    classes: np.ndarray  # [H * W] names
    up: np.ndarray  # [H * W] world z of the surface normal
    things: np.ndarray  # [T, 3] where the objects stand, metres
    frame: Frame
    view: DepthView

    def on_surface(self, wanted: np.ndarray, count: int) -> np.ndarray:
        """Points [<= count, 3] of the wanted pixels [H * W] where a ball has room, with such pixels on all sides."""
        around = 1.3 * RADIUS * np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
        spots = self.points[wanted & (np.linalg.norm(self.points, axis=1) < 12)]
        return separate(self._with_room(spots, wanted, around, 0.5 * RADIUS), count)

    def hidden_floor(self, count: int) -> np.ndarray:
        """Points [<= count, 3] at z = 0 behind something in the image, with seen ground on the left and the right."""
        ground = np.isin(self.classes, GROUND)
        low, high = self.points[ground].min(axis=0), self.points[ground].max(axis=0)
        x, y = np.meshgrid(np.arange(low[0], high[0], 0.1), np.arange(low[1], high[1], 0.1))
        spots = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
        local = (spots - self.frame.matrix[:3, 3]) @ np.linalg.inv(self.frame.matrix[:3, :3]).T
        spots, local = spots[local[:, 2] > 0.1], local[local[:, 2] > 0.1]
        height, width = self.view.z.shape
        fx, fy, cx, cy = self.view.intrinsics
        u, v = local[:, 0] / local[:, 2] * fx + cx, local[:, 1] / local[:, 2] * fy + cy
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        spots, local, u, v = spots[inside], local[inside], u[inside].astype(int), v[inside].astype(int)
        hidden = self.view.mask[v, u] & (self.view.z[v, u] < 0.9 * local[:, 2])
        spots = spots[hidden]
        spots = spots[cKDTree(self.things[:, :2]).query(spots[:, :2])[0] > 0.8]
        return separate(self._with_room(spots, ground, ((0.35, 0), (-0.35, 0)), 0.1), count)

    def _with_room(self, spots: np.ndarray, ground: np.ndarray, sides: Iterable, tolerance: float) -> np.ndarray:
        """Spots [S, 3] clear of all but the ground [H * W], which must be seen near every one of the `sides` [K, 2]."""
        others = cKDTree(self.points[~ground & self.view.mask.reshape(-1)])
        grounds = cKDTree(self.points[ground])
        for lift in (0.0, RADIUS, RADIUS + DROP):
            spots = spots[others.query(spots + np.array([0, 0, lift]))[0] > 1.8 * RADIUS]
        for side in sides:
            spots = spots[grounds.query(spots + np.append(side, 0.0))[0] < tolerance]
        return spots


def separate(spots: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` of the spots [S, 3] that keep the balls apart."""
    chosen: list[np.ndarray] = []
    for spot in np.random.default_rng(0).permutation(spots):
        if len(chosen) < count and all(np.linalg.norm(spot - other) > 4 * RADIUS for other in chosen):
            chosen.append(spot)
    return np.array(chosen).reshape(-1, 3)


def observe(world: World) -> Observation:
    """Exact depth of the base view, in scene units, with the frame estimated as for any picture."""
    camera = world.base_camera(320, 176)
    seen = render_world(world, camera, supersample=1)
    z, classes = seen.z.double().numpy(), np.array(CLASSES)[seen.class_id.numpy()]
    mask = seen.normal.norm(dim=-1).numpy() > 0
    unit = float(np.median(z[mask]))
    z = z / unit
    fx, fy, cx, cy = camera.intrinsics.double().numpy()
    u, v = np.meshgrid((np.arange(320) + 0.5 - cx) / fx, (np.arange(176) + 0.5 - cy) / fy)
    local = np.stack([u * z, v * z, z], axis=-1)
    frame = estimate_frame(local[mask], np.eye(4), unit, "exact:procedural", metric=True)
    up = seen.normal[..., 2].reshape(-1).numpy()
    view = DepthView(z, mask, camera.intrinsics.double().numpy(), np.eye(4))
    feet = np.array([thing.position for thing in world.placed]) - world.camera[:3, 3].double().numpy()
    things = frame.apply(feet @ world.camera[:3, :3].double().numpy() / unit)
    return Observation(frame.apply(local.reshape(-1, 3)), classes.reshape(-1), up, things, frame, view)


def sparse_cloud(seen: Observation) -> GaussianCloud:
    """Small Gaussians on every hundredth pixel: the file needs some."""
    shown = np.flatnonzero(seen.view.mask.reshape(-1))[::100]
    local = (seen.points[shown] - seen.frame.matrix[:3, 3]) @ np.linalg.inv(seen.frame.matrix[:3, :3]).T
    count = len(local)
    return GaussianCloud.from_colors(
        local.astype(np.float32),
        np.full((count, 3), 0.002, np.float32),
        np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        np.full(count, 0.9, np.float32),
        np.full((count, 3), 0.5, np.float32),
    )


@pytest.fixture(scope="module")
def drops(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Per scene and kind of spot: surface points below the balls [B, 3] and where the balls ended [B, 3]."""
    folder = tmp_path_factory.mktemp("drops")
    outcomes = {}
    for theme, (request, voxel) in SCENES.items():
        seen = observe(make_world(2_000_100, theme, request))
        collider = build_collider(sparse_cloud(seen), seen.frame, [seen.view], voxel_size=voxel)
        file = write_scene(folder / f"{theme}.usdz", sparse_cloud(seen), seen.frame, collider=collider)[0]
        spots = {
            "ground": seen.on_surface(np.isin(seen.classes, GROUND), 8),
            "hidden": seen.hidden_floor(4),
            "outside": np.array([[0.0, -1.0, 0.3], [0.0, 35.0, 0.3]]),
        }
        if theme == "living room":
            spots["table"] = seen.on_surface((seen.classes == "table") & (seen.up > 0.9), 2)
        starts = np.concatenate(list(spots.values())) + np.array([0, 0, RADIUS + DROP])
        motion = drop_bodies(file, starts, np.zeros(len(starts), bool), RADIUS, SECONDS)
        ends = np.split(motion.positions, np.cumsum([len(kind) for kind in spots.values()])[:-1])
        outcomes |= {(theme, kind): (spots[kind], end) for kind, end in zip(spots, ends, strict=True)}
    return outcomes


@pytest.mark.parametrize("theme", SCENES)
def test_balls_rest_on_the_ground(drops, theme):
    ground, ends = drops[theme, "ground"]
    assert len(ground) >= 4
    np.testing.assert_allclose(ends[:, 2], ground[:, 2] + RADIUS, atol=TOLERANCE)
    np.testing.assert_allclose(ends[:, :2], ground[:, :2], atol=0.2)


def test_balls_rest_on_the_completed_floor(drops):
    hidden, ends = (np.concatenate([drops[theme, "hidden"][i] for theme in SCENES]) for i in (0, 1))
    assert len(hidden) >= 2
    np.testing.assert_allclose(ends[:, 2], RADIUS, atol=TOLERANCE)


def test_balls_rest_on_an_observed_table_top(drops):
    tops, ends = drops["living room", "table"]
    assert len(tops) >= 1
    assert tops[0, 2] > 0.3
    np.testing.assert_allclose(ends[:, 2], tops[:, 2] + RADIUS, atol=TOLERANCE)


@pytest.mark.parametrize("theme", SCENES)
def test_balls_fall_where_nothing_was_seen(drops, theme):
    _, ends = drops[theme, "outside"]
    assert (ends[:, 2] < -2.0).all()
