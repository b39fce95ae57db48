# SPDX-License-Identifier: Apache-2.0
"""The same code writes and reads the same values under the USD of Isaac Sim 5, of Isaac Sim 6, and of today.

Each version lives in an environment of its own, which `make test` creates below `.venv`; the variable
`LYRA_USD_PYTHONS` ("24.5=/path/to/python,25.11=...") names others. A version without an environment is skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pxr import Usd

ROOT = Path(__file__).parents[2]
VERSIONS = ("24.5", "25.11", "26.11")
OWN = ".".join(map(str, Usd.GetVersion()[1:]))


def interpreter(version: str) -> Path:
    """Python of the environment for a version; the test skips where it is absent."""
    if version == OWN:
        return Path(sys.executable)
    named = dict(pair.split("=", 1) for pair in os.environ.get("LYRA_USD_PYTHONS", "").split(",") if pair)
    python = Path(named.get(version, ROOT / ".venv" / f"usd-{version}" / "bin" / "python"))
    if not python.exists():
        pytest.skip(f"no environment for usd-core {version}; `make test` makes one")
    return python


def run(python: Path, *arguments: object, code: str = "stage_code.py") -> dict[str, Any]:
    """What the stage code prints under an interpreter."""
    command = [python, Path(__file__).with_name(code), *arguments]
    path = os.pathsep.join(map(str, (ROOT, ROOT / "exts" / "lyra.sim")))
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the scenes that this interpreter wrote."""
    return tmp_path_factory.mktemp("current") / "scenes"


@pytest.fixture(scope="module")
def written(scenes: Path) -> dict[str, Any]:
    """Authored values of those scenes."""
    scenes.mkdir()
    return run(Path(sys.executable), "write", scenes)


@pytest.fixture(scope="module")
def found(scenes: Path, written: dict[str, Any]) -> dict[str, Any]:
    """What this interpreter reads from them."""
    return run(Path(sys.executable), "read", scenes)


@pytest.fixture(scope="module", params=VERSIONS)
def python(request: pytest.FixtureRequest) -> Path:
    """Interpreter with one of the versions."""
    path = interpreter(request.param)
    code = "from pxr import Usd; print('.'.join(map(str, Usd.GetVersion()[1:])))"
    version = subprocess.run([path, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert version == request.param
    return path


def test_the_stage_code_covers_the_layout(written: dict[str, Any], found: dict[str, Any]) -> None:
    layers = {name.split("[")[-1].split("/")[-1].rstrip("]") for name in written}
    assert {"scene.usda", "scene_isaac5.usda", "gaussians.usdc", "collision.usdc"} <= layers
    assert "/Gaussians.positions" in written["particlefield.usdz[gaussians.usdc]"]
    assert (found["refused.usda"], found["cut.usdz"]) == ("refused", "refused")
    assert {"dynamic.usda", "moving.usdc", "moving_manifest.usdc", "moving_001.usdc", "bodies.usdc"} <= layers
    assert [found[name][-1] for name in ("samples", "clips", "rigid", "frames")] == [True, True, False, False]


def test_every_version_writes_the_same(python: Path, written: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    assert run(python, "write", tmp_path / "scenes") == written


def test_every_version_reads_its_own(python: Path, found: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    run(python, "write", tmp_path / "scenes")
    assert run(python, "read", tmp_path / "scenes") == found


def test_every_version_reads_the_others(python: Path, scenes: Path, found: dict[str, Any]) -> None:
    assert run(python, "read", scenes) == found


@pytest.fixture(scope="module")
def spawned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the extension does to stages under this interpreter."""
    return run(Path(sys.executable), "spawn", tmp_path_factory.mktemp("spawned"), code="spawn_code.py")


def test_the_spawn_code_covers_stages_and_operations(spawned: dict[str, Any]) -> None:
    assert {"metres", "centimetres", "upright", "many"} == spawned.keys()
    assert spawned["upright"]["world"]["places"]["/World/LyraScene_01/Asset/Scene/Collision/mesh"] == [11, -298, 303]
    assert all(spawned[name]["taken back"] for name in ("metres", "centimetres", "upright"))
    many = spawned["many"]
    assert (many["restored"], many["as before"], many["missing"]) == (True, True, [True, True])
    assert [missing for missing, _ in many["repaired"]] == [True, False]


def test_every_version_spawns_the_same(python: Path, spawned: dict[str, Any], tmp_path: Path) -> None:
    assert run(python, "spawn", tmp_path, code="spawn_code.py") == spawned


def test_every_version_chooses_what_its_applications_draw(python: Path) -> None:
    found = run(python, "encoding", "107.3.1", "109.0.2", "110.1.2+main", "", code="spawn_code.py")
    if python == Path(sys.executable):  # whose USD has the schema itself
        assert set(found.values()) == {"particlefield"}
    else:
        assert found == {"107.3.1": "nurec", "109.0.2": "nurec", "110.1.2+main": "particlefield", "": "nurec"}
