# SPDX-License-Identifier: Apache-2.0
"""The application's file dialog, for choosing an input and for naming a package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class FileDialog:
    """One dialog; keep it in an attribute while it is open.

    Args:
        title: Title of the dialog.
        apply_label: Text of the button that accepts.
        suffixes: Lower-case suffixes of the files that are listed.
        on_chosen: Called with what was chosen: a path, or an address such as `omniverse://…`; unchecked.

    Raises:
        ImportError: If the application has no file dialog.
    """

    def __init__(self, title: str, apply_label: str, suffixes: Sequence[str], on_chosen: Callable[[str], None]) -> None:
        from omni.kit.window.filepicker import FilePickerDialog

        self._on_chosen = on_chosen
        self._suffixes = tuple(suffixes)
        self._dialog = FilePickerDialog(
            title,
            apply_button_label=apply_label,
            click_apply_handler=self._on_apply,
            click_cancel_handler=self._on_cancel,
            item_filter_options=[" ".join(f"*{suffix}" for suffix in self._suffixes)],
            item_filter_fn=self._is_listed,
        )

    def show(self, folder: str, filename: str = "") -> None:
        """Open the dialog in a folder, with a proposal for the name."""
        if filename:
            self._dialog.set_filename(filename)
        self._dialog.show(folder or None)

    def destroy(self) -> None:
        """Close the dialog and let go of it."""
        if self._dialog is not None:
            self._dialog.hide()
            self._dialog.destroy()
            self._dialog = None

    def _on_apply(self, filename: str, folder: str) -> None:
        self._dialog.hide()
        self._on_chosen(joined(folder, filename))

    def _on_cancel(self, filename: str, folder: str) -> None:
        self._dialog.hide()

    def _is_listed(self, item: Any) -> bool:
        return item is None or item.is_folder or str(item.path).lower().endswith(self._suffixes)


def joined(folder: str | None, filename: str | None) -> str:
    """The path a dialog means; both parts may be missing, and the folder may end in a slash or be an address."""
    folder, filename = (folder or "").strip(), (filename or "").strip()
    if not folder or not filename:
        return folder or filename
    return f"{folder}{filename}" if folder.endswith(("/", "\\")) else f"{folder}/{filename}"
