# SPDX-License-Identifier: Apache-2.0
"""Small released files, written once per session."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lyra_core.weights.presets import Preset, load_preset

from .official_files import write_preset, write_released


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the released files; do not change it."""
    return write_released(tmp_path_factory.mktemp("released"))


@pytest.fixture
def released(pristine: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(pristine, tmp_path / "released")


@pytest.fixture
def small(tmp_path: Path) -> Preset:
    """Preset of the golden networks; its weights folder is empty."""
    return load_preset(str(write_preset(tmp_path)))
