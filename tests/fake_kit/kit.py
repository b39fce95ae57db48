# SPDX-License-Identifier: Apache-2.0
"""The fake Kit as a whole: installs the modules, enables the extension, lets frames go by, looks for leaks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import sys
import time
import tomllib
import weakref
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from fake_kit import dialogs, omni_ui
from fake_kit.application import POST_QUIT, UPDATE, AsyncEngine, ExtensionManager, IApp, IExt, get_extension_name
from fake_kit.block_guard import BlockGuard
from fake_kit.carb_services import EventDispatcher, Settings, SettingsView, Tokens
from fake_kit.commands import Command, Commands
from fake_kit.drivers import DialogDriver, WidgetDriver, find_widget
from fake_kit.kit_tests import AsyncTestCase, UiTest
from fake_kit.menus import ActionRegistry, MenuItemDescription, Menus
from fake_kit.processes import ChildProcesses
from fake_kit.strict import FakeModule, listed
from fake_kit.table import table
from fake_kit.usd_context import StageEventType, UsdContext, get_stage_next_free_path

T = TypeVar("T")
OPTIONAL = (
    "omni.kit.actions.core",
    "omni.kit.menu.utils",
    "omni.kit.notification_manager",
    "omni.kit.viewport.utility",
    "omni.kit.window.filepicker",
    "omni.ui",
)


class App:
    """`kit.app`: lets frames go by."""

    def __init__(self, kit: FakeKit) -> None:
        self._kit = kit

    def pump(self, n: int = 1) -> None:
        """n frames: update observers, waiting coroutines, one iteration of the event loop, drawing."""
        for _frame in range(n):
            self._kit._frame()

    def pump_until(self, done: Callable[[], object], *, timeout_s: float = 60.0, sleep_s: float = 0.01) -> None:
        """Frames until something is so; for work of a real child process."""
        self._kit._pump_until(done, timeout_s, sleep_s)


class FakeKit:
    """A Kit application with nothing in it but the listed symbols.

    Errors of callbacks are raised in the test, after all callbacks of the frame have run.
    """

    def __init__(self, extension_folder: Path, scratch: Path, *, kit_version: str = "110.1.2+release") -> None:
        self.extension_folder = extension_folder
        self.scratch = scratch
        self.kit_version = kit_version
        self.block_guard = BlockGuard()
        self.children = ChildProcesses()
        self.app = App(self)
        self._persistent: dict[str, Any] = {}
        self._absent: set[str] = set()
        self._extensions: list[IExt] = []
        self._stopped: list[weakref.ref[IExt]] = []
        self._modules_before: dict[str, ModuleType] = {}
        self._package_before: dict[str, Any] | None = None
        self._in_frame = False
        self._boot()

    # ------------------------------------------------------------ what a test looks at

    @property
    def stage(self) -> Any:
        """The open stage."""
        return self.context.get_stage()

    @property
    def menu_items(self) -> dict[str, MenuItemDescription]:
        """Menu entries by path: "Window/Lyra"."""
        return self.menus.items()

    @property
    def notifications(self) -> list[dialogs.Notification]:
        """(text, status, buttons) of what was shown."""
        return self._notifications.shown

    @property
    def framed(self) -> list[str]:
        """Paths of the prims that the viewport framed."""
        return self.viewport.framed

    @property
    def windows(self) -> dict[str, omni_ui.Window]:
        """Windows by title."""
        return {window._title: window for window in omni_ui.SCREEN.windows}

    @property
    def dialogs(self) -> list[DialogDriver]:
        """File dialogs that were not destroyed."""
        return [DialogDriver(dialog, self._guarded) for dialog in dialogs.open_dialogs()]

    @property
    def selection(self) -> list[str]:
        """Selected paths."""
        return self.context.get_selection().get_selected_prim_paths()

    def errors(self) -> list[str]:
        """Texts that were logged as errors; each would fail a test inside Kit."""
        return [text for level, text in self.log if level == "error"]

    def widget(self, identifier: str) -> WidgetDriver:
        """A widget as a user meets it."""
        return find_widget(identifier, self._guarded)

    def has_widget(self, identifier: str) -> bool:
        """Whether a widget of this identifier exists."""
        return any(w.identifier == identifier for window in self.windows.values() for w in window.frame._walk())

    # ------------------------------------------------------------ what a user does

    def click_menu(self, path: str) -> None:
        """Choose a menu entry: "Window/Lyra"."""
        item = self.menu_items[path]
        function = self.actions._actions[item._onclick_action] if item._onclick_action else item._onclick_fn
        assert function is not None, f"nothing happens at {path}"
        with self._guarded():
            function()

    def press_notification(self, button: str) -> None:
        """Press a button of the newest notification that has it."""
        for notification in reversed(self.notifications):
            for info in notification.buttons:
                if info._text == button:
                    assert info._on_complete is not None, f"nothing happens at {button}"
                    with self._guarded():
                        info._on_complete()
                    return
        raise LookupError(f"no notification has a button {button!r}")

    def close_window(self, title: str) -> None:
        """Press the cross of a window."""
        with self._guarded():
            self.windows[title].visible = False

    def undo(self) -> bool:
        """Ctrl+Z."""
        return self.commands.undo()

    def redo(self) -> bool:
        """Ctrl+Y."""
        return self.commands.redo()

    def new_stage(self, *, metres_per_unit: float = 1.0, up_axis: str = "Z") -> Any:
        """File > New, with the units of Isaac Sim unless others are asked for."""
        return self.context._new(metres_per_unit=metres_per_unit, up_axis=up_axis)

    def open_stage(self, file: str | Path) -> Any:
        """File > Open."""
        return self.context._open(file)

    def close_stage(self) -> None:
        """Close the stage; none is open then."""
        self.context._close()

    def save_stage(self, file: str | Path | None = None) -> None:
        """File > Save, or Save As."""
        self.context._save(file)

    def load(self, files: int) -> None:
        """The stage has so many files still to load."""
        self.context._loading = files

    def run(self, coroutine: Coroutine[Any, Any, T], *, timeout_s: float = 60.0) -> T:
        """Frames until a coroutine has ended; gives its result, as a script that awaits it would get."""
        task = self.engine.loop.create_task(coroutine)
        self.app.pump_until(task.done, timeout_s=timeout_s)
        return task.result()

    # ------------------------------------------------------------ the application

    def without(self, *modules: str) -> None:
        """The extensions behind these modules are not there: importing them fails. Call it before the start."""
        self._absent |= set(modules)
        for name in [name for name in sys.modules if any(f"{name}.".startswith(f"{absent}.") for absent in modules)]:
            del sys.modules[name]
        for name in modules:
            parent, _, child = name.rpartition(".")
            vars(sys.modules[parent]).pop(child, None)

    def headless(self) -> None:
        """No user interface: none of the optional extensions."""
        self.without(*OPTIONAL)

    @property
    def extension_id(self) -> str:
        """Full id of the extension under test."""
        return f"{self.extension_folder.name}-{self._extension_toml()['package']['version']}"

    def start_extension(self) -> IExt:
        """Enable the extension: defaults of its settings, its modules, `on_startup`."""
        toml = self._extension_toml()
        for path, value in _leaves(toml.get("settings", {}), ""):
            self._settings.set_default(path, value)
        self._enabled.add(self.extension_folder.name)
        classes: list[type[IExt]] = []
        with self._guarded():
            for module in toml["python"]["module"]:
                classes += self._classes_of(module)
            assert classes, f"no class derived from omni.ext.IExt in {toml['python']['module']}"
            for extension_class in classes:
                extension = extension_class()
                self._extensions.append(extension)
                extension.on_startup(self.extension_id)
        return self._extensions[0]

    def stop_extension(self) -> None:
        """Disable the extension: `on_shutdown`, which may wait for a bounded time, and no reference is left."""
        while self._extensions:
            extension = self._extensions.pop()
            with self.block_guard.watching(shutdown=True):
                extension.on_shutdown()
            self._stopped.append(weakref.ref(extension))
            del extension
        self._enabled.discard(self.extension_folder.name)

    def reload_extension(self) -> IExt:
        """What Kit does when a source file changed: stop, forget the modules, start."""
        self.stop_extension()
        for name in [name for name in sys.modules if self._is_extension(name)]:
            del sys.modules[name]
        return self.start_extension()

    def quit(self) -> None:
        """Quit fast, as Isaac Sim does: POST_QUIT is announced, no extension is shut down."""
        with self.block_guard.watching(shutdown=True):
            _raise_first(self.events._dispatch(POST_QUIT))
        for extension in self._extensions:
            self._stopped.append(weakref.ref(extension))
        self._extensions.clear()

    def restart(self) -> None:
        """Stop, and start the application again; only the settings below /persistent are kept."""
        self.stop_extension()
        self._remove_modules()
        self._shut_down()
        self._boot()
        self.install(patch=False)

    def leaks(self) -> list[str]:
        """What should not be there after the extension was stopped."""
        gc.collect()
        screen = omni_ui.SCREEN
        found = [f"observer {name}" for name in self.events._names()]
        found += [f"menu entry {path}" for path in self.menu_items]
        found += [f"action {action}" for action in self.actions._actions]
        found += [f"command {name}" for name in self.commands.registered]
        found += [f"undo group left open: {self.commands.open_groups}"] if self.commands.open_groups else []
        found += [f"window {window._title}" for window in screen.windows]
        found += [f"function that shows the window {title}" for title in screen.show_window_fns]
        found += [f"file dialog {dialog._title}" for dialog in dialogs.open_dialogs()]
        found += [f"coroutine {name}" for name in self.engine.pending()]
        found += [f"extension instance {extension()!r}" for extension in self._stopped if extension() is not None]
        return found + self.children.leaks()

    # ------------------------------------------------------------ installation

    def install(self, *, patch: bool = True) -> None:
        """Put the modules into `sys.modules`; from here on blocking calls and child processes are watched."""
        if patch:
            self._modules_before = {n: m for n, m in sys.modules.items() if _is_kit(n) or self._is_extension(n)}
            package = sys.modules.get(self.extension_folder.name)
            self._package_before = dict(vars(package)) if package else None
            self.children.install()
            self.block_guard.install()
        for module in self._modules().values():
            sys.modules[module.__name__] = module
        if self._absent:
            self.without(*self._absent)
        asyncio.set_event_loop(self.engine.loop)

    def uninstall(self) -> None:
        """Everything as it was before; processes that are left are killed. The fake cannot be used any more."""
        self._remove_modules()
        sys.modules.update({name: module for name, module in self._modules_before.items() if _is_kit(name)})
        self.block_guard.uninstall()
        self.children.uninstall()
        self.children.kill()
        self._shut_down()

    def _remove_modules(self) -> None:
        """No fake module, and no module of the extension that was imported since the installation.

        What was imported before works without Kit and stays, so that its classes are the ones the tests know.
        """
        for name in list(sys.modules):
            if _is_kit(name) or (self._is_extension(name) and name not in self._modules_before):
                del sys.modules[name]
        package = sys.modules.get(self.extension_folder.name)
        if package is not None and self._package_before is not None:
            vars(package).clear()
            vars(package).update(self._package_before)

    def _classes_of(self, module: dict[str, Any]) -> list[type[IExt]]:
        """Import a module that the extension names; the tests of an extension may be missing, Kit logs that."""
        try:
            return _extension_classes(_import_fresh(module["name"]))
        except ImportError as error:
            if module.get("public", True):
                raise
            self._log("error", f"Failed to import python module {module['name']}. Error: {error}.")
            return []

    def _is_extension(self, module: str) -> bool:
        return f"{module}.".startswith(f"{self.extension_folder.name}.")

    def _boot(self) -> None:
        omni_ui.SCREEN.clear()
        omni_ui.SCREEN.guarded = self._guarded
        dialogs.DIALOGS.clear()
        self.log: list[tuple[str, str]] = []
        self._enabled = {"omni.usd", "omni.kit.commands", "omni.kit.async_engine", *OPTIONAL} - self._absent
        self._settings = Settings(self._persistent)
        self.settings = SettingsView(self._settings)
        self.events = EventDispatcher()
        self.engine = AsyncEngine()
        self.commands = Commands(lambda text: self._log("error", text), self._guarded)
        self.menus = Menus()
        self.actions = ActionRegistry()
        self._notifications = dialogs.Notifications()
        self.context = UsdContext(self._emit)
        self.viewport = dialogs.Viewport(lambda: self.stage)
        folders = {self.extension_folder.name: self.extension_folder}
        self.iapp = IApp(self.kit_version, ExtensionManager(folders, self._enabled), self.engine.loop)
        self._tokens = Tokens({name: self.scratch / name for name in ("cache", "temp")})
        for name in ("cache", "temp"):
            (self.scratch / name).mkdir(parents=True, exist_ok=True)
        self.new_stage()

    def _shut_down(self) -> None:
        omni_ui.SCREEN.clear()
        self.engine.close(self.iapp._next_frame)
        asyncio.set_event_loop(None)
        self._persistent = {k: v for k, v in self._persistent.items() if k.startswith("/persistent/")}

    def _modules(self) -> dict[str, FakeModule]:
        modules: dict[str, FakeModule] = {}
        for name, value in self._exports().items():
            module, _, attribute = name.partition(":")
            _module(modules, module).__dict__[attribute] = value
        return modules

    def _exports(self) -> dict[str, Any]:
        """What the modules hold, by row of the list."""
        ui_test = UiTest(self.iapp, self._widget_in)
        functions: dict[str, Callable[..., Any]] = {
            "carb:log_info": lambda message: self._log("info", message),
            "carb:log_warn": lambda message: self._log("warning", message),
            "carb:log_error": lambda message: self._log("error", message),
            "carb.eventdispatcher:get_eventdispatcher": lambda: self.events,
            "carb.settings:get_settings": lambda: self._settings,
            "carb.tokens:get_tokens_interface": lambda: self._tokens,
            "omni.ext:get_extension_name": get_extension_name,
            "omni.kit.app:get_app": lambda: self.iapp,
            "omni.kit.async_engine:run_coroutine": self.engine.run_coroutine,
            "omni.usd:get_context": self._context_of,
            "omni.usd:get_stage_next_free_path": get_stage_next_free_path,
            "omni.kit.commands:execute": self.commands.execute,
            "omni.kit.commands:register_all_commands_in_module": self.commands.register_all,
            "omni.kit.commands:unregister_module_commands": self.commands.unregister_all,
            "omni.kit.undo:undo": self.commands.undo,
            "omni.kit.undo:begin_group": self.commands.begin_group,
            "omni.kit.undo:end_group": self.commands.end_group,
            "omni.kit.menu.utils:add_menu_items": self.menus.add,
            "omni.kit.menu.utils:remove_menu_items": self.menus.remove,
            "omni.kit.actions.core:get_action_registry": lambda: self.actions,
            "omni.kit.notification_manager:post_notification": self._notifications.post,
            "omni.kit.ui_test:find": ui_test.find,
            "omni.kit.ui_test:human_delay": ui_test.human_delay,
            "omni.kit.viewport.utility:get_active_viewport": self.viewport.get_active,
            "omni.kit.viewport.utility:frame_viewport_prims": self.viewport.frame,
        }
        values: dict[str, Any] = {
            "omni.ext:IExt": IExt,
            "omni.kit.app:GLOBAL_EVENT_UPDATE": UPDATE,
            "omni.kit.app:GLOBAL_EVENT_POST_QUIT": POST_QUIT,
            "omni.usd:StageEventType": StageEventType,
            "omni.kit.commands:Command": Command,
            "omni.kit.menu.utils:MenuItemDescription": MenuItemDescription,
            "omni.kit.test:AsyncTestCase": AsyncTestCase,
            "omni.kit.window.filepicker:FilePickerDialog": dialogs.FilePickerDialog,
            "omni.kit.notification_manager:NotificationStatus": dialogs.NotificationStatus,
            "omni.kit.notification_manager:NotificationButtonInfo": dialogs.NotificationButtonInfo,
            **{f"omni.ui:{name}": value for name, value in omni_ui.EXPORTS.items()},
        }
        checked = {name: listed(name, method=False)(function) for name, function in functions.items()}
        return {**checked, **values}

    def _log(self, level: str, message: str) -> None:
        if not isinstance(message, str):
            raise TypeError(f"a log message is a text, not {message!r}")
        self.log.append((level, message))

    def _widget_in(self, window: str, identifier: str) -> WidgetDriver | None:
        frame = self.windows[window].frame if window in self.windows else None
        return self.widget(identifier) if frame and any(w.identifier == identifier for w in frame._walk()) else None

    def _context_of(self, name: str = "") -> UsdContext:
        assert name == "", "only the default context is faked"
        return self.context

    # ------------------------------------------------------------ frames

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        with self.block_guard.watching():
            yield

    def _emit(self, event_name: str) -> None:
        with self._guarded():
            _raise_first(self.events._dispatch(event_name))

    def _frame(self) -> None:
        assert not self._in_frame, "a frame inside a frame: the extension pumps the application from a callback"
        self._in_frame = True
        try:
            with self._guarded():
                errors = self.events._dispatch(UPDATE)
                self.iapp._next_frame()
                errors += self.engine.iterate() + omni_ui.SCREEN.draw()
        finally:
            self._in_frame = False
        _raise_first(errors)

    def _pump_until(self, done: Callable[[], object], timeout_s: float, sleep_s: float) -> None:
        end = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < end, f"still not so after {timeout_s} s of frames"
            self._frame()
            time.sleep(sleep_s)

    def _extension_toml(self) -> dict[str, Any]:
        return tomllib.loads((self.extension_folder / "config" / "extension.toml").read_text(encoding="utf-8"))


def _raise_first(errors: list[BaseException]) -> None:
    if errors:
        raise errors[0]


def _module(modules: dict[str, FakeModule], name: str) -> FakeModule:
    """The module of a dotted name, hung below its parents."""
    if name not in modules:
        modules[name] = FakeModule(name)
        parent, _, child = name.rpartition(".")
        if parent:
            _module(modules, parent).__dict__[child] = modules[name]
    return modules[name]


def _is_kit(name: str) -> bool:
    return table().is_package(name.split(".")[0])


def _import_fresh(name: str) -> ModuleType:
    """Import a module as Kit does at enabling; one that was imported without Kit is executed again."""
    module = sys.modules.get(name)
    return importlib.reload(module) if module is not None else importlib.import_module(name)


def _extension_classes(module: ModuleType) -> list[type[IExt]]:
    members = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, IExt)]
    return [member for member in members if member is not IExt]


def _leaves(values: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}/{name}")
        else:
            yield f"{path}/{name}", value
