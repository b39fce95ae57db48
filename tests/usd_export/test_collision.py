# SPDX-License-Identifier: Apache-2.0
"""Colliders of an analytic room: exact depth by ray-box intersection, exact visibility of every floor point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from usd_export.cloud import GaussianCloud
from usd_export.collision import DepthView, build_collider
from usd_export.collision.depth import surface_view
from usd_export.collision.fusion import empty_volume, fuse
from usd_export.collision.grid import Grid
from usd_export.collision.meshing import collapse_short_edges, extract, is_watertight, part_short_edges
from usd_export.errors import UsdExportError
from usd_export.frame import Frame

WIDTH, HEIGHT, FOV = 160, 90, np.radians(75)
VOXEL = 0.03
COARSE = 0.06
EYE = np.array([0.1, -2.4, 1.6])
ROOM = (np.array([-2.0, -3.0, 0.0]), np.array([2.0, 2.0, 2.6]))
TABLE_TOP = 0.75
TABLE = (np.array([-0.3, 0.2, TABLE_TOP - 0.04]), np.array([0.9, 1.0, TABLE_TOP]))
LEGS = [
    (np.array([x - 0.03, y - 0.03, 0.0]), np.array([x + 0.03, y + 0.03, TABLE_TOP - 0.04]))
    for x in (-0.25, 0.85)
    for y in (0.25, 0.95)
]
CRATE = (np.array([-1.5, 0.6, 0.0]), np.array([-0.8, 1.3, 0.6]))
BOXES = [TABLE, *LEGS, CRATE]


def camera_to_world() -> np.ndarray:
    """Level camera at EYE that looks along +Y, 20 degrees down."""
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    pose = np.eye(4)
    pose[:3, :3] = np.stack([[1.0, 0, 0], [0, -s, -c], [0, c, -s]], axis=1)
    pose[:3, 3] = EYE
    return pose


def intrinsics() -> np.ndarray:
    focal = 0.5 * WIDTH / np.tan(0.5 * FOV)
    return np.array([focal, focal, WIDTH / 2, HEIGHT / 2])


def slab(origin: np.ndarray, rays: np.ndarray, box: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Entry and exit parameter of rays [..., 3] through a box; entry > exit where they miss."""
    with np.errstate(divide="ignore"):
        a, b = (box[0] - origin) / rays, (box[1] - origin) / rays
    return np.minimum(a, b).max(axis=-1), np.maximum(a, b).min(axis=-1)


def first_hit(rays: np.ndarray) -> np.ndarray:
    """Parameter of the nearest surface along rays [..., 3] from EYE: the room's inside or a box."""
    nearest = slab(EYE, rays, ROOM)[1]
    for box in BOXES:
        entry, leave = slab(EYE, rays, box)
        nearest = np.where((entry < leave) & (entry > 0), np.minimum(nearest, entry), nearest)
    return nearest


def pixel_rays() -> np.ndarray:
    """World rays [H, W, 3] of unit z-depth."""
    fx, fy, cx, cy = intrinsics()
    u, v = np.meshgrid((np.arange(WIDTH) + 0.5 - cx) / fx, (np.arange(HEIGHT) + 0.5 - cy) / fy)
    return np.stack([u, v, np.ones_like(u)], axis=-1) @ camera_to_world()[:3, :3].T


def room_view(unit: float = 1.0) -> tuple[DepthView, Frame]:
    """The base view in its own camera frame, `unit` metres per scene unit, and the frame back to the room."""
    matrix = camera_to_world()
    matrix[:3, :3] *= unit
    z = first_hit(pixel_rays()) / unit
    view = DepthView(z, np.ones_like(z, bool), intrinsics(), np.eye(4))
    return view, Frame(matrix, "test", "test", "test", metric=True)


def no_gaussians() -> GaussianCloud:
    return gaussians(np.zeros((0, 3)), 0.01)


def gaussians(positions: np.ndarray, sigma: float, opacity: float = 0.9) -> GaussianCloud:
    """Round Gaussians at positions [N, 3]."""
    n = len(positions)
    return GaussianCloud.from_colors(
        np.asarray(positions, np.float32),
        np.full((n, 3), sigma, np.float32),
        np.tile(np.array([1, 0, 0, 0], np.float32), (n, 1)),
        np.full(n, opacity, np.float32),
        np.full((n, 3), 0.5, np.float32),
    )


def world_mesh(collider, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    return frame.apply(collider.vertices.astype(np.float64)), collider.triangles


def cast(vertices: np.ndarray, triangles: np.ndarray, origin: np.ndarray, rays: np.ndarray):
    """First hit parameter [R] (inf = none) and whether the front of the face was hit [R] (Moeller-Trumbore)."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    hits, fronts = np.full(len(rays), np.inf), np.zeros(len(rays), bool)
    for i, ray in enumerate(rays):
        p = np.cross(ray, c - a)
        det = np.einsum("ij,ij->i", b - a, p)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.einsum("ij,ij->i", origin - a, p) / det
            q = np.cross(origin - a, b - a)
            v, t = q @ ray / det, np.einsum("ij,ij->i", c - a, q) / det
            t = np.where((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0), t, np.inf)
        hits[i], fronts[i] = t.min(), normals[t.argmin()] @ ray < 0
    return hits, fronts


def heights(vertices: np.ndarray, triangles: np.ndarray, xy: np.ndarray, start: float) -> np.ndarray:
    """Height [P] of the first surface below (x, y, start); -inf where a ball would fall for ever."""
    down = np.array([[0.0, 0.0, -1.0]])
    return np.array([start - cast(vertices, triangles, np.array([x, y, start]), down)[0][0] for x, y in xy])


def floor_areas(step: float = 0.02) -> tuple[float, float]:
    """Exact floor area in the image, m^2: visible from EYE, and hidden by furniture."""
    x, y = np.meshgrid(np.arange(-2, 2, step) + step / 2, np.arange(-3, 2, step) + step / 2)
    to_floor = np.stack([x, y, np.zeros_like(x)], axis=-1) - EYE
    in_camera = to_floor @ camera_to_world()[:3, :3]
    fx, fy, cx, cy = intrinsics()
    z = np.where(in_camera[..., 2] > 0, in_camera[..., 2], np.nan)
    u, v = in_camera[..., 0] / z * fx + cx, in_camera[..., 1] / z * fy + cy
    in_image = (u >= 0) & (u < WIDTH) & (v >= 0) & (v < HEIGHT)
    visible = in_image & (first_hit(to_floor) > 1 - 1e-6)
    return visible.sum() * step**2, (in_image & ~visible).sum() * step**2


@pytest.fixture(scope="module")
def room():
    view, frame = room_view(unit=3.1)
    collider = build_collider(no_gaussians(), frame, [view], voxel_size=VOXEL)
    return collider, *world_mesh(collider, frame)


def test_mesh_is_a_closed_solid_with_outward_normals(room):
    collider, vertices, triangles = room
    corners = vertices[triangles]
    doubled = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert is_watertight(triangles)
    assert collider.report.watertight
    assert volume > 0
    assert doubled.min() > 1e-9
    assert collider.report.triangles == len(triangles) <= 100_000


def test_surface_lies_on_the_depth_and_space_before_it_is_free(room):
    _, vertices, triangles = room
    rays = pixel_rays()[4::9, 4::9].reshape(-1, 3)
    expected = first_hit(rays)
    hits, fronts = cast(vertices, triangles, EYE, rays)
    error = (hits - expected) * np.linalg.norm(rays, axis=1)
    assert fronts[np.isfinite(hits)].all()
    assert np.mean(np.abs(error) < VOXEL) > 0.97
    assert np.mean(error < -2 * VOXEL) < 0.01


def test_floor_is_exactly_flat(room):
    _, vertices, triangles = room
    xy = np.array([[x, y] for x in (-1.2, 0.0, 1.2) for y in (-0.6, -0.3)])
    np.testing.assert_allclose(heights(vertices, triangles, xy, 0.5), 0.0, atol=1e-5)


def test_table_top_carries_and_the_space_below_it_is_open(room):
    _, vertices, triangles = room
    xy = np.array([[0.0, 0.4], [0.3, 0.6], [0.6, 0.8]])
    np.testing.assert_allclose(heights(vertices, triangles, xy, 1.5), TABLE_TOP, atol=0.3 * VOXEL)
    np.testing.assert_allclose(heights(vertices, triangles, np.array([[0.3, 0.6]]), 0.4), 0.0, atol=1e-5)


def test_crate_is_solid(room):
    _, vertices, triangles = room
    through = np.array([[0.0, 0.0, -1.0]])
    start = np.array([-1.15, 0.95, 0.9])
    top = cast(vertices, triangles, start, through)[0][0]
    below_the_top = start - [0, 0, top + 1e-3]
    bottom, front = cast(vertices, triangles, below_the_top, through)
    assert start[2] - top == pytest.approx(0.6, abs=0.3 * VOXEL)
    assert bottom[0] > 0.6 and not front[0]


def test_floor_areas(room):
    seen, hidden = floor_areas()
    assert room[0].report.observed_floor_area == pytest.approx(seen, rel=0.03)
    assert room[0].report.completed_floor_area == pytest.approx(hidden, rel=0.15)


def test_no_floor_where_nothing_was_seen(room):
    _, vertices, triangles = room
    behind_the_camera, behind_the_wall, beside = [0.0, -2.8], [0.0, 2.5], [-1.9, -2.0]
    outside = np.array([behind_the_camera, behind_the_wall, beside])
    assert np.isneginf(heights(vertices, triangles, outside, 0.5)).all()


def test_same_input_same_bytes(room):
    collider, _, _ = room
    view, frame = room_view(unit=3.1)
    again = build_collider(no_gaussians(), frame, [view], voxel_size=VOXEL)
    assert again.vertices.tobytes() == collider.vertices.tobytes()
    assert again.triangles.tobytes() == collider.triangles.tobytes()
    assert again.report == collider.report


def test_gaussians_fill_what_no_view_saw_and_never_what_was_seen_free():
    view, frame = room_view()
    unseen, seen_free = np.array([0.2, 2.8, 1.0]), np.array([0.1, -0.5, 1.2])
    offsets = np.stack(np.meshgrid(np.linspace(-0.3, 0.3, 13), 0.0, np.linspace(-0.3, 0.3, 13)), axis=-1).reshape(-1, 3)
    world = np.concatenate([unseen + offsets, seen_free + offsets])
    local = (world - frame.matrix[:3, 3]) @ frame.matrix[:3, :3]
    vertices, triangles = world_mesh(build_collider(gaussians(local, 0.02), frame, [view], voxel_size=COARSE), frame)
    hits, _ = cast(vertices, triangles, unseen - [0, 0.5, 0], np.array([[0.0, 1.0, 0.0]]))
    assert hits[0] == pytest.approx(0.5, abs=2 * COARSE)
    assert not (np.linalg.norm(vertices - seen_free, axis=1) < 0.3).any()


def test_gaussians_alone_make_a_floor_and_drop_floaters():
    x, y = np.meshgrid(np.arange(-1, 1, 0.03), np.arange(-1, 1, 0.03))
    floor = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    cloud = gaussians(floor, 0.02)
    speck, fog = gaussians(np.array([[0, 0, 1.0]]), 0.04), gaussians(floor + np.array([0, 0, 1.5]), 0.6)
    veil = gaussians(floor + np.array([0, 0, 0.5]), 0.02, opacity=0.05)
    parts = [cloud, speck, fog, veil]
    names = ("positions", "scales", "rotations", "opacities", "sh")
    merged = GaussianCloud(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    collider = build_collider(merged, Frame.identity(), voxel_size=COARSE)
    assert collider.vertices[:, 2].max() < 1e-5
    assert collider.report.observed_floor_area == pytest.approx(4.0, rel=0.1)
    np.testing.assert_allclose(heights(collider.vertices, collider.triangles, np.array([[0.3, 0.2]]), 1), 0, atol=1e-5)


def test_sky_and_far_background_stay_out():
    view, frame = room_view()
    z, mask = view.z.copy(), view.mask.copy()
    mask[:20] = False
    z[20:40, :40] = 500.0
    collider = build_collider(no_gaussians(), frame, [replace(view, z=z, mask=mask)], voxel_size=COARSE)
    vertices, _ = world_mesh(collider, frame)
    assert np.linalg.norm(vertices - EYE, axis=1).max() < 6.5
    assert any("30.0 m" in note for note in collider.report.notes)


def test_holes_in_the_depth_do_no_harm(room):
    view, frame = room_view()
    z = view.z.copy()
    z[::7, ::5], z[3::11], z[:, 90] = np.nan, np.inf, -1.0
    collider = build_collider(no_gaussians(), frame, [replace(view, z=z)], voxel_size=COARSE)
    assert collider.report.watertight
    assert np.isfinite(collider.vertices).all()
    floor = collider.report.observed_floor_area + collider.report.completed_floor_area
    whole = room[0].report.observed_floor_area + room[0].report.completed_floor_area
    assert floor == pytest.approx(whole, rel=0.08)


def test_decimation_keeps_to_the_limit_and_the_solid():
    view, frame = room_view()
    bumpy = replace(view, z=view.z + np.random.default_rng(0).normal(0, 0.02, view.z.shape))
    grid = Grid(np.array([-2.4, -3.0, -0.2]), 0.08, (60, 66, 38))
    volume = empty_volume(grid)
    fuse(volume, [surface_view(bumpy, frame.matrix, 30.0)])
    vertices, triangles = extract(volume, 2000)
    assert 500 < len(triangles) <= 2000
    assert is_watertight(triangles)
    assert (np.linalg.norm(vertices[triangles] - vertices[np.roll(triangles, 1, axis=1)], axis=2) > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": np.full((HEIGHT, WIDTH), np.nan)}, "nothing to build a collider from"),
        ({"mask": np.zeros((HEIGHT, WIDTH), bool)}, "nothing to build a collider from"),
        ({"mask": np.ones((3, 3), bool)}, "must be images of one size"),
        ({"intrinsics": np.array([0.0, 1, 1, 1])}, "intrinsics"),
        ({"c2w": np.diag([1.0, 1, -1, 1])}, "c2w"),
    ],
)
def test_unusable_views_are_refused(change, message):
    view, frame = room_view()
    with pytest.raises(UsdExportError, match=message):
        build_collider(no_gaussians(), frame, [replace(view, **change)])


def test_nothing_at_all_is_refused():
    with pytest.raises(UsdExportError, match="no opaque Gaussians and no depth"):
        build_collider(gaussians(np.zeros((5, 3)), 0.01, opacity=0.01), Frame.identity())


@pytest.mark.parametrize("voxel_size", [0.001, 0.0, -1.0, float("nan")])
def test_impossible_voxel_sizes_are_refused(voxel_size):
    view, frame = room_view()
    with pytest.raises(UsdExportError, match="voxel size"):
        build_collider(no_gaussians(), frame, [view], voxel_size=voxel_size)


def test_edges_without_length_are_collapsed() -> None:
    """Two vertices of a closed mesh in one place: their edge and its two triangles go, and the mesh stays closed."""
    sphere = trimesh.creation.icosphere(subdivisions=2)
    vertices, triangles = np.array(sphere.vertices), np.array(sphere.faces, np.int32)
    first, second = triangles[40, :2]
    vertices[second] = vertices[first]
    collapsed = collapse_short_edges(vertices, triangles)
    assert len(collapsed) == len(triangles) - 2
    assert is_watertight(collapsed)
    lengths = np.linalg.norm(vertices[collapsed] - vertices[np.roll(collapsed, -1, axis=1)], axis=2)
    assert lengths.min() > 0.01


def test_three_vertices_in_one_place_become_one() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=2)
    vertices, triangles = np.array(sphere.vertices), np.array(sphere.faces, np.int32)
    vertices[triangles[40]] = vertices[triangles[40, 0]]
    collapsed = collapse_short_edges(vertices, triangles)
    assert is_watertight(collapsed)
    assert len(collapsed) == len(triangles) - 4
    lengths = np.linalg.norm(vertices[collapsed] - vertices[np.roll(collapsed, -1, axis=1)], axis=2)
    assert lengths.min() > 0.01


def test_ends_that_cannot_be_merged_are_pulled_apart() -> None:
    """Two corners of the ring of a double pyramid: merged, its two sides would be one sheet."""
    vertices = np.array([[0, 0, 1.0], [0, 0, -1.0], [1, 0, 0.2], [1, 0, 0.2], [-1, 0.5, 0.2]])
    ring = [(2, 3), (3, 4), (4, 2)]
    triangles = np.array([(a, b, 0) for a, b in ring] + [(b, a, 1) for a, b in ring], np.int32)
    assert len(collapse_short_edges(vertices, triangles)) == len(triangles)
    parted = part_short_edges(vertices, triangles)
    corners = parted[triangles]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert areas.min() > 1e-5
    assert np.abs(parted - vertices).max() < 1e-3
