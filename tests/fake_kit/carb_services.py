# SPDX-License-Identifier: Apache-2.0
"""Fakes of `carb`: log, settings, tokens and the event dispatcher."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fake_kit.strict import Strict, listed


class Settings(Strict):
    """`carb.settings`: leaf paths to plain values; what lies below /persistent survives a restart."""

    symbol = "carb.settings:ISettings"

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        self._defaults: dict[str, Any] = {}

    @listed("carb.settings:ISettings.get")
    def get(self, path: str) -> Any:
        """The value, or None for a path that nobody set."""
        _check_path(path)
        return self._values.get(path, self._defaults.get(path))

    @listed("carb.settings:ISettings.set")
    def set(self, path: str, value: Any) -> None:
        """Set a plain value."""
        _check_path(path)
        self._values[path] = _plain(path, value)

    @listed("carb.settings:ISettings.set_default")
    def set_default(self, path: str, value: Any) -> None:
        """Value of a path until somebody sets it."""
        _check_path(path)
        self._defaults[path] = _plain(path, value)


class SettingsView(Mapping[str, Any]):
    """The settings as a test sees them: a dictionary."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __getitem__(self, path: str) -> Any:
        value = self._settings.get(path)
        if value is None:
            raise KeyError(path)
        return value

    def __setitem__(self, path: str, value: Any) -> None:
        self._settings.set(path, value)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._settings._defaults, **self._settings._values})

    def __len__(self) -> int:
        return len({**self._settings._defaults, **self._settings._values})


def _check_path(path: str) -> None:
    if not isinstance(path, str) or not path.startswith("/"):
        raise TypeError(f"a settings path starts with a slash: {path!r}")


def _plain(path: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(path, item) for item in value]
    if not isinstance(value, bool | int | float | str):
        raise TypeError(f"{path}: settings hold bool, int, float, str and lists of them, not {type(value).__name__}")
    return value


class Tokens(Strict):
    """`carb.tokens`: the two tokens that name a writable folder."""

    symbol = "carb.tokens:ITokens"

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = {f"${{{name}}}": str(folder) for name, folder in folders.items()}

    @listed("carb.tokens:ITokens.resolve")
    def resolve(self, text: str) -> str:
        """The text with ${cache} and ${temp} replaced."""
        for token, folder in self._folders.items():
            text = text.replace(token, folder)
        if "${" in text:
            raise ValueError(f"only {' and '.join(self._folders)} are known in every Kit application: {text}")
        return text


class Event(Strict):
    """What an observer is handed; we read nothing from it."""

    symbol = "carb.eventdispatcher:Event"


class ObserverGuard(Strict):
    """Keeps an observer alive: dropped or reset, the observer is gone."""

    symbol = "carb.eventdispatcher:ObserverGuard"

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = weakref.finalize(self, forget)

    @listed("carb.eventdispatcher:ObserverGuard.reset")
    def reset(self) -> None:
        """Stop observing."""
        self._forget()


class EventDispatcher(Strict):
    """`carb.eventdispatcher`: observers by the name of their event, in the order they asked for."""

    symbol = "carb.eventdispatcher:IEventDispatcher"

    def __init__(self) -> None:
        self._observers: dict[int, tuple[int, str, str, Callable[[Event], object]]] = {}
        self._next = 0

    @listed("carb.eventdispatcher:IEventDispatcher.observe_event")
    def observe_event(
        self,
        *,
        observer_name: str,
        event_name: str,
        on_event: Callable[[Event], object],
        order: int = 0,
        filter: object = None,
    ) -> ObserverGuard:
        """Call a function at every event of a name, until the guard is dropped."""
        key, self._next = self._next, self._next + 1
        observers = self._observers
        observers[key] = (order, event_name, observer_name, on_event)
        return ObserverGuard(lambda: observers.pop(key, None) and None)

    def _dispatch(self, event_name: str) -> list[BaseException]:
        """Call the observers of an event; one that fails does not keep the others from it, as in Kit."""
        errors: list[BaseException] = []
        for _order, name, _observer, on_event in sorted(self._observers.values(), key=lambda entry: entry[0]):
            if name == event_name:
                try:
                    on_event(Event())
                except BaseException as error:
                    errors.append(error)
        return errors

    def _names(self) -> list[str]:
        return [observer for _order, _event, observer, _function in self._observers.values()]
