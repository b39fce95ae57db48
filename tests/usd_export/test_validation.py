# SPDX-License-Identifier: Apache-2.0
"""Our own scenes pass everybody's rules; every rule of ours catches its fault."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, Vt

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.encodings.nurec import MARK, read_nurec_model, read_nurec_volume
from usd_export.encodings.nurec_payload import NurecArrays, write_payload
from usd_export.encodings.particle_field import write_particle_field
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.layout import COLLISION, GAUSSIANS, SCENE, Encoding
from usd_export.rules.scene_rules import scene_findings
from usd_export.rules.validation import check
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]
MESH = f"{COLLISION}/mesh"


@pytest.mark.parametrize("degree", [0, 3])
@pytest.mark.parametrize("name", ["s.usdz", "s", "s.ply"])
def test_our_scenes_have_no_findings(
    make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path, name: str, degree: int
) -> None:
    write_scene(tmp_path / name, make_cloud(degree=degree), frame, collider=collider, provenance={"seed": 1})
    assert check(tmp_path / name) == []


@pytest.fixture
def stage(make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path) -> Usd.Stage:
    """A good scene to damage, in memory."""
    write_scene(tmp_path / "s.usdz", make_cloud(), frame, collider=collider)
    flat = Usd.Stage.Open(str(tmp_path / "s.usdz")).Flatten()
    return Usd.Stage.Open(flat)


def set_attribute(path: str, name: str, value: object) -> Callable[[Usd.Stage], object]:
    return lambda stage: stage.GetPrimAtPath(path).GetAttribute(name).Set(value)


def add_half(stage: Usd.Stage) -> None:
    prim = stage.GetPrimAtPath(GAUSSIANS)
    prim.CreateAttribute("opacitiesh", Sdf.ValueTypeNames.HalfArray).Set([1.0])


def move_collider(stage: Usd.Stage) -> None:
    UsdGeom.Xformable(stage.GetPrimAtPath(MESH)).AddTranslateOp().Set(Gf.Vec3d(1000, 0, 0))


DAMAGE: dict[str, tuple[str, Callable[[Usd.Stage], object]]] = {
    "y up": ("lyra:up-axis", lambda stage: UsdGeom.SetStageUpAxis(stage, "Y")),
    "centimetres": ("lyra:metres", lambda stage: UsdGeom.SetStageMetersPerUnit(stage, 0.01)),
    "half twin": ("lyra:precision", add_half),
    "nan": ("lyra:finite", set_attribute(GAUSSIANS, "opacities", [float("nan")] * 20)),
    "extent": ("lyra:extent", set_attribute(GAUSSIANS, "extent", [(0, 0, 0), (0.1, 0.1, 0.1)])),
    "mirror": ("lyra:transform", set_attribute(SCENE, "xformOp:transform", Gf.Matrix4d(np.diag([1.0, 1, -1, 1])))),
    "stretch": ("lyra:transform", set_attribute(SCENE, "xformOp:transform", Gf.Matrix4d(np.diag([1.0, 2, 1, 1])))),
    "colour space": ("lyra:colour-space", set_attribute(GAUSSIANS, "colorSpace:name", "raw")),
    "no splats": ("lyra:gaussians", lambda stage: stage.RemovePrim(GAUSSIANS)),
    "quads": ("lyra:collider", set_attribute(MESH, "faceVertexCounts", [4, 4, 4])),
    "flat triangle": ("lyra:collider", set_attribute(MESH, "points", [(0, 0, 0)] * 4)),
    "bad index": ("lyra:collider", set_attribute(MESH, "faceVertexIndices", list(range(12)))),
    "empty mesh": ("lyra:collider", set_attribute(MESH, "faceVertexCounts", Vt.IntArray())),
    "invisible": ("lyra:collider", lambda stage: UsdGeom.Imageable(stage.GetPrimAtPath(MESH)).MakeInvisible()),
    "rendered": ("lyra:collider", set_attribute(COLLISION, "purpose", "default")),
    "elsewhere": ("lyra:overlap", move_collider),
}


def test_the_undamaged_stage_is_fine(stage: Usd.Stage) -> None:
    assert scene_findings(stage) == []


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found(stage: Usd.Stage, damage: str) -> None:
    rule, break_it = DAMAGE[damage]
    break_it(stage)
    assert {finding.rule for finding in scene_findings(stage)} == {rule}


@pytest.fixture
def nurec(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> Usd.Stage:
    """A good scene with a volume, to be damaged without saving."""
    return Usd.Stage.Open(str(write_scene(tmp_path / "s", make_cloud(degree=1), frame, encoding="nurec")[0]))


def volume(stage: Usd.Stage) -> Usd.Prim:
    return next(prim for prim in stage.Traverse() if prim.GetAttribute(MARK))


def set_on_volume(name: str, value: object) -> Callable[[Usd.Stage], object]:
    return lambda stage: volume(stage).GetAttribute(name).Set(value)


def lose_color_field(stage: Usd.Stage) -> None:
    volume(stage).GetRelationship("field:emissiveColor").SetTargets(["/World/nowhere"])


def lose_payload(stage: Usd.Stage) -> None:
    field = stage.GetPrimAtPath(volume(stage).GetRelationship("field:density").GetTargets()[0])
    field.GetAttribute("filePath").Set(Sdf.AssetPath("./absent.nurec"))


def add_particle_field(stage: Usd.Stage) -> None:
    write_particle_field(stage, "/World/Field", read_nurec_volume(volume(stage)))


def payload_file(stage: Usd.Stage) -> Path:
    return next(Path(stage.GetRootLayer().realPath).parent.glob("*.nurec"))


def cut_payload(stage: Usd.Stage) -> None:
    file = payload_file(stage)
    file.write_bytes(file.read_bytes()[:-20])


def change_payload(change: Callable[[NurecArrays], NurecArrays]) -> Callable[[Usd.Stage], None]:
    def damage(stage: Usd.Stage) -> None:
        arrays = read_nurec_model(volume(stage)).arrays
        with payload_file(stage).open("wb") as target:
            write_payload(target, change(arrays))

    return damage


def with_nan(arrays: NurecArrays) -> NurecArrays:
    densities = arrays.densities.copy()
    densities[3] = np.nan
    return replace(arrays, densities=densities)


NUREC_DAMAGE: dict[str, tuple[set[str], Callable[[Usd.Stage], object]]] = {
    "cropped": ({"lyra:nurec-crop"}, set_on_volume("omni:nurec:crop:maxBounds", Gf.Vec3f(0, 0, 0))),
    "extent": ({"lyra:extent"}, set_on_volume("extent", [(0, 0, 0), (0.1, 0.1, 0.1)])),
    "proxy transform": ({"lyra:nurec-transform"}, set_on_volume("omni:nurec:useProxyTransform", True)),
    "no colour field": ({"lyra:nurec-field"}, lose_color_field),
    "missing payload": ({"lyra:nurec-field", "lyra:nurec-payload"}, lose_payload),
    "cut payload": ({"lyra:nurec-payload"}, cut_payload),
    "nan": ({"lyra:finite"}, change_payload(with_nan)),
    "far from the origin": (
        {"lyra:nurec-precision", "lyra:nurec-crop", "lyra:extent"},
        change_payload(lambda arrays: replace(arrays, positions=arrays.positions + np.float16(50))),
    ),
    "mirror": ({"lyra:transform"}, set_attribute(SCENE, "xformOp:transform", Gf.Matrix4d(np.diag([1.0, 1, -1, 1])))),
    "two encodings": ({"lyra:one-encoding"}, add_particle_field),
}


def test_the_undamaged_volume_is_fine(nurec: Usd.Stage) -> None:
    assert scene_findings(nurec) == []


@pytest.mark.parametrize("damage", NUREC_DAMAGE)
def test_damage_of_a_volume_is_found(nurec: Usd.Stage, damage: str) -> None:
    rules, break_it = NUREC_DAMAGE[damage]
    break_it(nurec)
    assert {finding.rule for finding in scene_findings(nurec)} == rules


def test_an_encoding_that_is_not_drawn_does_not_count(nurec: Usd.Stage) -> None:
    add_particle_field(nurec)
    UsdGeom.Imageable(nurec.GetPrimAtPath("/World/Field")).MakeInvisible()
    assert scene_findings(nurec) == []


@pytest.mark.parametrize(("encoding", "name"), [("nurec", "s.usdz"), ("nurec", "s"), ("universal", "s")])
def test_other_encodings_have_no_findings(
    make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path, encoding: Encoding, name: str
) -> None:
    write_scene(tmp_path / name, make_cloud(degree=2), frame, collider=collider, encoding=encoding)
    assert check(tmp_path / name) == []


def test_both_roots_of_a_folder_are_checked(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    write_scene(tmp_path / "s", make_cloud(), frame, encoding="universal")
    next((tmp_path / "s").glob("*.nurec")).unlink()
    assert "lyra:nurec-payload" in {finding.rule for finding in check(tmp_path / "s")}


def test_unreadable_files_are_one_finding(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    package = write_scene(tmp_path / "s.usdz", make_cloud(), frame)[0].read_bytes()
    contents = {"cut.usdz": package[:-100], "text.usdc": b"text", "empty.usda": b"", "cut.ply": b"ply\nformat"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        findings = check(tmp_path / name)
        assert [(finding.severity, finding.rule) for finding in findings] == [("error", "lyra:readable")]
        assert "\n" not in findings[0].message


def test_flipped_content_is_found(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    path = write_scene(tmp_path / "s.usdz", make_cloud(), frame)[0]
    content = bytearray(path.read_bytes())
    content[content.index(b"plane")] ^= 1
    path.write_bytes(content)
    assert "lyra:package" in {finding.rule for finding in check(path)}


def test_missing_reference_is_found(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    write_scene(tmp_path / "s", make_cloud(), frame)[1].unlink()
    assert "usd:CompositionError" in {finding.rule for finding in check(tmp_path / "s")}


@pytest.mark.parametrize("name", ["missing.usdz", "s.obj"])
def test_what_cannot_be_checked(tmp_path: Path, name: str) -> None:
    (tmp_path / "s.obj").write_text("o thing")
    with pytest.raises(UsdExportError, match=r"does not exist|unknown suffix"):
        check(tmp_path / name)


@pytest.mark.parametrize("name", ["s.ply", "s.compressed.ply", "s.spz"])
def test_every_splat_file_of_ours_can_be_checked(
    make_cloud: MakeCloud, frame: Frame, tmp_path: Path, name: str
) -> None:
    file = write_scene(tmp_path / name, make_cloud(), frame)[0]
    assert check(file) == []
    file.write_bytes(file.read_bytes()[:-20])
    assert [finding.rule for finding in check(file)] == ["lyra:readable"]


def test_checking_sets_up_no_logging(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    handlers = list(logging.getLogger().handlers)
    write_scene(tmp_path / "s.usdz", make_cloud(), frame)
    check(tmp_path / "s.usdz")
    assert logging.getLogger().handlers == handlers
