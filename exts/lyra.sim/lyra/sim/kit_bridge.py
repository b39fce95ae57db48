# SPDX-License-Identifier: Apache-2.0
"""Kit as a host of a session: log, settings, notifications, selection, framing, commands, events.

The only module that knows Kit's events. All of it runs on the main thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import carb
import carb.eventdispatcher
import carb.settings
import carb.tokens
import omni.kit.app
import omni.kit.async_engine
import omni.kit.commands
import omni.kit.undo
import omni.usd

from ._process import scrubbed_environment
from .commands import refusals
from .errors import LyraSimError
from .stage.places import require_editable_target, require_stage

if TYPE_CHECKING:
    from pxr import Usd

    from .host import Button
    from .stage_ops import Spawned, SpawnRequest

LOAD_FRAMES = 300
NOTIFICATION_S = 8

_LOG = {"info": carb.log_info, "warning": carb.log_warn, "error": carb.log_error}


class KitHost:
    """`host.Host` inside Kit."""

    def __init__(self) -> None:
        self._guards: list[Any] = []
        self._openers: list[subprocess.Popen[bytes]] = []
        self._framing: asyncio.Task[None] | concurrent.futures.Future[None] | None = None

    # ------------------------------------------------------------------------------------------------------- events

    def observe(
        self,
        *,
        on_update: Callable[[], None],
        on_quit: Callable[[], None],
        on_stage_opened: Callable[[], None],
        on_stage_closing: Callable[[], None],
    ) -> None:
        """Subscribe to the frame, to the end of the application and to the stage; `close` ends it."""
        stage_event = omni.usd.get_context().stage_event_name
        for name, callback in (
            (omni.kit.app.GLOBAL_EVENT_UPDATE, on_update),
            (omni.kit.app.GLOBAL_EVENT_POST_QUIT, on_quit),
            (stage_event(omni.usd.StageEventType.OPENED), on_stage_opened),
            (stage_event(omni.usd.StageEventType.CLOSING), on_stage_closing),
        ):
            self._guards.append(_observed(name, callback))

    def close(self) -> None:
        """Drop the subscriptions and what still waits for a frame."""
        self.cancel_framing()
        self._reap_openers()
        for guard in self._guards:
            guard.reset()
        self._guards.clear()

    async def next_frame(self) -> None:
        """Wait for Kit's next update."""
        await omni.kit.app.get_app().next_update_async()

    # ------------------------------------------------------------------------------------------------------- texts

    def log(self, level: str, text: str) -> None:
        """Kit's log, with our name in front."""
        _LOG[level](f"[lyra.sim] {text}")

    def notify(self, text: str, *, warning: bool = False, button: Button | None = None) -> None:
        """A notification in the corner of the window; a log line in head-less applications."""
        self.log("warning" if warning else "info", text)
        try:
            from omni.kit.notification_manager import NotificationButtonInfo, NotificationStatus, post_notification
        except ImportError:
            return
        post_notification(
            text,
            hide_after_timeout=button is None,
            duration=NOTIFICATION_S,
            status=NotificationStatus.WARNING if warning else NotificationStatus.INFO,
            button_infos=[NotificationButtonInfo(button[0], on_complete=button[1])] if button else [],
        )

    # ------------------------------------------------------------------------------------------------------- stage

    def stage(self) -> Usd.Stage | None:
        """The stage of the default context."""
        return omni.usd.get_context().get_stage()

    def stage_url(self) -> str:
        """Where that stage is stored."""
        return omni.usd.get_context().get_stage_url() or "" if self.stage() else ""

    def kit_version(self) -> str | None:
        """For example `110.1.2`."""
        return omni.kit.app.get_app().get_kit_version()

    def spawn(self, request: SpawnRequest) -> Spawned:
        """Run the command LyraSpawnScene; the scene is selected."""
        return self._execute(
            "LyraSpawnScene",
            usd_path=str(request.usd_file),
            prim_path=request.prim_path,
            translate=request.translate,
            rotate_xyz_deg=request.rotate_xyz_deg,
            scale=request.scale,
            encoding=request.encoding,
            collision=request.collision,
            sensors=request.sensors,
            visible=request.visible,
            provenance=request.provenance,
        )

    def add_physics_scene(self) -> None:
        """Run the command LyraAddPhysicsScene."""
        self._execute("LyraAddPhysicsScene")

    def _execute(self, command: str, **values: Any) -> Any:
        """Run a command as one step of the undo history; what it raises arrives as LyraSimError."""
        require_editable_target(require_stage(self.stage()))  # Kit would log an error for what is only a wrong layer
        omni.kit.undo.begin_group()
        try:
            done, result = omni.kit.commands.execute(command, **values)
        finally:
            omni.kit.undo.end_group()
        if not done:
            raise LyraSimError(refusals.pop() if refusals else f"{command} failed. The reason is in Kit's console.")
        return result

    def frame(self, prim_path: str) -> None:
        """Frame a prim once the stage has loaded; nothing happens without a viewport."""
        self.cancel_framing()
        self._framing = omni.kit.async_engine.run_coroutine(self._frame_when_loaded(prim_path))

    async def _frame_when_loaded(self, prim_path: str) -> None:
        """Gaussians have no extent before their file is read. Bounded, because some stages load for ever."""
        try:
            from omni.kit.viewport.utility import frame_viewport_prims, get_active_viewport
        except ImportError:
            return
        context = omni.usd.get_context()
        for _ in range(LOAD_FRAMES):
            await self.next_frame()
            _, _, still_loading = context.get_stage_loading_status()
            if not still_loading:
                break
        stage, viewport = context.get_stage(), get_active_viewport()
        if viewport and stage and stage.GetPrimAtPath(prim_path):
            frame_viewport_prims(viewport, prims=[prim_path])

    def cancel_framing(self) -> None:
        """Forget a prim that waits to be framed."""
        if self._framing:
            self._framing.cancel()
        self._framing = None

    # ------------------------------------------------------------------------------------------------ the computer

    def cache_folder(self) -> Path:
        """Kit's cache."""
        return Path(carb.tokens.get_tokens_interface().resolve("${cache}"))

    def environ(self) -> Mapping[str, str]:
        """Environment of the Kit process."""
        return os.environ

    def open_folder(self, path: Path) -> None:
        """The desktop's file manager, started without Kit's library paths."""
        if sys.platform == "win32":
            os.startfile(path)
            return
        self._reap_openers()
        opener = "open" if sys.platform == "darwin" else "xdg-open"
        try:
            process = subprocess.Popen(
                [opener, str(path)],
                env=scrubbed_environment(os.environ, ""),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self.notify(f"{path}")
        else:
            self._openers.append(process)

    def _reap_openers(self) -> None:
        """A program that opened a folder is not ours to end; one that is gone is forgotten."""
        self._openers = [opener for opener in self._openers if opener.poll() is None]

    def get_setting(self, path: str) -> Any:
        """A value of Kit's settings."""
        return carb.settings.get_settings().get(path)

    def set_setting(self, path: str, value: Any) -> None:
        """Set a value; what is below /persistent survives a restart."""
        carb.settings.get_settings().set(path, value)


def _observed(name: str, callback: Callable[[], None]) -> Any:
    return carb.eventdispatcher.get_eventdispatcher().observe_event(
        observer_name=f"lyra.sim:{name}", event_name=name, on_event=lambda event: callback()
    )
