# SPDX-License-Identifier: Apache-2.0
"""The viewer in a real browser: the page loads, shows the scene, obeys its switches, and saves what is corrected."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from lyra_core.app.viewer.window import Viewer
from usd_export.scene_reader import open_scene

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 120.0  # seconds: a software renderer on a busy machine is slow
FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

Picture = NDArray[np.float32]


@pytest.fixture
def page(viewer: Viewer) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 800, "height": 500})
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(viewer.link)
        yield page
        browser.close()


def _scene(page: Page) -> Picture:
    """The left part of the page, where the panel is not, in 0 .. 1."""
    shot = page.screenshot(clip={"x": 0, "y": 160, "width": 460, "height": 340})
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.float32) / np.float32(255)


def _wait_until_it_stands_still(page: Page) -> Picture:
    picture, deadline = _scene(page), time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        page.wait_for_timeout(1000)
        before, picture = picture, _scene(page)
        if picture.std() > 0.02 and np.abs(picture - before).mean() < 1e-3:
            return picture
    raise AssertionError(f"the scene never stood still; its last picture has a contrast of {picture.std():.3f}")


def _switch(page: Page, name: str) -> None:
    page.get_by_label(name, exact=True).click()


def test_the_page_shows_the_scene_and_obeys_its_switches(page: Page) -> None:
    start = _wait_until_it_stands_still(page)
    _switch(page, "Collider edges")
    with_edges = _wait_until_it_stands_still(page)
    assert np.abs(with_edges - start).mean() > 0.005
    _switch(page, "Collider edges")
    assert np.abs(_wait_until_it_stands_still(page) - start).mean() < 0.002
    _switch(page, "Depth as colour")
    colored = _wait_until_it_stands_still(page)
    assert colored.max(-1).std() > 0  # not blank, and far more colourful than the scene
    assert np.ptp(colored, axis=-1).mean() > np.ptp(start, axis=-1).mean() + 0.05


def test_a_correction_lands_in_the_file(page: Page, viewer: Viewer, tmp_path: Path) -> None:
    _wait_until_it_stands_still(page)
    page.get_by_text("Correct scale and orientation").click()
    scale = page.get_by_label("Scale", exact=True)
    scale.fill("1.25")
    scale.press("Enter")
    page.get_by_role("button", name="Save corrected").click()
    page.get_by_text("Saved").wait_for()
    _, before, _ = open_scene(tmp_path / "scene.usdz")
    _, after, _ = open_scene(tmp_path / "scene_corrected.usdz")
    assert after.frame.scale == pytest.approx(1.25 * before.frame.scale, rel=1e-6)
    assert "by hand" in after.frame.scale_source
