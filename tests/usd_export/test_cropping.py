# SPDX-License-Identifier: Apache-2.0
"""Cutting Gaussians and colliders down to a box in world metres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from trimesh.intersections import slice_faces_plane

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.placement.cropping import Box, crop_cloud, crop_collider, most_opaque, select

MakeCloud = Callable[..., GaussianCloud]


def test_only_centres_inside_stay_in_their_order(make_cloud: MakeCloud, frame: Frame) -> None:
    cloud = make_cloud(count=300, degree=2)
    cropped = crop_cloud(cloud, frame, Box((2, -5, 3), (-2, 2, 0))).validate()
    world = frame.apply(cloud.positions)
    expected = np.flatnonzero((np.abs(world[:, 0]) <= 2) & (np.abs(world[:, 1] + 1.5) <= 3.5)
                              & (np.abs(world[:, 2] - 1.5) <= 1.5))  # fmt: skip
    assert 10 < len(expected) < 290
    for name in ("positions", "scales", "rotations", "opacities", "sh"):
        np.testing.assert_array_equal(getattr(cropped, name), getattr(cloud, name)[expected])


def test_an_empty_crop_says_where_the_scene_is(make_cloud: MakeCloud) -> None:
    with pytest.raises(UsdExportError, match=r"no Gaussian lies in the box.*the scene spans -\d"):
        crop_cloud(make_cloud(), Frame.identity(), Box((90, 90, 90), (91, 91, 91)))


@pytest.mark.parametrize("corner", [(1.0, 2.0, 0.0), (np.nan, 2.0, 3.0), (np.inf, 2.0, 3.0)])
def test_a_box_has_a_volume(corner: tuple[float, float, float]) -> None:
    with pytest.raises(UsdExportError, match="two opposite corners"):
        Box((0, 0, 0), corner)


def test_the_most_opaque_stay_in_their_order(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(count=50)
    kept = most_opaque(cloud, 7)
    order = np.sort(np.argsort(-cloud.opacities)[:7])
    np.testing.assert_array_equal(kept.positions, select(cloud, order).positions)
    assert most_opaque(cloud, 50) is cloud


def sphere(collider: ColliderMesh, frame: Frame) -> ColliderMesh:
    """A unit sphere around the world point (1, 2, 3), in the local coordinates of a frame."""
    ball = trimesh.creation.icosphere(subdivisions=3)
    local = (ball.vertices + np.array([1, 2, 3]) - frame.matrix[:3, 3]) @ np.linalg.inv(frame.matrix[:3, :3]).T
    return replace(
        collider,
        vertices=local.astype(np.float32),
        triangles=ball.faces.astype(np.int32),
        labels=(ball.triangles_center[:, 2] > 0).astype(np.uint8),
        colors=(127.5 + 127.5 * ball.vertices).astype(np.uint8),
    )


def test_a_collider_is_cut_exactly_at_the_box(collider: ColliderMesh, frame: Frame) -> None:
    """Compared with trimesh's own plane cuts: same area, nothing outside, same winding."""
    ball, box = sphere(collider, frame), Box((0.7, 1.2, 2.6), (1.9, 2.4, 4.5))
    cropped = crop_collider(ball, frame, box)
    assert cropped is not None
    world = frame.apply(cropped.vertices)
    assert (world >= box.low - 1e-5).all() and (world <= box.high + 1e-5).all()
    sliced = frame.apply(ball.vertices), ball.triangles
    for axis in np.eye(3):
        sliced = slice_faces_plane(*sliced, axis, box.low)[:2]
        sliced = slice_faces_plane(*sliced, -axis, box.high)[:2]
    expected = trimesh.Trimesh(*sliced, process=False)
    found = trimesh.Trimesh(world, cropped.triangles, process=False)
    assert found.area == pytest.approx(expected.area, rel=1e-5)
    outward = np.einsum("ij,ij->i", found.face_normals, found.triangles_center - [1, 2, 3])
    assert (outward[found.area_faces > 1e-9] > 0.9).all()
    assert len(np.unique(cropped.triangles)) == len(cropped.vertices)


def test_labels_colours_and_report_follow_the_cut(collider: ColliderMesh, frame: Frame) -> None:
    cropped = crop_collider(sphere(collider, frame), frame, Box((0, 0, 2.4), (1.3, 9, 9)))
    assert cropped is not None and cropped.labels is not None
    heights = frame.apply(cropped.vertices)[cropped.triangles].mean(axis=1)[:, 2] - 3
    clear = np.abs(heights) > 0.1  # pieces of the triangles across the border may lie on either side of it
    np.testing.assert_array_equal(cropped.labels.astype(bool)[clear], heights[clear] > 0)
    assert (cropped.report.triangles, cropped.report.watertight) == (len(cropped.triangles), False)
    assert cropped.colors is not None  # one shade per direction: cut points blend their edge's ends
    offsets = frame.apply(cropped.vertices) - [1, 2, 3]
    np.testing.assert_allclose(cropped.colors, 127.5 + 127.5 * offsets, atol=1.5)
    assert "cropped" in cropped.report.notes[-1]


def test_a_box_around_everything_changes_no_triangle(collider: ColliderMesh, frame: Frame) -> None:
    cropped = crop_collider(collider, frame, Box((-99, -99, -99), (99, 99, 99)))
    assert cropped is not None
    np.testing.assert_array_equal(cropped.triangles, collider.triangles)
    np.testing.assert_allclose(cropped.vertices, collider.vertices, atol=1e-6)


def test_nothing_left_is_no_collider(collider: ColliderMesh) -> None:
    assert crop_collider(collider, Frame.identity(), Box((50, 50, 50), (51, 51, 51))) is None
