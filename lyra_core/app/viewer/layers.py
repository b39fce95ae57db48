# SPDX-License-Identifier: Apache-2.0
"""Everything that can be shown beside the Gaussians: collider, camera paths, spawn poses, grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import viser
from numpy.typing import NDArray
from viser import transforms

from usd_export.collision import ColliderMesh, SurfaceLabel
from usd_export.frame import Frame
from usd_export.prims.cameras import CameraPath
from usd_export.robotics import Robotics

WORLD = "/world"
"""Node of all that moves when the frame is corrected."""

Color = tuple[int, int, int]
Layer = Callable[[bool], None]
"""Shows or hides something."""

LABEL_COLORS: dict[int, Color] = {
    SurfaceLabel.FLOOR: (86, 156, 90),
    SurfaceLabel.WALL: (96, 125, 175),
    SurfaceLabel.CEILING: (150, 120, 170),
    SurfaceLabel.OBSTACLE: (215, 130, 60),
}
_PLAIN: Color = (215, 130, 60)
_PATH_COLORS: Sequence[Color] = (
    (200, 60, 60),
    (60, 120, 200),
    (60, 160, 80),
    (200, 140, 40),
    (140, 80, 180),
    (80, 170, 170),
)
_FRUSTUM = 0.12  # metres
_ROBOT_HEIGHT = 0.15  # metres that the arrow of a spawn pose floats over the floor
_ARROW = 0.4  # metres
_ABOVE_FLOOR = 0.01  # metres that lines on the floor float over it
_GRID = 40.0  # metres


def add_collider(scene: viser.SceneApi, collider: ColliderMesh, frame: Frame, *, wireframe: bool) -> Layer:
    """The collision mesh in the colours of its labels, as a surface or as its edges."""
    vertices = frame.apply(np.asarray(collider.vertices, np.float64)).astype(np.float32)
    labels = np.full(len(collider.triangles), -1) if collider.labels is None else collider.labels.astype(int)
    name = f"{WORLD}/collider/{'edges' if wireframe else 'surface'}"
    handles = [
        scene.add_mesh_simple(
            f"{name}/{label}",
            *_compact(vertices, collider.triangles[labels == label]),
            color=LABEL_COLORS.get(label, _PLAIN),
            wireframe=wireframe,
            side="double",
            flat_shading=not wireframe,
            opacity=None if wireframe else 0.75,
            visible=False,
        )
        for label in np.unique(labels).tolist()
    ]
    return _switch(handles)


def _compact(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray]:
    """Only the vertices [V', 3] that some triangles use, and those triangles with new indices."""
    used, indices = np.unique(triangles, return_inverse=True)
    return vertices[used], indices.reshape(-1, 3).astype(np.int32)


def add_cameras(scene: viser.SceneApi, paths: Sequence[CameraPath]) -> Layer:
    """Every path as a line, with the outline of its first and last picture."""
    handles: list[viser.SceneNodeHandle] = []
    for number, path in enumerate(paths):
        color = _PATH_COLORS[number % len(_PATH_COLORS)]
        name = f"{WORLD}/cameras/{path.name}"
        places = path.c2w[:, :3, 3]
        if len(places) > 1:
            stretches = np.stack([places[:-1], places[1:]], axis=1)
            handles.append(
                scene.add_line_segments(
                    f"{name}/line", stretches, color, thickness=3.0, thickness_units="screen", visible=False
                )
            )
        for end in sorted({0, len(path.c2w) - 1}):
            handles.append(_frustum(scene, f"{name}/frame_{end}", path, end, color))
    return _switch(handles)


def _frustum(scene: viser.SceneApi, name: str, path: CameraPath, frame: int, color: Color) -> viser.CameraFrustumHandle:
    pose = path.c2w[frame]
    return scene.add_camera_frustum(
        name,
        fov=float(2 * np.arctan(0.5 * path.height / path.intrinsics[1])),
        aspect=path.width / path.height,
        scale=_FRUSTUM,
        color=color,
        wxyz=transforms.SO3.from_matrix(pose[:3, :3]).wxyz,
        position=pose[:3, 3],
        visible=False,
    )


def add_spawn_poses(scene: viser.SceneApi, robotics: Robotics) -> Layer:
    """Where robots can stand, as arrows ahead, and the border of the region they can drive in."""
    poses, name = robotics.spawn_poses, f"{WORLD}/spawn"
    base = poses[:, :3, 3] + [0, 0, _ROBOT_HEIGHT]
    ends = np.stack([base, base + _ARROW * poses[:, :3, 0]], axis=1)
    arrows = scene.add_arrows(f"{name}/ahead", ends, (240, 90, 40), visible=False)
    rims = [np.stack([rim, np.roll(rim, -1, axis=0)], axis=1) for rim in robotics.navigable]
    stretches = np.pad(np.concatenate(rims), ((0, 0), (0, 0), (0, 1)), constant_values=_ABOVE_FLOOR)
    border = scene.add_line_segments(
        f"{name}/region", stretches, (30, 170, 210), thickness=3.0, thickness_units="screen", visible=False
    )
    return _switch([arrows, border])


def add_grid(scene: viser.SceneApi) -> Layer:
    """The floor z = 0: fine lines every half metre, bold ones every metre; it stays where it is."""
    grid = scene.add_grid(
        "/grid", _GRID, _GRID, plane="xy", cell_size=0.5, section_size=1.0, fade_distance=_GRID, visible=False
    )
    return _switch([grid])


def _switch(handles: Sequence[viser.SceneNodeHandle]) -> Layer:
    def show(visible: bool) -> None:
        for handle in handles:
            handle.visible = visible

    return show
