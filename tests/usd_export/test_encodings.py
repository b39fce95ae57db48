# SPDX-License-Identifier: Apache-2.0
"""The encodings of one scene: which files, which prims, which precision, and what is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdPhysics

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.encodings.gaussian_layers import particle_field_bytes, write_particle_field_layers
from usd_export.encodings.nurec import RENDER_SETTINGS
from usd_export.encodings.particle_field import HALF_WARNING, read_particle_field
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.layout import CAMERAS, GAUSSIANS, PHYSICS_SCENE, SHADOW_PROXY, Encoding
from usd_export.prims.cameras import CameraPath
from usd_export.scene_reader import open_scene
from usd_export.scene_target import default_encoding
from usd_export.scene_writer import write_scene
from usd_export.usdz import MAX_BYTES

MakeCloud = Callable[..., GaussianCloud]
PARTICLES, VOLUME = "ParticleField3DGaussianSplat", "Volume"
UNIVERSAL = ["scene.usda", "scene_isaac5.usda", "gaussians.usdc", "gaussians_nurec.usda", "gaussians.nurec"]


def splats(stage: Usd.Stage) -> list[str]:
    """Types of all prims that Kit draws as Gaussians."""
    return [prim.GetTypeName() for prim in stage.Traverse() if prim.GetTypeName() in (PARTICLES, VOLUME)]


def settings(stage: Usd.Stage) -> dict[str, Any]:
    return stage.GetRootLayer().customLayerData["renderSettings"]


def camera_path() -> CameraPath:
    return CameraPath("path", np.eye(4)[None], np.array([50.0, 50, 32, 24]), 64, 48)


@pytest.fixture
def cloud(make_cloud: MakeCloud) -> GaussianCloud:
    """Small enough for one volume."""
    cloud = make_cloud(degree=1)
    cloud.positions *= 0.3
    return cloud


@pytest.fixture
def universal(cloud: GaussianCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path) -> Path:
    folder = tmp_path / "scene"
    files = write_scene(folder, cloud, frame, collider=collider, encoding="universal",
                        cameras=[camera_path()])  # fmt: skip
    assert [file.name for file in files] == [*UNIVERSAL, "collision.usdc", "shadow_proxy.usdc", "cameras.usdc"]
    return folder


@pytest.mark.parametrize(("root", "shown"), [("scene.usda", PARTICLES), ("scene_isaac5.usda", VOLUME)])
def test_each_root_of_a_universal_scene_shows_one_encoding(universal: Path, root: str, shown: str) -> None:
    stage = Usd.Stage.Open(str(universal / root))
    assert splats(stage) == [shown]
    assert stage.GetPrimAtPath(GAUSSIANS).GetTypeName() == shown
    assert stage.GetPrimAtPath("/World/Scene/Collision/mesh")
    assert settings(stage) == (RENDER_SETTINGS if shown == VOLUME else {"rtx:post:tonemap:op": 2})
    assert stage.GetPrimAtPath(CAMERAS).IsActive() == (shown == PARTICLES)


def test_shadows_fall_on_a_proxy_only_where_volumes_are_drawn(universal: Path) -> None:
    stage = Usd.Stage.Open(str(universal / "scene_isaac5.usda"))
    proxy = stage.GetPrimAtPath(SHADOW_PROXY)
    assert stage.GetPrimAtPath(GAUSSIANS).GetRelationship("proxy").GetTargets() == [SHADOW_PROXY]
    assert proxy.GetAttribute("primvars:isMatteObject").Get() is True
    assert UsdGeom.Imageable(proxy).ComputePurpose() == "default"
    assert not proxy.HasAPI(UsdPhysics.CollisionAPI)
    other = Usd.Stage.Open(str(universal / "scene.usda"))
    assert not other.GetPrimAtPath(SHADOW_PROXY)
    assert not other.GetPrimAtPath(GAUSSIANS).GetRelationship("proxy")


def test_roots_share_their_payloads_and_place_them_alike(universal: Path, cloud: GaussianCloud, frame: Frame) -> None:
    for root in ("scene.usda", "scene_isaac5.usda"):
        found, record, collider = open_scene(universal / root)
        np.testing.assert_array_equal(record.frame.matrix, frame.matrix)
        np.testing.assert_allclose(found.positions, cloud.positions, atol=0.001)
        assert (found.sh_degree, collider is not None) == (1, True)


@pytest.mark.parametrize("root", ["scene.usda", "scene_isaac5.usda"])
def test_spawners_choose_the_encoding_by_a_variant(universal: Path, root: str) -> None:
    """As Isaac Lab does: a reference to the file with a selected variant."""
    for encoding, shown in (("particlefield", PARTICLES), ("nurec", VOLUME)):
        stage = Usd.Stage.CreateInMemory()
        prim = stage.DefinePrim("/Environment")
        prim.GetReferences().AddReference(str(universal / root))
        assert prim.GetVariantSets().GetVariantSet("encoding").GetVariantNames() == ["nurec", "particlefield"]
        prim.GetVariantSets().GetVariantSet("encoding").SetVariantSelection(encoding)
        assert splats(stage) == [shown]


@pytest.mark.parametrize(("encoding", "shown"), [("particlefield", PARTICLES), ("nurec", VOLUME)])
@pytest.mark.parametrize("name", ["s.usdz", "s"])
def test_single_encodings(
    cloud: GaussianCloud, frame: Frame, tmp_path: Path, name: str, encoding: Encoding, shown: str
) -> None:
    first = write_scene(tmp_path / name, cloud, frame, encoding=encoding)[0]
    stage = Usd.Stage.Open(str(first))
    assert splats(stage) == [shown]
    assert not stage.GetDefaultPrim().GetVariantSets().GetNames()
    if name == "s.usdz":
        with zipfile.ZipFile(first) as package:
            payloads = {"particlefield": ["gaussians.usdc"], "nurec": ["gaussians_nurec.usda", "gaussians.nurec"]}
            assert package.namelist() == ["scene.usda", *payloads[encoding]]


@pytest.mark.parametrize("encoding", ["particlefield", "nurec", "universal"])
def test_same_input_same_bytes(make_cloud: MakeCloud, frame: Frame, tmp_path: Path, encoding: Encoding) -> None:
    first, second = (
        write_scene(tmp_path / name, make_cloud(), frame, encoding=encoding, provenance={"seed": 1})
        for name in ("first", "second")
    )
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_files_of_another_encoding_do_not_stay_behind(universal: Path, cloud: GaussianCloud, frame: Frame) -> None:
    (universal / "gaussians_notes.usda").write_text("mine")
    files = write_scene(universal, cloud, frame, encoding="nurec")
    expected = {"scene.usda", "gaussians_nurec.usda", "gaussians.nurec"}
    assert {file.name for file in files} == expected
    assert {file.name for file in universal.iterdir()} == {*expected, "gaussians_notes.usda"}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("s.usdz", {"encoding": "universal"}, "one encoding only"),
        ("s.ply", {"encoding": "nurec"}, "no choice of encodings"),
        ("s.ply", {"half": True}, "no choice of encodings"),
        ("s", {"encoding": "nurec", "half": True}, "option of particle fields"),
    ],
)
def test_options_that_contradict_each_other(
    make_cloud: MakeCloud, frame: Frame, tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsdExportError, match=message):
        write_scene(tmp_path / name, make_cloud(), frame, **options)
    assert list(tmp_path.iterdir()) == []


def test_default_encoding(tmp_path: Path) -> None:
    assert default_encoding(tmp_path / "s.usdz") == "particlefield"
    assert default_encoding(tmp_path / "s.ply") == "particlefield"
    assert default_encoding(tmp_path / "s") == "universal"


def test_half_precision(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    cloud = make_cloud(degree=2)
    cloud.scales[0] = 1e-9
    write_scene(tmp_path / "s.usdz", cloud, frame, half=True, provenance={"warnings": ["an older one"]})
    stage = Usd.Stage.Open(str(tmp_path / "s.usdz"))
    prim = stage.GetPrimAtPath(GAUSSIANS)
    for name in ("positions", "orientations", "scales", "opacities", "radiance:sphericalHarmonicsCoefficients"):
        assert not prim.GetAttribute(name).HasAuthoredValue()
        assert len(prim.GetAttribute(f"{name}h").Get()) in (20, 180)
    found = read_particle_field(prim)
    np.testing.assert_allclose(found.positions, cloud.positions, rtol=2**-11, atol=1e-7)
    np.testing.assert_allclose(found.rotations, cloud.rotations, atol=2**-11)
    np.testing.assert_allclose(found.scales[1:], cloud.scales[1:], rtol=2**-11)
    np.testing.assert_allclose(found.sh, cloud.sh, rtol=2**-11, atol=1e-7)
    record = stage.GetRootLayer().customLayerData["lyra"]
    assert list(record["provenance"]["warnings"]) == ["an older one", HALF_WARNING]


def test_half_precision_refuses_what_does_not_fit(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    cloud = make_cloud()
    cloud.positions[7, 1] = 1e5
    with pytest.raises(UsdExportError, match="number 7"):
        write_scene(tmp_path / "s.usdz", cloud, frame, half=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("half", [False, True])
def test_layers_are_cut_before_the_limit(make_cloud: MakeCloud, tmp_path: Path, half: bool) -> None:
    cloud = make_cloud(1000, degree=1)
    limit = particle_field_bytes(cloud, half=half) // 3
    layers = write_particle_field_layers(tmp_path, cloud, half=half, max_bytes=limit)
    assert layers.parts == 4
    assert [file.name for file in layers.files] == ["gaussians.usdc"] + [f"gaussians_00{n}.usdc" for n in range(4)]
    stage = Usd.Stage.Open(str(layers.files[0]))
    prims = [prim for prim in stage.Traverse() if prim.GetTypeName() == PARTICLES]
    assert [str(prim.GetPath()) for prim in prims] == [f"/Gaussians/Partition_00{n}" for n in range(4)]
    clouds = [read_particle_field(prim) for prim in prims]
    merged = np.concatenate([part.positions for part in clouds])
    expected = cloud.positions.astype(np.float16) if half else cloud.positions
    np.testing.assert_array_equal(np.sort(merged[:, 0]), np.sort(expected[:, 0]))
    assert all(UsdGeom.Boundable(prim).GetExtentAttr().HasAuthoredValue() for prim in prims)


def test_packages_beyond_four_gigabytes_are_refused_before_any_work(frame: Frame, tmp_path: Path) -> None:
    """19 million Gaussians of degree 3 that share the memory of one."""
    count = 19_000_000
    row = [np.zeros(3), np.ones(3), np.array([1.0, 0, 0, 0]), np.array(0.5), np.zeros((16, 3))]
    cloud = GaussianCloud(*(np.broadcast_to(np.float32(values), (count, *values.shape)) for values in row))
    assert particle_field_bytes(cloud, half=False) > MAX_BYTES
    with pytest.raises(UsdExportError, match="folder instead"):
        write_scene(tmp_path / "s.usdz", cloud, frame)
    assert list(tmp_path.iterdir()) == []


def test_physics_scene_only_on_request(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    for wanted in (True, False):
        root = write_scene(tmp_path / f"{wanted}", make_cloud(), frame, physics_scene=wanted)[0]
        stage = Usd.Stage.Open(str(root))
        assert bool(stage.GetPrimAtPath(PHYSICS_SCENE)) == wanted
