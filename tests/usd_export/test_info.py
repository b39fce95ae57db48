# SPDX-License-Identifier: Apache-2.0
"""What a file says about itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd

import usd_export
from usd_export.__main__ import main
from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.errors import UsdExportError
from usd_export.formats.ply import write_ply
from usd_export.frame import Frame
from usd_export.info import info_rows, scene_info
from usd_export.provenance import GENERATOR
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]
GOLDEN = Path(__file__).parents[1] / "golden"

PROVENANCE = {
    "prompt": "a small kitchen",
    "seed": 7,
    "model": "mini",
    "models": {"decoder.safetensors": "ab" * 32},
    "licences": ["Apache-2.0"],
    "warnings": ["geometry is a guess", "scale is assumed"],
}


@pytest.fixture
def scene(make_cloud: MakeCloud, frame: Frame, collider: ColliderMesh, tmp_path: Path) -> Path:
    path = tmp_path / "scene.usdz"
    write_scene(
        path,
        make_cloud(count=30, degree=2),
        replace(frame, scale_uncertainty=0.025),
        collider=collider,
        provenance=PROVENANCE,
        camera_hull=np.eye(3),
    )
    return path


def test_everything_about_a_scene(scene: Path, make_cloud: MakeCloud, frame: Frame) -> None:
    info = scene_info(scene)
    assert json.loads(json.dumps(info)) == info
    assert (info["gaussians"], info["bytes"]) == (30, scene.stat().st_size)
    world = frame.apply(make_cloud(count=30, degree=2).positions)
    np.testing.assert_allclose([info["bounds_m"]["min"], info["bounds_m"]["max"]], [world.min(0), world.max(0)], 1e-6)
    (encoding,) = info["encodings"]
    assert (encoding["encoding"], encoding["sh_degree"], encoding["precision"]) == ("particlefield", 2, "float")
    mesh = info["colliders"][0]
    assert (mesh["triangles"], mesh["vertices"], mesh["approximation"], mesh["purpose"]) == (4, 4, "none", "guide")
    assert (info["generator"], info["version"]) == (GENERATOR, usd_export.__version__)
    assert info["provenance"] == PROVENANCE
    assert info["frame"] == {
        "metresPerSceneUnit": pytest.approx(2.5),
        "scaleSource": "measured",
        "scaleUncertainty": 0.025,
        "upSource": "floor",
        "floorSource": "plane",
        "metric": True,
    }
    assert (info["up_axis"], info["metres_per_unit"], len(info["cameraHull"])) == ("Z", 1.0, 3)


def test_rows_tell_the_same_to_a_person(scene: Path) -> None:
    rows = info_rows(scene_info(scene))
    told = dict(rows)
    assert told["Gaussians"] == "30"
    assert told["scale"] == "2.5 m per scene unit +- 2.5 %: measured"
    assert (told["prompt"], told["seed"], told["models.decoder.safetensors"]) == ("a small kitchen", "7", "ab" * 32)
    assert [text for label, text in rows if label == "warnings"] == PROVENANCE["warnings"]
    assert told["generator"] == f"{GENERATOR} {usd_export.__version__}"
    assert "triangles 4" in told["collider"]


def test_the_record_stands_in_both_places(scene: Path) -> None:
    """In the root layer, and on the prim for scenes that are referenced."""
    stage = Usd.Stage.Open(str(scene))
    in_layer = stage.GetRootLayer().customLayerData["lyra"]
    assert in_layer["generator"] == GENERATOR
    assert in_layer["frame"]["scaleUncertainty"] == 0.025
    assert stage.GetDefaultPrim().GetCustomDataByKey("lyra")["version"] == usd_export.__version__


@pytest.mark.parametrize(
    ("name", "encoding", "precision", "count", "degree"),
    [
        ("particlefield_tiny.usdz", "particlefield", "float", 50, 3),
        ("particlefield_tiny_half.usdz", "particlefield", "half", 50, 3),
        ("particlefield_tiny_sh0.usdz", "particlefield", "float", 20, 0),
        ("nurec_tiny_mesh.usdz", "nurec", "half", 50, 3),
    ],
)
def test_files_of_others(name: str, encoding: str, precision: str, count: int, degree: int) -> None:
    info = scene_info(GOLDEN / name)
    (found,) = info["encodings"]
    assert (found["encoding"], found["precision"], found["sh_degree"]) == (encoding, precision, degree)
    assert info["gaussians"] == found["gaussians"] == count
    assert "generator" not in info
    assert dict(info_rows(info))["Gaussians"] == str(count)


def test_partitions_are_counted_together() -> None:
    info = scene_info(GOLDEN / "particlefield_tiny_parts.usdz")
    assert len(info["encodings"]) == 4
    assert info["gaussians"] == 50


def test_splat_files(make_cloud: MakeCloud, tmp_path: Path) -> None:
    cloud = make_cloud(count=9, degree=1)
    write_ply(tmp_path / "s.ply", cloud)
    info = scene_info(tmp_path / "s.ply")
    assert info["encodings"] == [{"encoding": "ply", "gaussians": 9, "sh_degree": 1}]
    assert info["colliders"] == []
    assert info["frame"]["scaleSource"].startswith("assumed")
    assert "generator" not in info
    assert "of unknown precision" in dict(info_rows(info))["scale"]


def test_a_ply_of_ours_keeps_its_record(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    write_scene(tmp_path / "s.ply", make_cloud(), frame, provenance=PROVENANCE)
    info = scene_info(tmp_path / "s.ply")
    assert (info["generator"], info["provenance"]["seed"]) == (GENERATOR, 7)
    assert info["frame"]["scaleSource"] == "measured"


def test_a_stage_without_gaussians(tmp_path: Path) -> None:
    Usd.Stage.CreateNew(str(tmp_path / "empty.usda")).Save()
    info = scene_info(tmp_path / "empty.usda")
    assert (info["gaussians"], info["bounds_m"], info["encodings"], info["variants"]) == (0, None, [], {})
    assert dict(info_rows(info))["bounds"] == "none"


def test_folders_and_missing_files(make_cloud: MakeCloud, frame: Frame, tmp_path: Path) -> None:
    write_scene(tmp_path / "folder", make_cloud(), frame)
    info = scene_info(tmp_path / "folder")
    assert info["gaussians"] >= 20
    assert info["bytes"] == sum(file.stat().st_size for file in (tmp_path / "folder").iterdir())
    with pytest.raises(UsdExportError, match="does not exist"):
        scene_info(tmp_path / "absent")


def test_command_line(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(scene)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", str(scene), f"({scene.stat().st_size:,}", "bytes)"]
    assert main(["info", str(scene), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["prompt"] == "a small kitchen"


@pytest.mark.parametrize("record", ["text", {"frame": 3, "gaussians": 9, "provenance": Sdf.AssetPath("a.txt")}])
def test_a_record_of_someone_else(record: object, tmp_path: Path) -> None:
    """Under our key, but not ours: it neither fails nor passes for a fact."""
    stage = Usd.Stage.CreateNew(str(tmp_path / "odd.usda"))
    stage.GetRootLayer().customLayerData = {"lyra": record}
    stage.Save()
    info = scene_info(tmp_path / "odd.usda")
    assert info["gaussians"] == 0
    assert not {"frame", "provenance"} & set(info)
    assert info_rows(info)
