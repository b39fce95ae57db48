# SPDX-License-Identifier: Apache-2.0
"""What a person in front of the fake Kit does: click, type, choose, pick a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fake_kit import omni_ui
from fake_kit.dialogs import FileItem, FilePickerDialog


class WidgetDriver:
    """A widget, found by its identifier, as a user meets it."""

    def __init__(self, widget: omni_ui.Widget, shown: bool, guarded: omni_ui.Guarded) -> None:
        self._widget = widget
        self._shown = shown
        self._guarded = guarded

    @property
    def kind(self) -> str:
        """Class of the widget: "Button"."""
        return type(self._widget).symbol.split(":")[1]

    @property
    def shown(self) -> bool:
        """Whether it and all around it is visible."""
        return self._shown

    @property
    def enabled(self) -> bool:
        """Whether it takes input."""
        return bool(self._widget.enabled)

    @property
    def tooltip(self) -> str:
        """Text under the pointer."""
        return str(self._widget.tooltip)

    @property
    def text(self) -> str:
        """What it says: the text of a label, button or field, the chosen item, the number of a bar."""
        widget = self._widget
        if isinstance(widget, omni_ui.ComboBox):
            return self.items[widget.model.get_item_value_model().get_value_as_int()]
        if isinstance(widget, omni_ui.ModelWidget):
            return widget.model.get_value_as_string()
        if isinstance(widget, omni_ui.Label):
            return str(widget.text)
        return str(widget._values.get("text") or widget._values.get("title") or widget._values.get("path") or "")

    @property
    def value(self) -> Any:
        """Value of its model; of a choice, the index."""
        widget = self._widget
        if isinstance(widget, omni_ui.ComboBox):
            return widget.model.get_item_value_model().get_value_as_int()
        assert isinstance(widget, omni_ui.ModelWidget), f"a {self.kind} has no value"
        return widget.model._value

    @property
    def items(self) -> tuple[str, ...]:
        """What can be chosen."""
        assert isinstance(self._widget, omni_ui.ComboBox), f"a {self.kind} has no items"
        return self._widget.model._items

    def click(self) -> None:
        """Press a button, or turn a tick over."""
        self._usable("click")
        if isinstance(self._widget, omni_ui.CheckBox):
            self._set(self._widget.model, not self._widget.model.get_value_as_bool())
            return
        clicked = self._widget._values.get("clicked_fn")
        assert clicked is not None, f"nothing happens when {self._name} is clicked"
        with self._guarded():
            clicked()

    def type(self, text: str) -> None:
        """Replace the text of a field."""
        self._usable("type into")
        assert isinstance(self._widget, omni_ui.StringField | omni_ui.IntField | omni_ui.FloatField), self.kind
        self._set(self._widget.model, text)

    def choose(self, choice: int | str) -> None:
        """Choose an item by its index or its text."""
        self._usable("choose in")
        index = self.items.index(choice) if isinstance(choice, str) else choice
        assert 0 <= index < len(self.items), f"{self._name} has {len(self.items)} items"
        assert isinstance(self._widget, omni_ui.ComboBox)
        self._set(self._widget.model.get_item_value_model(), index)

    @property
    def _name(self) -> str:
        return f"{self.kind} {self._widget.identifier!r}"

    def _usable(self, what: str) -> None:
        if not self._shown:
            raise AssertionError(f"cannot {what} {self._name}: it is not visible")
        if not self.enabled:
            raise AssertionError(
                f"cannot {what} {self._name}: it is disabled ({self.tooltip or 'and does not say why'})"
            )

    def _set(self, model: omni_ui.ValueModel, value: Any) -> None:
        with self._guarded():
            model.set_value(value)


class DialogDriver:
    """An open file dialog as a user meets it."""

    def __init__(self, dialog: FilePickerDialog, guarded: omni_ui.Guarded) -> None:
        self._dialog = dialog
        self._guarded = guarded

    @property
    def title(self) -> str:
        """Title of the dialog."""
        return self._dialog._title

    @property
    def shown(self) -> bool:
        """Whether it is open."""
        return self._dialog._shown

    @property
    def directory(self) -> str:
        """Folder it opened in."""
        return self._dialog._directory

    @property
    def filename(self) -> str:
        """Name that stands in the field."""
        return self._dialog._filename

    def accepts(self, path: str, *, folder: bool = False) -> bool:
        """Whether the filter lets a file or folder through."""
        accepts = self._dialog._options.get("item_filter_fn")
        return accepts is None or bool(accepts(FileItem(Path(path).name, path, folder)))

    def apply(self, filename: str, dirname: str) -> None:
        """Press the button that takes the file."""
        self._press("click_apply_handler", filename, dirname)

    def cancel(self) -> None:
        """Press Cancel."""
        self._press("click_cancel_handler", "", "")

    def _press(self, handler: str, filename: str, dirname: str) -> None:
        assert self.shown, f"the dialog {self.title!r} is not open"
        function = self._dialog._options.get(handler)
        if function is None:
            self._dialog.hide()
            return
        with self._guarded():
            function(filename, dirname)


def find_widget(identifier: str, guarded: omni_ui.Guarded) -> WidgetDriver:
    """The one widget of an identifier in all windows."""
    found = [
        (widget, shown)
        for window in omni_ui.SCREEN.windows
        for widget, shown in _seen(window.frame, window.visible)
        if widget.identifier == identifier
    ]
    if len(found) != 1:
        known = sorted(
            {w.identifier for window in omni_ui.SCREEN.windows for w in window.frame._walk() if w.identifier}
        )
        raise LookupError(f"{len(found)} widgets are called {identifier!r}; there are {known}")
    return WidgetDriver(found[0][0], found[0][1], guarded)


def _seen(widget: omni_ui.Widget, shown: bool) -> list[tuple[omni_ui.Widget, bool]]:
    """A widget and all below it, each with whether it can be seen."""
    shown = shown and bool(widget.visible)
    children = widget._children if isinstance(widget, omni_ui.Container) else []
    return [(widget, shown), *(pair for child in children for pair in _seen(child, shown))]
