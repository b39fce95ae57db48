# SPDX-License-Identifier: Apache-2.0
"""Rigid motion: how it is fitted, found, and given to physics engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pxr import Usd, UsdGeom, UsdPhysics, UsdShade

from usd_export.cloud import GaussianCloud
from usd_export.collision.meshing import is_watertight
from usd_export.dynamic.bodies import convex_hull
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.clusters import find_clusters
from usd_export.dynamic.motion import Motion
from usd_export.dynamic.rigid_fit import fit_rigid, rotation_matrices
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.info import scene_info
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]
MakeDynamic = Callable[..., DynamicCloud]
Array = NDArray[np.float64]


def clouds_of(points: list[Array], make_cloud: MakeCloud) -> list[GaussianCloud]:
    """Clouds with these positions [N, 3]."""
    base = make_cloud(len(points[0]))
    return [replace(base, positions=part.astype(np.float32)) for part in points]


def turned(points: Array, angle: float) -> Array:
    """Turned about the z axis."""
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])


def test_the_fit_is_the_motion(make_rigid: MakeDynamic) -> None:
    cloud = make_rigid(instants=9)
    fit = cloud.rigid_fit
    assert fit is not None
    assert fit.largest.max() < 1e-4  # float32 positions up to 25 from the origin
    start = cloud.moving[0].positions[fit.members[0]] - fit.centers[0, 0]
    for step, instant in enumerate(cloud.moving):
        placed = start @ rotation_matrices(fit.rotations[step, 0]).T + fit.centers[step, 0]
        np.testing.assert_allclose(placed, instant.positions[fit.members[0]], atol=1e-4)
    assert (np.einsum("tcq,tcq->tc", fit.rotations[1:], fit.rotations[:-1]) > 0).all()
    np.testing.assert_allclose(fit.rotations[:, 1], [[1, 0, 0, 0]] * 9, atol=1e-6)  # travels without turning


def test_the_residual_is_what_no_rigid_motion_can_do(make_cloud: MakeCloud) -> None:
    """A ring that doubles its size: every point ends one unit from where it began, at one of two instants."""
    ring = np.stack([np.cos(angles := np.arange(40) * np.pi / 20), np.sin(angles), 0 * angles], axis=1)
    fit = fit_rigid(clouds_of([ring, 2 * ring], make_cloud), np.zeros(40, int))
    assert fit.largest[0] == pytest.approx(1, abs=1e-5)
    assert fit.rms[0] == pytest.approx(np.sqrt(0.5), abs=1e-5)


def test_what_points_leave_open_stays_as_it_was(make_cloud: MakeCloud) -> None:
    """Those of one point, and of a line about itself."""
    line = np.stack([np.zeros(5), np.zeros(5), np.arange(5.0)], axis=1)
    points = np.concatenate([[[7.0, 0, 0]], line])
    fit = fit_rigid(clouds_of([points, turned(points, 1.0)], make_cloud), np.array([0, 1, 1, 1, 1, 1]))
    np.testing.assert_allclose(fit.rotations, [[[1, 0, 0, 0]] * 2] * 2, atol=1e-9)


def test_clusters_are_found_by_what_keeps_its_shape(make_cloud: MakeCloud) -> None:
    """Two boxes side by side, one of which turns, and smoke."""
    random = np.random.default_rng(0)
    boxes = random.uniform(0, 1, (2, 300, 3)) + np.array([[[0, 0, 0]], [[1.3, 0, 0]]])
    smoke = random.uniform(3, 4, (100, 3))
    frames = [
        np.concatenate([turned(boxes[0], angle), boxes[1] + [0, angle, 0], smoke + random.uniform(-0.5, 0.5, (100, 3))])
        for angle in (0.0, 0.4, 0.8)
    ]
    clusters = find_clusters(clouds_of(frames, make_cloud))
    assert set(clusters[600:]) == {-1}
    first, second = clusters[:300], clusters[300:600]
    assert len(set(first[first >= 0])) == len(set(second[second >= 0])) == 1
    assert set(first[first >= 0]) != set(second[second >= 0])
    assert min((first >= 0).mean(), (second >= 0).mean()) > 0.95


def test_clusters_of_damaged_instants(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(40)
    broken = replace(cloud, positions=np.full_like(cloud.positions, np.nan))
    with pytest.raises(UsdExportError, match="instant 0 at 0 s: 40 of 40 Gaussians have positions with NaN"):
        DynamicCloud(None, [broken, cloud], np.arange(2)).clustered()


def test_few_gaussians_are_no_cluster(make_cloud: MakeCloud) -> None:
    for count in (1, 2, 29):
        assert (find_clusters([make_cloud(count)] * 2) == -1).all()
    assert (find_clusters([replace(make_cloud(30), positions=np.zeros((30, 3), np.float32))] * 2) == 0).all()


@pytest.fixture
def stage(make_rigid: MakeDynamic, frame: Frame, tmp_path: Path) -> Usd.Stage:
    """A scene with bodies."""
    return Usd.Stage.Open(str(write_scene(tmp_path / "scene.usdz", make_rigid(), frame)[0]))


def test_bodies_are_kinematic_and_unscaled(stage: Usd.Stage) -> None:
    bodies = stage.GetPrimAtPath("/World/Scene/Bodies").GetChildren()
    assert [body.GetName() for body in bodies] == ["Body_000", "Body_001"]
    for body in bodies:
        api = UsdPhysics.RigidBodyAPI(body)
        assert api.GetKinematicEnabledAttr().Get() and api.GetRigidBodyEnabledAttr().Get()
        world = np.array(UsdGeom.Xformable(body).ComputeLocalToWorldTransform(6.0))[:3, :3]
        np.testing.assert_allclose(world @ world.T, np.eye(3), atol=1e-6)
        (hull,) = body.GetChildren()
        assert UsdPhysics.MeshCollisionAPI(hull).GetApproximationAttr().Get() == "convexHull"
        assert UsdGeom.Imageable(hull).ComputePurpose() == UsdGeom.Tokens.guide
        material = UsdShade.MaterialBindingAPI(hull).ComputeBoundMaterial("physics")[0]
        assert UsdPhysics.MaterialAPI(material.GetPrim()).GetStaticFrictionAttr().Get() > 0


def test_bodies_follow_their_gaussians(stage: Usd.Stage, make_rigid: MakeDynamic, frame: Frame) -> None:
    """At every instant the hull contains the opaque centres and touches the bounds of their standard deviations."""
    cloud = make_rigid()
    for number in (0, 1):
        hull = stage.GetPrimAtPath(f"/World/Scene/Bodies/Body_{number:03d}/hull")
        points = np.array(UsdGeom.Mesh(hull).GetPointsAttr().Get(), np.float64)
        indices = np.array(UsdGeom.Mesh(hull).GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)
        assert is_watertight(indices)
        for time, instant in zip(cloud.times, cloud.moving, strict=True):
            matrix = np.array(UsdGeom.Xformable(hull).ComputeLocalToWorldTransform(time * 24))
            world = points @ matrix[:3, :3] + matrix[3, :3]
            rows = (cloud.clusters == number) & (instant.opacities > 0.5)
            assert deepest_outside(frame.apply(instant.positions[rows]), world, indices) < 1e-4


def deepest_outside(points: Array, vertices: Array, triangles: NDArray[np.integer]) -> float:
    """How far points [M, 3] lie outside of a convex mesh at most; negative inside."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return float((points @ normals.T - (a * normals).sum(axis=1)).max())


def test_hulls_point_outwards() -> None:
    vertices, triangles = convex_hull(np.random.default_rng(0).normal(size=(200, 3)))
    assert deepest_outside(np.zeros((1, 3)), vertices.astype(np.float64), triangles) < 0
    with pytest.raises(UsdExportError, match="no volume"):
        convex_hull(np.zeros((5, 3)))


def test_one_flat_gaussian_can_be_a_body(make_cloud: MakeCloud, tmp_path: Path) -> None:
    clouds = [replace(cloud := make_cloud(1), positions=cloud.positions + np.float32(step)) for step in range(3)]
    write_scene(tmp_path / "s", DynamicCloud(None, clouds, np.arange(3), np.zeros(1, int)), Frame.identity())
    assert [facts["triangles"] for facts in scene_info(tmp_path / "s")["colliders"]] == [8]


def test_convex_parts(tmp_path: Path) -> None:
    """An L of Gaussians, whose hull would fill its corner."""
    pytest.importorskip("coacd")
    grid = np.stack(np.meshgrid(*[np.arange(0, 0.6, 0.04)] * 2, np.arange(0, 0.2, 0.04)), axis=-1).reshape(-1, 3)
    points = grid[(grid[:, 0] < 0.2) | (grid[:, 1] < 0.2)].astype(np.float32)
    count = len(points)
    rotations = np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1))
    scales, opacities = np.full((count, 3), 0.03, np.float32), np.full(count, 0.95, np.float32)
    still = GaussianCloud(points, scales, rotations, opacities, np.zeros((count, 1, 3), np.float32))
    moved = replace(still, positions=points + np.float32(1))
    cloud = DynamicCloud(None, [still, moved], np.arange(2), np.zeros(count, int))
    write_scene(tmp_path / "s", cloud, Frame.identity(), motion=Motion(bodies="parts"))
    stage = Usd.Stage.Open(str(tmp_path / "s" / "scene.usda"))
    parts = stage.GetPrimAtPath("/World/Scene/Bodies/Body_000").GetChildren()
    assert len(parts) >= 2
    cache = UsdGeom.BBoxCache(24.0, [UsdGeom.Tokens.guide])
    boxes = [cache.ComputeWorldBound(part).ComputeAlignedRange() for part in parts]
    assert not any(box.Contains((1.5, 1.5, 1.1)) for box in boxes)
    assert any(box.Contains((1.1, 1.5, 1.1)) for box in boxes)


def test_bodies_can_be_left_out(make_rigid: MakeDynamic, tmp_path: Path) -> None:
    write_scene(tmp_path / "scene", make_rigid(), Frame.identity(), motion=Motion(bodies="none"))
    assert scene_info(tmp_path / "scene")["colliders"] == []


def test_the_residual_is_told_in_metres(make_rigid: MakeDynamic, frame: Frame, tmp_path: Path) -> None:
    cloud = make_rigid()
    bent = cloud.moving[2].positions.copy()
    bent[0] += np.array([0, 0, 0.5], np.float32)
    moving = (*cloud.moving[:2], replace(cloud.moving[2], positions=bent), *cloud.moving[3:])
    write_scene(tmp_path / "scene", replace(cloud, moving=moving), frame, motion=Motion("rigid"))
    (note,) = scene_info(tmp_path / "scene")["provenance"]["warnings"]
    assert "80 moving Gaussians are rigid parts" in note and "3 others keep time samples" in note
    assert "at most 1.2 m (cluster 0)" in note  # half a unit of 2.5 m, less what the fit takes up
