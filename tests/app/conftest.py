# SPDX-License-Identifier: Apache-2.0
"""The command line in-process, with stdout and stderr apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from lyra_core.app.cli import app

Lyra = Callable[..., Result]


@pytest.fixture
def lyra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lyra:
    """Runs one command inside an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small colourful picture with detail."""
    y, x = np.mgrid[:96, :160] / 16.0
    rgb = np.stack([0.5 + 0.4 * np.sin(x), 0.5 + 0.4 * np.cos(y), 0.3 + 0.2 * np.sin(x + y)], -1)
    path = tmp_path / "photo.png"
    Image.fromarray((rgb * 255).astype(np.uint8)).save(path)
    return path
