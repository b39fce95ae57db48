# SPDX-License-Identifier: Apache-2.0
"""What callers of `build_collider` can choose."""

from __future__ import annotations

import numpy as np
import pytest

from usd_export.cloud import GaussianCloud
from usd_export.collision import SurfaceLabel, build_collider
from usd_export.collision.convex import convex_parts
from usd_export.collision.meshing import is_watertight
from usd_export.errors import UsdExportError
from usd_export.frame import Frame

from .test_collision import COARSE, EYE, cast, gaussians, heights, no_gaussians, room_view, world_mesh

SIDE = np.arange(-1, 1, 0.03)


def sheet(x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
    """Points [N, 3] of a level grid."""
    x, y = np.meshgrid(x, y)
    return np.stack([x, y, np.full_like(x, z)], axis=-1).reshape(-1, 3)


def floor_with(*others: np.ndarray) -> GaussianCloud:
    """Gaussians on a floor of 2 x 2 m and at other points [N, 3]."""
    return gaussians(np.concatenate([sheet(SIDE, SIDE, 0.0), *others]), 0.02)


def ball(center: tuple[float, float, float], radius: float = 0.3, count: int = 1500) -> np.ndarray:
    """Points [count, 3] on a sphere."""
    turns = np.arange(count) * np.pi * (3 - np.sqrt(5))
    z = np.linspace(-1, 1, count)
    ring = np.sqrt(1 - z**2)
    return radius * np.stack([ring * np.cos(turns), ring * np.sin(turns), z], axis=1) + center


def near(vertices: np.ndarray, point: tuple[float, float, float], radius: float) -> bool:
    return bool((np.linalg.norm(vertices - np.array(point), axis=1) < radius).any())


def test_a_camera_path_without_depth_removes_what_floats_in_its_way():
    in_the_way, aside = ball((0.0, 0.0, 1.2), 0.1), ball((0.6, 0.6, 1.2), 0.2)
    path = np.array([[-0.8, 0.0, 1.2], [0.0, 0.0, 1.2], [0.0, 0.0, 1.2], [0.8, 0.0, 1.2]])
    cloud = floor_with(in_the_way, aside)
    before = build_collider(cloud, Frame.identity(), voxel_size=0.03)
    after = build_collider(cloud, Frame.identity(), voxel_size=0.03, camera_path=path)
    assert near(before.vertices, (0, 0, 1.2), 0.3)
    assert not near(after.vertices, (0, 0, 1.2), 0.3)
    assert near(after.vertices, (0.6, 0.6, 1.2), 0.3)
    assert after.report.observed_floor_area == pytest.approx(before.report.observed_floor_area, rel=0.01)


def test_a_back_wall_closes_the_room_behind_the_camera():
    view, frame = room_view()
    collider = build_collider(no_gaussians(), frame, [view], voxel_size=COARSE, back_wall=True)
    open_room = build_collider(no_gaussians(), frame, [view], voxel_size=COARSE)
    vertices, triangles = world_mesh(collider, frame)
    backwards = np.array([[0.0, -1.0, 0.0], [0.1, -1.0, 0.0]])
    distance, front = cast(vertices, triangles, EYE, backwards)
    np.testing.assert_allclose(distance, 0.5, atol=COARSE)
    assert front.all()
    assert np.isinf(cast(*world_mesh(open_room, frame), EYE, backwards)[0]).all()
    np.testing.assert_allclose(heights(vertices, triangles, EYE[None, :2] + [[0, 0], [0.5, 0.4]], 1.0), 0, atol=1e-5)
    assert collider.report.completed_floor_area > open_room.report.completed_floor_area + 1
    assert collider.report.observed_floor_area == pytest.approx(open_room.report.observed_floor_area, rel=0.01)
    assert any("made up" in note for note in collider.report.notes)
    assert collider.report.watertight


def test_a_back_wall_without_a_camera_is_only_a_note():
    collider = build_collider(floor_with(), Frame.identity(), voxel_size=COARSE, back_wall=True)
    assert any("no back wall" in note for note in collider.report.notes)


@pytest.mark.parametrize("watertight", [True, False])
def test_triangle_budget(watertight):
    cloud = floor_with(ball((0.0, 0.0, 0.3)))
    full = build_collider(cloud, Frame.identity(), voxel_size=0.03, watertight=watertight)
    small = build_collider(cloud, Frame.identity(), voxel_size=0.03, watertight=watertight, max_triangles=800)
    assert small.report.triangles <= 800 < full.report.triangles
    assert small.report.watertight == is_watertight(small.triangles)
    assert small.report.watertight or not watertight
    floor = heights(small.vertices, small.triangles, np.array([[0.7, 0.7], [-0.6, 0.3]]), 1.0)
    np.testing.assert_allclose(floor, 0, atol=2e-3)


def test_an_object_has_no_floor_and_no_labels():
    collider = build_collider(gaussians(ball((0, 0, 0.3), count=20_000), 0.006), Frame.identity(), preset="object")
    assert collider.report.observed_floor_area == 0
    assert collider.report.notes == ("surfaces farther than 5.0 m from the camera are not part of the collider",)
    assert collider.labels is None
    assert collider.report.voxel_size < 0.01
    np.testing.assert_allclose(np.linalg.norm(collider.vertices - [0, 0, 0.3], axis=1).max(), 0.3, atol=0.03)


def test_outdoors_reach_farther():
    far = sheet(np.arange(-3, 3, 0.1), np.arange(38, 44, 0.1), 0.0)
    near_by = sheet(np.arange(-3, 3, 0.1), np.arange(-3, 3, 0.1), 0.0)
    cloud = gaussians(np.concatenate([near_by, near_by + np.array([0, 8, 0]), far]), 0.06)
    reaches = {
        preset: build_collider(cloud, Frame.identity(), preset=preset, voxel_size=0.1).vertices[:, 1].max()
        for preset in ("indoor", "outdoor")
    }
    assert reaches["indoor"] < 35 < 40 < reaches["outdoor"]


def test_labels_and_colours_belong_to_the_mesh():
    cloud = floor_with(ball((0.0, 0.0, 0.5)))
    cloud.sh[len(sheet(SIDE, SIDE, 0)) :, 0] = [1.0, -1.0, 0.0]
    collider = build_collider(cloud, Frame.identity(), voxel_size=0.03)
    assert collider.labels is not None and collider.colors is not None
    assert len(collider.labels) == len(collider.triangles)
    assert len(collider.colors) == len(collider.vertices)
    middle = collider.vertices[collider.triangles].mean(axis=1)
    assert (collider.labels[middle[:, 2] < 0.01] == SurfaceLabel.FLOOR).all()
    assert (collider.labels[middle[:, 2] > 0.3] == SurfaceLabel.OBSTACLE).all()
    np.testing.assert_allclose(collider.colors[collider.vertices[:, 2] > 0.5].mean(axis=0), [199, 56, 128], atol=3)
    np.testing.assert_allclose(collider.colors[collider.vertices[:, 2] < -0.01].mean(axis=0), 128, atol=3)
    assert build_collider(cloud, Frame.identity(), voxel_size=0.03, labels=False).labels is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "moon"}, "preset 'moon' does not exist"),
        ({"max_triangles": 3}, "allow 100 or more"),
        ({"camera_path": np.zeros((2, 2))}, "camera path"),
        ({"camera_path": np.full((2, 3), np.nan)}, "camera path"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UsdExportError, match=message):
        build_collider(floor_with(), Frame.identity(), **options)


def test_convex_parts_of_an_l_are_convex_and_fill_it():
    pytest.importorskip("coacd", reason="convex parts need the package coacd")
    import manifold3d

    arms = [manifold3d.Manifold.cube(size) for size in ((2.0, 0.5, 0.5), (0.5, 2.0, 0.5))]
    solid = arms[0] + arms[1]
    mesh = solid.to_mesh()
    parts = convex_parts(mesh.vert_properties[:, :3], mesh.tri_verts.astype(np.int32))
    volumes = [manifold3d.Manifold.hull_points(vertices.astype(np.float64)).volume() for vertices, _ in parts]
    assert len(parts) == 2
    assert sum(volumes) == pytest.approx(solid.volume(), rel=0.1)
    assert all(is_watertight(triangles) for _, triangles in parts)


def test_concavity_out_of_range_is_refused():
    with pytest.raises(UsdExportError, match=r"between 0\.01 and 1"):
        convex_parts(np.zeros((3, 3)), np.zeros((1, 3), np.int32), concavity=0.0)
