# SPDX-License-Identifier: Apache-2.0
"""The fake Kit itself: it is strict, it behaves like Kit where we rely on it, and its checks can fail."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib
import os
import queue
import select
import socket
import subprocess
import sys
import textwrap
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_kit import BlockingCall, FakeKit, table
from fake_kit.kit_tests import cases_of, run_case

TOML = """
[package]
version = "1.2.3"
[[python.module]]
name = "toy.sim"
[settings]
exts."toy.sim".rate = 3
"""
CODE = """
import asyncio, sys, time
import carb, carb.eventdispatcher, carb.settings
import omni.ext, omni.kit.app, omni.kit.async_engine, omni.kit.commands, omni.ui as ui, omni.usd
from omni.kit.actions.core import get_action_registry
from omni.kit.menu.utils import MenuItemDescription, add_menu_items, remove_menu_items


class ToyMakeCommand(omni.kit.commands.Command):
    def __init__(self, path):
        self.path = path

    def do(self):
        omni.usd.get_context().get_stage().DefinePrim(self.path)
        return self.path

    def undo(self):
        omni.usd.get_context().get_stage().RemovePrim(self.path)


class ToyFail(omni.kit.commands.Command):
    def do(self):
        raise ValueError("no")


class Toy(omni.ext.IExt):
    def on_startup(self, ext_id):
        self.id = ext_id
        self.frames = 0
        self.before = lambda: None
        self.window = ui.Window("Toy")
        self.window.frame.set_build_fn(self.build)
        self.guard = carb.eventdispatcher.get_eventdispatcher().observe_event(
            observer_name="toy", event_name=omni.kit.app.GLOBAL_EVENT_UPDATE, on_event=self.on_update
        )
        omni.kit.commands.register_all_commands_in_module(sys.modules[__name__])
        get_action_registry().register_action(ext_id, "show", self.show)
        self.menu = [MenuItemDescription(name="Toy", onclick_action=(ext_id, "show"))]
        add_menu_items(self.menu, "Window")

    def build(self):
        with ui.VStack(spacing=2):
            self.label = ui.Label("idle", identifier="label")
            self.button = ui.Button("Go", clicked_fn=self.go, identifier="go", tooltip="starts")
            self.combo = ui.ComboBox(0, "one", "two", identifier="choice")
            self.field = ui.StringField(identifier="text")
            ui.CheckBox(identifier="tick")
            ui.IntField(identifier="number")
            self.bar = ui.ProgressBar(identifier="bar")
            with ui.CollapsableFrame("More", identifier="more"):
                ui.Label("inside", identifier="inside")

    def on_update(self, event):
        self.before()
        self.frames += 1

    def go(self):
        self.label.text = "running"
        self.button.enabled = False
        self.button.tooltip = "it runs"

    def show(self):
        self.window.visible = True

    def on_shutdown(self):
        self.guard = None
        self.window.destroy()
        remove_menu_items(self.menu, "Window")
        get_action_registry().deregister_all_actions_for_extension(self.id)
        omni.kit.commands.unregister_module_commands(sys.modules[__name__])
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKit]:
    """A fake Kit with an extension of a few lines."""
    folder = tmp_path / "toy.sim"
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "extension.toml").write_text(TOML)
    (folder / "toy").mkdir()
    (folder / "toy" / "sim.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(folder))
    before = kit_modules()  # NVIDIA's validator is a package below `omni` too
    kit = FakeKit(folder, tmp_path / "scratch")
    kit.install()
    yield kit
    kit.uninstall()
    assert queue.SimpleQueue.__module__ == "_queue"
    assert not any(hasattr(function, "__wrapped__") for function in (time.sleep, threading.Thread.start, asyncio.run))
    assert kit_modules() == before


def kit_modules() -> set[str]:
    """Names of the modules that a Kit brings, and of the toy's own."""
    return {name for name in sys.modules if name.split(".")[0] in {"omni", "carb"} or name == "toy.sim"}


def run(code: str) -> dict[str, Any]:
    """Names that some code leaves behind."""
    names: dict[str, Any] = {}
    exec(textwrap.dedent(code), names)
    return names


# ---------------------------------------------------------------- strictness


def test_every_symbol_of_the_extension_is_there(toy: FakeKit) -> None:
    for row in table():
        if row.tier in "ROT" and row.exported and len(row.path) == 1:
            assert hasattr(importlib.import_module(row.module), row.path[0]), row.name


@pytest.mark.parametrize(
    "code",
    [
        "import omni.ui; omni.ui.Slider",
        "import omni.kit.app; omni.kit.app.get_app().shutdown",
        "import omni.usd; omni.usd.get_context().close_stage",
        "import carb; carb.log_verbose",
        "import carb.eventdispatcher as e; e.get_eventdispatcher().dispatch_event",
        "import omni.ui; omni.ui.Window('a').set_key_pressed_fn",
        "import omni.ui; omni.ui.Window('a').title",
        "import omni.ui; omni.ui.SimpleStringModel().as_string",
    ],
)
def test_an_unlisted_attribute_is_refused(toy: FakeKit, code: str) -> None:
    with pytest.raises(AttributeError, match="closed list of Kit symbols"):
        run(code)


@pytest.mark.parametrize("code", ["from omni.ui import Slider", "import omni.kit.pipapi", "import omni.physx"])
def test_an_unlisted_import_is_refused(toy: FakeKit, code: str) -> None:
    with pytest.raises(ImportError):
        run(code)


@pytest.mark.parametrize(
    "code",
    [
        "import omni.ui; omni.ui.Window('a', colour=1)",
        "import omni.ui\nwith omni.ui.Window('a').frame: omni.ui.Label('a', clicked_fn=None)",
        "import omni.ui\nwith omni.ui.Window('a').frame: omni.ui.Label()",
        "import carb.eventdispatcher as e; e.get_eventdispatcher().observe_event('a', 'b', print)",
        "import omni.usd; omni.usd.get_context().get_selection().set_selected_prim_paths([])",
        "import omni.usd as u; u.get_context().get_selection().set_selected_prim_paths(paths=[], expand_in_stage=True)",
        "import omni.kit.menu.utils as m; m.MenuItemDescription('Lyra')",
        "from omni.kit.window.filepicker import FilePickerDialog; FilePickerDialog('a', enable_filename_input=True)",
        "import carb; carb.log_info(1)",
        "import carb.settings; carb.settings.get_settings().set('/a', object())",
        "import carb.settings; carb.settings.get_settings().get('a')",
        "import omni.ui; omni.ui.Window('a').frame.set_style({}, 1)",
        "from omni.kit.notification_manager import post_notification; post_notification('a', status=1)",
    ],
)
def test_a_call_that_kit_would_not_take_is_refused(toy: FakeKit, code: str) -> None:
    with pytest.raises(TypeError):
        run(code)


@pytest.mark.parametrize(
    "statement",
    ["label.colour = 1", "label.text = None", "label.enabled = 'yes'", "label.tooltip = None", "window.title = 'b'"],
)
def test_an_attribute_that_kit_would_not_take_is_refused(toy: FakeKit, statement: str) -> None:
    made = run("import omni.ui\nwindow = omni.ui.Window('a')\nwith window.frame:\n    label = omni.ui.Label('a')")
    with pytest.raises((AttributeError, TypeError)):
        exec(statement, made)


def test_other_tokens_are_refused(toy: FakeKit, tmp_path: Path) -> None:
    tokens = run("import carb.tokens; t = carb.tokens.get_tokens_interface()")["t"]
    assert Path(tokens.resolve("${cache}/a")) == tmp_path / "scratch" / "cache" / "a"
    with pytest.raises(ValueError, match="cache"):
        tokens.resolve("${documents}")


# ---------------------------------------------------------------- the application


def test_an_extension_starts_with_its_defaults(toy: FakeKit) -> None:
    extension: Any = toy.start_extension()
    assert extension.id == "toy.sim-1.2.3"
    assert toy.settings["/exts/toy.sim/rate"] == 3
    manager = run("import omni.kit.app; m = omni.kit.app.get_app().get_extension_manager()")["m"]
    assert manager.is_extension_enabled("toy.sim") and not manager.is_extension_enabled("omni.nothing")
    assert Path(manager.get_extension_path(extension.id)) == toy.extension_folder


def test_observers_are_called_once_per_frame_while_their_guard_lives(toy: FakeKit) -> None:
    code = """
        import carb.eventdispatcher, omni.kit.app
        seen = []
        def observe(name, order):
            return carb.eventdispatcher.get_eventdispatcher().observe_event(
                observer_name=name, event_name=omni.kit.app.GLOBAL_EVENT_UPDATE,
                on_event=lambda event: seen.append(name), order=order,
            )
        guards = [observe("late", 5), observe("early", -5)]
        """
    names = run(code)
    toy.app.pump(2)
    assert names["seen"] == ["early", "late"] * 2
    names["guards"].pop().reset()
    toy.app.pump()
    assert names["seen"][4:] == ["late"]
    names["guards"].clear()
    toy.app.pump()
    assert len(names["seen"]) == 5
    assert toy.leaks() == []


def test_an_error_of_an_observer_reaches_the_test_after_the_frame(toy: FakeKit) -> None:
    extension: Any = toy.start_extension()
    toy.app.pump()
    extension.before = lambda: 1 / 0
    toy.widget("label")
    with pytest.raises(ZeroDivisionError):
        toy.app.pump()
    extension.before = lambda: None
    toy.app.pump()
    assert extension.frames == 2


def test_one_iteration_of_the_loop_per_frame(toy: FakeKit) -> None:
    names = run("""
        import omni.kit.app, omni.kit.async_engine
        seen = []
        async def count():
            for number in range(3):
                seen.append(number)
                await omni.kit.app.get_app().next_update_async()
            return "done"
        task = omni.kit.async_engine.run_coroutine(count())
        """)
    assert names["seen"] == []
    for frames in (1, 2, 3):
        toy.app.pump()
        assert names["seen"] == list(range(frames))
    toy.app.pump()
    assert names["task"].result() == "done"


def test_a_coroutine_from_another_thread_gives_a_concurrent_future(toy: FakeKit) -> None:
    async def five() -> int:
        return 5

    run_coroutine = run("from omni.kit.async_engine import run_coroutine as r")["r"]
    futures: list[concurrent.futures.Future[int]] = []
    thread = threading.Thread(target=lambda: futures.append(run_coroutine(five())))
    thread.start()
    thread.join()
    toy.app.pump_until(futures[0].done)
    assert futures[0].result() == 5


def test_ensure_future_works_on_the_main_thread(toy: FakeKit) -> None:
    async def six() -> int:
        await asyncio.sleep(0)
        return 6

    task = asyncio.ensure_future(six())
    toy.app.pump(2)
    assert task.result() == 6
    assert toy.run(six()) == 6


def test_a_coroutine_that_does_not_end_cannot_hang_the_tests(toy: FakeKit) -> None:
    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await toy.iapp.next_update_async()

    task = asyncio.ensure_future(stubborn())
    toy.app.pump()
    assert any("stubborn" in text for text in toy.leaks())
    toy.restart()
    assert not task.done()


def test_an_error_that_nobody_waits_for_reaches_the_test(toy: FakeKit) -> None:
    async def fail() -> None:
        raise ValueError("lost")

    task = asyncio.ensure_future(fail())
    toy.app.pump()
    del task
    with pytest.raises(ValueError, match="lost"):
        toy.app.pump()


def test_settings_below_persistent_survive_a_restart(toy: FakeKit) -> None:
    toy.start_extension()
    toy.settings["/persistent/exts/toy.sim/kept"] = "a"
    toy.settings["/exts/toy.sim/rate"] = 9
    toy.restart()
    assert toy.settings["/persistent/exts/toy.sim/kept"] == "a"
    assert "/exts/toy.sim/rate" not in toy.settings
    toy.start_extension()
    assert toy.settings["/exts/toy.sim/rate"] == 3


def test_a_default_does_not_overwrite(toy: FakeKit) -> None:
    settings = run("import carb.settings; s = carb.settings.get_settings()")["s"]
    assert settings.get("/a") is None
    settings.set("/a", 1)
    settings.set_default("/a", 2)
    assert settings.get("/a") == 1


def test_reloading_imports_the_source_again(toy: FakeKit) -> None:
    first = type(toy.start_extension())
    second = type(toy.reload_extension())
    assert first is not second
    toy.stop_extension()
    toy.app.pump()
    assert toy.leaks() == []


def test_quitting_fast_announces_it_and_shuts_nothing_down(toy: FakeKit) -> None:
    names = run("""
        import carb.eventdispatcher, omni.kit.app
        seen = []
        guard = carb.eventdispatcher.get_eventdispatcher().observe_event(
            observer_name="q", event_name=omni.kit.app.GLOBAL_EVENT_POST_QUIT, on_event=seen.append
        )
        """)
    toy.start_extension()
    toy.quit()
    assert len(names["seen"]) == 1
    assert "window Toy" in toy.leaks()


def test_without_a_user_interface(toy: FakeKit) -> None:
    toy.headless()
    for code in (
        "import omni.ui",
        "from omni import ui",
        "from omni.kit.notification_manager import post_notification",
    ):
        with pytest.raises(ImportError):
            run(code)
    toy.restart()
    with pytest.raises(ImportError):
        run("import omni.ui")
    run("import omni.usd")


# ---------------------------------------------------------------- stage and commands


def test_a_stage_is_opened_saved_and_closed(toy: FakeKit, tmp_path: Path) -> None:
    names = run("""
        import carb.eventdispatcher, omni.usd
        context, seen = omni.usd.get_context(), []
        def observe(event):
            return carb.eventdispatcher.get_eventdispatcher().observe_event(
                observer_name=event.name, event_name=context.stage_event_name(event),
                on_event=lambda _: seen.append((event.name, bool(context.get_stage()))),
            )
        guards = [observe(event) for event in omni.usd.StageEventType]
        """)
    toy.stage.DefinePrim("/World", "Xform")
    toy.save_stage(tmp_path / "a.usda")
    assert toy.context.get_stage_url() == str(tmp_path / "a.usda")
    toy.stage.DefinePrim("/World/More")
    toy.save_stage()
    toy.new_stage()
    assert not toy.stage.GetPrimAtPath("/World")
    assert toy.open_stage(tmp_path / "a.usda").GetPrimAtPath("/World/More")
    toy.close_stage()
    assert toy.stage is None
    assert names["seen"][:2] == [("CLOSING", True), ("OPENED", True)]
    assert names["seen"][-1] == ("CLOSING", True)


def test_stages_are_opened_by_coroutines_too(toy: FakeKit, tmp_path: Path) -> None:
    toy.stage.DefinePrim("/A")
    toy.save_stage(tmp_path / "a.usda")
    assert toy.run(toy.context.new_stage_async()) == (True, "")
    assert not toy.stage.GetPrimAtPath("/A")
    assert toy.run(toy.context.open_stage_async(str(tmp_path / "a.usda"))) == (True, "")
    assert toy.stage.GetPrimAtPath("/A")


def test_selection_and_free_paths(toy: FakeKit) -> None:
    names = run("import omni.usd; free = omni.usd.get_stage_next_free_path")
    toy.stage.SetDefaultPrim(toy.stage.DefinePrim("/World"))
    assert names["free"](toy.stage, "/A", True) == "/World/A"
    toy.stage.DefinePrim("/World/A")
    assert names["free"](toy.stage, "/A", True) == "/World/A_01"
    toy.context.get_selection().set_selected_prim_paths(["/World/A"], True)
    assert toy.selection == ["/World/A"]
    with pytest.raises(TypeError):
        toy.context.get_selection().set_selected_prim_paths("/World/A", True)  # type: ignore[arg-type]


def test_undo_and_redo(toy: FakeKit) -> None:
    toy.start_extension()
    execute = run("from omni.kit.commands import execute")["execute"]
    assert execute("ToyMake", path="/A") == (True, "/A")
    assert execute("ToyMakeCommand", path="/B") == (True, "/B")
    assert toy.commands.history == ["ToyMake", "ToyMake"]
    assert toy.undo() and not toy.stage.GetPrimAtPath("/B") and toy.stage.GetPrimAtPath("/A")
    assert toy.redo() and toy.stage.GetPrimAtPath("/B")
    assert toy.undo() and toy.undo() and not toy.undo()
    assert execute("ToyMake", path="/C")[0]
    assert not toy.redo()


def test_a_group_is_undone_at_once(toy: FakeKit) -> None:
    toy.start_extension()
    names = run("from omni.kit.commands import execute; from omni.kit.undo import begin_group, end_group, undo")
    names["begin_group"]()
    names["execute"]("ToyMake", path="/A")
    names["begin_group"]()
    names["execute"]("ToyMake", path="/B")
    names["end_group"]()
    assert "undo group left open: 1" in toy.leaks()
    names["end_group"]()
    names["undo"]()
    assert not toy.stage.GetPrimAtPath("/A") and not toy.stage.GetPrimAtPath("/B")
    toy.redo()
    assert toy.stage.GetPrimAtPath("/A") and toy.stage.GetPrimAtPath("/B")
    with pytest.raises(RuntimeError):
        names["end_group"]()


def test_a_command_that_fails_is_logged_and_not_remembered(toy: FakeKit) -> None:
    toy.start_extension()
    execute = run("from omni.kit.commands import execute")["execute"]
    assert execute("ToyFail") == (False, None)
    assert execute("Nothing") == (False, None)
    assert len(toy.errors()) == 2 and "ValueError: no" in toy.errors()[0]
    assert toy.commands.history == []
    with pytest.raises(TypeError):
        execute("ToyMake", where="/A")


# ---------------------------------------------------------------- windows


@pytest.fixture
def shown(toy: FakeKit) -> FakeKit:
    """The extension is on and its window was drawn."""
    toy.start_extension()
    toy.app.pump()
    return toy


def test_a_window_is_built_when_it_is_drawn(toy: FakeKit) -> None:
    extension: Any = toy.start_extension()
    extension.window.visible = False
    toy.app.pump()
    assert not toy.has_widget("label")
    toy.click_menu("Window/Toy")
    toy.app.pump()
    assert toy.widget("label").text == "idle"


def test_a_click_is_refused_by_a_disabled_or_hidden_button(shown: FakeKit) -> None:
    shown.widget("go").click()
    assert shown.widget("label").text == "running"
    with pytest.raises(AssertionError, match="disabled \\(it runs\\)"):
        shown.widget("go").click()
    shown.close_window("Toy")
    assert not shown.widget("label").shown
    with pytest.raises(AssertionError, match="not visible"):
        shown.widget("text").type("a")


def test_input_reaches_models_and_listeners(shown: FakeKit) -> None:
    extension: Any = shown._extensions[0]
    seen: list[object] = []
    extension.field.model.add_value_changed_fn(lambda model: seen.append(model.get_value_as_string()))
    extension.combo.model.add_item_changed_fn(
        lambda model, item: seen.append(model.get_item_value_model().get_value_as_int())
    )
    shown.widget("text").type("hello")
    shown.widget("text").type("hello")
    shown.widget("choice").choose("two")
    shown.widget("choice").choose(0)
    assert seen == ["hello", 1, 0]
    assert shown.widget("choice").items == ("one", "two")
    shown.widget("tick").click()
    assert shown.widget("tick").value is True
    shown.widget("number").type("12")
    assert shown.widget("number").value == 12
    extension.bar.model.set_value(0.5)
    assert shown.widget("bar").value == 0.5
    with pytest.raises(TypeError):
        shown.widget("number").type(str(2**70))


def test_a_rebuilt_widget_is_another_one(shown: FakeKit) -> None:
    extension: Any = shown._extensions[0]
    old = extension.label
    extension.window.frame.rebuild()
    assert extension.label is old
    shown.app.pump()
    assert extension.label is not old
    with pytest.raises(RuntimeError, match="rebuilt or destroyed"):
        old.text = "nobody sees it"


def test_widgets_are_found_by_one_identifier(shown: FakeKit) -> None:
    assert shown.widget("inside").text == "inside"
    with pytest.raises(LookupError, match="0 widgets are called 'nothing'"):
        shown.widget("nothing")
    names = run("import omni.ui\nw = omni.ui.Window('Other')\nwith w.frame: omni.ui.Label('b', identifier='label')")
    with pytest.raises(LookupError, match="2 widgets are called 'label'"):
        shown.widget("label")
    names["w"].destroy()


def test_a_frame_holds_one_widget(toy: FakeKit) -> None:
    with pytest.raises(RuntimeError, match="one widget only"):
        run("import omni.ui\nwith omni.ui.Window('a').frame:\n    omni.ui.Label('a')\n    omni.ui.Label('b')")
    with pytest.raises(RuntimeError, match="outside any"):
        run("import omni.ui\nomni.ui.Label('a')")


def test_the_workspace_shows_windows(toy: FakeKit) -> None:
    names = run("""
        import omni.ui as ui
        seen = []
        window = ui.Window("A", visible=False)
        window.set_visibility_changed_fn(seen.append)
        ui.Workspace.show_window("A")
        ui.Workspace.show_window("A", False)
        ui.Workspace.set_show_window_fn("B", seen.append)
        ui.Workspace.show_window("B", True)
        assert ui.Workspace.get_window("A") is window and ui.Workspace.get_window("C") is None
        """)
    assert names["seen"] == [True, False, True]
    assert set(toy.leaks()) == {"window A", "function that shows the window B"}


def test_the_file_dialog(toy: FakeKit) -> None:
    names = run("""
        from omni.kit.window.filepicker import FilePickerDialog
        chosen = []
        def applied(filename, dirname):
            dialog.hide()
            chosen.append((filename, dirname))
        dialog = FilePickerDialog(
            "Pick", click_apply_handler=applied, click_cancel_handler=lambda f, d: chosen.append(None),
            item_filter_fn=lambda item: item.is_folder or item.path.endswith(".png"),
        )
        dialog.set_filename("b.png")
        dialog.show("/start")
        """)
    (driver,) = toy.dialogs
    assert (driver.title, driver.directory, driver.filename) == ("Pick", "/start", "b.png")
    assert driver.accepts("/a/b.png") and driver.accepts("/a", folder=True) and not driver.accepts("/a/b.txt")
    driver.apply("a.png", "/pictures")
    assert names["chosen"] == [("a.png", "/pictures")] and not driver.shown
    with pytest.raises(AssertionError, match="not open"):
        driver.cancel()
    assert toy.leaks() == ["file dialog Pick"]
    names["dialog"].destroy()
    assert toy.leaks() == []


def test_a_dialog_that_nobody_keeps_is_gone(toy: FakeKit) -> None:
    run("from omni.kit.window.filepicker import FilePickerDialog; FilePickerDialog('a').show()")
    assert toy.dialogs == []


def test_notifications_and_framing(toy: FakeKit) -> None:
    names = run("""
        from omni.kit.notification_manager import NotificationButtonInfo, NotificationStatus, post_notification
        from omni.kit.viewport.utility import frame_viewport_prims, get_active_viewport
        pressed = []
        button = NotificationButtonInfo("Frame", on_complete=lambda: pressed.append(1))
        post_notification("done", status=NotificationStatus.WARNING, button_infos=[button])
        """)
    ((text, status, buttons),) = toy.notifications
    assert (text, status.name, len(buttons)) == ("done", "WARNING", 1)
    toy.press_notification("Frame")
    assert names["pressed"] == [1]
    toy.stage.DefinePrim("/A")
    assert names["frame_viewport_prims"](names["get_active_viewport"](), prims=["/A"])
    assert toy.framed == ["/A"]
    with pytest.raises(ValueError, match="/B"):
        names["frame_viewport_prims"](names["get_active_viewport"](), prims=["/B"])


# ---------------------------------------------------------------- blocking calls


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


BLOCKING: dict[str, Callable[[], object]] = {
    "time.sleep": lambda: time.sleep(0.001),
    "Popen.wait": lambda: sleeper().wait(),
    "Popen.wait with a timeout": lambda: sleeper().wait(timeout=0.01),
    "Popen.communicate": lambda: sleeper().communicate(),
    "subprocess.run": lambda: subprocess.run([sys.executable, "-c", ""]),
    "Queue.get": lambda: queue.Queue[int]().get(),
    "Queue.get with a timeout": lambda: queue.Queue[int]().get(timeout=0.01),
    "SimpleQueue.get": lambda: queue.SimpleQueue[int]().get(),
    "Thread.join": lambda: threading.Thread(target=int).join(),
    "Event.wait": lambda: threading.Event().wait(0.01),
    "Condition.wait": lambda: threading.Condition().wait(0.01),
    "Future.result": lambda: concurrent.futures.Future[int]().result(0.01),
    "select": lambda: select.select([], [], [], 0.01),
    "connect": lambda: socket.socket().connect(("127.0.0.1", 9)),
    "asyncio.run": lambda: asyncio.run(asyncio.sleep(0)),
    "run_until_complete": lambda: asyncio.new_event_loop().run_until_complete(asyncio.sleep(0)),
    "os.system": lambda: os.system("true"),
}


@pytest.mark.parametrize("call", BLOCKING.values(), ids=BLOCKING)
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::ResourceWarning")
def test_a_blocking_call_in_a_frame_raises(toy: FakeKit, call: Callable[[], object]) -> None:
    extension: Any = toy.start_extension()
    extension.before = call
    with pytest.raises(BlockingCall):
        toy.app.pump()
    assert toy.block_guard.calls


def test_a_blocking_call_cannot_be_swallowed(toy: FakeKit) -> None:
    def careless() -> None:
        with contextlib.suppress(Exception):
            time.sleep(0.001)

    extension: Any = toy.start_extension()
    extension.before = careless
    with pytest.raises(BlockingCall):
        toy.app.pump()


def test_a_blocking_call_in_a_coroutine_raises(toy: FakeKit) -> None:
    async def careless() -> None:
        time.sleep(0.001)

    task = asyncio.ensure_future(careless())
    toy.app.pump(2)
    with pytest.raises(BlockingCall):
        task.result()
    assert toy.block_guard.calls


def test_a_blocking_call_in_a_click_or_in_a_build_raises(shown: FakeKit) -> None:
    extension: Any = shown._extensions[0]
    type(extension).go = lambda self: time.sleep(0.001)
    extension.window.frame.rebuild()
    shown.app.pump()
    with pytest.raises(BlockingCall):
        shown.widget("go").click()
    type(extension).build = lambda self: time.sleep(0.001)
    extension.window.frame.set_build_fn(extension.build)
    with pytest.raises(BlockingCall):
        shown.app.pump()
    shown.stop_extension()


def test_a_blocking_call_at_the_start_raises(toy: FakeKit) -> None:
    source = toy.extension_folder / "toy" / "sim.py"
    source.write_text(CODE.replace("self.id = ext_id", "time.sleep(0.001)"))
    with pytest.raises(BlockingCall):
        toy.start_extension()


def test_what_does_not_block_is_let_through(toy: FakeKit) -> None:
    extension: Any = toy.start_extension()
    done = threading.Event()

    def work() -> None:
        time.sleep(0.001)
        done.set()

    def careful() -> None:
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        with pytest.raises(queue.Empty):
            waiting.get_nowait()
        with pytest.raises(queue.Empty):
            queue.Queue[int]().get(block=False)
        thread = threading.Thread(target=work)
        thread.start()
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.poll()
        select.select([], [], [], 0)

    extension.before = careful
    toy.app.pump()
    extension.before = lambda: None
    assert done.wait(10)
    toy.app.pump_until(lambda: toy.children.started[0].poll() is not None)
    assert toy.block_guard.calls == []


def test_the_shutdown_may_wait_for_a_bounded_time(toy: FakeKit) -> None:
    with toy.block_guard.watching(shutdown=True):
        assert not threading.Event().wait(0.001)
        time.sleep(0.001)
        for endless in (lambda: threading.Event().wait(), lambda: threading.Event().wait(1e6), lambda: time.sleep(1e6)):
            with pytest.raises(BlockingCall, match="bounded"):
                endless()


# ---------------------------------------------------------------- leaks


def test_a_tidy_extension_leaks_nothing(toy: FakeKit) -> None:
    for _again in range(2):
        toy.start_extension()
        toy.app.pump()
        toy.stop_extension()
        assert toy.leaks() == []


@pytest.mark.parametrize(
    ("forgotten", "leak"),
    [
        ("self.guard = None", "observer toy"),
        ("self.window.destroy()", "window Toy"),
        ('remove_menu_items(self.menu, "Window")', "menu entry Window/Toy"),
        ("get_action_registry().deregister_all_actions_for_extension(self.id)", "action ('toy.sim-1.2.3', 'show')"),
        ("omni.kit.commands.unregister_module_commands(sys.modules[__name__])", "command ToyMake"),
    ],
)
def test_what_an_extension_forgets_is_found(toy: FakeKit, forgotten: str, leak: str) -> None:
    source = toy.extension_folder / "toy" / "sim.py"
    assert forgotten in CODE
    source.write_text(CODE.replace(forgotten, "kept.append(self)").replace("class Toy(", "kept = []\n\n\nclass Toy("))
    toy.start_extension()
    toy.stop_extension()
    found = toy.leaks()
    assert leak in found
    assert any(text.startswith("extension instance") for text in found)


def test_a_menu_entry_is_removed_by_the_same_list(toy: FakeKit) -> None:
    names = run("""
        from omni.kit.menu.utils import MenuItemDescription, add_menu_items, remove_menu_items
        items = [MenuItemDescription(name="A", onclick_fn=lambda: None)]
        add_menu_items(items, "Window")
        """)
    with pytest.raises(ValueError, match="never added"):
        names["remove_menu_items"](list(names["items"]), "Window")


def test_processes_and_coroutines_are_found(toy: FakeKit) -> None:
    async def endless() -> None:
        await asyncio.sleep(1e6)

    task = asyncio.ensure_future(endless())
    toy.app.pump()
    assert not task.done()
    process = sleeper()
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])",
        ],
        start_new_session=True,
    )
    parent.wait()
    found = toy.leaks()
    assert any("endless" in text for text in found)
    assert any(f"child process {process.pid} still runs" in text for text in found)
    if sys.platform == "linux":
        assert any(f"of the group of child {parent.pid} still runs" in text for text in found)
    toy.children.kill()
    assert not any("still runs" in text for text in toy.leaks())


def test_a_process_that_nobody_asked_about_is_found(toy: FakeKit) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{process.pid}/stat").exists() and " Z " not in Path(f"/proc/{process.pid}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert any("never reaped" in text for text in toy.leaks())


# ---------------------------------------------------------------- tests for Kit

KIT_TEST = """
import omni.kit.test
from omni.kit import ui_test


class TestToy(omni.kit.test.AsyncTestCase):
    async def setUp(self):
        self.was_set_up = True

    async def test_click(self):
        await ui_test.human_delay(2)
        self.assertTrue(self.was_set_up)
        self.assertIsNone(ui_test.find("Toy//Frame/**/Label[*].identifier=='go'"))
        button = ui_test.find("Toy//Frame/**/Button[*].identifier=='go'")
        await button.click()
        await ui_test.find('Toy//Frame/**/StringField[*].identifier=="text"').input("hello")
        self.assertFalse(button.widget.enabled)

    async def test_failure(self):
        self.fail("on purpose")
"""


def test_tests_for_kit_run_in_the_fake(toy: FakeKit) -> None:
    toy.start_extension()
    module = types.ModuleType("toy_tests")
    exec(KIT_TEST, vars(module))
    click, failure = cases_of(module)
    toy.run(run_case(click))
    assert toy.widget("label").text == "running"
    assert toy.widget("text").text == "hello"
    with pytest.raises(AssertionError, match="on purpose"):
        toy.run(run_case(failure))


@pytest.mark.parametrize("module", ["test_spawn", "test_window"])
def test_the_tests_for_kit_pass_in_the_fake(kit: FakeKit, module: str) -> None:
    """What people with Kit are asked to run is at least right where we can run it; the rest needs a worker."""
    kit.start_extension()
    kit.app.pump()
    cases = cases_of(importlib.import_module(f"lyra.sim.tests.{module}"))
    assert cases
    for case in cases:
        kit.run(run_case(case))
    kit.stop_extension()
    kit.app.pump()
    assert kit.leaks() == []
