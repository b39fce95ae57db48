# SPDX-License-Identifier: Apache-2.0
"""Labels of the surfaces of places made of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from usd_export.collision import SurfaceLabel
from usd_export.collision.labels import label_triangles

FLOOR, WALL, CEILING, OBSTACLE = SurfaceLabel
EYE = np.array([[0.0, -1.0, 1.6]])
SHELL = 0.1
ROOM_BOXES = {
    "floor": ((-2.0, -3.0, -0.15), (2.0, 3.0, 0.0), FLOOR),
    "left wall": ((-2.0 - SHELL, -3.0, 0.0), (-2.0, 3.0, 2.6), WALL),
    "right wall": ((2.0, -3.0, 0.0), (2.0 + SHELL, 3.0, 2.6), WALL),
    "far wall": ((-2.0, 3.0, 0.0), (2.0, 3.0 + SHELL, 2.6), WALL),
    "ceiling": ((-2.0, -3.0, 2.6), (2.0, 3.0, 2.6 + SHELL), CEILING),
    "table top": ((-0.6, 0.5, 0.7), (0.6, 1.3, 0.75), OBSTACLE),
    "wardrobe": ((-1.9, 2.3, 0.0), (-0.2, 2.85, 2.1), OBSTACLE),
    "bookcase": ((1.55, 0.0, 0.0), (1.88, 1.6, 2.0), OBSTACLE),
    "crate": ((0.8, -0.5, 0.0), (1.3, 0.0, 0.5), OBSTACLE),
    "rug": ((-0.5, -1.0, 0.0), (0.5, 0.0, 0.01), FLOOR),
    "shelf": ((0.5, 2.7, 1.4), (1.8, 2.9, 1.43), OBSTACLE),
}


def box(low: tuple[float, ...], high: tuple[float, ...], step: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """A box as triangles of about `step` metres: vertices [V, 3] and triangles [T, 3], outwards."""
    vertices, triangles = [], []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        counts = [max(1, round((high[i] - low[i]) / step)) for i in (u, v)]
        a, b = (np.linspace(low[i], high[i], n + 1) for i, n in zip((u, v), counts, strict=True))
        for end, flip in ((low, True), (high, False)):
            grid = np.zeros((len(a), len(b), 3))
            grid[..., axis], grid[..., u], grid[..., v] = end[axis], a[:, None], b[None, :]
            number = np.arange(len(a) * len(b)).reshape(len(a), len(b)) + sum(map(len, vertices))
            p, q, r, s = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
            faces = np.concatenate([np.stack([p, q, r], axis=-1), np.stack([p, r, s], axis=-1)]).reshape(-1, 3)
            vertices.append(grid.reshape(-1, 3))
            triangles.append(faces[:, ::-1] if flip else faces)
    return np.concatenate(vertices), np.concatenate(triangles)


def assemble(boxes: dict[str, tuple]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, triangles and the index of the box of each triangle."""
    vertices, triangles, owners, start = [], [], [], 0
    for number, (low, high, _) in enumerate(boxes.values()):
        v, t = box(low, high)
        vertices.append(v)
        triangles.append(t + start)
        owners.append(np.full(len(t), number))
        start += len(v)
    return np.concatenate(vertices), np.concatenate(triangles).astype(np.int32), np.concatenate(owners)


@pytest.fixture(scope="module")
def room() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    vertices, triangles, owners = assemble(ROOM_BOXES)
    corners = vertices[triangles]
    areas = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return label_triangles(vertices, triangles, EYE), owners, areas, corners


@pytest.mark.parametrize("name", ROOM_BOXES)
def test_most_of_every_box_gets_its_label(room, name):
    labels, owners, areas, _ = room
    mine = owners == list(ROOM_BOXES).index(name)
    right = areas[mine & (labels == ROOM_BOXES[name][2])].sum()
    assert right > 0.8 * areas[mine].sum()


@pytest.mark.parametrize("name", ["left wall", "far wall", "ceiling", "floor"])
def test_the_shell_behind_a_surface_has_its_label(room, name):
    """Rays that come from outside of the room see the same label."""
    labels, owners, areas, corners = room
    mine = owners == list(ROOM_BOXES).index(name)
    outside = np.abs(corners.mean(axis=1) - [0, 0, 1.3]) > np.array([2, 3, 1.3]) + 0.9 * SHELL
    back = mine & outside.any(axis=1)
    assert areas[back].sum() > 1
    assert areas[back & (labels == ROOM_BOXES[name][2])].sum() > 0.9 * areas[back].sum()


def test_labels_do_not_depend_on_the_heading_of_the_room():
    vertices, triangles, _ = assemble(ROOM_BOXES)
    before = label_triangles(vertices, triangles, EYE)
    c, s = np.cos(0.6), np.sin(0.6)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    after = label_triangles(vertices @ turn.T + [3, -7, 0], triangles, EYE @ turn.T + [3, -7, 0])
    assert np.mean(before == after) > 0.98


def test_a_ramp_is_floor_and_what_stands_on_the_floor_is_not():
    """A ramp that shares an edge with the floor, and a flat box."""
    vertices = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0], [1, 4, 0.8], [-1, 4, 0.8]])
    triangles = np.array([[0, 1, 2], [0, 2, 3], [3, 2, 4], [3, 4, 5]], np.int32)
    platform, faces = box((-0.5, -0.5, 0.3), (0.5, 0.5, 0.6))
    labels = label_triangles(np.concatenate([vertices, platform]), np.concatenate([triangles, faces + 6]), EYE)
    assert (labels[:4] == FLOOR).all()
    assert (labels[4:] == OBSTACLE).all()


def test_outdoors_only_high_planes_are_walls():
    vertices, triangles, owners = assemble(
        {"van": ((-2.5, 3.0, 0.0), (2.5, 5.0, 2.2), OBSTACLE), "house": ((-6.0, 9.0, 0.0), (6.0, 10.0, 6.0), WALL)}
    )
    labels = label_triangles(vertices, triangles, np.array([[0.0, 0.0, 1.6]]), wall_height=2.5)
    high = vertices[triangles].mean(axis=1)[:, 2] > 0.3
    assert (labels[(owners == 0) & high] == OBSTACLE).all()
    front = (vertices[triangles][:, :, 1] == 9.0).all(axis=1)
    assert (labels[front & high] == WALL).all()


def test_a_tree_has_no_ceiling():
    random = np.random.default_rng(0)
    leaves = {}
    for number in range(150):
        x, y, z = random.uniform([-2, -2, 2], [2, 2, 6])
        leaves[str(number)] = ((x, y, z), (x + 0.4, y + 0.4, z + 0.3), OBSTACLE)
    labels = label_triangles(*assemble(leaves)[:2], EYE)
    assert (labels == OBSTACLE).all()
