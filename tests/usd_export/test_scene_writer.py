# SPDX-License-Identifier: Apache-2.0
"""Written scenes: layout, package rules, determinism, and outputs that must not appear."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.encodings.particle_field import splat_extent
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.scene_reader import open_scene
from usd_export.scene_target import require_scene_target
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]
PROVENANCE = {"model": "mini", "seed": 7, "prompt": 'a "red"\nbox'}
PATHS = {
    "/World": "Xform",
    "/World/Scene": "Xform",
    "/World/Scene/Gaussians": "ParticleField3DGaussianSplat",
    "/World/Scene/Collision": "Xform",
    "/World/Scene/Collision/mesh": "Mesh",
    "/World/PhysicsMaterials": "Scope",
    "/World/PhysicsMaterials/ground": "Material",
}


@pytest.fixture
def written(make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path) -> Usd.Stage:
    hull = np.eye(3)
    write_scene(
        tmp_path / "s.usdz", make_cloud(degree=1), frame, collider=collider, provenance=PROVENANCE, camera_hull=hull
    )
    return Usd.Stage.Open(str(tmp_path / "s.usdz"))


def test_layout(written: Usd.Stage) -> None:
    assert {str(prim.GetPath()): prim.GetTypeName() for prim in written.Traverse()} == PATHS
    assert UsdGeom.GetStageUpAxis(written) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(written) == 1
    assert UsdPhysics.GetStageKilogramsPerUnit(written) == 1
    assert written.GetDefaultPrim().GetPath() == "/World"
    assert Usd.ModelAPI(written.GetDefaultPrim()).GetKind() == "component"
    assert written.GetRootLayer().customLayerData["renderSettings"] == {"rtx:post:tonemap:op": 2}
    for layer in written.GetUsedLayers():
        assert layer.anonymous or layer.defaultPrim


def test_one_matrix_places_splats_and_collider(written: Usd.Stage, frame: Frame, make_cloud: MakeCloud) -> None:
    ops = [
        prim
        for prim in written.Traverse()
        if prim.IsA(UsdGeom.Xformable) and UsdGeom.Xformable(prim).GetOrderedXformOps()
    ]
    assert [str(prim.GetPath()) for prim in ops] == ["/World/Scene"]
    cloud = make_cloud(degree=1)
    cache = UsdGeom.XformCache()
    for path in ("/World/Scene/Gaussians", "/World/Scene/Collision/mesh"):
        matrix = cache.GetLocalToWorldTransform(written.GetPrimAtPath(path))
        point = matrix.Transform(Gf.Vec3d(*cloud.positions[3].tolist()))
        np.testing.assert_allclose(point, frame.apply(cloud.positions[3]), atol=1e-9)


def test_particle_field(written: Usd.Stage, make_cloud: MakeCloud) -> None:
    prim, cloud = written.GetPrimAtPath("/World/Scene/Gaussians"), make_cloud(degree=1)
    quaternion = prim.GetAttribute("orientations").Get()[5]
    np.testing.assert_array_equal([quaternion.real, *quaternion.imaginary], cloud.rotations[5])
    harmonics = prim.GetAttribute("radiance:sphericalHarmonicsCoefficients")
    np.testing.assert_array_equal(np.array(harmonics.Get()).reshape(cloud.sh.shape), cloud.sh)
    assert (harmonics.GetMetadata("interpolation"), harmonics.GetMetadata("elementSize")) == ("vertex", 4)
    assert harmonics.GetColorSpace() == prim.GetAttribute("colorSpace:name").Get() == "srgb_rec709_display"
    assert prim.GetAttribute("sortingModeHint").Get() == "cameraDistance"
    assert prim.GetAttribute("projectionModeHint").Get() == "perspective"
    assert all(not attribute.IsCustom() for attribute in prim.GetAuthoredAttributes())


def test_extent_covers_splats_but_not_floaters(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(200)
    reach = 3 * cloud.scales.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(splat_extent(cloud)[0], (cloud.positions - reach).min(axis=0))
    np.testing.assert_array_equal(splat_extent(cloud)[1], (cloud.positions + reach).max(axis=0))
    cloud.scales[0] = 1e6
    size = np.ptp(cloud.positions, axis=0)
    assert (np.abs(splat_extent(cloud)) < 4 * np.linalg.norm(size)).all()


def test_collider(written: Usd.Stage, collider: ColliderMesh) -> None:
    prim = written.GetPrimAtPath("/World/Scene/Collision/mesh")
    mesh = UsdGeom.Mesh(prim)
    np.testing.assert_array_equal(np.array(mesh.GetPointsAttr().Get()), collider.vertices)
    np.testing.assert_array_equal(np.array(mesh.GetFaceVertexIndicesAttr().Get()), collider.triangles.ravel())
    np.testing.assert_array_equal(np.array(mesh.GetExtentAttr().Get()), [[-1, -1, -1], [2, 2, 2]])
    normals, center = np.array(mesh.GetNormalsAttr().Get()), collider.vertices.mean(axis=0)
    assert ((collider.vertices - center) * normals).sum(axis=1).min() > 0  # outwards
    assert mesh.GetSubdivisionSchemeAttr().Get() == "none"
    assert mesh.ComputePurpose() == "guide"
    assert mesh.ComputeVisibility() != "invisible"
    assert UsdPhysics.CollisionAPI(prim).GetCollisionEnabledAttr().Get() is True
    assert UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get() == "none"
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
    surface = UsdPhysics.MaterialAPI(material.GetPrim())
    friction = (surface.GetStaticFrictionAttr().Get(), surface.GetDynamicFrictionAttr().Get())
    np.testing.assert_allclose((*friction, surface.GetRestitutionAttr().Get()), (0.8, 0.6, 0.0), rtol=1e-6)
    assert not UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("full")[0]


def test_record_survives_referencing(written: Usd.Stage, frame: Frame) -> None:
    other = Usd.Stage.CreateInMemory()
    prim = other.DefinePrim("/Environment")
    prim.GetReferences().AddReference(written.GetRootLayer().realPath)
    data = prim.GetCustomDataByKey("lyra")
    assert data["provenance"] == PROVENANCE
    assert data["frame"]["scaleSource"] == "measured"
    np.testing.assert_allclose(np.array(data["cameraHull"]), frame.apply(np.eye(3)), atol=1e-6)
    assert written.GetRootLayer().customLayerData["lyra"]["provenance"] == PROVENANCE


def test_package_is_stored_aligned_and_dateless(written: Usd.Stage) -> None:
    path = Path(written.GetRootLayer().realPath)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        entries = package.infolist()
    assert [entry.filename for entry in entries] == ["scene.usda", "gaussians.usdc", "collision.usdc"]
    for entry in entries:
        start = entry.header_offset
        name, extra = (int.from_bytes(content[start + at : start + at + 2], "little") for at in (26, 28))
        assert (start + 30 + name + extra) % 64 == 0
        assert entry.compress_type == zipfile.ZIP_STORED
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)


def write_sample(path: str) -> None:
    random = np.random.default_rng(1)
    points = random.normal(size=(5000, 3)).astype(np.float32)
    ones = np.ones_like(points)
    cloud = GaussianCloud.from_colors(points, 0.1 * ones, np.eye(4, dtype=np.float32)[[0] * 5000], ones[:, 0], points)
    write_scene(path, cloud, Frame.identity(), provenance={"b": 1, "a": {"y": [1, 2], "x": "text"}})


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    first, second = str(tmp_path / "first.usdz"), str(tmp_path / "second.usdz")
    write_sample(first)
    code = f"import runpy; runpy.run_path({__file__!r})['write_sample']({second!r})"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert Path(first).read_bytes() == Path(second).read_bytes()


@pytest.mark.parametrize("name", ["scene", "scene.v2/"])
def test_folder(make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path, name: str) -> None:
    target = f"{tmp_path}/{name}"
    files = write_scene(target, make_cloud(), frame, collider=collider)
    assert [file.name for file in files] == ["scene.usda", "gaussians.usdc", "collision.usdc"]
    assert sorted(Path(target).iterdir()) == sorted(files)
    assert [path.name for path in tmp_path.iterdir()] == [Path(name).name]
    np.testing.assert_array_equal(open_scene(target)[0].positions, make_cloud().positions)


def test_folder_is_updated_in_place(
    make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path
) -> None:
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene" / "notes.txt").write_text("mine")
    write_scene(tmp_path / "scene", make_cloud(seed=1), frame, collider=collider)
    write_scene(tmp_path / "scene", make_cloud(seed=2), frame)
    assert {path.name for path in (tmp_path / "scene").iterdir()} == {"notes.txt", "scene.usda", "gaussians.usdc"}
    cloud, _, found = open_scene(tmp_path / "scene")
    np.testing.assert_array_equal(cloud.positions, make_cloud(seed=2).positions)
    assert found is None


def test_ply_is_metric_and_z_up(make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path) -> None:
    write_scene(tmp_path / "s.ply", make_cloud(), frame, collider=collider, provenance=PROVENANCE)
    cloud, record, found = open_scene(tmp_path / "s.ply")
    np.testing.assert_allclose(cloud.positions, frame.apply(make_cloud().positions), atol=1e-5)
    np.testing.assert_array_equal(record.frame.matrix, np.eye(4))
    assert (record.frame.metric, record.provenance, found) == (True, PROVENANCE, None)


@pytest.mark.parametrize("name", ["s.usdz", "s.ply", "s"])
def test_failure_keeps_the_old_file_and_leaves_nothing_else(
    make_cloud: MakeCloud, frame: Frame, tmp_path: Path, name: str
) -> None:
    files = write_scene(tmp_path / name, make_cloud(), frame)
    before = [file.read_bytes() for file in files]
    bad = make_cloud()
    bad.positions[0] = np.nan
    with pytest.raises(UsdExportError, match="NaN"):
        write_scene(tmp_path / name, bad, frame)
    with pytest.raises(UsdExportError, match="provenance"):
        write_scene(tmp_path / name, make_cloud(), frame, provenance={"object": object()})
    assert [file.read_bytes() for file in files] == before
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["s.usdz", "s.ply", "s"])
def test_a_new_output_that_fails_does_not_appear(
    make_cloud: MakeCloud, frame: Frame, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsdExportError):
        write_scene(tmp_path / name, replace(make_cloud(), sh=np.zeros((3, 1, 3), np.float32)), frame)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s.obj", "unknown suffix"),
        ("s.usd", "unknown suffix"),
        ("nowhere/s.usdz", "does not exist"),
        ("nowhere/s.ply", "does not exist"),
        ("nowhere/s", "does not exist"),
        ("file", "is a file"),
    ],
)
def test_impossible_targets(make_cloud: MakeCloud, frame: Frame, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    for attempt in (require_scene_target, lambda path: write_scene(path, make_cloud(), frame)):
        with pytest.raises(UsdExportError, match=message):
            attempt(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that refuses new files even to root")
@pytest.mark.parametrize("name", ["s.usdz", "s.ply", "s"])
def test_a_folder_that_refuses_files(make_cloud: MakeCloud, frame: Frame, name: str) -> None:
    with pytest.raises(UsdExportError, match=r"read-only|could not be written"):
        write_scene(f"/proc/self/{name}", make_cloud(), frame)
