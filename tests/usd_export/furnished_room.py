# SPDX-License-Identifier: Apache-2.0
"""A furnished room whose surfaces are known exactly: thin Gaussians on them, and closed boxes as collider."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh, ColliderReport
from usd_export.frame import Frame

LOW, HIGH = np.array([-2.5, -3.0, 0.0]), np.array([2.5, 3.0, 2.6])
CRATE = (np.array([0.9, 0.8, 0.0]), np.array([1.6, 1.5, 0.7]))
SHELF = (np.array([-2.5, 1.0, 0.0]), np.array([-2.0, 2.5, 1.2]))
UNIT = 2.0  # metres per scene unit
SPACING = 0.04
THICKNESS = 0.1


@dataclass(frozen=True)
class Room:
    """Everything `write_scene` wants, in scene units."""

    cloud: GaussianCloud
    frame: Frame
    collider: ColliderMesh
    hull: np.ndarray  # [M, 3] viewpoints


def make_room(hole: float = 0.0, ahead: float = 1.0) -> Room:
    """A room with an optional square hole [m] in the floor of its collider, some metres ahead of the middle."""
    frame = _frame()
    points, normals, colors = (np.concatenate(parts) for parts in zip(*_surfaces(), strict=True))
    vertices, triangles = box_mesh(_matter(hole, ahead))
    path = np.array([[0.0, -2.4, 1.5], [0.6, -1.2, 1.5], [-0.6, -1.2, 1.5], [0.0, -1.8, 1.8]])
    report = ColliderReport(30.0, 0.0, len(triangles), True, 0.05, ())
    collider = ColliderMesh(_local(vertices, frame).astype(np.float32), triangles, report)
    return Room(_splats(points, normals, colors, frame), frame, collider, _local(path, frame))


def _frame() -> Frame:
    """From a camera's axes (x right, y down, z ahead) at the near end of the room, in units of 2 m."""
    matrix = np.eye(4)
    matrix[:3, :3] = UNIT * np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    matrix[:3, 3] = [0, -2.4, 1.5]
    return Frame(matrix, "exact", "exact", "exact", metric=True)


def _local(points: np.ndarray, frame: Frame) -> np.ndarray:
    return (points - frame.matrix[:3, 3]) @ np.linalg.inv(frame.matrix[:3, :3]).T


def _surfaces() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Points, normals and colours [N, 3] of the room's inside and the furniture's outside."""
    room = _faces(LOW, HIGH, inward=True)
    return [*room, *_faces(*CRATE, inward=False), *_faces(*SHELF, inward=False)]


def _faces(low: np.ndarray, high: np.ndarray, inward: bool) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The six sides of a box; what stands on the floor or at a wall shows fewer."""
    faces = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        across = [np.arange(low[k] + SPACING / 2, high[k], SPACING) for k in (u, v)]
        for side, bound in enumerate((low, high)):
            if not inward and bound[axis] == (LOW, HIGH)[side][axis]:
                continue
            points = np.zeros((len(across[0]) * len(across[1]), 3))
            points[:, axis] = bound[axis]
            points[:, u], points[:, v] = (grid.ravel() for grid in np.meshgrid(*across, indexing="ij"))
            normals = np.zeros_like(points)
            normals[:, axis] = 1.0 if (side == 0) == inward else -1.0
            checks = (np.floor(points * 2).sum(axis=1) % 2)[:, None]
            tint = np.array([0.75, 0.55, 0.35]) if not inward else np.eye(3)[axis] * 0.15 + 0.6
            faces.append((points, normals, np.clip(tint - 0.12 * checks, 0, 1)))
    return faces


def _splats(points: np.ndarray, normals: np.ndarray, colors: np.ndarray, frame: Frame) -> GaussianCloud:
    """Pancakes, 1 mm thick, whose third axis is the normal."""
    count = len(points)
    local = normals @ frame.rotation
    # The half-way vector between z and the normal turns one into the other; opposite to z any axis across does.
    half = local + np.array([0, 0, 1])
    flipped = np.linalg.norm(half, axis=1) < 1e-6
    half[flipped] = [1, 0, 0]
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    quaternions = np.concatenate([half @ [[0.0], [0], [1]], np.cross([0, 0, 1], half)], axis=1)
    sigmas = np.array([0.7 * SPACING, 0.7 * SPACING, 0.001]) / UNIT
    return GaussianCloud.from_colors(
        _local(points, frame).astype(np.float32),
        np.tile(sigmas.astype(np.float32), (count, 1)),
        quaternions.astype(np.float32),
        np.full(count, 0.95, np.float32),
        colors.astype(np.float32),
    )


def _matter(hole: float, ahead: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes that fill the floor, ceiling, walls and furniture; they overlap, each is closed."""
    boxes = [CRATE, SHELF]
    for axis in range(3):
        for side, bound in enumerate((LOW, HIGH)):
            low, high = LOW - THICKNESS, HIGH + THICKNESS
            low[axis], high[axis] = sorted((bound[axis], (LOW - THICKNESS, HIGH + THICKNESS)[side][axis]))
            boxes.append((low, high))
    if hole:
        low, high = boxes.pop(2 + 2 * 2)
        middle = np.array([0.0, ahead])
        edges = [middle - hole / 2, middle + hole / 2]
        boxes += [
            (low, np.array([edges[0][0], high[1], high[2]])),
            (np.array([edges[1][0], low[1], low[2]]), high),
            (np.array([edges[0][0], low[1], low[2]]), np.array([edges[1][0], edges[0][1], high[2]])),
            (np.array([edges[0][0], edges[1][1], low[2]]), np.array([edges[1][0], high[1], high[2]])),
        ]
    return boxes


def box_mesh(boxes: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and triangles [T, 3] of closed boxes, counter-clockwise from outside."""
    quads = np.array([[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]])
    shared = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    corners = [np.array([[(x, y, z)[k] for k in range(3)] for z in (0, 1) for y in (0, 1) for x in (0, 1)])] * len(
        boxes
    )
    vertices = [np.where(corner == 1, high, low) for corner, (low, high) in zip(corners, boxes, strict=True)]
    triangles = np.concatenate([shared + 8 * number for number in range(len(boxes))])
    return np.concatenate(vertices), triangles.astype(np.int32)
