# SPDX-License-Identifier: Apache-2.0
"""Colliders as prims: what collides in which variant, with which material; movable bodies; the shadow proxy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdPhysics, UsdShade

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh, SurfaceLabel
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.layout import COLLISION, GAUSSIANS, SCENE, SHADOW_PROXY
from usd_export.prims import physics
from usd_export.prims.movable import write_movable
from usd_export.prims.physics import write_collider
from usd_export.prims.semantics import read_class_labels
from usd_export.prims.shadow_proxy import link_shadow_proxy, write_shadow_proxy
from usd_export.rules.validation import check
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]
LABELS = np.array([SurfaceLabel.FLOOR, SurfaceLabel.WALL, SurfaceLabel.OBSTACLE, SurfaceLabel.OBSTACLE], np.uint8)


@pytest.fixture
def labelled(collider: ColliderMesh) -> ColliderMesh:
    colors = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 0], [255, 255, 255]], np.uint8)
    return replace(collider, labels=LABELS, colors=colors)


@pytest.fixture
def stage(make_cloud: MakeCloud, frame: Frame, labelled: ColliderMesh, tmp_path: Path) -> Usd.Stage:
    write_scene(tmp_path / "s.usdz", make_cloud(), frame, collider=labelled)
    return Usd.Stage.Open(str(tmp_path / "s.usdz"))


def colliding(stage: Usd.Stage) -> dict[str, int]:
    """Path below the collision group and number of triangles of what collides."""
    prims = [prim for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.CollisionAPI)]
    for prim in prims:
        assert UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get() == "none"
    return {
        str(prim.GetPath()).removeprefix(COLLISION): len(UsdGeom.Mesh(prim).GetFaceVertexCountsAttr().Get())
        for prim in prims
    }


def select(stage: Usd.Stage, path: str, variant_set: str, name: str) -> None:
    stage.SetEditTarget(stage.GetSessionLayer())
    assert stage.GetPrimAtPath(path).GetVariantSet(variant_set).SetVariantSelection(name)


def test_every_variant_lets_each_triangle_collide_once(stage: Usd.Stage) -> None:
    assert colliding(stage) == {"/mesh": 4}
    assert stage.GetPrimAtPath(COLLISION).GetVariantSet("collider").GetVariantNames() == ["labelled", "merged"]
    select(stage, COLLISION, "collider", "labelled")
    assert colliding(stage) == {"/surfaces/floor": 1, "/surfaces/wall": 1, "/surfaces/obstacle": 2}


def test_surfaces_have_labels_materials_and_colours(stage: Usd.Stage, labelled: ColliderMesh) -> None:
    triangles = []
    for name, friction in (("floor", 0.8), ("wall", 0.5), ("obstacle", 0.6)):
        prim = stage.GetPrimAtPath(f"{COLLISION}/surfaces/{name}")
        assert read_class_labels(prim) == (name,)
        assert "SemanticsLabelsAPI:class" in prim.GetAppliedSchemas()
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
        surface = UsdPhysics.MaterialAPI(material.GetPrim())
        assert surface.GetStaticFrictionAttr().Get() == pytest.approx(friction)
        assert surface.GetDynamicFrictionAttr().Get() > 0
        mesh = UsdGeom.Mesh(prim)
        points, faces = (np.array(a.Get()) for a in (mesh.GetPointsAttr(), mesh.GetFaceVertexIndicesAttr()))
        triangles += points[faces.reshape(-1, 3)].tolist()
        assert len(mesh.GetDisplayColorAttr().Get()) == len(points)
    assert sorted(triangles) == sorted(labelled.vertices[labelled.triangles].tolist())


def test_the_whole_mesh_comes_first_and_keeps_labels_and_colours(stage: Usd.Stage, labelled: ColliderMesh) -> None:
    meshes = [prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    assert str(meshes[0].GetPath()) == f"{COLLISION}/mesh"
    assert {physics.whole_collider(mesh) for mesh in meshes} == {meshes[0]}
    np.testing.assert_array_equal(physics.read_labels(meshes[0]), labelled.labels)
    np.testing.assert_array_equal(physics.read_colors(meshes[0]), labelled.colors)


def test_a_collider_without_labels_has_neither_variants_nor_labels(
    make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path
) -> None:
    write_scene(tmp_path / "s.usdz", make_cloud(), frame, collider=collider)
    stage = Usd.Stage.Open(str(tmp_path / "s.usdz"))
    assert colliding(stage) == {"/mesh": 4}
    assert not stage.GetPrimAtPath(COLLISION).GetVariantSets().GetNames()
    mesh = stage.GetPrimAtPath(f"{COLLISION}/mesh")
    assert physics.read_labels(mesh) is None and physics.read_colors(mesh) is None


def test_large_colliders_come_in_chunks_too(collider: ColliderMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(physics, "MAX_CHUNK_TRIANGLES", 2)
    stage = Usd.Stage.CreateInMemory()
    write_collider(stage, COLLISION, collider)
    assert colliding(stage) == {"/mesh": 4}
    select(stage, COLLISION, "collider", "chunked")
    assert colliding(stage) == {"/chunks/chunk_000": 2, "/chunks/chunk_001": 2}


def test_sensors_see_splats_or_the_labelled_proxy(stage: Usd.Stage) -> None:
    def seen() -> tuple[str, set[str]]:
        rendered = {
            str(prim.GetPath()).removeprefix(COLLISION)
            for prim in stage.Traverse()
            if prim.IsA(UsdGeom.Mesh) and UsdGeom.Imageable(prim).ComputePurpose() == "default"
        }
        return UsdGeom.Imageable(stage.GetPrimAtPath(GAUSSIANS)).ComputeVisibility(), rendered

    assert seen() == ("inherited", set())
    select(stage, SCENE, "sensors", "proxy")
    assert seen() == ("invisible", {"/surfaces/floor", "/surfaces/wall", "/surfaces/obstacle"})
    assert colliding(stage) == {"/mesh": 4}


@pytest.mark.parametrize("name", ["s.usdz", "s"])
def test_labelled_scenes_have_no_findings(
    make_cloud: MakeCloud, frame: Frame, labelled: ColliderMesh, tmp_path: Path, name: str
) -> None:
    write_scene(tmp_path / name, make_cloud(), frame, collider=labelled)
    assert check(tmp_path / name) == []


def test_shadow_proxy_is_matte_visible_and_no_collider(collider: ColliderMesh) -> None:
    stage = Usd.Stage.CreateInMemory()
    volume = stage.DefinePrim(GAUSSIANS, "Volume")
    mesh = write_shadow_proxy(stage, SHADOW_PROXY, collider)
    link_shadow_proxy(volume, SHADOW_PROXY)
    assert [str(target) for target in volume.GetRelationship("proxy").GetTargets()] == [str(mesh.GetPath())]
    assert mesh.GetPrim().GetAttribute("primvars:isMatteObject").Get() is True
    assert mesh.GetPrim().GetAttribute("primvars:doNotCastShadows").Get() is True
    assert mesh.ComputePurpose() == "default" and mesh.ComputeVisibility() == "inherited"
    assert not mesh.GetPrim().HasAPI(UsdPhysics.CollisionAPI)
    np.testing.assert_array_equal(np.array(mesh.GetPointsAttr().Get()), collider.vertices)


def test_a_movable_body_with_a_signed_distance_field(collider: ColliderMesh) -> None:
    stage = Usd.Stage.CreateInMemory()
    body = write_movable(stage, "/Thing", collider).GetPrim()
    mesh = stage.GetPrimAtPath("/Thing/mesh")
    assert body.HasAPI(UsdPhysics.RigidBodyAPI)
    assert UsdPhysics.MassAPI(body).GetDensityAttr().Get() > 0
    assert mesh.GetAttribute("physics:approximation").Get() == "sdf"
    assert "PhysxSDFMeshCollisionAPI" in stage.GetRootLayer().ExportToString()
    assert mesh.GetAttribute("physxSDFMeshCollision:sdfResolution").Get() == 256
    assert mesh.GetAttribute("physxSDFMeshCollision:sdfMargin").Get() == pytest.approx(0.01)


@pytest.mark.parametrize("approximation", ["convexHull", "convexParts"])
def test_movable_bodies_of_convex_hulls(collider: ColliderMesh, approximation: str) -> None:
    if approximation == "convexParts":
        pytest.importorskip("coacd", reason="convex parts need the package coacd")
    stage = Usd.Stage.CreateInMemory()
    write_movable(stage, "/Thing", collider, approximation)
    hulls = [prim for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.CollisionAPI)]
    paths = {"convexHull": ["/Thing/mesh"], "convexParts": ["/Thing/parts/part_000"]}
    assert [str(prim.GetPath()) for prim in hulls] == paths[approximation]
    for prim in hulls:
        assert prim.GetAttribute("physics:approximation").Get() == "convexHull"
        assert prim.GetAttribute("physxConvexHullCollision:hullVertexLimit").Get() == 64


def test_movable_bodies_must_be_closed_and_known(collider: ColliderMesh) -> None:
    stage = Usd.Stage.CreateInMemory()
    with pytest.raises(UsdExportError, match="is open"):
        write_movable(stage, "/A", replace(collider, report=replace(collider.report, watertight=False)))
    with pytest.raises(UsdExportError, match="unknown"):
        write_movable(stage, "/B", collider, "ball")  # type: ignore[arg-type]
