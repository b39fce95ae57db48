# SPDX-License-Identifier: Apache-2.0
"""Scenes that are read again, and files that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Sdf, Usd, UsdGeom

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.encodings.particle_field import write_particle_field
from usd_export.errors import UsdExportError
from usd_export.formats.compressed_ply import chunk_order, write_compressed_ply
from usd_export.formats.file_kind import file_kind
from usd_export.formats.ply import write_ply
from usd_export.formats.spz import write_spz
from usd_export.frame import Frame
from usd_export.provenance import python_dictionary, usd_dictionary
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]


def test_export_round_trips(make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path) -> None:
    """Bit for bit: reading a scene and writing it again gives the same package."""
    cloud, hull = make_cloud(degree=2), np.eye(3)
    parts: dict[str, Any] = {"collider": collider, "provenance": {"seed": 1, "views": [1, 2]}, "camera_hull": hull}
    write_scene(tmp_path / "first.usdz", cloud, frame, **parts)
    again, record, mesh = open_scene(tmp_path / "first.usdz")
    for name in ("positions", "scales", "rotations", "opacities", "sh"):
        np.testing.assert_array_equal(getattr(again, name), getattr(cloud, name))
    np.testing.assert_array_equal(record.frame.matrix, frame.matrix)
    assert record.frame.floor_source == "plane"
    assert record.provenance == parts["provenance"]
    np.testing.assert_allclose(record.camera_hull, hull, atol=1e-6)
    assert mesh is not None
    assert mesh.report == collider.report
    np.testing.assert_allclose(mesh.vertices, collider.vertices, atol=1e-6)
    np.testing.assert_array_equal(mesh.triangles, collider.triangles)


def test_scene_can_replace_itself(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    for name in ("s.usdz", "folder"):
        write_scene(tmp_path / name, make_cloud(), frame)
        cloud, record, _ = open_scene(tmp_path / name)
        write_scene(tmp_path / name, cloud, record.frame)
        np.testing.assert_array_equal(open_scene(tmp_path / name)[0].positions, make_cloud().positions)


def test_foreign_ply_gets_a_guessed_frame(make_cloud: MakeCloud, tmp_path: Path) -> None:
    write_ply(tmp_path / "s.ply", make_cloud())
    _, record, _ = open_scene(tmp_path / "s.ply")
    assert record.frame.scale_source.startswith("assumed")
    assert not record.frame.metric
    assert record.frame.rotation[2, 1] < -0.8  # y down


WRITERS: dict[str, Callable[[Path, GaussianCloud], None]] = {
    "ply": write_ply,
    "compressed ply": write_compressed_ply,
    "spz": write_spz,
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", ["scene.ply", "scene.compressed.ply", "scene.spz", "scene.bin", "scene"])
def test_splats_are_told_apart_by_content(make_cloud: MakeCloud, tmp_path: Path, kind: str, name: str) -> None:
    cloud = make_cloud(degree=1)
    WRITERS[kind](tmp_path / name, cloud)
    assert file_kind(tmp_path / name) == kind
    again, record, mesh = open_scene(tmp_path / name)
    order = chunk_order(cloud) if kind == "compressed ply" else slice(None)
    np.testing.assert_allclose(again.positions, cloud.positions[order], atol=5e-3)
    assert again.sh_degree == 1
    assert record.frame.scale_source == "assumed: one unit of the file is one metre"
    assert mesh is None


def test_usd_files_under_other_names_are_named(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    write_scene(tmp_path / "s.usdz", make_cloud(), frame)
    (tmp_path / "s.usdz").rename(tmp_path / "s.ply")
    with pytest.raises(UsdExportError, match=r"s\.ply is a USD file by its content; rename it to \.usd,"):
        open_scene(tmp_path / "s.ply")


def foreign_stage(path: Path, **metadata: Any) -> Usd.Stage:
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, metadata.get("up", "Z"))
    UsdGeom.SetStageMetersPerUnit(stage, metadata.get("metres", 1.0))
    return stage


def test_units_and_placement_of_foreign_stages(make_cloud: MakeCloud, tmp_path: Path) -> None:
    stage = foreign_stage(tmp_path / "s.usda", metres=0.01)
    cloud = make_cloud()
    for index in range(2):
        prim = write_particle_field(stage, f"/Splats{index}", cloud)
        UsdGeom.Xformable(prim).AddTranslateOp().Set((0, 0, 100.0 * index))
    stage.Save()
    merged, record, _ = open_scene(tmp_path / "s.usda")
    expected = np.concatenate([0.01 * cloud.positions, 0.01 * cloud.positions + [0, 0, 1]])
    np.testing.assert_allclose(record.frame.apply(merged.positions), expected, atol=1e-6)
    np.testing.assert_allclose(merged.scales, np.tile(0.01 * cloud.scales, (2, 1)), rtol=1e-6)


def test_schema_defaults(tmp_path: Path) -> None:
    """Absent arrays and arrays that are too short take the schema's defaults; long ones are cut."""
    stage = foreign_stage(tmp_path / "s.usda")
    prim = stage.DefinePrim("/Splats", "ParticleField3DGaussianSplat")
    types = Sdf.ValueTypeNames
    prim.CreateAttribute("positions", types.Point3fArray).Set([(0, 0, 0), (1, 2, 3)])
    prim.CreateAttribute("opacities", types.FloatArray).Set([0.25, 0.5, 0.75])
    prim.CreateAttribute("scales", types.Float3Array).Set([(9, 9, 9)])
    stage.Save()
    cloud = open_scene(tmp_path / "s.usda")[0]
    np.testing.assert_array_equal(cloud.opacities, [0.25, 0.5])
    np.testing.assert_array_equal(cloud.scales, np.ones((2, 3)))
    np.testing.assert_array_equal(cloud.rotations, [[1, 0, 0, 0]] * 2)
    np.testing.assert_array_equal(cloud.base_colors, np.full((2, 3), 0.5))


@pytest.mark.parametrize("scale", [(1, 2, 1), (1, 1, -1)])
def test_unusable_transforms_are_named(make_cloud: MakeCloud, tmp_path: Path, scale: tuple[float, ...]) -> None:
    stage = foreign_stage(tmp_path / "s.usda")
    prim = write_particle_field(stage, "/Splats", make_cloud())
    UsdGeom.Xformable(prim).AddScaleOp().Set(scale)
    stage.Save()
    with pytest.raises(UsdExportError, match=r"transform of /Splats cannot be used"):
        open_scene(tmp_path / "s.usda")


def damaged(folder: Path, package: bytes, crate: bytes) -> dict[str, Path]:
    contents = {
        "empty.usdz": b"",
        "empty.usda": b"",
        "half.usdz": package[: len(package) // 2],
        "text.usdc": b"not a crate",
        "half.usdc": crate[: len(crate) // 2],
        "broken.usda": b"#usda 1.0\n(\n def",
        "bare.usda": b'#usda 1.0\ndef Xform "World" {}\n',
        "dangling.usda": b'#usda 1.0\ndef "World" (references = @./missing.usdc@) {}\n',
        "scene.obj": b"o thing",
        "noise.ply": bytes(range(256)),
        "noise.usdz": bytes(range(256)),
        "empty.spz": b"",
        "noise.spz": bytes(range(256)),
        "half.spz": b"\x1f\x8b\x08",
        "text.ply": b"ply\nformat ascii 1.0\n",
        "chunks.compressed.ply": b"ply\nformat binary_little_endian 1.0\nelement chunk 1\nend_header\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents} | {"missing.usdz": folder / "missing.usdz"}


def test_damaged_files_fail_in_one_line(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "bad").mkdir()
    files = write_scene(tmp_path / "in" / "folder", make_cloud(), frame)
    package = write_scene(tmp_path / "in" / "s.usdz", make_cloud(), frame)[0]
    for name, path in damaged(tmp_path / "bad", package.read_bytes(), files[1].read_bytes()).items():
        with pytest.raises(UsdExportError) as error:
            open_scene(path)
        assert name in str(error.value)
        assert "\n" not in str(error.value)


@settings(max_examples=40, deadline=None)
@given(
    prompt=st.text(max_size=8) | st.text("\"'\\\n@#", max_size=8),
    seed=st.integers(),
    number=st.floats(allow_nan=False),
    key=st.text('a:./" ', min_size=1, max_size=4),
)
def test_records_survive_usd_text(prompt: str, seed: int, number: float, key: str) -> None:
    """Whatever a user types ends up in a layer that can be read again."""
    values = {"prompt": prompt, key: {"seed": seed, "numbers": [number, 1]}}
    layer = Sdf.Layer.CreateAnonymous(".usda")
    written = usd_dictionary(values)
    layer.customLayerData = {"lyra": written}
    again = Sdf.Layer.CreateAnonymous(".usda")
    assert again.ImportFromString(layer.ExportToString())
    assert python_dictionary(again.customLayerData["lyra"]) == python_dictionary(written)
