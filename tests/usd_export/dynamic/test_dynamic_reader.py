# SPDX-License-Identifier: Apache-2.0
"""Scenes that move, opened again; and files that pretend to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, Vt

from usd_export.cloud import GaussianCloud
from usd_export.collision import ColliderMesh
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.motion import Motion
from usd_export.dynamic.reader import open_dynamic_scene
from usd_export.encodings.particle_field import write_instant, write_particle_field
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.info import info_rows, scene_info
from usd_export.opening import trust
from usd_export.prims.cameras import CameraPath
from usd_export.rules.validation import check
from usd_export.scene_reader import open_scene
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]
MakeDynamic = Callable[..., DynamicCloud]
Difference = Callable[[GaussianCloud, GaussianCloud], float]

KINDS = ("samples", "clips", "rigid", "frames")


@pytest.fixture(autouse=True)
def strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is one that this process has not seen before."""
    monkeypatch.setattr(trust, "_scenes", {})


def stored(kind: str) -> Motion:
    """With small clips, so that there are several."""
    return Motion(kind, clip_bytes=10_000)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["scene", "scene.usdz"])
@pytest.mark.parametrize("kind", KINDS)
def test_scenes_come_back(
    make_rigid: MakeDynamic, collider: ColliderMesh, frame: Frame, difference: Difference, tmp_path: Path, kind: str,
    name: str,
) -> None:  # fmt: skip
    """The static part and the Gaussians of rigid parts may come back in another order; here they do not."""
    cloud = make_rigid()
    poses = np.stack([np.eye(4)] * 3)
    cameras = [CameraPath("path", poses, np.array([50.0, 50, 32, 24]), 64, 48)]
    write_scene(
        tmp_path / name, cloud, frame, motion=stored(kind), collider=collider, provenance={"seed": 3}, cameras=cameras
    )
    trust._scenes.clear()
    again, record, mesh = open_dynamic_scene(tmp_path / name)
    np.testing.assert_allclose(again.times, cloud.times)
    np.testing.assert_allclose(record.frame.matrix, frame.matrix)
    assert record.provenance["seed"] == 3
    assert mesh is not None and mesh.report == collider.report
    assert [path.name for path in record.cameras] == ["path"]
    assert again.static is not None and cloud.static is not None
    assert difference(again.static, cloud.static) == 0
    for first, second in zip(again.moving, cloud.moving, strict=True):
        assert difference(first, second) < (1e-4 if kind == "rigid" else 1e-7)
    if kind == "frames":
        assert again.clusters is None
    else:
        np.testing.assert_array_equal(again.clusters, cloud.clusters)


@pytest.mark.parametrize("kind", KINDS)
def test_static_readers_see_the_first_instant(
    make_rigid: MakeDynamic, frame: Frame, difference: Difference, tmp_path: Path, kind: str
) -> None:
    cloud = make_rigid()
    write_scene(tmp_path / "scene", cloud, frame, motion=stored(kind))
    first, record, mesh = open_scene(tmp_path / "scene")
    assert mesh is None
    if kind != "rigid":  # whose parts lie in frames of their own
        np.testing.assert_allclose(record.frame.matrix, frame.matrix)
        assert difference(first, cloud.at(0)) < 1e-6
    assert len(first) == len(cloud.at(0))
    world = record.frame.apply(first.positions)
    np.testing.assert_allclose(world, frame.apply(cloud.at(0).positions), atol=1e-3)


def test_still_scenes_are_no_moving_ones(make_cloud: MakeCloud, tmp_path: Path) -> None:
    write_scene(tmp_path / "scene", make_cloud(), Frame.identity())
    with pytest.raises(UsdExportError, match="holds no Gaussians that move; open it as a static scene"):
        open_dynamic_scene(tmp_path / "scene")


@pytest.mark.parametrize("kind", KINDS)
def test_info_tells_how_long_it_plays(make_rigid: MakeDynamic, tmp_path: Path, kind: str) -> None:
    cloud = make_rigid()
    write_scene(tmp_path / "scene", cloud, Frame.identity(), motion=stored(kind))
    info = scene_info(tmp_path / "scene")
    assert info["time_range"] == {"start": 0, "end": 48, "time_codes_per_second": 24}
    assert info["gaussians"] == len(cloud.at(0))
    assert ("time", "2 s: time codes 0 to 48, 24 per second") in info_rows(info)
    assert any("instants" in facts for facts in info["encodings"])
    assert "instants" not in info["encodings"][0]


def foreign(file: Path, instants: list[GaussianCloud]) -> Usd.Stage:
    """A time-sampled particle field without default values, as others may write it."""
    stage = Usd.Stage.CreateNew(str(file))
    prim = write_particle_field(stage, "/Splats", instants[0])
    for attribute in prim.GetAttributes():
        if attribute.GetVariability() == Sdf.VariabilityVarying:
            attribute.ClearDefault()
    for code, cloud in enumerate(instants):
        write_instant(prim, cloud, Usd.TimeCode(code))
    stage.SetDefaultPrim(prim)
    return stage


def test_foreign_samples(make_cloud: MakeCloud, difference: Difference, tmp_path: Path) -> None:
    instants = [make_cloud(seed=seed) for seed in range(3)]
    foreign(tmp_path / "a.usda", instants).Save()
    cloud, _, _ = open_dynamic_scene(tmp_path / "a.usda")
    assert (cloud.static, cloud.clusters, list(cloud.times)) == (None, None, [0, 1 / 24, 2 / 24])
    assert difference(cloud.moving[2], instants[2]) == 0
    assert scene_info(tmp_path / "a.usda")["gaussians"] == 20


def findings(file: Path) -> list[str]:
    """What our own rules about motion and numbers say."""
    return [finding.message for finding in check(file) if finding.rule in ("lyra:motion", "lyra:finite", "lyra:extent")]


def test_rules_about_motion(make_cloud: MakeCloud, tmp_path: Path) -> None:
    instants = [make_cloud(seed=1), make_cloud(seed=1), make_cloud(19, seed=2), make_cloud(19, seed=2)]
    instants[1] = replace(instants[1], rotations=-instants[1].rotations)
    instants[3] = replace(instants[3], scales=np.full_like(instants[3].scales, np.nan))
    stage = foreign(tmp_path / "a.usda", instants)
    stage.GetPrimAtPath("/Splats").GetAttribute("extent").Set(Vt.Vec3fArray([(-0.1,) * 3, (0.1,) * 3]), 2)
    stage.Save()
    text = "\n".join(findings(tmp_path / "a.usda"))
    assert "Gaussians move from time code 0 to 3, but startTimeCode and endTimeCode are missing" in text
    assert "20 quaternions change their sign at time code 1" in text
    assert "positions have 19 rows at time code 2 and 20 before" in text
    assert "scales have NaN or infinite values at time code 3" in text
    assert "lie outside the extent at time code 2" in text
    with pytest.raises(UsdExportError, match=r"instant 2 at .*: 19 Gaussians"):
        list(open_dynamic_scene(tmp_path / "a.usda")[0].instants())


def test_rules_look_at_the_range(make_cloud: MakeCloud, tmp_path: Path) -> None:
    stage = foreign(tmp_path / "a.usda", [make_cloud(seed=1)] * 3)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(1)
    stage.Save()
    assert findings(tmp_path / "a.usda") == ["Gaussians move from time code 0 to 2, the stage plays 0 to 1"]
    stage.SetEndTimeCode(2)
    stage.Save()
    assert findings(tmp_path / "a.usda") == []


def test_missing_clips_are_noticed(make_dynamic: MakeDynamic, tmp_path: Path) -> None:
    write_scene(tmp_path / "scene", make_dynamic(count=100), Frame.identity(), motion=stored("clips"))
    (tmp_path / "scene" / "moving_003.usdc").unlink()
    trust._scenes.clear()
    with pytest.raises(UsdExportError, match=r"is incomplete .*value clip @./moving_003.usdc@"):
        open_dynamic_scene(tmp_path / "scene")


@pytest.mark.parametrize("template", [False, True])
def test_damaged_clips_do_not_reach_this_process(make_dynamic: MakeDynamic, tmp_path: Path, template: bool) -> None:
    """Layers of clips are examined like all others, although USD opens them only when it plays."""
    cloud = replace(make_dynamic(count=100), times=np.arange(5))
    motion = replace(stored("clips"), time_codes_per_second=1.0)
    write_scene(tmp_path / "scene", cloud, Frame.identity(), motion=motion)
    if template:
        layer = Sdf.Layer.FindOrOpen(str(tmp_path / "scene" / "moving.usdc"))
        clips = layer.GetPrimAtPath("/Moving").GetInfo("clips")["default"]
        kept = {key: clips[key] for key in ("primPath", "manifestAssetPath")}
        timed = {"templateAssetPath": "./moving.###.usdc", "templateStartTime": 0.0, "templateEndTime": 4.0}
        layer.GetPrimAtPath("/Moving").SetInfo("clips", {"default": {**kept, **timed, "templateStride": 1.0}})
        layer.Save()
        del layer
        for number in range(5):
            (tmp_path / "scene" / f"moving_{number:03d}.usdc").rename(tmp_path / "scene" / f"moving.{number:03d}.usdc")
    trust._scenes.clear()
    assert len(open_dynamic_scene(tmp_path / "scene")[0]) == 5
    file = tmp_path / "scene" / ("moving.002.usdc" if template else "moving_002.usdc")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UsdExportError, match="is damaged or not a USD file"):
        open_dynamic_scene(tmp_path / "scene")


def test_clips_outside_of_the_folder_are_refused(make_dynamic: MakeDynamic, tmp_path: Path) -> None:
    write_scene(tmp_path / "scene", make_dynamic(count=100), Frame.identity(), motion=stored("clips"))
    layer = Sdf.Layer.FindOrOpen(str(tmp_path / "scene" / "moving.usdc"))
    shutil.move(tmp_path / "scene" / "moving_002.usdc", tmp_path / "outside.usdc")
    clips = layer.GetPrimAtPath("/Moving").GetInfo("clips")
    paths = [asset.path for asset in clips["default"]["assetPaths"]]
    clips["default"]["assetPaths"] = Sdf.AssetPathArray([*paths[:2], "../outside.usdc", *paths[3:]])
    layer.GetPrimAtPath("/Moving").SetInfo("clips", clips)
    layer.Save()
    trust._scenes.clear()
    with pytest.raises(UsdExportError, match=r"refers to '\.\./outside\.usdc', which is outside"):
        open_dynamic_scene(tmp_path / "scene")
