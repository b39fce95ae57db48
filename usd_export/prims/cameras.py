# SPDX-License-Identifier: Apache-2.0
"""The cameras that a scene was made from, as `UsdGeom.Camera` prims.

Each path is one camera whose pose is sampled at the time codes 0, 1, ..., one per frame: six paths stay six prims in
the stage tree, and scrubbing the timeline flies along them. Between two frames USD blends the matrices, so only whole
time codes are exact. The pose at the default time is that of the first frame.

USD cameras look along -Z with +Y up, OpenCV's along +Z with -Y up. A pinhole's fx, fy, cx, cy become focal length,
aperture and aperture offsets; Kit's RTX renderer draws square pixels around the middle of the image whatever they say,
so that a camera with fx != fy or an off-centre principal point is exact for USD readers and approximate there. The
`lyra:pinhole` custom data of each prim keeps the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom

from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.prims.metric_group import define_metric_group
from usd_export.provenance import KEY, python_dictionary, usd_dictionary

_APERTURE = 20.955
"""Horizontal aperture of every camera, USD's own fallback, in tenths of a metre like the focal length."""
_CLIPPING = (0.01, 1000.0)
"""Metres; Kit's fallback of 1 m for the near plane would cut into a room."""
_USD_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
_PINHOLE = f"{KEY}:pinhole"
_LENS = ("fx", "fy", "cx", "cy")
_MAX_FRAMES = 100_000


@dataclass(frozen=True)
class CameraPath:
    """One pinhole camera along a path.

    Attributes:
        name: Becomes the prim's name; letters, digits and underscores, not starting with a digit.
        c2w: Poses [F, 4, 4] in scene units, camera to scene, OpenCV axes (x right, y down, z forward), no mirroring.
        intrinsics: fx, fy, cx, cy [4] in pixels; the centre of the first pixel is 0.5.
        width: Image width in pixels.
        height: Image height in pixels.
    """

    name: str
    c2w: NDArray[np.floating]
    intrinsics: NDArray[np.floating]
    width: int
    height: int

    def __post_init__(self) -> None:
        where = f"camera path {self.name!r}"
        if not Sdf.Path.IsValidIdentifier(self.name):
            raise UsdExportError(f"{where} needs a name of letters, digits and underscores; rename it")
        poses, lens = np.asarray(self.c2w, np.float64), np.asarray(self.intrinsics, np.float64)
        if poses.ndim != 3 or poses.shape[1:] != (4, 4) or len(poses) == 0 or not np.isfinite(poses).all():
            raise UsdExportError(f"{where} needs finite poses [F, 4, 4] with F > 0; got shape {list(poses.shape)}")
        if not (np.linalg.det(poses[:, :3, :3]) > 0).all():
            raise UsdExportError(f"{where} has poses that mirror or flatten; pass camera-to-scene matrices")
        if lens.shape != (4,) or not np.isfinite(lens).all() or (lens[:2] <= 0).any():
            raise UsdExportError(f"{where} needs fx, fy, cx, cy with positive focal lengths; got {lens.tolist()}")
        if self.width < 1 or self.height < 1:
            raise UsdExportError(f"{where} needs a positive image size; got {self.width} x {self.height}")


def write_cameras(stage: Usd.Stage, path: str, cameras: Sequence[CameraPath], frame: Frame) -> Usd.Prim:
    """Define one animated camera per path below a group.

    Args:
        stage: Stage whose edit target receives the prims.
        path: Path of the group, a child of the prim that carries `frame`.
        cameras: Paths with different names.
        frame: Scene units to world metres.

    Returns:
        The group, for the caller who wants it inactive.

    Raises:
        UsdExportError: If two paths have the same name.
    """
    names = [camera.name for camera in cameras]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise UsdExportError(f"two camera paths are called {repeated!r}; give each its own name")
    group = define_metric_group(stage, path, frame).GetPrim()
    for camera in cameras:
        _write_camera(stage, f"{path}/{camera.name}", camera, frame)
    return group


def _write_camera(stage: Usd.Stage, path: str, camera: CameraPath, frame: Frame) -> None:
    prim = UsdGeom.Camera.Define(stage, path)
    fx, fy, cx, cy = (float(value) for value in camera.intrinsics)
    focal = fx * _APERTURE / camera.width
    prim.CreateProjectionAttr(UsdGeom.Tokens.perspective)
    prim.CreateFocalLengthAttr(focal)
    prim.CreateHorizontalApertureAttr(_APERTURE)
    prim.CreateVerticalApertureAttr(camera.height * focal / fy)
    prim.CreateHorizontalApertureOffsetAttr((camera.width / 2 - cx) * focal / fx)
    prim.CreateVerticalApertureOffsetAttr((cy - camera.height / 2) * focal / fy)
    prim.CreateClippingRangeAttr(Gf.Vec2f(*_CLIPPING))
    pinhole = {"fx": fx, "fy": fy, "cx": cx, "cy": cy, "width": camera.width, "height": camera.height}
    prim.GetPrim().SetCustomDataByKey(_PINHOLE, usd_dictionary(pinhole))
    poses = [Gf.Matrix4d(pose.T.tolist()) for pose in _usd_poses(camera, frame)]
    pose = prim.AddTransformOp()
    pose.Set(poses[0])
    for time, matrix in enumerate(poses):
        pose.Set(matrix, time)


def _usd_poses(camera: CameraPath, frame: Frame) -> NDArray[np.float64]:
    """World poses [F, 4, 4] in metres with USD's camera axes and no scale, column vectors."""
    world = frame.matrix @ np.asarray(camera.c2w, np.float64)
    world[:, :3, :3] /= np.cbrt(np.linalg.det(world[:, :3, :3]))[:, None, None]
    return world @ _USD_FROM_OPENCV


def read_cameras(
    stage: Usd.Stage, frame: Frame, to_world: Callable[[Usd.Prim, Usd.TimeCode], NDArray[np.float64]]
) -> tuple[CameraPath, ...]:
    """The paths that `write_cameras` wrote; cameras of others, which know no pixels, are left out.

    Args:
        stage: Composed stage.
        frame: Scene units to world metres, for poses in scene units.
        to_world: Matrix [4, 4] from a prim at a time to metres, Z-up.

    Raises:
        UsdExportError: If a camera has poses or a pinhole that cannot be used.
    """
    return tuple(_read_camera(prim, pinhole, frame, to_world) for prim, pinhole in _pinholes(stage))


def _pinholes(stage: Usd.Stage) -> Iterator[tuple[Usd.Prim, dict[str, float]]]:
    """Camera prims that keep a pinhole, and its numbers."""
    for prim in stage.Traverse():
        kept = prim.GetCustomDataByKey(_PINHOLE) if prim.IsA(UsdGeom.Camera) else None
        if isinstance(kept, dict):
            pinhole = python_dictionary(kept)
            if not all(isinstance(pinhole.get(name), int | float) for name in (*_LENS, "width", "height")):
                raise UsdExportError(f"the pinhole of the camera {prim.GetPath()} is incomplete; remove the camera")
            yield prim, pinhole


def _read_camera(
    prim: Usd.Prim,
    pinhole: dict[str, float],
    frame: Frame,
    to_world: Callable[[Usd.Prim, Usd.TimeCode], NDArray[np.float64]],
) -> CameraPath:
    times = UsdGeom.Xformable(prim).GetTimeSamples()
    if len(times) > _MAX_FRAMES:
        raise UsdExportError(f"the camera {prim.GetPath()} has {len(times)} poses, more than {_MAX_FRAMES}; remove it")
    codes = [Usd.TimeCode(time) for time in times] or [Usd.TimeCode.Default()]
    poses = np.linalg.inv(frame.matrix) @ np.stack([to_world(prim, code) for code in codes]) @ _USD_FROM_OPENCV
    determinants = np.linalg.det(poses[:, :3, :3])
    poses[:, :3, :3] /= np.cbrt(np.where(determinants > 0, determinants, 1.0))[:, None, None]
    lens = np.array([pinhole[name] for name in _LENS], np.float64)
    return CameraPath(prim.GetName(), poses, lens, int(pinhole["width"]), int(pinhole["height"]))
