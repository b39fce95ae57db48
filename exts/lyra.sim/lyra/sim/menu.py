# SPDX-License-Identifier: Apache-2.0
"""How users reach the window: the menu entry, an action for hot keys, and layouts that were saved with it open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MENU = "Window"
ACTION = "toggle_window"


class WindowMenu:
    """The entry `Window > <title>` of one window.

    Args:
        extension: Name of the extension, which owns the action.
        title: Of the window and of the entry.
        show: Shows the window or hides it.
        is_shown: Whether it is shown now.

    Raises:
        ImportError: In applications without windows.
    """

    def __init__(self, extension: str, title: str, show: Callable[[bool], None], is_shown: Callable[[], bool]) -> None:
        import omni.kit.menu.utils
        import omni.ui

        self._extension = extension
        self._title = title
        self._has_action = self._register_action(lambda: show(not is_shown()))
        self._items = [
            omni.kit.menu.utils.MenuItemDescription(
                name=title, ticked=True, ticked_fn=is_shown, **self._on_click(lambda: show(not is_shown()))
            )
        ]
        omni.kit.menu.utils.add_menu_items(self._items, MENU)
        omni.ui.Workspace.set_show_window_fn(title, show)

    def close(self) -> None:
        """Remove everything again."""
        import omni.kit.menu.utils
        import omni.ui

        omni.kit.menu.utils.remove_menu_items(self._items, MENU)
        omni.ui.Workspace.set_show_window_fn(self._title, None)
        self._items = []
        if self._has_action:
            import omni.kit.actions.core

            omni.kit.actions.core.get_action_registry().deregister_all_actions_for_extension(self._extension)

    def _register_action(self, toggle: Callable[[], None]) -> bool:
        try:
            import omni.kit.actions.core
        except ImportError:
            return False
        omni.kit.actions.core.get_action_registry().register_action(
            self._extension,
            ACTION,
            toggle,
            display_name=f"Show or hide {self._title}",
            description="The window that generates scenes from text or images.",
        )
        return True

    def _on_click(self, toggle: Callable[[], None]) -> dict[str, Any]:
        """An action where there are actions: menus show its hot key."""
        return {"onclick_action": (self._extension, ACTION)} if self._has_action else {"onclick_fn": toggle}
