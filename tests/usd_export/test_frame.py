# SPDX-License-Identifier: Apache-2.0
"""The frame: found floors, honest fallbacks, and one matrix for everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.errors import UsdExportError
from usd_export.frame import Frame, estimate_frame
from usd_export.layout import CAMERAS, COLLISION, GAUSSIANS
from usd_export.placement.orientation import recentred, rotated, rotation_matrix, upright
from usd_export.placement.scale import Measurement, ScaleReference, frame_from_scale_reference
from usd_export.prims.cameras import CameraPath, write_cameras
from usd_export.scene_writer import write_scene

UNIT = 4.0  # metres per scene unit
CAMERA_HEIGHT = 1.5  # metres


def room(floor_points: int, pitch: float, roll: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """World points in metres (Z-up) and the same in scene units of a camera at (0, 0, 1.5) that looks along +Y."""
    random = np.random.default_rng(3)

    def box(count: int, low: list[float], high: list[float]) -> np.ndarray:
        return random.uniform(low, high, size=(count, 3))

    parts = [
        box(floor_points, [-3, 1, 0], [3, 6, 0]),
        box(2000, [-0.5, 2, 0.75], [0.5, 3, 0.75]),  # table top
        box(4000, [-3, 6, 0], [3, 6, 3]),  # back wall
        box(2000, [-3, 1, 0], [-3, 6, 3]),  # side wall
        box(50, [-3, 1, -1], [3, 6, 0]),  # floaters below the floor
    ]
    world = np.concatenate(parts)
    world += random.normal(0, 0.005, world.shape)
    c, s = np.cos(pitch), np.sin(pitch)
    level = np.array([[1, 0, 0], [0, -s, c], [0, -c, -s]])  # camera axes x right, y down, z forward as columns
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return world, (world - [0, 0, CAMERA_HEIGHT]) @ (level @ turn) / UNIT


@pytest.mark.parametrize("floor_points", [800, 3000])
@pytest.mark.parametrize("pitch", [0.0, 10.0, 25.0])
def test_the_floor_levels_the_scene(floor_points: int, pitch: float) -> None:
    world, local = room(floor_points, np.radians(pitch), roll=np.radians(3))
    frame = estimate_frame(local, np.eye(4), UNIT, "known", metric=True)
    assert np.abs(frame.apply(local) - world).max() < 0.02
    assert frame.metric
    assert "floor plane" in frame.up_source


def test_a_table_top_is_no_floor() -> None:
    """More points on the table than on the floor."""
    _, local = room(1000, np.radians(15))
    frame = estimate_frame(local, np.eye(4), UNIT, "known")
    assert abs(frame.matrix[2, 3] - CAMERA_HEIGHT) < 0.02


def test_a_table_that_hides_the_floor_still_tells_the_vertical() -> None:
    """The room without its floor, and with more below the table than a floor allows."""
    world, _ = room(1000, 0.0)
    below = np.random.default_rng(4).uniform([-3, 1, -0.2], [3, 6, 0.5], size=(1500, 3))
    world = np.concatenate([world[world[:, 2] > 0.6], below])
    pitch = np.radians(24)
    level = np.array([[1, 0, 0], [0, -np.sin(pitch), np.cos(pitch)], [0, -np.cos(pitch), -np.sin(pitch)]])
    frame = estimate_frame((world - [0, 0, CAMERA_HEIGHT]) @ level / UNIT, np.eye(4), UNIT, "known")
    up = frame.rotation @ level.T @ [0, 0, 1]
    assert np.degrees(np.arccos(up[2])) < 1.0
    assert "level surface" in frame.up_source
    assert "no floor plane" in frame.floor_source


def test_without_any_level_surface_the_camera_is_level() -> None:
    world, local = room(0, 0.0)
    local = local[world[:, 1] > 5.9]  # the back wall
    frame = estimate_frame(local, np.eye(4), UNIT, "known")
    assert "assumed level" in frame.up_source
    assert "no floor plane" in frame.floor_source
    np.testing.assert_allclose(frame.rotation, [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12)
    assert np.mean(frame.apply(local)[:, 2] < 0) == pytest.approx(0.01, abs=0.002)


def test_the_camera_may_be_anywhere() -> None:
    """The frame follows the camera pose, so that one and the same world comes out."""
    world, local = room(2000, 0.2)
    a = 0.8
    pose = np.array([[np.cos(a), 0, np.sin(a), 2], [0, 1, 0, -3], [-np.sin(a), 0, np.cos(a), 1], [0, 0, 0, 1.0]])
    moved = local @ pose[:3, :3].T + pose[:3, 3]
    frame = estimate_frame(moved, pose, UNIT, "known")
    assert np.abs(frame.apply(moved) - world).max() < 0.02
    ahead = frame.rotation @ pose[:3, 2]
    assert abs(ahead[0]) < 1e-9
    assert ahead[1] > 0.9


def test_looking_straight_down() -> None:
    points = np.random.default_rng(0).uniform([-1, -1, 1], [1, 1, 1.01], size=(1000, 3))
    frame = estimate_frame(points, np.eye(4), 1.0, "known")
    assert np.linalg.det(frame.rotation) == pytest.approx(1)


def test_estimation_is_deterministic() -> None:
    _, local = room(2000, 0.1)
    first, second = (estimate_frame(local, np.eye(4), UNIT, "known").matrix for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_the_scale_must_be_positive(scale: float) -> None:
    with pytest.raises(UsdExportError, match="must be positive"):
        estimate_frame(np.ones((5, 3)), np.eye(4), scale, "wrong")


@pytest.mark.parametrize("points", [np.empty((0, 3)), np.full((4, 3), np.nan)])
def test_points_are_needed(points: np.ndarray) -> None:
    with pytest.raises(UsdExportError, match="no finite points"):
        estimate_frame(points, np.eye(4), 1.0, "known")


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.diag([1.0, 1, -1, 1]), "mirror"),
        (np.diag([1.0, 1, 0, 1]), "mirror or flatten"),
        (np.diag([1.0, 2, 1, 1]), "uniformly"),
        (np.full((4, 4), np.nan), "finite"),
        (np.eye(3), "4x4"),
    ],
)
def test_only_similarities_are_frames(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(UsdExportError, match=message):
        Frame(matrix, "", "", "", False)


def test_uncertainty_is_a_share(frame: Frame) -> None:
    assert replace(frame, scale_uncertainty=0.02).scale_uncertainty == 0.02
    for wrong in (-0.1, np.nan, np.inf):
        with pytest.raises(UsdExportError, match="uncertainty"):
            replace(frame, scale_uncertainty=wrong)


def test_steps_compose_in_world_order(frame: Frame) -> None:
    """Every step acts on the world that the step before left."""
    points = np.random.default_rng(2).normal(size=(7, 3))
    turn = rotation_matrix((10, 20, 30))
    stepped = frame.turned(turn).enlarged(2.0).moved(np.array([1.0, 2, 3]))
    np.testing.assert_allclose(stepped.apply(points), 2 * frame.apply(points) @ turn.T + [1, 2, 3], atol=1e-12)
    first = np.diag([3.0, 3, 3, 1])
    np.testing.assert_allclose(frame.after(first).apply(points), frame.apply(3 * points), atol=1e-12)


def project(points: np.ndarray, c2w: np.ndarray) -> np.ndarray:
    """Normalised image coordinates [F, N, 2] of points [N, 3] for OpenCV cameras [F, 4, 4] with any uniform scale."""
    homogeneous = np.append(points, np.ones((len(points), 1)), axis=1)
    in_camera = np.einsum("fij,nj->fni", np.linalg.inv(c2w), homogeneous)
    return in_camera[..., :2] / in_camera[..., 2:3]


def test_one_matrix_moves_splats_collider_and_cameras(
    tmp_path: Path, make_cloud: Callable[..., GaussianCloud], collider: ColliderMesh, frame: Frame
) -> None:
    """What every camera sees of splats and collider is the same before export and in the world of the written USD."""
    cloud, poses = make_cloud(count=40), np.tile(np.eye(4), (3, 1, 1))
    for pose, degrees, offset in zip(poses, [(0, 0, 0), (5, -10, 3), (-8, 4, 20)], [-9, -8, -7.5], strict=True):
        pose[:3, :3], pose[:3, 3] = rotation_matrix(degrees), [0.1 * offset, 0.2, offset]
    reference = ScaleReference((0, 0, 0), (1, 2, 2), Measurement(4.5, 0.01))
    frame = upright(frame, "-y", cloud.positions, frame.matrix)
    frame = frame_from_scale_reference(frame, reference, np.eye(4))
    frame = recentred(rotated(frame, (15, -20, 70), cloud.positions), cloud.positions)

    write_scene(tmp_path / "s.usdz", cloud, frame, collider=collider)
    stage = Usd.Stage.Open(str(tmp_path / "s.usdz"))
    path = CameraPath("walk", poses, np.array([100.0, 100, 50, 40]), 100, 80)
    stage.SetEditTarget(stage.GetSessionLayer())
    write_cameras(stage, CAMERAS, [path], frame)

    def world(prim: Usd.Prim, points: np.ndarray) -> np.ndarray:
        matrix = np.array(UsdGeom.XformCache().GetLocalToWorldTransform(prim)).T
        return points @ matrix[:3, :3].T + matrix[:3, 3]

    splats, mesh = stage.GetPrimAtPath(GAUSSIANS), stage.GetPrimAtPath(f"{COLLISION}/mesh")
    camera = UsdGeom.Imageable(stage.GetPrimAtPath(f"{CAMERAS}/walk"))
    opencv = np.diag([1.0, -1, -1, 1])
    cameras = np.stack([np.array(camera.ComputeLocalToWorldTransform(time)).T @ opencv for time in range(3)])
    np.testing.assert_allclose(cameras, frame.apply_to_cameras(poses), atol=1e-9)
    for prim, name, local in ((splats, "positions", cloud.positions), (mesh, "points", collider.vertices)):
        moved = world(prim, np.array(prim.GetAttribute(name).Get(), np.float64))
        np.testing.assert_allclose(project(moved, cameras), project(local.astype(np.float64), poses), atol=1e-6)
        assert np.abs(moved - local).max() > 1
    walked = np.linalg.norm(np.diff(cameras[:, :3, 3], axis=0), axis=1)
    np.testing.assert_allclose(walked, frame.scale * np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1))
