# SPDX-License-Identifier: Apache-2.0
"""Fakes of `omni.kit.commands` and `omni.kit.undo`: commands by name, an undo stack with groups, and redo."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from fake_kit.strict import Strict

Guarded = Callable[[], contextlib.AbstractContextManager[None]]


class Command(Strict):
    """Base class of a command: `do` acts and gives a value, `undo` takes it back."""

    symbol = "omni.kit.commands:Command"

    def do(self) -> Any:
        """Act."""
        raise NotImplementedError

    def undo(self) -> None:
        """Take it back."""


class Commands:
    """Registered commands and what was executed."""

    def __init__(self, log_error: Callable[[str], None], guarded: Guarded) -> None:
        self.registered: dict[str, type[Command]] = {}
        self._log_error = log_error
        self._guarded = guarded
        self._undo: list[list[Command]] = []
        self._redo: list[list[Command]] = []
        self._group: list[Command] | None = None
        self._depth = 0
        self._executing = False

    def register_all(self, module: ModuleType) -> None:
        """Register every command class of a module."""
        for command in _commands_of(module):
            self.registered[_short_name(command.__name__)] = command

    def unregister_all(self, module: ModuleType) -> None:
        """Drop the command classes of a module."""
        for command in _commands_of(module):
            self.registered.pop(_short_name(command.__name__), None)

    def execute(self, name: str, /, **kwargs: Any) -> tuple[bool, Any]:
        """Execute a command: (True, what `do` gave), or (False, None) when it failed, which is logged."""
        if self._executing:
            raise RuntimeError(f"{name} is executed inside `do` of another command: call the function it wraps")
        command_class = self.registered.get(_short_name(name))
        if command_class is None:
            self._log_error(f"Can't execute command: {name}, it wasn't registered or ambiguous.")
            return False, None
        command = command_class(**kwargs)
        try:
            with self._running():
                value = command.do()
        except Exception as error:
            self._log_error(f"Failed to execute a command: {name}.\n{type(error).__name__}: {error}")
            return False, None
        self._remember(command)
        return True, value

    def begin_group(self) -> None:
        """What is executed until `end_group` is undone at once."""
        self._depth += 1
        if self._group is None:
            self._group = []

    def end_group(self) -> None:
        """End a group."""
        if not self._depth:
            raise RuntimeError("end_group without begin_group")
        self._depth -= 1
        if not self._depth and self._group is not None:
            group, self._group = self._group, None
            if group:
                self._undo.append(group)

    def undo(self) -> bool:
        """Undo the last command or group; False: there is none."""
        if not self._undo:
            return False
        entry = self._undo.pop()
        with self._running():
            for command in reversed(entry):
                command.undo()
        self._redo.append(entry)
        return True

    def redo(self) -> bool:
        """Do again what was undone last; False: there is nothing."""
        if not self._redo:
            return False
        entry = self._redo.pop()
        with self._running():
            for command in entry:
                command.do()
        self._undo.append(entry)
        return True

    @property
    def open_groups(self) -> int:
        """Groups that were begun and not ended."""
        return self._depth

    @property
    def history(self) -> list[str]:
        """Names of the commands that can be undone, oldest first."""
        return [_short_name(type(command).__name__) for entry in self._undo for command in entry]

    def clear(self) -> None:
        """Forget what was executed."""
        self._undo.clear()
        self._redo.clear()

    def _remember(self, command: Command) -> None:
        if type(command).undo is Command.undo:
            return  # a command that cannot be undone leaves the stack alone
        self._redo.clear()
        if self._group is not None:
            self._group.append(command)
        else:
            self._undo.append([command])

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        self._executing = True
        try:
            with self._guarded():
                yield
        finally:
            self._executing = False


def _commands_of(module: ModuleType) -> list[type[Command]]:
    members = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Command)]
    return [member for member in members if member is not Command and member.__module__ == module.__name__]


def _short_name(name: str) -> str:
    return name.removesuffix("Command")
