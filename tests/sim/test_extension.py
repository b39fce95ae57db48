# SPDX-License-Identifier: Apache-2.0
"""The extension in the fake Kit: start, stop, reload, quit; menu and window; stages that come and go; bad input."""

from __future__ import annotations

import os
import re
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pxr import Sdf, UsdGeom, UsdPhysics
from sim.started_kit import OUTPUT_DIR, WORKER_PYTHON, start, stop, store_scene, texts

import lyra.sim
from fake_kit import FakeKit
from lyra.sim import api
from lyra.sim.jobs import JobState

if TYPE_CHECKING:
    from lyra.sim.session import Session


@pytest.fixture(autouse=True)
def off_at_the_end(kit: FakeKit) -> Iterator[None]:
    """The extension is stopped, also after a failure, so that its session is not that of the next test."""
    yield
    kit.stop_extension()
    api.detach()


def show(kit: FakeKit) -> None:
    kit.click_menu("Window/Lyra")
    kit.app.pump(2)


def press(kit: FakeKit, button: str) -> None:
    kit.widget(button).click()
    kit.app.pump()


def generate(kit: FakeKit, session: Session, prompt: str = "a small kitchen") -> None:
    """Type a prompt, press Generate, wait for the end."""
    kit.widget("prompt").type(prompt)
    kit.app.pump()
    press(kit, "generate")
    kit.app.pump_until(lambda: not session.busy)


def pid_of(session: Session) -> int:
    """Of the worker, 0 before it said so."""
    said = re.search(r"worker (\d+)", "\n".join(session.job.log) if session.job else "")
    return int(said[1]) if said else 0


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# -------------------------------------------------------------------------------------------------------- lifecycle


def test_start_and_stop_leave_nothing(kit: FakeKit, tmp_path: Path) -> None:
    start(kit, tmp_path)
    kit.app.pump(3)
    assert list(kit.menu_items) == ["Window/Lyra"]
    assert kit.windows == {}  # built when it is shown
    assert not (tmp_path / "scenes").exists()
    assert stop(kit) == []
    assert kit.errors() == []
    assert kit.children.started == []


def test_it_starts_again_after_it_was_stopped(kit: FakeKit, tmp_path: Path) -> None:
    for _ in range(2):
        session = start(kit, tmp_path)
        show(kit)
        generate(kit, session)
        press(kit, "spawn")
        assert session.spawned_path
        del session
        assert stop(kit) == []
    assert len(list(kit.stage.GetPrimAtPath("/World").GetChildren())) == 2


@pytest.fixture
def fresh_modules() -> Iterator[None]:
    """A reload makes new modules; the other tests keep the ones they know."""
    known = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "lyra"}
    package = dict(vars(lyra.sim))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "lyra"]:
        del sys.modules[name]
    sys.modules.update(known)
    vars(known["lyra.sim"]).clear()
    vars(known["lyra.sim"]).update(package)


def test_hot_reload_in_the_middle_of_a_job(fresh_modules: None, kit: FakeKit, tmp_path: Path) -> None:
    session = start(kit, tmp_path)
    show(kit)
    kit.widget("prompt").type("do: stubborn")
    kit.app.pump()
    press(kit, "generate")
    kit.app.pump_until(lambda: pid_of(session))
    pid = pid_of(session)
    session = kit.reload_extension()._session  # type: ignore[attr-defined]
    assert not is_alive(pid)
    show(kit)
    generate(kit, session)
    assert session.latest is not None
    session = None
    assert stop(kit) == []


def test_quitting_fast_ends_the_worker(kit: FakeKit, tmp_path: Path) -> None:
    session = start(kit, tmp_path)
    session.generate("do: stubborn")
    kit.app.pump_until(lambda: pid_of(session))
    kit.quit()
    assert not is_alive(pid_of(session))


def test_headless_applications_get_the_scripting_interface(kit: FakeKit, tmp_path: Path) -> None:
    kit.headless()
    session = start(kit, tmp_path)
    assert [text for level, text in kit.log if level == "info"] == [
        "[lyra.sim] This application has no windows. Use lyra.sim.api from scripts."
    ]
    task = kit.engine.run_coroutine(api.generate_async("a small kitchen"))
    kit.app.pump_until(task.done)
    path = session.spawn(task.result())
    kit.app.pump(3)
    assert kit.stage.GetPrimAtPath(path)
    assert kit.errors() == []
    session = None
    assert stop(kit) == []


def test_without_actions_the_menu_works(kit: FakeKit, tmp_path: Path) -> None:
    kit.without("omni.kit.actions.core")
    start(kit, tmp_path)
    show(kit)
    assert kit.windows["Lyra"].visible
    assert stop(kit) == []


def test_code_from_another_folder_is_not_started(kit: FakeKit, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "lyra.sim"
    shutil.copytree(kit.extension_folder / "config", copy / "config")
    kit.iapp.get_extension_manager()._folders["lyra.sim"] = copy
    assert start(kit, tmp_path) is None
    assert len(kit.errors()) == 1
    assert str(copy) in kit.errors()[0]
    assert str(kit.extension_folder) in kit.errors()[0]
    assert kit.menu_items == {}
    assert stop(kit) == []


def test_a_link_to_the_extension_is_the_extension(kit: FakeKit, tmp_path: Path) -> None:
    (tmp_path / "extsUser").mkdir()
    link = tmp_path / "extsUser" / "lyra.sim"
    link.symlink_to(kit.extension_folder, target_is_directory=True)
    kit.iapp.get_extension_manager()._folders["lyra.sim"] = link
    start(kit, tmp_path)
    assert kit.errors() == []


# ---------------------------------------------------------------------------------------------------- menu, window


def test_the_menu_entry_shows_and_hides_the_window(kit: FakeKit, tmp_path: Path) -> None:
    start(kit, tmp_path)
    for shown in (True, False, True):
        kit.click_menu("Window/Lyra")
        assert kit.windows["Lyra"].visible is shown
    kit.close_window("Lyra")
    kit.click_menu("Window/Lyra")
    assert kit.windows["Lyra"].visible


def test_the_window_opens_at_the_start_if_that_is_set(kit: FakeKit, tmp_path: Path) -> None:
    start(kit, tmp_path, show_on_startup=True)
    assert kit.windows["Lyra"].visible
    assert stop(kit) == []


def test_a_layout_can_open_the_window(kit: FakeKit, tmp_path: Path) -> None:
    start(kit, tmp_path)
    import omni.ui

    omni.ui.Workspace.show_window("Lyra", True)
    assert kit.windows["Lyra"].visible


def test_a_choice_survives_a_restart(kit: FakeKit, tmp_path: Path) -> None:
    session = start(kit, tmp_path)
    session.update_settings(device="cpu")
    del session
    kit.restart()
    session = kit.start_extension()._session  # type: ignore[attr-defined]
    assert session.settings.device == "cpu"
    assert session.settings.worker_python.endswith("python-ok")


# ----------------------------------------------------------------------------------------- spawning on real stages


@pytest.fixture
def ready(kit: FakeKit, tmp_path: Path) -> Session:
    """The window is open and one scene is stored."""
    store_scene(tmp_path / "scenes" / "kitchen")
    session = start(kit, tmp_path)
    show(kit)
    return session


def test_spawn_selects_frames_and_offers_a_physics_scene(kit: FakeKit, ready: Session) -> None:
    ready.spawn(ready.history[0])
    assert kit.selection == [ready.spawned_path]
    kit.app.pump(3)
    assert kit.framed == [ready.spawned_path]
    assert "no physics scene" in kit.notifications[-1].text
    before = texts(kit.stage)
    kit.press_notification("Add physics scene")
    assert any(prim.IsA(UsdPhysics.Scene) for prim in kit.stage.Traverse())
    kit.undo()
    assert texts(kit.stage) == before
    kit.undo()
    assert not kit.stage.GetPrimAtPath("/World")
    assert kit.errors() == []


def test_a_stage_with_physics_gets_no_advice(kit: FakeKit, ready: Session) -> None:
    UsdPhysics.Scene.Define(kit.stage, "/physics")
    kit.stage.SetDefaultPrim(UsdGeom.Xform.Define(kit.stage, "/World").GetPrim())
    ready.spawn(ready.history[0])
    assert [note.text for note in kit.notifications] == []


def test_framing_waits_for_the_stage_but_not_for_ever(kit: FakeKit, ready: Session) -> None:
    kit.context._loading = 3
    ready.spawn(ready.history[0])
    kit.app.pump(20)
    assert kit.framed == []
    kit.context._loading = 0
    kit.app.pump(2)
    assert kit.framed == [ready.spawned_path]
    kit.context._loading = 3
    ready.frame()
    kit.app.pump(302)
    assert len(kit.framed) == 2


def test_framing_forgets_a_stage_that_was_closed(kit: FakeKit, ready: Session) -> None:
    kit.context._loading = 3
    ready.spawn(ready.history[0])
    kit.close_stage()
    kit.context._loading = 0
    kit.app.pump(5)
    assert kit.framed == []
    assert ready.spawned_path is None
    assert not kit.widget("frame").enabled


@pytest.mark.parametrize(
    ("encoding", "prim_type"), [("particlefield", "ParticleField3DGaussianSplat"), ("nurec", "Volume")]
)
def test_the_setting_chooses_the_encoding(kit: FakeKit, ready: Session, encoding: str, prim_type: str) -> None:
    kit.settings["/exts/lyra.sim/encoding"] = encoding
    path = ready.spawn(ready.history[0])
    assert kit.stage.GetPrimAtPath(f"{path}/Asset/Scene/Gaussians").GetTypeName() == prim_type


def test_two_scenes_stand_side_by_side(kit: FakeKit, ready: Session) -> None:
    paths = [ready.spawn(ready.history[0], translate=(4.0 * number, 0.0, 0.0)) for number in range(2)]
    assert paths == ["/World/LyraScene_01", "/World/LyraScene_02"]
    kit.undo()
    assert [str(child.GetPath()) for child in kit.stage.GetPrimAtPath("/World").GetChildren()] == paths[:1]


def test_paths_become_relative_once_the_stage_is_saved_beside(kit: FakeKit, ready: Session, tmp_path: Path) -> None:
    ready.spawn(ready.history[0])
    assert f"@{tmp_path.as_posix()}/scenes/kitchen/scene/scene.usda@" in texts(kit.stage)[-1]
    kit.save_stage(tmp_path / "world.usda")
    kit.app.pump(10)
    kit.save_stage()
    assert "scenes/kitchen/scene/scene.usda@" in (tmp_path / "world.usda").read_text()
    assert tmp_path.as_posix() not in re.sub(r"manifest = .*", "", (tmp_path / "world.usda").read_text())


def test_a_job_outlives_its_stage(kit: FakeKit, ready: Session) -> None:
    kit.widget("prompt").type("a yard")
    kit.app.pump()
    press(kit, "generate")
    kit.close_stage()
    kit.app.pump_until(lambda: not ready.busy)
    assert ready.state is JobState.DONE
    assert not kit.widget("spawn").enabled
    assert "No stage is open" in kit.widget("spawn").tooltip
    stage = kit.new_stage()
    kit.app.pump(2)
    press(kit, "spawn")
    assert stage.GetPrimAtPath(ready.spawned_path)


def test_the_notification_of_a_finished_scene_spawns_it(kit: FakeKit, ready: Session) -> None:
    generate(kit, ready, "a yard")
    kit.press_notification("Spawn")
    assert kit.stage.GetPrimAtPath(ready.spawned_path)
    kit.close_stage()
    kit.press_notification("Spawn")
    assert "No stage is open" in kit.notifications[-1].text


def test_the_notification_of_a_failure_opens_its_folder(kit: FakeKit, ready: Session, tmp_path: Path) -> None:
    """The desktop's program for folders is found on PATH; here it notes what it was given."""
    opener = tmp_path / "bin" / ("open" if sys.platform == "darwin" else "xdg-open")
    opener.parent.mkdir()
    opener.write_text(f'#!/bin/sh\necho "$1 $LD_LIBRARY_PATH" > {tmp_path}/opened\n')
    opener.chmod(0o755)
    environ = {**os.environ, "PATH": f"{opener.parent}:{os.environ['PATH']}", "LD_LIBRARY_PATH": "/kit/lib"}
    generate(kit, ready, "do: crash")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PATH", "LD_LIBRARY_PATH"):
            patch.setenv(name, environ[name])
        kit.press_notification("Open log")
    kit.app.pump_until(lambda: (tmp_path / "opened").is_file() and (tmp_path / "opened").read_text())
    assert ready.job is not None
    assert (tmp_path / "opened").read_text().split() == [str(ready.job.folder)]


def test_an_old_notification_does_nothing_after_the_end(kit: FakeKit, ready: Session) -> None:
    generate(kit, ready, "a yard")
    assert stop(kit) == []
    kit.press_notification("Spawn")
    assert "shutting down" in kit.notifications[-1].text
    assert not list(kit.stage.Traverse())


def test_a_warm_worker_that_is_not_wanted_any_more_is_reaped(kit: FakeKit, ready: Session) -> None:
    ready.update_settings(keep_models_loaded=True)
    generate(kit, ready, "a yard")
    ready.update_settings(keep_models_loaded=False)
    generate(kit, ready, "a hall")
    assert len(kit.children.started) == 2
    assert stop(kit) == []


# -------------------------------------------------------------------------------------------------------- bad input

FAILURES = {
    "crash_import": "has no lyra-sim",
    "crash": "a number that is none",
    "killed": "SIGKILL",
    "partial": "crashed",
    "unfinished": "generate the scene again",
    "hostile": "outside of itself",
    "wrong_version": "protocol version 2",
    "out_of_memory": "choose mini",
}


@pytest.mark.parametrize("behaviour", FAILURES)
def test_a_failing_worker(kit: FakeKit, tmp_path: Path, behaviour: str) -> None:
    session = start(kit, tmp_path)
    show(kit)
    before = texts(kit.stage)
    generate(kit, session, f"do: {behaviour}")
    kit.app.pump()
    assert FAILURES[behaviour] in kit.widget("message").text
    assert kit.widget("generate").enabled
    assert texts(kit.stage) == before
    assert kit.errors() == []
    generate(kit, session)
    assert kit.widget("spawn").enabled
    session = None
    assert stop(kit) == []


@pytest.mark.parametrize("behaviour", ["silent", "endless", "stubborn"])
def test_a_worker_that_does_not_end_by_itself(kit: FakeKit, tmp_path: Path, behaviour: str) -> None:
    session = start(kit, tmp_path, heartbeat_timeout_s=1.0)
    show(kit)
    kit.widget("prompt").type(f"do: {behaviour}")
    kit.app.pump()
    press(kit, "generate")
    kit.app.pump_until(lambda: pid_of(session))
    if behaviour == "silent":
        kit.app.pump_until(lambda: session.job and not session.job.responding)
        kit.app.pump(10)
        assert "silent" in kit.widget("message").text
    pid = pid_of(session)
    press(kit, "cancel")
    if session.busy and session.state is JobState.CANCELLING:
        press(kit, "cancel")  # pressed again, it ends the worker at once
    kit.app.pump_until(lambda: not session.busy)
    assert not is_alive(pid)
    assert session.state is JobState.CANCELLED
    generate(kit, session)
    assert session.latest is not None
    session = None
    assert stop(kit) == []


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk(kit: FakeKit, ready: Session) -> None:
    kit.widget("prompt").type("a yard")
    kit.app.pump()
    with full_disk():
        press(kit, "generate")
    assert "full" in kit.widget("message").text
    press(kit, "generate")
    kit.app.pump_until(lambda: not ready.busy)
    assert ready.state is JobState.DONE


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        (WORKER_PYTHON, "{folder}/gone", "which does not exist"),
        (OUTPUT_DIR, "{folder}/file/scenes", "cannot be written"),
        (OUTPUT_DIR, "omniverse://server/scenes", "not on this computer"),
    ],
)
def test_a_setting_that_cannot_be_used(
    kit: FakeKit, ready: Session, tmp_path: Path, setting: str, value: str, words: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    working = kit.settings[setting]
    kit.settings[setting] = value.format(folder=tmp_path)
    kit.widget("prompt").type("a yard")
    kit.app.pump()
    press(kit, "generate")
    assert words in kit.widget("message").text
    assert kit.children.started == []
    kit.settings[setting] = working
    press(kit, "generate")
    kit.app.pump_until(lambda: not ready.busy)
    assert ready.state is JobState.DONE


def test_an_image_that_moved_after_it_was_picked(kit: FakeKit, ready: Session, tmp_path: Path) -> None:
    image = tmp_path / "photo.png"
    image.write_bytes(b"picture")
    kit.widget("source").choose("Image")
    kit.app.pump()
    kit.widget("picture").type(str(image))
    kit.app.pump()
    assert kit.widget("generate").enabled
    image.unlink()
    if kit.widget("generate").enabled:  # it may have noticed already
        press(kit, "generate")
    kit.app.pump()
    assert ready.job is None
    assert "does not exist" in kit.widget("message").text
    image.write_bytes(b"picture")
    kit.widget("picture").type(f"{image} ")
    kit.app.pump()
    press(kit, "generate")
    kit.app.pump_until(lambda: not ready.busy)
    assert ready.state is JobState.DONE


@pytest.mark.parametrize("path", ["omniverse://server/photo.png", "/gone/photo.png"])
def test_a_picture_that_cannot_be_used(kit: FakeKit, ready: Session, path: str) -> None:
    kit.widget("source").choose("Image")
    kit.app.pump()
    kit.widget("picture").type(path)
    kit.app.pump()
    assert not kit.widget("generate").enabled
    assert "Choose" in kit.widget("generate").tooltip or "Copy" in kit.widget("generate").tooltip


def test_a_prompt_of_100_kilobytes(kit: FakeKit, ready: Session) -> None:
    kit.widget("prompt").type("x" * 100_000)
    kit.app.pump()
    assert not kit.widget("generate").enabled
    assert "Shorten" in kit.widget("generate").tooltip
    generate(kit, ready)
    assert ready.state is JobState.DONE


def read_only(kit: FakeKit) -> Sdf.Layer:
    layer = kit.stage.GetRootLayer()
    layer.SetPermissionToEdit(False)
    return layer


def muted(kit: FakeKit) -> Sdf.Layer:
    layer = Sdf.Layer.CreateAnonymous("muted.usda")
    kit.stage.GetRootLayer().subLayerPaths.append(layer.identifier)
    kit.stage.SetEditTarget(layer)
    kit.stage.MuteLayer(layer.identifier)
    return layer


def closed(kit: FakeKit) -> None:
    kit.close_stage()


@pytest.mark.parametrize(
    ("prepare", "words"), [(read_only, "read-only"), (muted, "muted"), (closed, "No stage is open")]
)
def test_a_stage_that_takes_nothing(
    kit: FakeKit, ready: Session, prepare: Callable[[FakeKit], Any], words: str
) -> None:
    layer = prepare(kit)  # kept, because a muted layer belongs to nobody else
    before = texts(kit.stage) if kit.stage else []
    kit.app.pump(2)
    if kit.widget("spawn").enabled:
        press(kit, "spawn")
    with pytest.raises(api.LyraSimError, match=words):
        ready.spawn(ready.history[0])
    kit.app.pump()
    assert words in kit.widget("message").text
    assert (texts(kit.stage) if kit.stage else []) == before
    assert kit.errors() == []
    assert not kit.undo()
    del layer
    kit.new_stage()
    assert ready.spawn(ready.history[0]) == "/World/LyraScene_01"


def test_the_session_layer_is_warned_about(kit: FakeKit, ready: Session) -> None:
    kit.stage.SetEditTarget(kit.stage.GetSessionLayer())
    root = kit.stage.GetRootLayer().ExportToString()
    ready.spawn(ready.history[0])
    kit.app.pump()
    assert "session layer" in kit.widget("message").text
    assert kit.stage.GetRootLayer().ExportToString() == root


def test_taken_names_and_a_path_below_something_else(kit: FakeKit, ready: Session) -> None:
    UsdGeom.Cube.Define(kit.stage, "/World/LyraScene_01")
    assert ready.spawn(ready.history[0]) == "/World/LyraScene_02"
    assert ready.spawn(ready.history[0], prim_path="/World/LyraScene_01") != "/World/LyraScene_01"
    assert kit.stage.GetPrimAtPath("/World/LyraScene_01").GetTypeName() == "Cube"


def test_a_payload_that_was_deleted_later(kit: FakeKit, ready: Session, tmp_path: Path) -> None:
    path = ready.spawn(ready.history[0])
    kit.save_stage(tmp_path / "world.usda")
    shutil.rmtree(tmp_path / "scenes" / "kitchen")
    kit.open_stage(tmp_path / "world.usda")
    kit.app.pump(10)
    ready.refresh_history()
    assert ready.history == []
    generate(kit, ready)
    assert ready.latest is not None
    ready.spawn(ready.latest)
    kit.app.pump()
    assert f"The file of {path} is gone" in kit.widget("message").text
    usd = ready.latest.folder / "scene" / "scene.usda"
    assert kit.commands.execute("LyraRetargetScene", prim_path=path, usd_path=str(usd))[0]
    assert kit.stage.GetPrimAtPath(f"{path}/Asset/Scene/Gaussians")


def test_a_stored_scene_that_lost_a_file_is_not_spawned(kit: FakeKit, ready: Session, tmp_path: Path) -> None:
    scene = ready.history[0]
    (scene.folder / "scene" / "scene.usda").unlink()
    before = texts(kit.stage)
    with pytest.raises(api.LyraSimError, match="is gone"):
        ready.spawn(scene, encoding="particlefield")
    assert texts(kit.stage) == before
