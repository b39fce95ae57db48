# SPDX-License-Identifier: Apache-2.0
"""What a session needs from the application around it: Kit (`kit_bridge.KitHost`) or plain Python (`PlainHost`)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .errors import LyraSimError

if TYPE_CHECKING:
    from pxr import Usd

    from .stage_ops import Spawned, SpawnRequest

Button = tuple[str, Callable[[], None]]
"""Label of a button on a notification, and what it does."""


class Host(Protocol):
    """The application a session runs in. Every method is called on the main thread and returns at once."""

    def log(self, level: str, text: str) -> None:
        """Write a line to the application's log; `level` is info, warning or error."""

    def notify(self, text: str, *, warning: bool = False, button: Button | None = None) -> None:
        """Show a short message that goes away by itself."""

    def stage(self) -> Usd.Stage | None:
        """The stage that is open now."""

    def stage_url(self) -> str:
        """Where the open stage is stored; empty without a stage."""

    def kit_version(self) -> str | None:
        """Version of Kit such as `110.1.2`, None outside of Kit."""

    def spawn(self, request: SpawnRequest) -> Spawned:
        """Spawn on the open stage and select, as one step of the undo history; LyraSimError if that is refused."""

    def add_physics_scene(self) -> None:
        """Add a physics scene to the open stage as one step of the undo history."""

    def frame(self, prim_path: str) -> None:
        """Point the viewport at a prim as soon as it is loaded."""

    def cache_folder(self) -> Path:
        """A writable folder for what can be made again."""

    def environ(self) -> Mapping[str, str]:
        """Environment variables of the application."""

    def open_folder(self, path: Path) -> None:
        """Show a folder in the desktop's file manager."""

    def get_setting(self, path: str) -> Any:
        """A stored setting, None if it was never set."""

    def set_setting(self, path: str, value: Any) -> None:
        """Store a setting."""

    async def next_frame(self) -> None:
        """Come back after the application had time to draw."""


class PlainHost:
    """A Python process without Kit: no stage, log lines through `logging`, settings that live as long as the process.

    Args:
        settings: Values of settings by their path, for example `/persistent/exts/lyra.sim/worker_python`.
        environ: Environment variables; those of this process by default.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._settings: dict[str, Any] = dict(settings or {})
        self._environ = os.environ if environ is None else environ
        self._logger = logging.getLogger("lyra.sim")

    def log(self, level: str, text: str) -> None:
        """Write to the logger `lyra.sim`."""
        self._logger.log(getattr(logging, level.upper()), text)

    def notify(self, text: str, *, warning: bool = False, button: Button | None = None) -> None:
        """A log line; there is nowhere to show a button."""
        self.log("warning" if warning else "info", text)

    def stage(self) -> None:
        """None."""

    def stage_url(self) -> str:
        """Empty."""
        return ""

    def kit_version(self) -> None:
        """None."""

    def spawn(self, request: SpawnRequest) -> Spawned:
        """Refused: there is no open stage."""
        raise LyraSimError(
            "No stage is open because this is not Kit. Pass a pxr stage: lyra.sim.api.spawn(scene, stage=stage)."
        )

    def add_physics_scene(self) -> None:
        """Refused: there is no open stage."""
        raise LyraSimError("No stage is open because this is not Kit.")

    def frame(self, prim_path: str) -> None:
        """Nothing to frame."""

    def cache_folder(self) -> Path:
        """The user's cache folder."""
        return Path(self._environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")

    def environ(self) -> Mapping[str, str]:
        """Environment variables of this process."""
        return self._environ

    def open_folder(self, path: Path) -> None:
        """A log line with the path."""
        self.log("info", f"{path}")

    def get_setting(self, path: str) -> Any:
        """A value that was given or set before."""
        return self._settings.get(path)

    def set_setting(self, path: str, value: Any) -> None:
        """Remember a value for this process."""
        self._settings[path] = value

    async def next_frame(self) -> None:
        """A short pause."""
        await asyncio.sleep(0.02)
