# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the extension's tests: the extension on the path, and a fake Kit to enable it in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "exts" / "lyra.sim"

# The test modules import `lyra.sim` and `fake_kit` themselves, before any fixture runs.
for folder in (EXTENSION, ROOT / "tests"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

from fake_kit import FakeKit  # noqa: E402


@pytest.fixture(scope="session")
def extension_path() -> Path:
    """Folder of the extension, which is on `sys.path`."""
    return EXTENSION


@pytest.fixture
def kit(extension_path: Path, tmp_path: Path) -> Iterator[FakeKit]:
    """A fake Kit with an empty stage (metres, Z up); no blocking call may have happened when the test ends."""
    fake = FakeKit(extension_path, tmp_path / "kit")
    fake.install()
    try:
        yield fake
    finally:
        fake.uninstall()
    assert not fake.block_guard.calls
