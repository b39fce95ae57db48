# SPDX-License-Identifier: Apache-2.0
"""The window: one column of panels that show a view model. It can go and come back at any time; the session stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import omni.ui as ui

from . import style
from .file_dialog import FileDialog
from .form import SUFFIXES
from .panels import (
    EnvironmentPanel,
    HistoryPanel,
    InputPanel,
    JobPanel,
    LogPanel,
    MessagePanel,
    OptionsPanel,
    Panel,
    ResultPanel,
)
from .view_model import View, ViewModel

if TYPE_CHECKING:
    from ..session import Session

TITLE = "Lyra"


class LyraWindow:
    """The window of one session.

    Args:
        session: What runs jobs and spawns scenes. The window listens to it until `destroy`, and never stops it.
    """

    def __init__(self, session: Session) -> None:
        self.view_model = ViewModel(session)
        self._session = session
        self._shown: View | None = None
        self._dialog: FileDialog | None = None
        self._window: ui.Window | None = ui.Window(
            TITLE, width=style.WINDOW_WIDTH, height=style.WINDOW_HEIGHT, dockPreference=ui.DockPreference.LEFT_BOTTOM
        )
        self._input = InputPanel(self.view_model, self.refresh, self._browse)
        self._panels: list[Panel] = [
            MessagePanel(self.view_model, self.refresh),
            self._input,
            OptionsPanel(self.view_model, self.refresh),
            EnvironmentPanel(self.view_model, self.refresh),
            JobPanel(self.view_model, self.refresh),
            ResultPanel(self.view_model, self.refresh, self._export),
            HistoryPanel(self.view_model, self.refresh),
            LogPanel(self.view_model, self.refresh),
        ]
        self._build(self._window.frame)
        self._window.set_visibility_changed_fn(self._on_visibility)
        session.on_change.append(self.refresh)

    @property
    def visible(self) -> bool:
        """Whether the window is open."""
        return self._window is not None and self._window.visible

    @visible.setter
    def visible(self, value: bool) -> None:
        if self._window is not None:
            self._window.visible = value
            self.refresh()

    def refresh(self) -> None:
        """Show what is the case now; costs nothing while the window is closed or nothing has changed."""
        if not self.visible:
            return
        view = self.view_model.view()
        if view == self._shown:
            return
        self._shown = view
        for panel in self._panels:
            panel.show(view)

    def destroy(self) -> None:
        """Close the window for good. A job that runs goes on."""
        if self._window is None:
            return
        if self.refresh in self._session.on_change:
            self._session.on_change.remove(self.refresh)
        self._close_dialog()
        self._window.set_visibility_changed_fn(None)
        self._window.destroy()
        self._window = None
        self._panels.clear()

    def _build(self, frame: Any) -> None:
        view = self.view_model.view()
        with frame, ui.ScrollingFrame(), ui.VStack(spacing=style.SPACING, height=0):
            for panel in self._panels:
                panel.build(view)
        self.refresh()

    def _on_visibility(self, visible: bool) -> None:
        if visible:
            self.refresh()

    # ------------------------------------------------------------------------------------------------------ dialogs

    def _browse(self) -> None:
        try:
            suffixes = SUFFIXES[self.view_model.source]
            self._open(
                FileDialog("Choose a file", "Open", suffixes, self._input.take_file), self.view_model.input_folder
            )
        except ImportError:
            self.view_model.dialog_missing()

    def _export(self) -> None:
        proposal = self.view_model.export_proposal
        if proposal is None:
            return
        try:
            dialog = FileDialog("Export a package", "Export", (".usdz",), self._take_target)
            self._open(dialog, str(proposal.parent), proposal.name)
        except ImportError:
            self.view_model.export(str(proposal))

    def _take_target(self, path: str) -> None:
        self.view_model.export(path)
        self.refresh()

    def _open(self, dialog: FileDialog, folder: str, filename: str = "") -> None:
        self._close_dialog()
        self._dialog = dialog
        dialog.show(folder, filename)

    def _close_dialog(self) -> None:
        if self._dialog is not None:
            self._dialog.destroy()
            self._dialog = None
