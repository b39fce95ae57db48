# SPDX-License-Identifier: Apache-2.0
"""`lyra export` and `lyra info`: the options of the converter, with preview and provenance beside the scene."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from usd_export.formats.ply import read_ply, write_ply
from usd_export.provenance import input_hashes

from .conftest import Lyra
from .test_failures import a_cloud


def test_all_frame_options(lyra: Lyra) -> None:
    """The same file as from `python -m usd_export`, and what was done stands in the provenance."""
    from usd_export.__main__ import main

    write_ply("in.ply", a_cloud(60))
    options = ("--up", "-y", "--rotate", "0,0,30", "--scale-ref", "0,0,0:1,0,0=2.0", "--recenter", "--no-collider")
    done = lyra("export", "in.ply", "out.usdz", *options, "--json")
    assert done.exit_code == 0, done.stderr
    assert main(["in.ply", "twin.usdz", *options]) == 0
    assert Path("out.usdz").read_bytes() == Path("twin.usdz").read_bytes()
    summary = json.loads(done.stdout)
    assert summary["provenance"] == json.loads(Path("out.json").read_text())
    assert summary["provenance"]["inputs"] == input_hashes(Path("in.ply"))
    assert summary["provenance"]["edits"] == ["recentred"]
    assert not any(text.startswith("scale") for text in summary["warnings"])


def test_crop_is_in_world_metres(lyra: Lyra) -> None:
    write_ply("in.ply", replace(a_cloud(60), opacities=np.full(60, 0.9, np.float32)))
    done = lyra("export", "in.ply", "out.ply", "--up", "z", "--crop", "-1,-1,-9:1,1,9", "--json")
    assert done.exit_code == 0, done.stderr
    points = read_ply("out.ply").positions
    assert 0 < len(points) < 60
    assert (np.abs(points[:, :2]) <= 1).all()
    assert len(points) == json.loads(done.stdout)["gaussians"]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--rotate", "90", "three numbers"),
        ("--crop", "0,0,0:1,1", "three numbers"),
        ("--scale-ref", "0,0,0:1,0,0", "distance such as"),
        ("--camera-height", "-1", "must be positive"),
    ],
)
def test_unusable_values(lyra: Lyra, option: str, value: str, expected: str) -> None:
    write_ply("in.ply", a_cloud())
    done = lyra("export", "in.ply", "out.usdz", option, value)
    assert done.exit_code == 1
    assert done.stderr.startswith("lyra: ") and expected in done.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["in.ply"]


def test_unknown_choices_name_the_known_ones(lyra: Lyra) -> None:
    write_ply("in.ply", a_cloud())
    assert "opencv" in lyra("export", "in.ply", "out.usdz", "--up", "w").stderr
    assert "universal" in lyra("export", "in.ply", "out.usdz", "--encoding", "mp3").stderr


def test_info_as_table_and_as_json(lyra: Lyra) -> None:
    write_ply("in.ply", a_cloud(60))
    assert lyra("export", "in.ply", "out.usdz", "--no-collider").exit_code == 0
    told = lyra("info", "out.usdz")
    assert told.exit_code == 0, told.stderr
    words = " ".join(told.stdout.split())
    assert "Gaussians 60" in words and "exported_from in.ply" in words
    facts = json.loads(lyra("info", "out.usdz", "--json").stdout)
    assert facts["provenance"]["inputs"] == input_hashes(Path("in.ply"))
    assert facts["encodings"][0]["encoding"] == "particlefield"


def test_info_on_nothing(lyra: Lyra) -> None:
    done = lyra("info", "absent.usdz")
    assert done.exit_code == 1
    assert done.stderr == "lyra: absent.usdz does not exist; give a splat file, a USD file or a scene folder\n"
