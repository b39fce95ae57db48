# SPDX-License-Identifier: Apache-2.0
"""The whole path with no double but Kit's: a prompt in the window, the real worker with `mini`, a saved stage."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pxr import Usd, UsdGeom, UsdPhysics
from sim.started_kit import OUTPUT_DIR, WORKER_PYTHON, stop, texts

from fake_kit import FakeKit

PROMPT = "a warehouse aisle with blue shelves"


@dataclass
class Story:
    """What was seen on the way."""

    stage_file: Path
    scenes: Path
    environment: str = ""
    phases: list[str] = field(default_factory=list)
    bars: list[float] = field(default_factory=list)
    texts_while_running: set[str] = field(default_factory=set)
    result: str = ""
    before: list[str] = field(default_factory=list)
    spawned: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    redone: list[str] = field(default_factory=list)
    prim_path: str | None = None
    framed: list[str] = field(default_factory=list)
    notifications: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def story(extension_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """One run, which all tests look at."""
    folder = tmp_path_factory.mktemp("story")
    kit = FakeKit(extension_path, folder / "kit")
    kit.install()
    try:
        return tell(kit, Story(folder / "world.usda", folder / "scenes"))
    finally:
        kit.uninstall()


def tell(kit: FakeKit, story: Story) -> Story:
    kit.settings[WORKER_PYTHON] = sys.executable
    kit.settings[OUTPUT_DIR] = str(story.scenes)
    session = kit.start_extension()._session  # type: ignore[attr-defined]
    kit.click_menu("Window/Lyra")
    kit.app.pump(2)

    kit.widget("check").click()
    kit.app.pump_until(lambda: not session.checking)
    kit.app.pump(10)
    story.environment = kit.widget("environment").text

    kit.widget("prompt").type(PROMPT)
    kit.app.pump()
    kit.widget("generate").click()

    def over() -> bool:
        story.bars.append(kit.widget("progress").value)
        story.texts_while_running.add(kit.widget("progress_text").text)
        if session.job.phase not in story.phases:
            story.phases.append(session.job.phase)
        return not session.busy

    kit.app.pump_until(over, timeout_s=300.0)
    kit.app.pump(2)
    assert session.latest is not None, session.message.text
    story.result = kit.widget("result").text

    story.before = texts(kit.stage)
    kit.widget("spawn").click()
    kit.app.pump(5)
    story.prim_path, story.framed = session.spawned_path, list(kit.framed)
    story.spawned = texts(kit.stage)
    kit.undo()
    story.undone = texts(kit.stage)
    kit.redo()
    story.redone = texts(kit.stage)
    kit.press_notification("Add physics scene")
    kit.save_stage(story.stage_file)
    kit.app.pump(10)
    kit.save_stage()
    story.notifications = [note.text for note in kit.notifications]
    session = None
    story.leaks, story.errors, story.blocked = stop(kit), kit.errors(), list(kit.block_guard.calls)
    kit.close_stage()
    return story


def test_the_check_reports_the_worker(story: Story) -> None:
    assert story.environment.startswith(f"Ready: Python {sys.version.split()[0]}")
    assert "torch" in story.environment


def test_progress_was_seen(story: Story) -> None:
    assert len([phase for phase in story.phases if phase]) >= 5
    assert story.bars == sorted(story.bars)
    assert len(story.texts_while_running) > 5
    assert any("Gaussians" in text for text in story.notifications)


def test_the_result_says_what_the_scene_is_good_for(story: Story) -> None:
    assert re.search(r"[\d,]+ Gaussians", story.result)
    assert re.search(r"box of [\d.]+ × [\d.]+ × [\d.]+ m", story.result)


def test_undo_and_redo_are_exact(story: Story) -> None:
    assert story.spawned != story.before
    assert story.undone == story.before
    assert story.redone == story.spawned
    assert story.framed == [story.prim_path]


def test_nothing_blocked_and_nothing_is_left(story: Story) -> None:
    assert story.blocked == []
    assert story.errors == []
    assert story.leaks == []


def test_the_saved_stage_holds_everything(story: Story) -> None:
    text = story.stage_file.read_text()
    assert "@scenes/" in text or "@./scenes/" in text  # both can be moved together
    stage = Usd.Stage.Open(str(story.stage_file))
    root = stage.GetPrimAtPath(f"{story.prim_path}/Asset/Scene")
    prims = list(Usd.PrimRange(root))
    splats = [prim for prim in prims if prim.GetTypeName() == "ParticleField3DGaussianSplat"]
    assert splats
    assert sum(len(prim.GetAttribute("positions").Get() or ()) for prim in splats) > 10_000
    colliding = [
        prim
        for prim in prims
        if prim.HasAPI(UsdPhysics.CollisionAPI)
        and UsdPhysics.CollisionAPI(prim).GetCollisionEnabledAttr().Get() is not False
    ]
    assert sum(len(UsdGeom.Mesh(prim).GetPointsAttr().Get()) for prim in colliding) > 1_000
    labels = {label for prim in prims for label in prim.GetAttribute("semantics:labels:class").Get() or ()}
    assert "floor" in labels
    assert any(prim.IsA(UsdPhysics.Scene) for prim in stage.Traverse())
    record = stage.GetPrimAtPath(story.prim_path).GetCustomDataByKey("lyra:provenance")
    assert record["prompt"] == PROMPT


def test_things_dropped_on_the_saved_stage_stay_on_its_floor(story: Story) -> None:
    pytest.importorskip("newton", reason="needs the physics extra: pip install lyra-sim[physics]")
    from usd_export.report_card.drop_test import judge_drops
    from usd_export.report_card.floor_map import map_floor
    from usd_export.report_card.observation import observe
    from usd_export.report_card.subject import load_subject

    subject = load_subject(story.stage_file)
    judgement, drops = judge_drops(subject, map_floor(observe(subject)))
    assert drops is not None
    assert not drops.through.any()
    assert judgement.verdict != "fail", judgement.summary
