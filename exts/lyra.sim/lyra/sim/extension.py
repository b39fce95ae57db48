# SPDX-License-Identifier: Apache-2.0
"""Start and stop inside Kit: session, commands, events, the menu entry Window > Lyra and its window."""

from __future__ import annotations

import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import omni.ext
import omni.kit.app
import omni.kit.commands

from . import api, commands
from ._paths import EXTENSION_FOLDER
from .kit_bridge import KitHost
from .menu import WindowMenu
from .session import Session

if TYPE_CHECKING:
    from .ui.window import LyraWindow

WINDOW_TITLE = "Lyra"


class LyraSimExtension(omni.ext.IExt):
    """Kit makes one of these when the extension is enabled. Starting returns at once: no process, no file is read."""

    def on_startup(self, ext_id: str) -> None:
        """Wire everything up; the window is built when it is shown for the first time."""
        self._session: Session | None = None
        self._window: LyraWindow | None = None
        self._menu: WindowMenu | None = None
        self._host = KitHost()
        problem = _foreign_code(ext_id)
        if problem:
            self._host.log("error", problem)
            return
        self._session = Session(self._host)
        api.attach(self._session)
        omni.kit.commands.register_all_commands_in_module(commands)
        me = weakref.proxy(self)
        self._host.observe(
            on_update=lambda: me._on_update(),
            on_quit=lambda: me._on_quit(),
            on_stage_opened=lambda: me._on_stage_opened(),
            on_stage_closing=lambda: me._on_stage_closing(),
        )
        try:
            self._menu = WindowMenu(
                omni.ext.get_extension_name(ext_id),
                WINDOW_TITLE,
                show=lambda visible: me.show_window(visible),
                is_shown=lambda: me.is_window_shown(),
            )
        except ImportError:
            self._host.log("info", "This application has no windows. Use lyra.sim.api from scripts.")
        if self._menu and self._session.settings.show_on_startup:
            self.show_window(True)

    def on_shutdown(self) -> None:
        """Take back what `on_startup` did, so that the extension can start again in the same process."""
        if self._session is None:
            return
        self._host.cancel_framing()
        self._session.close()
        self._host.close()
        if self._menu:
            self._menu.close()
        omni.kit.commands.unregister_module_commands(commands)
        if self._window:
            self._window.destroy()
        api.detach()
        self._window = self._menu = self._session = None

    def show_window(self, visible: bool) -> None:
        """Show the window or hide it."""
        if self._session is None:
            return
        if self._window is None and visible:
            from .ui.window import LyraWindow

            self._window = LyraWindow(self._session)
        if self._window:
            self._window.visible = visible

    def is_window_shown(self) -> bool:
        """Whether the window is shown."""
        return self._window is not None and self._window.visible

    def _on_update(self) -> None:
        if self._session:
            self._session.tick(time.monotonic())

    def _on_quit(self) -> None:
        """Applications that end fast never call `on_shutdown`."""
        if self._session:
            self._session.close()

    def _on_stage_opened(self) -> None:
        if self._session:
            self._session.stage_opened()

    def _on_stage_closing(self) -> None:
        self._host.cancel_framing()
        if self._session:
            self._session.stage_closing()


def _foreign_code(ext_id: str) -> str:
    """Why this is not the code of the extension that was enabled; empty if it is.

    `lyra` is a namespace package: another package of that name, or a second copy of this extension, may come first on
    Python's path.
    """
    enabled = Path(omni.kit.app.get_app().get_extension_manager().get_extension_path(ext_id)).resolve()
    if enabled == EXTENSION_FOLDER:
        return ""
    return (
        f"{enabled} was enabled, but Python found lyra.sim in {EXTENSION_FOLDER}. Nothing was started. "
        f"Remove the one you do not want from Python's path or from the extension search paths, then restart."
    )
