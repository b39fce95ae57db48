# SPDX-License-Identifier: Apache-2.0
"""Camera prims: what USD projects through them is what the pinhole projects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom

from usd_export.cloud import GaussianCloud
from usd_export.convert import Conversion, convert_scene
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.layout import Encoding
from usd_export.prims.cameras import CameraPath, write_cameras
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]

WIDTH, HEIGHT = 640, 360
INTRINSICS = np.array([500.0, 520.0, 300.5, 190.25])
"""Pixels that are not square and a principal point off the centre: every term of the conversion shows."""


def turned(angle: float, position: tuple[float, float, float]) -> np.ndarray:
    """A camera turned about a skew axis."""
    matrix = Gf.Matrix4d(Gf.Rotation(Gf.Vec3d(0.3, 1, -0.4), angle), Gf.Vec3d(*position))
    return np.array(matrix).T


@pytest.fixture
def path() -> CameraPath:
    poses = np.stack([np.eye(4), turned(20, (0.3, -0.2, 0.1)), turned(-35, (-0.4, 0.1, -0.5))])
    return CameraPath("zoom_in", poses.astype(np.float32), INTRINSICS, WIDTH, HEIGHT)


def written(path: CameraPath, frame: Frame) -> Usd.Stage:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    scene = UsdGeom.Xform.Define(stage, "/World/Scene")
    scene.AddTransformOp().Set(Gf.Matrix4d(frame.matrix.T.tolist()))
    write_cameras(stage, "/World/Scene/Cameras", [path], frame)
    return stage


def pixels_of_pinhole(path: CameraPath, frame: int, points: np.ndarray) -> np.ndarray:
    """Pixels [N, 2] of scene points [N, 3] by the definition of OpenCV's pinhole."""
    pose = path.c2w[frame].astype(np.float64)
    x, y, z = np.linalg.inv(pose[:3, :3]) @ (points - pose[:3, 3]).T
    fx, fy, cx, cy = path.intrinsics
    return np.stack([fx * x / z + cx, fy * y / z + cy], axis=1)


def pixels_of_usd(stage: Usd.Stage, time: float | Usd.TimeCode, points: np.ndarray) -> np.ndarray:
    """Pixels [N, 2] of world points [N, 3] through the frustum that USD itself derives from the prim."""
    camera = UsdGeom.Camera(stage.GetPrimAtPath("/World/Scene/Cameras/zoom_in")).GetCamera(time)
    frustum = camera.frustum
    to_clip = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
    clip = np.array([to_clip.Transform(Gf.Vec3d(*point)) for point in points.tolist()])
    return np.stack([(clip[:, 0] + 1) / 2 * WIDTH, (1 - clip[:, 1]) / 2 * HEIGHT], axis=1)


def seen_points(path: CameraPath, frame: int) -> np.ndarray:
    """Scene points [N, 3] all over the image at several depths."""
    u, v, z = (axis.ravel() for axis in np.meshgrid([0, 100, 320, 640], [0, 90, 360], [0.4, 1.7, 9.0]))
    fx, fy, cx, cy = path.intrinsics
    rays = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones_like(z)], axis=1) * z[:, None]
    pose = path.c2w[frame].astype(np.float64)
    return rays @ pose[:3, :3].T + pose[:3, 3]


@pytest.mark.parametrize("frame_number", [0, 1, 2])
def test_usd_projects_like_the_pinhole(path: CameraPath, frame: Frame, frame_number: int) -> None:
    points = seen_points(path, frame_number)
    found = pixels_of_usd(written(path, frame), frame_number, frame.apply(points))
    np.testing.assert_allclose(found, pixels_of_pinhole(path, frame_number, points), atol=1e-3)


def test_default_time_is_the_first_frame(path: CameraPath, frame: Frame) -> None:
    points = seen_points(path, 0)
    found = pixels_of_usd(written(path, frame), Usd.TimeCode.Default(), frame.apply(points))
    np.testing.assert_allclose(found, pixels_of_pinhole(path, 0, points), atol=1e-3)


def test_poses_are_rigid_and_metric(path: CameraPath, frame: Frame) -> None:
    stage = written(path, frame)
    prim = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Scene/Cameras/zoom_in"))
    for number in range(3):
        world = np.array(prim.ComputeLocalToWorldTransform(number)).T
        np.testing.assert_allclose(world[:3, :3].T @ world[:3, :3], np.eye(3), atol=1e-6)
        np.testing.assert_allclose(world[:3, 3], frame.apply(path.c2w[number, :3, 3]), atol=1e-6)
    assert prim.GetTimeSamples() == [0, 1, 2]


def test_cameras_follow_the_scene(path: CameraPath, frame: Frame) -> None:
    """The matrix of the scene moves cameras and points alike, so the picture stays."""
    stage, points = written(path, frame), seen_points(path, 2)
    moved = np.diag([1.7, 1.7, 1.7, 1.0]) @ frame.matrix @ turned(50, (1.0, -2.0, 0.5))
    other = Frame(moved, "test", "test", "test", metric=True)
    scene = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Scene"))
    scene.GetOrderedXformOps()[0].Set(Gf.Matrix4d(moved.T.tolist()))
    found = pixels_of_usd(stage, 2, other.apply(points))
    np.testing.assert_allclose(found, pixels_of_pinhole(path, 2, points), atol=1e-3)


def test_prim_keeps_the_intrinsics_and_does_not_cut_the_room(path: CameraPath, frame: Frame) -> None:
    stage = written(path, frame)
    prim = stage.GetPrimAtPath("/World/Scene/Cameras/zoom_in")
    lens = {"fx": 500.0, "fy": 520.0, "cx": 300.5, "cy": 190.25, "width": WIDTH, "height": HEIGHT}
    assert prim.GetCustomDataByKey("lyra:pinhole") == lens
    assert UsdGeom.Camera(prim).GetClippingRangeAttr().Get()[0] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "zoom in"}, "rename it"),
        ({"name": ""}, "rename it"),
        ({"c2w": np.eye(4)}, r"\[F, 4, 4\]"),
        ({"c2w": np.zeros((0, 4, 4))}, "F > 0"),
        ({"c2w": np.full((1, 4, 4), np.nan)}, "finite"),
        ({"c2w": np.diag([1.0, 1, -1, 1])[None]}, "mirror"),
        ({"intrinsics": np.array([0.0, 1, 1, 1])}, "focal"),
        ({"intrinsics": np.ones(3)}, "fx, fy, cx, cy"),
        ({"width": 0}, "image size"),
    ],
)
def test_unusable_paths_are_refused(path: CameraPath, change: dict[str, object], message: str) -> None:
    with pytest.raises(UsdExportError, match=message):
        replace(path, **change)


def test_two_paths_of_one_name_are_refused(path: CameraPath, frame: Frame) -> None:
    with pytest.raises(UsdExportError, match="zoom_in"):
        write_cameras(Usd.Stage.CreateInMemory(), "/Cameras", [path, path], frame)


@pytest.mark.parametrize("encoding", ["particlefield", "nurec"])
def test_cameras_survive_a_second_export(
    path: CameraPath, frame: Frame, make_cloud: MakeCloud, tmp_path: Path, encoding: Encoding
) -> None:
    """Also when the scene is turned, and where a scene for Isaac Sim 5 keeps them switched off."""
    write_scene(tmp_path / "first.usdz", make_cloud(), frame, cameras=[path], encoding=encoding)
    second = tmp_path / "second.usdz"
    convert_scene(Conversion(tmp_path / "first.usdz", second, rotate=(0, 0, 90), encoding=encoding, collider=False))
    record = open_scene(second)[1]
    again = record.cameras[0]
    assert (again.name, again.width, again.height) == (path.name, path.width, path.height)
    np.testing.assert_allclose(again.intrinsics, path.intrinsics, atol=1e-6)
    np.testing.assert_allclose(again.c2w, path.c2w, atol=1e-5)
    assert not np.allclose(record.frame.matrix, frame.matrix)


def test_cameras_of_others_are_left_out(frame: Frame, make_cloud: MakeCloud, tmp_path: Path) -> None:
    write_scene(tmp_path / "scene", make_cloud(), frame)
    stage = Usd.Stage.Open(str(tmp_path / "scene" / "scene.usda"))
    UsdGeom.Camera.Define(stage, "/World/Camera")
    stage.Save()
    assert open_scene(tmp_path / "scene")[1].cameras == ()


def test_incomplete_pinhole_is_named(path: CameraPath, frame: Frame, make_cloud: MakeCloud, tmp_path: Path) -> None:
    write_scene(tmp_path / "scene", make_cloud(), frame, cameras=[path])
    stage = Usd.Stage.Open(str(tmp_path / "scene" / "scene.usda"))
    prim = stage.GetPrimAtPath(f"/World/Scene/Cameras/{path.name}")
    prim.SetCustomDataByKey("lyra:pinhole:fx", "wide")
    stage.Save()
    with pytest.raises(UsdExportError, match=f"pinhole of the camera .*{path.name} is incomplete"):
        open_scene(tmp_path / "scene")
