# SPDX-License-Identifier: Apache-2.0
"""A built wheel works without the clone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("lyra_sim-*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def run_from(site: Path, code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=site.parent, env=environment, check=True
    )
    return done.stdout


def test_wheel_carries_presets_and_weights(unpacked_wheel: Path) -> None:
    code = """
import lyra_core
from lyra_core.pipeline import LyraPipeline
pipeline = LyraPipeline.from_pretrained("mini")
print(lyra_core.__file__)
print(type(pipeline.decoder).__name__)
"""
    where, decoder = run_from(unpacked_wheel, code).split()
    assert Path(where).is_relative_to(unpacked_wheel)
    assert decoder == "GaussianDecoder"
