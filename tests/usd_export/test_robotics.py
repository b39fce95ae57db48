# SPDX-License-Identifier: Apache-2.0
"""Maps, regions and spawn poses of rooms made of boxes, for which every answer follows from the boxes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pxr import Gf, Usd, UsdGeom, UsdPhysics
from scipy.ndimage import label

from usd_export.collision import ColliderMesh, ColliderReport
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.prims.physics_scene import write_physics_scene
from usd_export.robotics import Robotics, build_robotics, check_ground, write_robotics
from usd_export.robotics.build import REACH, SPAWN_MARGIN
from usd_export.robotics.occupancy import FREE, OCCUPIED, UNKNOWN, OccupancyMap
from usd_export.robotics.raster import MapGrid, touched_cells
from usd_export.robotics.region import clearance, outlines
from usd_export.robotics.spawn import distance_to_hull

Box = tuple[tuple[float, float, float], tuple[float, float, float]]

BAND = (0.05, 1.5)
FLOOR: Box = ((-2.013, -1.512, -0.15), (3.187, 2.313, 0.0))
WALLS: list[Box] = [
    ((-2.113, -1.612, -0.15), (-2.013, 2.413, 2.6)),
    ((3.187, -1.612, -0.15), (3.287, 2.413, 2.6)),
    ((-2.013, 2.313, -0.15), (3.187, 2.413, 2.6)),
]
CRATE: Box = ((-0.207, 0.511, 0.0), (0.388, 1.023, 0.6))
CUPBOARD: Box = ((1.516, 1.604, 0.0), (2.209, 2.308, 2.1))
TABLE_TOP: Box = ((-1.809, 1.207, 0.7), (-1.106, 1.912, 0.75))
SHELF: Box = ((2.411, -0.512, 1.7), (3.187, 0.309, 1.75))
RUG: Box = ((0.703, -0.912, 0.0), (1.708, -0.113, 0.03))
ROOM = [FLOOR, *WALLS, CRATE, CUPBOARD, TABLE_TOP, SHELF, RUG]
EYES = np.array([[0.2, -2.0, 1.5], [0.9, -2.0, 1.7], [0.5, -1.6, 1.4]])
"""In front of the room's open side."""


def box_mesh(boxes: list[Box]) -> tuple[np.ndarray, np.ndarray]:
    """Closed boxes with normals outwards: world vertices [V, 3] and triangles [T, 3]."""
    sides = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    triangles = np.array([[side[0], side[i], side[i + 1]] for side in sides for i in (1, 2)])
    corners = [[[b[i & 1][0], b[i >> 1 & 1][1], b[i >> 2][2]] for i in range(8)] for b in boxes]
    return np.array(corners).reshape(-1, 3), np.concatenate([triangles + 8 * n for n in range(len(boxes))])


def collider_of(vertices: np.ndarray, triangles: np.ndarray, frame: Frame, closed: bool = True) -> ColliderMesh:
    """World vertices as a collider in the units of `frame`."""
    local = (vertices - frame.matrix[:3, 3]) @ np.linalg.inv(frame.matrix[:3, :3]).T
    report = ColliderReport(0.0, 0.0, len(triangles), closed, 0.05, ())
    return ColliderMesh(local.astype(np.float32), triangles.astype(np.int32), report)


def local_points(points: np.ndarray, frame: Frame) -> np.ndarray:
    return (points - frame.matrix[:3, 3]) @ np.linalg.inv(frame.matrix[:3, :3]).T


def robotics_of(boxes: list[Box], frame: Frame, eyes: np.ndarray | None = EYES, **options: float) -> Robotics:
    collider = collider_of(*box_mesh(boxes), frame)
    return build_robotics(collider, frame, None if eyes is None else local_points(eyes, frame), **options)


def kind_at(occupancy: OccupancyMap, x: float, y: float) -> int:
    column, row = np.floor((np.array([x, y]) - occupancy.origin) / occupancy.resolution).astype(int)
    return int(occupancy.cells[row, column])


def expected_cells(occupancy: OccupancyMap, boxes: list[Box], reached: np.ndarray) -> np.ndarray:
    """Map of solid boxes by interval arithmetic; `reached` [rows, columns] are cells that may be free."""
    rows, columns = occupancy.cells.shape
    low = occupancy.origin + occupancy.resolution * np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1)
    high, center = low + occupancy.resolution, low + occupancy.resolution / 2
    occupied = np.zeros((rows, columns), bool)
    ground = np.zeros((rows, columns), bool)
    for a, b in boxes:
        over = ((low <= b[:2]) & (high >= a[:2])).all(axis=-1)
        occupied |= over & (a[2] <= BAND[1]) & (b[2] >= BAND[0])
        ground |= ((center > a[:2]) & (center < b[:2])).all(axis=-1) & (-0.01 <= b[2] <= BAND[0])
    return np.where(occupied, OCCUPIED, np.where(ground & reached, FREE, UNKNOWN))


@pytest.fixture(scope="module")
def room(frame: Frame) -> Robotics:
    return robotics_of(ROOM, frame)


def test_every_cell_of_the_room_is_right(room: Robotics) -> None:
    everywhere = np.ones(room.occupancy.cells.shape, bool)
    np.testing.assert_array_equal(room.occupancy.cells, expected_cells(room.occupancy, ROOM, everywhere))


@pytest.mark.parametrize(
    ("x", "y", "kind"),
    [
        (0.1, -0.5, FREE),
        (0.1, 0.8, OCCUPIED),  # the crate, whose top lies in the band
        (1.9, 2.0, OCCUPIED),  # the inside of the cupboard, which no surface in the band touches
        (-1.5, 1.5, OCCUPIED),  # below the table
        (2.8, -0.1, FREE),  # below the shelf, which hangs higher than the robot
        (1.2, -0.5, FREE),  # the rug, which it drives over
        (-2.05, 0.0, OCCUPIED),  # a wall
    ],
)
def test_meaning_of_the_map(room: Robotics, x: float, y: float, kind: int) -> None:
    assert kind_at(room.occupancy, x, y) == kind


def test_heights_of_the_band_decide(frame: Frame) -> None:
    flat, tall = (robotics_of(ROOM, frame, band=band).occupancy for band in ((0.02, 0.5), (0.05, 1.8)))
    assert kind_at(flat, 1.2, -0.5) == OCCUPIED
    assert kind_at(flat, -1.5, 1.5) == FREE
    assert kind_at(tall, 2.8, -0.1) == OCCUPIED


def test_a_wall_without_thickness_has_no_gap() -> None:
    vertices, triangles = box_mesh([FLOOR])
    sheet = np.array([[-2.5, -1.7, -0.1], [3.5, 2.6, -0.1], [3.5, 2.6, 2.0], [-2.5, -1.7, 2.0]])
    both = np.concatenate([triangles, len(vertices) + np.array([[0, 1, 2], [0, 2, 3]])])
    collider = collider_of(np.concatenate([vertices, sheet]), both, Frame.identity(), closed=False)
    cells = build_robotics(collider, Frame.identity(), None).occupancy.cells
    pieces, count = label(cells == FREE, np.ones((3, 3)))
    assert count == 2
    assert np.bincount(pieces.ravel())[1:].min() > 500


def clipped(polygon: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The part [V, 3] of a convex polygon inside of a box (Sutherland-Hodgman)."""
    for axis in range(3):
        for sign, limit in ((1.0, high[axis]), (-1.0, -low[axis])):
            beyond, kept = sign * polygon[:, axis] - limit, []
            for at, (point, before) in enumerate(zip(polygon, np.roll(polygon, 1, axis=0), strict=True)):
                if beyond[at] * beyond[at - 1] < 0:
                    share = beyond[at - 1] / (beyond[at - 1] - beyond[at])
                    kept.append(before + share * (point - before))
                if beyond[at] <= 0:
                    kept.append(point)
            polygon = np.array(kept).reshape(-1, 3)
    return polygon


def test_slanted_triangles_touch_exactly_the_columns_they_enter() -> None:
    grid, band = MapGrid(np.array([-1.0, -1.0]), 0.1, (20, 20)), (0.05, 0.4)
    random = np.random.default_rng(3)
    for _ in range(25):
        corners = random.uniform((-1.2, -1.2, -0.3), (1.2, 1.2, 0.8), (3, 3))
        expected = np.zeros(grid.shape, bool)
        for row, column in np.ndindex(*grid.shape):
            low = grid.origin + 0.1 * np.array([column, row])
            expected[row, column] = len(clipped(corners, np.append(low, band[0]), np.append(low + 0.1, band[1]))) > 0
        np.testing.assert_array_equal(touched_cells(grid, corners[None], band), expected)


def test_unseen_pockets_are_unknown(frame: Frame) -> None:
    """A closed chamber of 1 m x 1 m behind the back wall: the floor goes on there, but nobody has looked."""
    chamber: list[Box] = [
        ((0.5, 2.413, -0.15), (1.5, 3.4, 0.0)),
        ((0.4, 2.413, -0.15), (0.5, 3.5, 2.6)),
        ((1.5, 2.413, -0.15), (1.6, 3.5, 2.6)),
        ((0.5, 3.4, -0.15), (1.5, 3.5, 2.6)),
    ]
    assert kind_at(robotics_of([*ROOM, *chamber], frame).occupancy, 1.0, 2.9) == UNKNOWN
    assert kind_at(robotics_of([*ROOM, *chamber], frame, eyes=None).occupancy, 1.0, 2.9) == FREE
    above = np.concatenate([EYES, [[1.0, 2.9, 2.0]]])
    assert kind_at(robotics_of([*ROOM, *chamber], frame, eyes=above).occupancy, 1.0, 2.9) == FREE


def load_like_map_server(folder: Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Cells of the OccupancyGrid that map_server publishes, its origin and resolution, by the documented rules."""
    description = yaml.safe_load((folder / "map.yaml").read_text())
    assert description["mode"] == "trinary"
    image = np.array(Image.open(folder / description["image"]), np.float64)
    chance = image / 255 if description["negate"] else (255 - image) / 255
    upside_down = np.full(image.shape, -1)
    upside_down[chance > description["occupied_thresh"]] = 100
    upside_down[chance < description["free_thresh"]] = 0
    assert description["origin"][2] == 0
    return upside_down[::-1], np.array(description["origin"][:2]), description["resolution"]


def test_ros_reads_the_same_map(room: Robotics, tmp_path: Path) -> None:
    files = room.occupancy.save_ros(tmp_path)
    assert [file.name for file in files] == ["map.yaml", "map.pgm"]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    cells, origin, resolution = load_like_map_server(tmp_path)
    assert set(np.unique(cells)) == {FREE, OCCUPIED, UNKNOWN}
    np.testing.assert_array_equal(cells, room.occupancy.cells)
    np.testing.assert_allclose(origin, room.occupancy.origin, atol=1e-6)
    assert resolution == room.occupancy.resolution
    crate = np.floor((np.array([0.1, 0.8]) - origin) / resolution).astype(int)
    assert cells[crate[1], crate[0]] == OCCUPIED


def test_a_map_needs_a_folder(room: Robotics, tmp_path: Path) -> None:
    with pytest.raises(UsdExportError, match="does not exist"):
        room.occupancy.save_ros(tmp_path / "nowhere")


def distance_to_box(points: np.ndarray, box: Box) -> np.ndarray:
    a, b = (np.array(corner[:2]) for corner in box)
    return np.linalg.norm(np.maximum(np.maximum(a - points, points - b), 0), axis=-1)


def room_to_spare(points: np.ndarray) -> np.ndarray:
    """Distance [N] of floor points [N, 2] to the nearest obstacle or edge of the floor."""
    a, b = (np.array(corner[:2]) for corner in FLOOR)
    edges = np.minimum(points - a, b - points).min(axis=-1)
    return np.minimum.reduce([edges, *(distance_to_box(points, box) for box in (CRATE, CUPBOARD, TABLE_TOP))])


def test_the_navigable_region_keeps_the_radius_and_wastes_little(room: Robotics) -> None:
    border = np.concatenate([polygon + t * (np.roll(polygon, -1, axis=0) - polygon) for polygon in room.navigable
                             for t in np.linspace(0, 0.9, 10)])  # fmt: skip
    spare = room_to_spare(border)
    assert spare.min() >= room.robot_radius - 1e-9
    assert spare.max() <= room.robot_radius + 3 * room.occupancy.resolution
    areas = [shoelace(polygon) for polygon in room.navigable]
    assert sum(areas) == pytest.approx(room.navigable_area)
    assert [np.sign(area) for area in sorted(areas)] == [-1, 1]  # around the crate a robot can drive in circles


def shoelace(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def inside(polygons: tuple[np.ndarray, ...], points: np.ndarray) -> np.ndarray:
    """Even-odd rule for points [..., 2]."""
    crossings = np.zeros(points.shape[:-1], int)
    for polygon in polygons:
        for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            spans = (ay > points[..., 1]) != (by > points[..., 1])
            with np.errstate(divide="ignore", invalid="ignore"):
                x = ax + (points[..., 1] - ay) / (by - ay) * (bx - ax)
            crossings += spans & (points[..., 0] < x)
    return crossings % 2 == 1


@given(arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_outlines_enclose_exactly_the_cells(cells: np.ndarray) -> None:
    grid = MapGrid(np.array([-1.0, 2.0]), 0.5, cells.shape)
    polygons = outlines(cells, grid)
    np.testing.assert_array_equal(inside(polygons, grid.centers()), cells)
    assert sum(shoelace(polygon) for polygon in polygons) == pytest.approx(0.25 * cells.sum())
    for polygon in polygons:
        sides = np.roll(polygon, -1, axis=0) - polygon
        assert (np.count_nonzero(sides, axis=1) == 1).all()
        assert (np.einsum("ij,ij->i", sides, np.roll(sides, -1, axis=0)) == 0).all()


def test_outlines_of_cells_that_meet_at_a_corner_do_not_cross() -> None:
    polygons = outlines(np.eye(3, dtype=bool), MapGrid(np.zeros(2), 1.0, (3, 3)))
    assert sorted(shoelace(polygon) for polygon in polygons) == [1, 1, 1]


@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_clearance_is_the_distance_between_squares(cells: np.ndarray) -> None:
    padded = np.pad(cells, 1)
    blocked = np.argwhere(~padded)
    found = clearance(cells, 0.5)
    for row, column in np.ndindex(*cells.shape):
        gaps = np.maximum(np.abs(blocked - (row + 1, column + 1)) - 1, 0)
        nearest = 0.5 * np.linalg.norm(gaps, axis=1).min() if cells[row, column] else 0.0
        assert found[row, column] == pytest.approx(nearest)


def test_spawn_poses(room: Robotics) -> None:
    poses = room.spawn_poses
    places = poses[:, :2, 3]
    assert 4 <= len(poses) <= 8
    np.testing.assert_allclose(poses[:, 2], [[0, 0, 1, 0]] * len(poses))
    np.testing.assert_allclose(poses[:, :3, :3] @ poses[:, :3, :3].swapaxes(1, 2), [np.eye(3)] * len(poses), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(poses), 1)
    assert room_to_spare(places).min() >= room.robot_radius + SPAWN_MARGIN
    assert distance_to_box(places, RUG).min() >= room.robot_radius + SPAWN_MARGIN
    assert inside(room.navigable, places).all()
    assert distance_to_hull(places, EYES[:, :2]).max() <= REACH
    apart = np.linalg.norm(places[:, None] - places, axis=-1) + 9 * np.eye(len(places))
    assert apart.min() >= 2 * (room.robot_radius + SPAWN_MARGIN)


def test_spawn_poses_look_where_the_way_is_long(room: Robotics) -> None:
    for pose in room.spawn_poses:
        ahead = pose[:2, 3] + np.outer(np.arange(0, 1.0, 0.025), pose[:2, 0])
        assert inside(room.navigable, ahead).all()


def test_spawn_poses_stay_near_the_viewpoints(frame: Frame) -> None:
    hall: list[Box] = [((-10.0, -10.0, -0.1), (10.0, 10.0, 0.0))]
    eyes = np.array([[-6.0, -6.0, 1.5], [-5.0, -6.0, 1.5], [-5.5, -5.0, 1.5]])
    near, anywhere = robotics_of(hall, frame, eyes), robotics_of(hall, frame, None)
    assert len(near.spawn_poses) == len(anywhere.spawn_poses) == 8
    assert distance_to_hull(near.spawn_poses[:, :2, 3], eyes[:, :2]).max() <= REACH
    assert np.abs(anywhere.spawn_poses[:, :2, 3]).max() > 9
    assert near.navigable_area == anywhere.navigable_area > 370
    assert near.notes == ()
    assert "viewpoints" in anywhere.notes[0]


def test_distance_to_hull() -> None:
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [1, 1], [2, 1]], float)
    points = np.array([[1, 1], [0, 1], [3, 1], [-3, -4], [1.9, 0.1]], float)
    np.testing.assert_allclose(distance_to_hull(points, square), [0, 0, 1, 5, 0], atol=1e-12)
    np.testing.assert_allclose(distance_to_hull(points, square[::-1]), [0, 0, 1, 5, 0], atol=1e-12)
    np.testing.assert_allclose(distance_to_hull(np.array([[1.0, 3.0]]), square[:2]), [3])
    np.testing.assert_allclose(distance_to_hull(np.array([[3.0, 4.0]]), np.zeros((4, 2))), [5])


def test_no_floor_no_poses(frame: Frame) -> None:
    found = robotics_of([CRATE], frame)
    assert found.spawn_poses.shape == (0, 4, 4)
    assert found.navigable == ()
    assert found.navigable_area == 0
    assert "no spawn poses" in found.notes[0]
    assert not (found.occupancy.cells == FREE).any()
    assert kind_at(found.occupancy, 0.1, 0.8) == OCCUPIED


def test_nothing_in_reach_of_the_map(frame: Frame) -> None:
    ceiling: Box = ((0.0, 0.0, 2.5), (2.0, 2.0, 2.6))
    assert (robotics_of([ceiling], frame).occupancy.cells == UNKNOWN).all()


def test_same_input_same_result(room: Robotics, frame: Frame) -> None:
    again = robotics_of(ROOM, frame)
    assert again.spawn_poses.tobytes() == room.spawn_poses.tobytes()
    assert again.occupancy.cells.tobytes() == room.occupancy.cells.tobytes()
    assert [p.tobytes() for p in again.navigable] == [p.tobytes() for p in room.navigable]
    assert stage_with(again).GetRootLayer().ExportToString() == stage_with(room).GetRootLayer().ExportToString()


def test_ground_check_finds_the_floor(room: Robotics, frame: Frame) -> None:
    report = check_ground(collider_of(*box_mesh(ROOM), frame), frame, room)
    assert report.passed
    assert report.problems() == []
    assert len(report.spawns) == len(room.spawn_poses)
    assert all(spawn.rays > 40 and spawn.missed == 0 and abs(spawn.highest) < 1e-5 for spawn in report.spawns)


def test_ground_check_finds_holes_steps_and_low_ceilings(room: Robotics, frame: Frame) -> None:
    x, y = room.spawn_poses[0, :2, 3]
    step: Box = ((x + 0.2, y - 1, 0.0), (x + 1, y + 1, 0.02))
    lamp: Box = ((x - 0.05, y - 0.05, 1.2), (x + 0.05, y + 0.05, 1.3))
    pit: list[Box] = [
        ((FLOOR[0][0], FLOOR[0][1], -0.15), (x - 0.1, FLOOR[1][1], 0.0)),
        ((x + 0.1, FLOOR[0][1], -0.15), (FLOOR[1][0], FLOOR[1][1], 0.0)),
    ]
    for boxes, message in (
        ([*ROOM, step], "to 0.020 m"),
        ([*ROOM, lamp], "to 1.300 m"),
        (pit, "rays find no ground"),
    ):
        report = check_ground(collider_of(*box_mesh(boxes), frame), frame, room)
        assert not report.passed
        assert message in report.problems()[0]
        assert f"x {x:.2f}" in report.problems()[0]


def test_ground_check_without_poses_does_not_pass(frame: Frame) -> None:
    report = check_ground(collider_of(*box_mesh([CRATE]), frame), frame, robotics_of([CRATE], frame))
    assert not report.passed
    assert "no spawn pose" in report.problems()[0]


def stage_with(robotics: Robotics) -> Usd.Stage:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    scene = UsdGeom.Xform.Define(stage, "/World/Scene")
    scene.AddTransformOp().Set(Gf.Matrix4d(robotics.frame.matrix.T.tolist()))
    write_robotics(stage, "/World/Scene/Robotics", robotics)
    return stage


def test_prims_are_in_world_metres(room: Robotics) -> None:
    stage = stage_with(room)
    cache = UsdGeom.XformCache()
    spawns = stage.GetPrimAtPath("/World/Scene/Robotics/SpawnPoses").GetChildren()
    assert [prim.GetName() for prim in spawns] == [f"Spawn_{n:02d}" for n in range(len(room.spawn_poses))]
    for prim, pose in zip(spawns, room.spawn_poses, strict=True):
        np.testing.assert_allclose(np.array(cache.GetLocalToWorldTransform(prim)).T, pose, atol=1e-9)
    curves = UsdGeom.BasisCurves(stage.GetPrimAtPath("/World/Scene/Robotics/NavigableRegion"))
    points, counts = np.array(curves.GetPointsAttr().Get()), np.array(curves.GetCurveVertexCountsAttr().Get())
    for found, polygon in zip(np.split(points, np.cumsum(counts)[:-1]), room.navigable, strict=True):
        np.testing.assert_allclose(found[:, :2], polygon, atol=1e-6)
    assert curves.ComputePurpose() == "guide"
    assert curves.GetWrapAttr().Get() == "periodic"
    extent = np.array(curves.GetExtentAttr().Get())
    assert (points >= extent[0]).all() and (points <= extent[1]).all()


def test_custom_data_is_an_occupancy_grid(room: Robotics) -> None:
    stage = stage_with(room)
    data = stage.GetPrimAtPath("/World/Scene/Robotics").GetCustomDataByKey("lyra:robotics")
    grid = data["occupancy"]
    cells = np.array(grid["data"]).reshape(grid["height"], grid["width"])
    np.testing.assert_array_equal(cells, room.occupancy.cells)
    np.testing.assert_allclose(grid["origin"], [*room.occupancy.origin, 0])
    assert grid["resolution"] == 0.05
    assert data["robotRadius"] == 0.25
    assert list(data["obstacleBand"]) == [0.05, 1.5]
    assert data["navigableArea"] == pytest.approx(room.navigable_area)


@pytest.mark.parametrize(
    "options", [{"robot_radius": 0.0}, {"resolution": -0.05}, {"band": (1.5, 0.05)}, {"robot_radius": float("nan")}]
)
def test_impossible_robots_are_refused(frame: Frame, options: dict[str, float]) -> None:
    with pytest.raises(UsdExportError, match="must be positive"):
        robotics_of(ROOM, frame, **options)


def test_absurd_colliders_are_refused(frame: Frame) -> None:
    with pytest.raises(UsdExportError, match="too large"):
        robotics_of([((0.0, 0.0, -1.0), (5e3, 5e3, 0.0))], frame)
    collider = collider_of(*box_mesh(ROOM), frame)
    collider = replace(collider, vertices=np.where(collider.vertices > 1, np.nan, collider.vertices))
    with pytest.raises(UsdExportError, match="NaN"):
        build_robotics(collider, frame, None)


def test_physics_scene_has_earths_gravity() -> None:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    scene = UsdPhysics.Scene(write_physics_scene(stage, "/World/PhysicsScene").GetPrim())
    assert scene.GetGravityDirectionAttr().Get() == Gf.Vec3f(0, 0, -1)
    assert scene.GetGravityMagnitudeAttr().Get() == pytest.approx(981)
