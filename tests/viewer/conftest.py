# SPDX-License-Identifier: Apache-2.0
"""The sample scene, and a viewer that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("viser", reason="the viewer needs viser")

from lyra_core.app.viewer.content import Content, open_content
from lyra_core.app.viewer.window import Viewer

SAMPLE = Path(__file__).parents[2] / "examples" / "assets" / "sample_particlefield.usdz"


@pytest.fixture(scope="module")
def content() -> Content:
    return open_content(SAMPLE)


@pytest.fixture
def viewer(tmp_path: Path) -> Iterator[Viewer]:
    """A viewer of a copy, on a port of its own."""
    copy = tmp_path / "scene.usdz"
    copy.write_bytes(SAMPLE.read_bytes())
    viewer = Viewer(open_content(copy), port=8080, budget=100_000)
    yield viewer
    viewer.close()
