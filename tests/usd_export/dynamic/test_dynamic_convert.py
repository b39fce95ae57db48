# SPDX-License-Identifier: Apache-2.0
"""Sequences of splat files, and moving scenes, on the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from usd_export.__main__ import main
from usd_export.cloud import GaussianCloud
from usd_export.dynamic.reader import open_dynamic_scene
from usd_export.formats.ply import read_ply, write_ply
from usd_export.info import scene_info

MakeCloud = Callable[..., GaussianCloud]
Difference = Callable[[GaussianCloud, GaussianCloud], float]


@pytest.fixture
def frames(make_cloud: MakeCloud, tmp_path: Path) -> Path:
    """Twelve files: a floor, and a box of forty Gaussians that travels along x."""
    cloud = make_cloud(1000, seed=5)
    random = np.random.default_rng(0)
    cloud.positions[:] = random.uniform([-2, 1.5, 1], [2, 1.5, 5], (1000, 3))
    cloud.positions[960:] = random.uniform([-1, 1, 2], [-0.6, 1.4, 2.4], (40, 3))
    cloud.scales[:], cloud.opacities[:960], cloud.opacities[960:] = 0.05, 0.9, 0.95
    (tmp_path / "frames").mkdir()
    for number in range(12):
        moved = cloud.positions.copy()
        moved[960:, 0] += np.float32(0.1 * number)
        write_ply(tmp_path / "frames" / f"frame_{number}.ply", replace(cloud, positions=moved))
    return tmp_path / "frames"


def run(*words: object) -> int:
    """The command line."""
    return main([str(word) for word in words])


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_sequence_becomes_a_scene(frames: Path, tmp_path: Path, difference: Difference, as_folder: bool) -> None:
    """By the numbers in the names, whatever order the shell has them in; what stands still is stored once."""
    files = [frames] if as_folder else sorted(frames.iterdir())
    assert run(*files, tmp_path / "out.usdz", "--fps", "12", "--no-collider") == 0
    cloud, record, _ = open_dynamic_scene(tmp_path / "out.usdz")
    np.testing.assert_allclose(cloud.times, np.arange(12) / 12)
    assert cloud.static is not None and (len(cloud.static), len(cloud.moving[0])) == (960, 40)
    for number in (0, 2, 11):
        assert difference(cloud.at(number / 12), read_ply(frames / f"frame_{number}.ply")) < 1e-6
    assert sorted(record.provenance["inputs"]) == sorted(file.name for file in frames.iterdir())
    info = scene_info(tmp_path / "out.usdz")
    assert info["time_range"] == {"start": 0, "end": 11, "time_codes_per_second": 12}
    assert info["colliders"] == []


@pytest.mark.parametrize("motion", ["samples", "clips", "rigid", "frames"])
def test_motion_is_a_choice(frames: Path, tmp_path: Path, motion: str) -> None:
    """And lasts when a scene is converted again, at the rate that it has."""
    assert run(frames, tmp_path / "a", "--motion", motion, "--fps", "30", "--no-collider", "--bodies", "none") == 0
    assert run(tmp_path / "a", tmp_path / "b.usdz", "--no-collider") == 0
    info = scene_info(tmp_path / "b.usdz")
    assert info["time_range"] == {"start": 0, "end": 11, "time_codes_per_second": 30}
    assert info["gaussians"] == 1000
    first, again = (open_dynamic_scene(tmp_path / name)[0] for name in ("a", "b.usdz"))
    np.testing.assert_allclose(first.moving[7].positions, again.moving[7].positions, atol=1e-5)


def test_static_proxy_and_moving_bodies_share_a_frame(frames: Path, tmp_path: Path) -> None:
    assert run(frames, tmp_path / "a", "--scale-ref", "0,0,0:0,0,1=2.0") == 0
    colliders = scene_info(tmp_path / "a")["colliders"]
    assert {facts["prim"] for facts in colliders} >= {
        "/World/Scene/Collision/mesh",
        "/World/Scene/Bodies/Body_000/hull",
    }
    _, record, mesh = open_dynamic_scene(tmp_path / "a")
    assert mesh is not None and record.frame.scale == pytest.approx(2)


def test_one_moment(frames: Path, tmp_path: Path, difference: Difference) -> None:
    assert run(frames, tmp_path / "a.usdz", "--no-collider") == 0
    for source in (frames, tmp_path / "a.usdz"):
        assert run(source, tmp_path / "one.usdz", "--at", 2 / 24, "--no-collider") == 0
        assert "time_range" not in scene_info(tmp_path / "one.usdz")
        assert run(source, tmp_path / "isaac5.usdz", "--at", "0.1", "--no-collider", "--encoding", "nurec") == 0
        assert run(source, tmp_path / "one.ply", "--at", 2 / 24) == 0
    assert len(read_ply(tmp_path / "one.ply")) == 1000


def test_cropping_follows_what_moves(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(frames, tmp_path / "a.usdz", "--crop", "-1,0,-1:0,9,9", "--max-gaussians", "200", "--no-collider") == 0
    cloud, _, _ = open_dynamic_scene(tmp_path / "a.usdz")
    assert len(cloud.at(0)) == 200
    assert run(frames, tmp_path / "b.usdz", "--crop", "1.5,0,-1:2,9,9", "--no-collider") == 1
    assert "nothing of what is kept moves" in capsys.readouterr().err


def test_sequences_that_are_none(
    frames: Path, make_cloud: MakeCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: object) -> str:
        assert run(*words) == 1
        return capsys.readouterr().err

    out = tmp_path / "out.usdz"
    first = frames / "frame_0.ply"
    assert "nothing moves from frame_0.ply to frame_0.ply" in refused(first, first, out)
    assert "holds one moment: take it with --at" in refused(frames, tmp_path / "out.ply")
    assert "stores no motion" in refused(frames, out, "--encoding", "nurec")
    assert "does not move, so it has no moment at 1 s" in refused(first, out, "--at", "1")
    assert "frames per second" in refused(frames, out, "--fps", "-3")
    write_ply(frames / "frame_12.ply", make_cloud(7))
    assert "instant 12 at 0.5 s: 7 Gaussians of degree 0, but 1000" in refused(frames, out)
    assert run(frames, out, "--motion", "frames", "--no-collider") == 0
    (frames / "frame_12.ply").write_bytes(b"ply\n")
    assert "frame_12.ply" in refused(frames, tmp_path / "other.usdz")
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", out) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "frames", "out.usdz"]
