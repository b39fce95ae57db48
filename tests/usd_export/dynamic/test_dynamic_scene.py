# SPDX-License-Identifier: Apache-2.0
"""Scenes that move, as usd-core plays them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from usd_export.cloud import GaussianCloud
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.layers import chosen_motion
from usd_export.dynamic.motion import SAMPLES_BYTES, Motion
from usd_export.errors import UsdExportError
from usd_export.frame import Frame
from usd_export.placement.baking import bake_frame
from usd_export.prims.cameras import CameraPath
from usd_export.rules.validation import check
from usd_export.scene_writer import write_scene

MakeCloud = Callable[..., GaussianCloud]
MakeDynamic = Callable[..., DynamicCloud]
Play = Callable[[Path, float], GaussianCloud]
Difference = Callable[[GaussianCloud, GaussianCloud], float]

CLOSE = 2e-5
MOTIONS = {
    "samples": Motion("samples"),
    "clips": Motion("clips", clip_bytes=2_500),
    "rigid": Motion("rigid"),
    "frames": Motion("frames"),
}


def ten_times(cloud: DynamicCloud) -> Iterator[float]:
    """From before the first instant to after the last, the second instant among them."""
    yield float(cloud.times[1])
    yield from np.linspace(cloud.times[0] - 0.1, cloud.times[-1] + 0.1, 9)


@pytest.mark.parametrize("name", ["scene", "scene.usdz"])
@pytest.mark.parametrize("kind", ["samples", "clips"])
def test_usd_shows_the_cloud_at_every_time(
    make_dynamic: MakeDynamic, play: Play, difference: Difference, frame: Frame, tmp_path: Path, kind: str, name: str
) -> None:
    cloud = make_dynamic()
    file = write_scene(tmp_path / name, cloud, frame, motion=MOTIONS[kind])[0]
    for time in ten_times(cloud):
        assert difference(play(file, time), bake_frame(cloud.at(time), frame)) < CLOSE
    assert len(list((tmp_path / "scene").glob("moving_0*.usdc"))) == (3 if (kind, name) == ("clips", "scene") else 0)


def test_rigid_parts_turn_about_their_middle(
    make_rigid: MakeDynamic, play: Play, difference: Difference, frame: Frame, tmp_path: Path
) -> None:
    """Exact at the instants, and still rigid between two that lie 45 degrees apart, where blended positions shrink."""
    cloud = make_rigid()
    file = write_scene(tmp_path / "scene.usdz", cloud, frame, motion=MOTIONS["rigid"])[0]
    for time in cloud.times:
        assert difference(play(file, time), bake_frame(cloud.at(time), frame)) < 1e-4
    start, between = play(file, 0).positions[8:48], play(file, 0.25).positions[8:48]
    np.testing.assert_allclose(spread(between), spread(start), rtol=1e-4)
    blended = frame.apply(cloud.at(0.25).positions[8:48])
    assert spread(blended).mean() < 0.97 * spread(start).mean()


def spread(points: np.ndarray) -> np.ndarray:
    """Distances from the mean."""
    return np.linalg.norm(points - points.mean(axis=0), axis=1)


def test_frames_jump(
    make_dynamic: MakeDynamic, play: Play, difference: Difference, frame: Frame, tmp_path: Path
) -> None:
    cloud = make_dynamic()
    file = write_scene(tmp_path / "scene", cloud, frame, motion=MOTIONS["frames"])[0]
    for time in ten_times(cloud):
        before = cloud.times[max(int(np.searchsorted(cloud.times, time + 1e-9)) - 1, 0)]
        assert difference(play(file, time), bake_frame(cloud.at(before), frame)) < CLOSE


def test_frames_may_hold_different_numbers(make_cloud: MakeCloud, play: Play, tmp_path: Path) -> None:
    cloud = DynamicCloud(None, [make_cloud(count) for count in (5, 7, 6)], np.arange(3))
    file = write_scene(tmp_path / "scene", cloud, Frame.identity(), motion=MOTIONS["frames"])[0]
    assert [len(play(file, time)) for time in (0, 1.5, 2)] == [5, 7, 6] == [len(cloud.at(t)) for t in (0, 1.5, 2)]
    with pytest.raises(UsdExportError, match="instant 1 at 1 s: 7 Gaussians of degree 0, but 5"):
        write_scene(tmp_path / "scene", cloud, Frame.identity(), motion=MOTIONS["samples"])


@pytest.mark.parametrize("kind", MOTIONS)
def test_every_rule_is_kept(make_rigid: MakeDynamic, frame: Frame, tmp_path: Path, kind: str) -> None:
    write_scene(tmp_path / "scene.usdz", make_rigid(), frame, motion=MOTIONS[kind])
    assert check(tmp_path / "scene.usdz") == []


@pytest.mark.parametrize("kind", MOTIONS)
def test_players_know_when_to_start_and_end(make_rigid: MakeDynamic, tmp_path: Path, kind: str) -> None:
    cameras = [CameraPath("path", np.stack([np.eye(4)] * 3), np.array([50.0, 50, 32, 24]), 64, 48)]
    motion = replace(MOTIONS[kind], time_codes_per_second=30.0)
    files = write_scene(tmp_path / "scene", make_rigid(), Frame.identity(), motion=motion, cameras=cameras)
    for file in files:
        stage = Usd.Stage.Open(str(file))
        assert (stage.GetTimeCodesPerSecond(), stage.GetFramesPerSecond()) == (30, 30) or file.name == "gaussians.usdc"
        if file.name in ("scene.usda", "dynamic.usda", "moving.usdc"):
            assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 60)
    stage = Usd.Stage.Open(str(files[0]))
    assert UsdGeom.Xformable(stage.GetPrimAtPath("/World/Scene/Cameras/path")).GetTimeSamples() == [0, 1, 2]


def test_time_codes_of_whole_frames_are_whole() -> None:
    assert Motion(time_codes_per_second=24).time_codes(np.arange(50) / 24) == list(range(50))


def test_signs_of_quaternions_follow_each_other(make_dynamic: MakeDynamic, tmp_path: Path) -> None:
    """A reader that blends component by component sees no collapse either."""
    cloud = make_dynamic(instants=2)
    near = replace(cloud.moving[0], rotations=-cloud.moving[0].rotations)
    cloud = replace(cloud, moving=(cloud.moving[0], near))
    file = write_scene(tmp_path / "scene", cloud, Frame.identity())[0]
    stage = Usd.Stage.Open(str(file))
    attribute = stage.GetAttributeAtPath("/World/Scene/Gaussians/Moving.orientations")
    first, second = (np.array(attribute.Get(code)) for code in attribute.GetTimeSamples())
    np.testing.assert_array_equal(first, second)


def test_long_scenes_go_into_clips(make_cloud: MakeCloud) -> None:
    one = make_cloud(1000)
    fits = SAMPLES_BYTES // (1000 * 56)
    for instants, kind in ((fits, "samples"), (fits + 1, "clips")):
        cloud = DynamicCloud(None, [one] * instants, np.arange(instants))
        assert chosen_motion(cloud, Motion(), half=False) == kind
    assert chosen_motion(cloud, Motion("frames"), half=False) == "frames"


class Watched(Sequence[GaussianCloud]):
    """Instants that are made on access, with a count of those that exist at once."""

    def __init__(self, make: MakeCloud, instants: int) -> None:
        self.make, self.instants, self.most = make, instants, 0
        self.made: list[weakref.ref[np.ndarray]] = []

    def __len__(self) -> int:
        return self.instants

    def __getitem__(self, index: int) -> GaussianCloud:  # type: ignore[override]
        if index >= self.instants:
            raise IndexError(index)
        cloud = self.make(seed=index)
        self.made = [made for made in self.made if made() is not None] + [weakref.ref(cloud.positions)]
        self.most = max(self.most, len(self.made))
        return cloud


@pytest.mark.parametrize("kind", ["samples", "clips", "rigid", "frames"])
def test_instants_are_written_one_by_one(make_cloud: MakeCloud, tmp_path: Path, kind: str) -> None:
    watched = Watched(make_cloud, 30)
    cloud = DynamicCloud(None, watched, np.arange(30), np.zeros(20, int))
    write_scene(tmp_path / "scene", cloud, Frame.identity(), motion=replace(MOTIONS[kind], bodies="none"))
    assert watched.most <= 4


def test_the_same_scene_gives_the_same_bytes(make_rigid: MakeDynamic, frame: Frame, tmp_path: Path) -> None:
    for motion in MOTIONS.values():
        for name in ("a.usdz", "b.usdz"):
            write_scene(tmp_path / name, make_rigid(), frame, motion=motion)
        assert (tmp_path / "a.usdz").read_bytes() == (tmp_path / "b.usdz").read_bytes()


def test_a_scene_that_stands_still_leaves_nothing_of_one_that_moved(
    make_rigid: MakeDynamic, make_cloud: MakeCloud, tmp_path: Path
) -> None:
    for motion in MOTIONS.values():
        write_scene(tmp_path / "scene", make_rigid(), Frame.identity(), motion=motion)
    write_scene(tmp_path / "scene", make_cloud(), Frame.identity())
    assert sorted(file.name for file in (tmp_path / "scene").iterdir()) == ["gaussians.usdc", "scene.usda"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": np.array([0.0, 1])}, "3 instants have times of shape"),
        ({"times": np.array([0.0, 2, 1])}, "must increase strictly: instant 2 is at 1 s"),
        ({"times": np.array([0.0, 1, np.nan])}, "NaN"),
        ({"moving": (), "times": np.array([])}, "0 instants do not move"),
    ],
)  # fmt: skip
def test_clouds_that_make_no_sense(make_dynamic: MakeDynamic, change: dict, message: str) -> None:
    with pytest.raises(UsdExportError, match=message):
        replace(make_dynamic(instants=3), **change)


def test_one_instant_is_no_motion(make_dynamic: MakeDynamic) -> None:
    with pytest.raises(UsdExportError, match="1 instants do not move"):
        make_dynamic(instants=1)


@pytest.mark.parametrize(
    ("clusters", "message"),
    [
        (np.zeros(3, int), r"clusters have shape \[3\]"),
        (np.zeros(12), "type float64"),
        (np.full(12, -2), "have the number -2"),
    ],
)
def test_clusters_that_make_no_sense(
    make_dynamic: MakeDynamic, tmp_path: Path, clusters: np.ndarray, message: str
) -> None:
    cloud = replace(make_dynamic(), clusters=clusters)
    with pytest.raises(UsdExportError, match=message):
        write_scene(tmp_path / "scene", cloud, Frame.identity())


@pytest.mark.parametrize("kind", MOTIONS)
def test_damaged_instants_cost_nothing(make_rigid: MakeDynamic, tmp_path: Path, kind: str) -> None:
    """The old scene stays as it was, and nothing else stays behind."""
    cloud = make_rigid()
    write_scene(tmp_path / "scene", cloud, Frame.identity())
    before = {file.name: file.read_bytes() for file in (tmp_path / "scene").iterdir()}
    broken = replace(cloud.moving[3], positions=np.full_like(cloud.moving[3].positions, np.nan))
    with pytest.raises(UsdExportError, match=r"instant 3 at 1\.5 s: 83 of 83 Gaussians have positions with NaN"):
        moving = (*cloud.moving[:3], broken, cloud.moving[4])
        write_scene(tmp_path / "scene", replace(cloud, moving=moving), Frame.identity(), motion=MOTIONS[kind])
    assert {file.name: file.read_bytes() for file in (tmp_path / "scene").iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["scene"]


def test_outputs_without_motion_are_refused(make_dynamic: MakeDynamic, tmp_path: Path) -> None:
    cloud = make_dynamic()
    with pytest.raises(UsdExportError, match="holds one moment"):
        write_scene(tmp_path / "a.ply", cloud, Frame.identity())
    for encoding in ("nurec", "universal"):
        with pytest.raises(UsdExportError, match="stores no motion"):
            write_scene(tmp_path / "a", cloud, Frame.identity(), encoding=encoding)
    with pytest.raises(UsdExportError, match="no rigid clusters are known"):
        write_scene(tmp_path / "a", cloud, Frame.identity(), motion=MOTIONS["rigid"])
    for rate in (0, -1, np.nan):
        with pytest.raises(UsdExportError, match="frames per second"):
            Motion(time_codes_per_second=rate)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(make_dynamic: MakeDynamic, tmp_path: Path) -> None:
    """Files that may not grow beyond 2 kB stand for a disk that is full."""
    import resource
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    cloud = make_dynamic(count=200)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(UsdExportError, match="could not be written"):
            write_scene(tmp_path / "scene.usdz", cloud, Frame.identity())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []
