# SPDX-License-Identifier: Apache-2.0
"""Fakes of the file dialog, the notifications and the viewport."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from fake_kit.strict import Strict, listed

DIALOGS: list[weakref.ref[FilePickerDialog]] = []


class FilePickerDialog(Strict):
    """A file dialog; nothing but its owner keeps it alive."""

    symbol = "omni.kit.window.filepicker:FilePickerDialog"

    @listed("omni.kit.window.filepicker:FilePickerDialog")
    def __init__(self, title: str, **kwargs: Any) -> None:
        self._title = title
        self._options = kwargs
        self._shown = False
        self._directory = ""
        self._filename = ""
        DIALOGS.append(weakref.ref(self))

    @listed("omni.kit.window.filepicker:FilePickerDialog.show")
    def show(self, path: str | None = None) -> None:
        """Open the dialog."""
        self._shown = True
        self._directory = path or self._directory

    @listed("omni.kit.window.filepicker:FilePickerDialog.hide")
    def hide(self) -> None:
        """Close the dialog; it can be shown again."""
        self._shown = False

    @listed("omni.kit.window.filepicker:FilePickerDialog.destroy")
    def destroy(self) -> None:
        """Close for good."""
        self._shown = False
        DIALOGS[:] = [dialog for dialog in DIALOGS if dialog() not in (None, self)]

    @listed("omni.kit.window.filepicker:FilePickerDialog.set_filename")
    def set_filename(self, filename: str) -> None:
        """Name in the field."""
        self._filename = filename

    @listed("omni.kit.window.filepicker:FilePickerDialog.set_current_directory")
    def set_current_directory(self, path: str) -> None:
        """Folder that is shown."""
        self._directory = path


def open_dialogs() -> list[FilePickerDialog]:
    """Dialogs that live and were not destroyed."""
    return [dialog for dialog in (reference() for reference in DIALOGS) if dialog is not None]


class FileItem(NamedTuple):
    """What a filter of the file dialog is asked about."""

    name: str
    path: str
    is_folder: bool


class NotificationStatus(Enum):
    """The two kinds of notification."""

    WARNING = 0
    INFO = 1


class NotificationButtonInfo(Strict):
    """A button of a notification."""

    symbol = "omni.kit.notification_manager:NotificationButtonInfo"

    @listed("omni.kit.notification_manager:NotificationButtonInfo")
    def __init__(self, text: str, on_complete: Callable[[], object] | None = None) -> None:
        self._text = text
        self._on_complete = on_complete


class Notification(NamedTuple):
    """A notification that was shown."""

    text: str
    status: NotificationStatus
    buttons: tuple[NotificationButtonInfo, ...]


class Notifications:
    """`omni.kit.notification_manager`."""

    def __init__(self) -> None:
        self.shown: list[Notification] = []

    def post(
        self,
        text: str,
        hide_after_timeout: bool = True,
        duration: int = 3,
        status: NotificationStatus = NotificationStatus.INFO,
        button_infos: Sequence[NotificationButtonInfo] = (),
    ) -> None:
        """Show a notification."""
        if not isinstance(status, NotificationStatus):
            raise TypeError(f"status is a NotificationStatus, not {status!r}")
        self.shown.append(Notification(text, status, tuple(button_infos)))


class Viewport:
    """`omni.kit.viewport.utility`: one viewport, and what was framed in it."""

    def __init__(self, stage: Callable[[], Any]) -> None:
        self.api: object | None = object()
        self.framed: list[str] = []
        self._stage = stage

    def get_active(self) -> object | None:
        """The viewport, or None without one."""
        return self.api

    def frame(self, viewport_api: object | None = None, prims: list[str] | None = None) -> bool:
        """Move the camera so that the prims are seen; False where there is nothing to frame."""
        if viewport_api is None or viewport_api is not self.api:
            return False
        for path in prims or []:
            if not self._stage().GetPrimAtPath(path):
                raise ValueError(f"no prim {path} to frame")
        self.framed += prims or []
        return bool(prims)
