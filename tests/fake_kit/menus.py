# SPDX-License-Identifier: Apache-2.0
"""Fakes of `omni.kit.menu.utils` and `omni.kit.actions.core`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fake_kit.strict import Strict, listed


class MenuItemDescription(Strict):
    """One entry of a menu."""

    symbol = "omni.kit.menu.utils:MenuItemDescription"

    @listed("omni.kit.menu.utils:MenuItemDescription")
    def __init__(self, **kwargs: Any) -> None:
        self._name: str = kwargs.get("name", "")
        self._sub_menu: list[MenuItemDescription] = kwargs.get("sub_menu") or []
        self._onclick_fn: Callable[[], object] | None = kwargs.get("onclick_fn")
        self._onclick_action: tuple[str, str] | None = kwargs.get("onclick_action")
        self._ticked_fn: Callable[[], bool] | None = kwargs.get("ticked_fn")


class Menus:
    """What the menu bar shows: lists of entries, taken away by the same list that was added."""

    def __init__(self) -> None:
        self.added: list[tuple[str, list[MenuItemDescription]]] = []

    def add(self, items: list[MenuItemDescription], menu_name: str) -> None:
        """Add entries to a menu."""
        if not isinstance(items, list):
            raise TypeError("menu entries come as a list")
        self.added.append((menu_name, items))

    def remove(self, items: list[MenuItemDescription], menu_name: str) -> None:
        """Take entries away; it must be the list that was added."""
        for index, (name, added) in enumerate(self.added):
            if name == menu_name and added is items:
                del self.added[index]
                return
        raise ValueError(f"this list of entries was never added to the menu {menu_name}")

    def items(self) -> dict[str, MenuItemDescription]:
        """Every entry by its path: "Window/Lyra"."""
        return {path: item for name, items in self.added for path, item in _paths(name, items)}


def _paths(menu: str, items: list[MenuItemDescription]) -> list[tuple[str, MenuItemDescription]]:
    found = []
    for item in items:
        path = f"{menu}/{item._name}"
        found += _paths(path, item._sub_menu) if item._sub_menu else [(path, item)]
    return found


class ActionRegistry(Strict):
    """Actions by extension and name."""

    symbol = "omni.kit.actions.core:ActionRegistry"

    def __init__(self) -> None:
        self._actions: dict[tuple[str, str], Callable[[], object]] = {}

    @listed("omni.kit.actions.core:ActionRegistry.register_action")
    def register_action(
        self,
        ext_id: str,
        action_id: str,
        fn: Callable[[], object],
        /,
        *,
        display_name: str = "",
        description: str = "",
    ) -> None:
        """Register an action."""
        if (ext_id, action_id) in self._actions:
            raise ValueError(f"action {action_id} of {ext_id} is registered already")
        self._actions[ext_id, action_id] = fn

    @listed("omni.kit.actions.core:ActionRegistry.deregister_all_actions_for_extension")
    def deregister_all_actions_for_extension(self, ext_id: str) -> None:
        """Drop the actions of an extension."""
        for key in [key for key in self._actions if key[0] == ext_id]:
            del self._actions[key]
