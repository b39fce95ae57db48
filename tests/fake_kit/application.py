# SPDX-License-Identifier: Apache-2.0
"""Fakes of `omni.kit.app`, `omni.ext` and `omni.kit.async_engine`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from fake_kit.strict import Strict, listed

UPDATE = "fake:omni.kit.app:update"
POST_QUIT = "fake:omni.kit.app:post_quit"
FRAME_S = 1 / 60
CLOSING_FRAMES = 10


class IExt(Strict):
    """Base class of an extension."""

    symbol = "omni.ext:IExt"

    def on_startup(self, ext_id: str) -> None:
        """Called when the extension is enabled."""

    def on_shutdown(self) -> None:
        """Called when the extension is disabled."""


def get_extension_name(ext_id: str) -> str:
    """Name of a full extension id: "lyra.sim-0.1.0" gives "lyra.sim"."""
    return ext_id.split("-")[0]


class ExtensionManager(Strict):
    """Knows which extensions are on and where they lie."""

    symbol = "omni.ext:ExtensionManager"

    def __init__(self, folders: dict[str, Path], enabled: set[str]) -> None:
        self._folders = folders
        self._enabled = enabled

    @listed("omni.ext:ExtensionManager.get_extension_path")
    def get_extension_path(self, ext_id: str) -> str:
        """Folder of an extension."""
        return str(self._folders[get_extension_name(ext_id)])

    @listed("omni.ext:ExtensionManager.is_extension_enabled")
    def is_extension_enabled(self, name: str) -> bool:
        """Whether an extension is on."""
        return name in self._enabled


class IApp(Strict):
    """The application."""

    symbol = "omni.kit.app:IApp"

    def __init__(self, version: str, extensions: ExtensionManager, loop: asyncio.AbstractEventLoop) -> None:
        self._version = version
        self._extensions = extensions
        self._loop = loop
        self._waiting: list[asyncio.Future[float]] = []

    @listed("omni.kit.app:IApp.get_extension_manager")
    def get_extension_manager(self) -> ExtensionManager:
        """The extensions."""
        return self._extensions

    @listed("omni.kit.app:IApp.get_kit_version")
    def get_kit_version(self) -> str:
        """Version such as "110.1.2+release"."""
        return self._version

    @listed("omni.kit.app:IApp.next_update_async")
    async def next_update_async(self) -> float:
        """Wait for the next frame; gives the seconds that went by."""
        future = self._loop.create_future()
        self._waiting.append(future)
        return await future

    def _next_frame(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(FRAME_S)


class AsyncEngine:
    """`omni.kit.async_engine`: one iteration of the event loop per frame, on the main thread."""

    _run_forever = asyncio.BaseEventLoop.run_forever  # Kit's own use of it, which the block guard does not see

    def __init__(self) -> None:
        self.loop: Any = asyncio.new_event_loop()
        self.loop.set_exception_handler(self._note)
        self._lost: list[BaseException] = []
        self._main = threading.current_thread()

    def run_coroutine(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | concurrent.futures.Future[Any]:
        """Start a coroutine: a task on the main thread, a concurrent future on any other."""
        if threading.current_thread() is self._main:
            return self.loop.create_task(coroutine)
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def iterate(self) -> list[BaseException]:
        """Run what is ready now, once; gives the errors that nobody waited for."""
        self.loop.call_soon(self.loop.stop)
        AsyncEngine._run_forever(self.loop)
        lost, self._lost = self._lost, []
        return lost

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._lost.append(context.get("exception") or RuntimeError(context["message"]))

    def pending(self) -> list[str]:
        """Coroutines that have not ended."""
        return [str(task.get_coro()) for task in asyncio.all_tasks(self.loop) if not task.done()]

    def close(self, next_frame: Callable[[], None]) -> None:
        """Cancel what runs, let a few frames go by for it to end, and close the loop whether it did or not."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        for _frame in range(CLOSING_FRAMES):
            next_frame()
            self.iterate()
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # `pending` has reported it
        self.loop.close()
