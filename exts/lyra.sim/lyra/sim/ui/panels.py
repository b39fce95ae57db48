# SPDX-License-Identifier: Apache-2.0
"""The parts of the window, from top to bottom. Each builds its widgets once and then copies texts into them.

Fields that a person types into are never built again, so that the keyboard focus stays; lists are built again when
their content has changed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import omni.ui as ui

from . import style
from .form import COLLIDERS, ENCODINGS, QUALITIES, SOURCES, Choice
from .view_model import HistoryRow, View, ViewModel

Refresh = Callable[[], None]


class Controls:
    """Widgets that can be disabled, by identifier."""

    def __init__(self) -> None:
        self._widgets: dict[str, Any] = {}
        self._shown: dict[str, tuple[bool, str]] = {}

    def add(self, identifier: str, widget: Any) -> Any:
        """Take care of a widget, in place of an older one of that identifier."""
        self._widgets[identifier] = widget
        self._shown.pop(identifier, None)
        return widget

    def show(self, view: View) -> None:
        """Enable or disable, and say why; what is right already is not touched."""
        for identifier, widget in self._widgets.items():
            wanted = (view.enabled(identifier), view.tooltip(identifier))
            if self._shown.get(identifier) != wanted:
                widget.enabled, widget.tooltip = wanted
                self._shown[identifier] = wanted


class Panel(ABC):
    """One part of the window: bound to the view model, told to refresh the window after an input."""

    def __init__(self, view_model: ViewModel, refresh: Refresh) -> None:
        self.view_model = view_model
        self.controls = Controls()
        self._refresh = refresh

    @abstractmethod
    def build(self, view: View) -> None:
        """Make the widgets in the container that is open."""

    def show(self, view: View) -> None:
        """Copy what changed into the widgets."""
        self.controls.show(view)

    def button(self, identifier: str, text: str, action: Callable[[], None], width: Any = None) -> Any:
        """A button that acts on the view model."""
        size = {} if width is None else {"width": width}
        made = ui.Button(text, identifier=identifier, height=style.ROW_HEIGHT, clicked_fn=self._then(action), **size)
        return self.controls.add(identifier, made)

    def combo(self, identifier: str, field: str, choices: Sequence[Choice]) -> Any:
        """A drop-down list for a field of the view model."""
        values = [choice.value for choice in choices]
        index = values.index(getattr(self.view_model, field))
        combo = ui.ComboBox(index, *(choice.label for choice in choices), identifier=identifier)

        def take(model: Any, _item: Any) -> None:
            setattr(self.view_model, field, values[model.get_item_value_model().get_value_as_int()])
            self._refresh()

        combo.model.add_item_changed_fn(take)
        return self.controls.add(identifier, combo)

    def text_field(self, identifier: str, field: str, **options: Any) -> Any:
        """A text field for a field of the view model."""
        model = ui.SimpleStringModel(getattr(self.view_model, field))

        def take(changed: Any) -> None:
            setattr(self.view_model, field, changed.get_value_as_string())
            self._refresh()

        model.add_value_changed_fn(take)
        return self.controls.add(identifier, ui.StringField(model, identifier=identifier, **options))

    def _then(self, action: Callable[[], None]) -> Callable[[], None]:
        def act() -> None:
            action()
            self._refresh()

        return act


def row(caption: str) -> Any:
    """A line of the form; its caption is in it already."""
    line = ui.HStack(height=style.ROW_HEIGHT, spacing=style.SPACING)
    with line:
        ui.Label(caption, width=style.LABEL_WIDTH)
    return line


def wrapped(text: str = "", **options: Any) -> Any:
    """A text of any length, as high as it needs to be."""
    return ui.Label(text, word_wrap=True, height=0, **options)


class MessagePanel(Panel):
    """What the user should know or do."""

    def build(self, view: View) -> None:
        """One label that wraps."""
        self._label = wrapped(identifier="message")

    def show(self, view: View) -> None:
        """The text, coloured if something did not work."""
        self._label.text = view.message
        self._label.style = style.WARNING if view.warning else style.NORMAL
        self._label.visible = bool(view.message)


class InputPanel(Panel):
    """Source, prompt or file, seed."""

    def __init__(self, view_model: ViewModel, refresh: Refresh, browse: Callable[[], None]) -> None:
        super().__init__(view_model, refresh)
        self._browse = browse
        self._preview = ""

    def build(self, view: View) -> None:
        """The rows; the one that does not fit the source is hidden."""
        with row("Source"):
            self.combo("source", "source", SOURCES)
        self._prompt_row = self.text_field("prompt", "prompt", multiline=True, height=style.PROMPT_HEIGHT)
        self._file_row = row("File")
        with self._file_row:
            self._picture = self.text_field("picture", "picture")
            self.button("browse", "Browse…", self._browse, style.BUTTON_WIDTH)
        self._preview_frame = ui.ScrollingFrame(height=style.PREVIEW_HEIGHT, visible=False)
        self._preview_frame.set_build_fn(self._build_preview)
        with row("Seed"):
            self._build_seed()

    def show(self, view: View) -> None:
        """Which row fits the source, and the picture."""
        super().show(view)
        self._prompt_row.visible = view.enabled("prompt")
        self._file_row.visible = view.enabled("picture")
        preview = str(view.preview or "")
        if preview != self._preview:
            self._preview = preview
            self._preview_frame.visible = bool(preview)
            self._preview_frame.rebuild()

    def take_file(self, path: str) -> None:
        """A file was chosen in the dialog."""
        self.view_model.browse(path)
        self._picture.model.set_value(path)
        self._refresh()

    def _build_preview(self) -> None:
        if self._preview:
            ui.Image(self._preview, height=style.PREVIEW_HEIGHT)

    def _build_seed(self) -> None:
        self._seed = ui.SimpleIntModel(self.view_model.seed)
        self._seed.add_value_changed_fn(self._take_seed)
        self.controls.add("seed", ui.IntField(self._seed, identifier="seed"))
        self.button("randomise", "Randomise", self._randomise, style.BUTTON_WIDTH)

    def _take_seed(self, changed: Any) -> None:
        self.view_model.seed = changed.get_value_as_int()
        self._refresh()

    def _randomise(self) -> None:
        self.view_model.randomise_seed()
        self._seed.set_value(self.view_model.seed)


class OptionsPanel(Panel):
    """Model, quality, collider, scale, encoding, device; built again when the worker reports other choices."""

    def build(self, view: View) -> None:
        """A frame that can be closed."""
        self._choices = (view.models, view.devices)
        self._frame = ui.CollapsableFrame("Options", height=0)
        self._frame.set_build_fn(self._build_rows)

    def show(self, view: View) -> None:
        """New choices, if the worker reported some."""
        if self._choices != (view.models, view.devices):
            self._choices = (view.models, view.devices)
            self._frame.rebuild()
        super().show(view)

    def _build_rows(self) -> None:
        view = self.view_model.view()
        with ui.VStack(spacing=style.SPACING, height=0):
            with row("Model"):
                self.combo("model", "model", view.models)
            with row("Quality"):
                self.combo("quality", "quality", QUALITIES)
            with row("Collider"):
                self.combo("collider", "collider", COLLIDERS)
            with row("Camera height"):
                self.text_field("camera_height", "camera_height")
                ui.Label("m", width=style.ROW_HEIGHT)
            with row("Encoding"):
                self.combo("encoding", "encoding", ENCODINGS)
            with row("Device"):
                self.combo("device", "device", view.devices)
        self.controls.show(view)


class EnvironmentPanel(Panel):
    """What the worker's Python offers."""

    def build(self, view: View) -> None:
        """A text and the button that asks again."""
        with ui.HStack(height=0, spacing=style.SPACING):
            self._label = wrapped(identifier="environment", style=style.QUIET)
            with ui.VStack(width=style.BUTTON_WIDTH):
                self.button("check", "Check", self.view_model.check)

    def show(self, view: View) -> None:
        """The text."""
        super().show(view)
        self._label.text = view.environment


class JobPanel(Panel):
    """Generate, Cancel and how far the job is."""

    def build(self, view: View) -> None:
        """Buttons, bar, text, and below what the next step is."""
        with ui.HStack(height=style.ROW_HEIGHT, spacing=style.SPACING):
            self.button("generate", "Generate", self.view_model.generate)
            self.button("cancel", "Cancel", self.view_model.cancel, style.BUTTON_WIDTH)
        self._hint = wrapped(identifier="generate_hint", style=style.QUIET)
        self._bar = ui.ProgressBar(identifier="progress", height=style.ROW_HEIGHT)
        self._text = wrapped(identifier="progress_text")

    def show(self, view: View) -> None:
        """Progress, and in plain sight why nothing can be generated: a disabled button may hide its tooltip."""
        super().show(view)
        reason = view.reasons["generate"]
        hint = "" if view.running or reason in view.message else reason
        self._hint.text, self._hint.visible = hint, bool(hint)
        self._bar.visible = self._text.visible = bool(view.progress_text)
        self._bar.model.set_value(view.progress)
        self._text.text = view.progress_text


class ResultPanel(Panel):
    """What the scene is good for, and what can be done with it."""

    def __init__(self, view_model: ViewModel, refresh: Refresh, export: Callable[[], None]) -> None:
        super().__init__(view_model, refresh)
        self._export = export

    def build(self, view: View) -> None:
        """A text and two rows of buttons, so that they fit a narrow window."""
        self._label = wrapped(identifier="result")
        with ui.HStack(height=style.ROW_HEIGHT, spacing=style.SPACING):
            self.button("spawn", "Spawn", self.view_model.spawn)
            self.button("frame", "Frame", self.view_model.frame)
        with ui.HStack(height=style.ROW_HEIGHT, spacing=style.SPACING):
            self.button("export", "Export .usdz…", self._export)
            self.button("open_folder", "Open folder", self.view_model.open_folder)

    def show(self, view: View) -> None:
        """The text."""
        super().show(view)
        self._label.text = view.result


class HistoryPanel(Panel):
    """Past scenes; built again when there are other ones, or when they cannot be spawned any more."""

    def build(self, view: View) -> None:
        """A frame that can be closed."""
        self._view = view
        self._frame = ui.CollapsableFrame("Past scenes", identifier="history", height=0)
        self._frame.set_build_fn(self._build_rows)

    def show(self, view: View) -> None:
        """Build the list again if it is another one."""
        before, self._view = self._view, view
        if _list_of(before) != _list_of(view):
            self._frame.rebuild()

    def _build_rows(self) -> None:
        view = self._view
        with ui.VStack(spacing=style.SPACING, height=0):
            if not view.history:
                ui.Label("None yet.", style=style.QUIET)
            for index, scene in enumerate(view.history):
                self._build_row(index, scene, view.respawn_reason)
            for text in (view.older, *view.broken):
                if text:
                    wrapped(text, style=style.QUIET)

    def _build_row(self, index: int, scene: HistoryRow, reason: str) -> None:
        with ui.HStack(height=0, spacing=style.SPACING):
            if scene.thumbnail:
                ui.Image(str(scene.thumbnail), width=style.THUMBNAIL_WIDTH, height=style.THUMBNAIL_HEIGHT)
            else:
                ui.Spacer(width=style.THUMBNAIL_WIDTH)
            with ui.VStack(height=0):
                wrapped(scene.title)
                wrapped(scene.detail, style=style.QUIET)
            ui.Button(
                "Respawn",
                identifier=f"respawn_{index}",
                width=style.BUTTON_WIDTH,
                height=style.ROW_HEIGHT,
                enabled=not reason,
                tooltip=reason or "Put this scene on the open stage.",
                clicked_fn=self._then(lambda: self.view_model.respawn(index)),
            )


def _list_of(view: View) -> tuple[Any, ...]:
    return (view.history, view.older, view.broken, view.respawn_reason)


class LogPanel(Panel):
    """The last lines the worker wrote."""

    def build(self, view: View) -> None:
        """A closed frame with a text that scrolls."""
        with ui.CollapsableFrame("Log", collapsed=True, height=0), ui.ScrollingFrame(height=style.LOG_HEIGHT):
            self._label = wrapped(identifier="log", style=style.QUIET)

    def show(self, view: View) -> None:
        """The text."""
        self._label.text = view.log
