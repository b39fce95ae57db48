# SPDX-License-Identifier: Apache-2.0
"""Fake of `omni.ui`: real widget trees without pictures.

Containers are filled by `with`, a frame with a build function is built when it is drawn, values live in models that
tell their listeners. What a user does is in `fake_kit.drivers`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, ClassVar

from fake_kit.strict import Strict, check_call, listed
from fake_kit.table import table

Guarded = Callable[[], contextlib.AbstractContextManager[None]]


class Screen:
    """All windows, and the container that is being filled."""

    def __init__(self) -> None:
        self.windows: list[Window] = []
        self.show_window_fns: dict[str, Callable[[bool], object]] = {}
        self.filling: list[Container] = []
        self.guarded: Guarded = contextlib.nullcontext

    def window(self, title: str) -> Window | None:
        """The window of a title."""
        return next((window for window in self.windows if window._title == title), None)

    def draw(self) -> list[BaseException]:
        """Build what has to be built in the windows that are seen."""
        errors: list[BaseException] = []
        for window in [window for window in self.windows if window.visible]:
            try:
                window.frame._draw()
            except BaseException as error:
                errors.append(error)
        return errors

    def clear(self) -> None:
        """No window, nothing begun."""
        self.windows.clear()
        self.show_window_fns.clear()
        self.filling.clear()
        self.guarded = contextlib.nullcontext


SCREEN = Screen()


class DockPreference(Enum):
    """Where a window wants to dock."""

    LEFT_BOTTOM = "left bottom"


class DockPolicy(Enum):
    """What happens to the tab in front when a window docks."""

    CURRENT_WINDOW_IS_ACTIVE = "current"
    DO_NOTHING = "nothing"


class Alignment(Enum):
    """Alignment of a text."""

    LEFT_CENTER = "left centre"


class ScrollBarPolicy(Enum):
    """When a scroll bar is shown."""

    SCROLLBAR_AS_NEEDED = "as needed"
    SCROLLBAR_ALWAYS_ON = "always"


class Fraction(Strict):
    """A share of what is left of a row or column."""

    symbol = "omni.ui:Fraction"

    @listed("omni.ui:Fraction")
    def __init__(self, value: float) -> None:
        self._value = float(value)


class ValueModel(Strict):
    """One value and who listens to it."""

    symbol = "omni.ui:AbstractValueModel"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        check_call(self.symbol, args, kwargs)
        self._value = self._kind(args[0]) if args else self._kind()
        self._listeners: list[Callable[[ValueModel], object]] = []

    def _kind(self, *args: Any) -> Any:
        raise NotImplementedError

    @listed("omni.ui:AbstractValueModel.set_value")
    def set_value(self, value: Any) -> None:
        """Set the value; the listeners are called where it is another one."""
        value = self._kind(value)
        if value != self._value:
            self._value = value
            for listener in list(self._listeners):
                listener(self)

    @listed("omni.ui:AbstractValueModel.add_value_changed_fn")
    def add_value_changed_fn(self, fn: Callable[[ValueModel], object]) -> int:
        """Call a function whenever the value changes."""
        self._listeners.append(fn)
        return len(self._listeners) - 1

    @listed("omni.ui:AbstractValueModel.get_value_as_string")
    def get_value_as_string(self) -> str:
        """The value as text."""
        return str(self._value)

    @listed("omni.ui:AbstractValueModel.get_value_as_int")
    def get_value_as_int(self) -> int:
        """The value as a whole number; 0 for a text that is none."""
        return int(self._number())

    @listed("omni.ui:AbstractValueModel.get_value_as_float")
    def get_value_as_float(self) -> float:
        """The value as a number; 0 for a text that is none."""
        return float(self._number())

    @listed("omni.ui:AbstractValueModel.get_value_as_bool")
    def get_value_as_bool(self) -> bool:
        """The value as a truth value."""
        return bool(self._value)

    def _number(self) -> float:
        with contextlib.suppress(ValueError):
            return float(self._value)
        return 0.0


class SimpleStringModel(ValueModel):
    """A text."""

    symbol = "omni.ui:SimpleStringModel"

    def _kind(self, *args: Any) -> str:
        return str(*args)


class SimpleIntModel(ValueModel):
    """A whole number of 64 bits."""

    symbol = "omni.ui:SimpleIntModel"

    def _kind(self, *args: Any) -> int:
        value = int(*args)
        if not -(2**63) <= value < 2**63:
            raise TypeError(f"a model of a whole number holds 64 bits, not {value}")
        return value


class SimpleFloatModel(ValueModel):
    """A number."""

    symbol = "omni.ui:SimpleFloatModel"

    def _kind(self, *args: Any) -> float:
        return float(*args)


class SimpleBoolModel(ValueModel):
    """A truth value."""

    symbol = "omni.ui:SimpleBoolModel"

    def _kind(self, *args: Any) -> bool:
        return bool(*args)


class ItemModel(Strict):
    """Texts to choose from and the index of the one that is chosen."""

    symbol = "omni.ui:AbstractItemModel"

    def __init__(self, index: int, items: tuple[str, ...]) -> None:
        if not all(isinstance(item, str) for item in items):
            raise TypeError(f"the items of a ComboBox are texts: {items!r}")
        self._items = items
        self._index = SimpleIntModel(index)

    @listed("omni.ui:AbstractItemModel.get_item_value_model")
    def get_item_value_model(self) -> ValueModel:
        """Model of the index."""
        return self._index

    @listed("omni.ui:AbstractItemModel.add_item_changed_fn")
    def add_item_changed_fn(self, fn: Callable[[ItemModel, object], object]) -> int:
        """Call `fn(model, item)` whenever another item is chosen."""
        return self._index.add_value_changed_fn(lambda _index: fn(self, None))


class Widget(Strict):
    """What all widgets share. A new widget goes into the container that is being filled."""

    symbol = "omni.ui:Widget"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        check_call(self.symbol, args, kwargs)
        signature = table().signature(self.symbol)
        assert signature is not None
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        self._set_up(bound.arguments)
        if not SCREEN.filling:
            raise RuntimeError(f"{self.symbol} is made outside any `with frame:`")
        SCREEN.filling[-1]._add(self)

    def _set_up(self, values: Mapping[str, Any]) -> None:
        self._gone = False
        for name in ("identifier", "tooltip"):
            if not isinstance(values[name], str):
                raise TypeError(f"{self.symbol}: {name} is a text, not {values[name]!r}")
        for name, kind in table().attributes(self.symbol).items():
            if kind == "value":
                setattr(self, name, values[name])
        self._values = values

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("text", "tooltip", "identifier") and not isinstance(value, str):
            raise TypeError(f"{self.symbol}.{name} is a text, not {value!r}")
        if name in ("enabled", "visible") and not isinstance(value, bool):
            raise TypeError(f"{self.symbol}.{name} is a truth value, not {value!r}")
        if not name.startswith("_") and self.__dict__.get("_gone"):
            raise RuntimeError(
                f"{self.symbol} {self.__dict__['identifier']!r} was rebuilt or destroyed; it shows nothing"
            )
        super().__setattr__(name, value)

    def _walk(self) -> Iterator[Widget]:
        yield self

    def _drop(self) -> None:
        for widget in self._walk():
            widget._gone = True

    def _draw(self) -> None:
        """Nothing to build."""


class Container(Widget):
    """Holds widgets; filled by `with container:`."""

    def _set_up(self, values: Mapping[str, Any]) -> None:
        super()._set_up(values)
        self._children: list[Widget] = []

    def __enter__(self) -> Container:
        SCREEN.filling.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        assert SCREEN.filling.pop() is self, "containers are left in the order in which they were entered"

    def _add(self, widget: Widget) -> None:
        self._children.append(widget)

    def _walk(self) -> Iterator[Widget]:
        yield self
        for child in self._children:
            yield from child._walk()

    def _draw(self) -> None:
        if self.visible:
            for child in list(self._children):
                child._draw()

    def _empty(self) -> None:
        for child in self._children:
            child._drop()
        self._children.clear()


class VStack(Container):
    """A column."""

    symbol = "omni.ui:VStack"


class HStack(Container):
    """A row."""

    symbol = "omni.ui:HStack"


class Frame(Container):
    """Holds one widget, which a build function may make anew when the frame is drawn."""

    symbol = "omni.ui:Frame"

    def _set_up(self, values: Mapping[str, Any]) -> None:
        super()._set_up(values)
        self._build_fn: Callable[[], object] | None = None
        self._dirty = False
        self._filled = False

    def __enter__(self) -> Container:
        self._filled = False
        return super().__enter__()

    def _add(self, widget: Widget) -> None:
        if self._filled:
            raise RuntimeError(f"{self.symbol} shows one widget only: put {widget.symbol} into a stack")
        self._empty()
        self._filled = True
        super()._add(widget)

    @listed("omni.ui:Frame.set_build_fn")
    def set_build_fn(self, fn: Callable[[], object] | None) -> None:
        """Fill the frame by a function, at the next drawing."""
        self._build_fn = fn
        self._dirty = fn is not None

    @listed("omni.ui:Frame.rebuild")
    def rebuild(self) -> None:
        """Call the build function again at the next drawing."""
        self._dirty = self._build_fn is not None

    @listed("omni.ui:Frame.set_style")
    def set_style(self, style: dict[str, Any]) -> None:
        """Style of everything in the frame."""
        self.style = style

    def _draw(self) -> None:
        if self.visible and self._dirty and self._build_fn is not None:
            self._dirty = False
            self._empty()
            with SCREEN.guarded(), self:
                self._build_fn()
        super()._draw()


class WindowFrame(Frame):
    """The frame of a window; nobody else makes one."""

    def __init__(self) -> None:
        signature = table().signature(self.symbol)
        assert signature is not None
        bound = signature.bind()
        bound.apply_defaults()
        self._set_up(bound.arguments)


class ScrollingFrame(Frame):
    """A frame with scroll bars."""

    symbol = "omni.ui:ScrollingFrame"


class CollapsableFrame(Frame):
    """A frame under a title."""

    symbol = "omni.ui:CollapsableFrame"


class Label(Widget):
    """A text."""

    symbol = "omni.ui:Label"


class Button(Widget):
    """A button."""

    symbol = "omni.ui:Button"


class ModelWidget(Widget):
    """A widget whose value is in a model."""

    model_class: ClassVar[type[ValueModel]]

    def _set_up(self, values: Mapping[str, Any]) -> None:
        super()._set_up(values)
        given = values.get("model")
        if given is not None and not isinstance(given, ValueModel):
            raise TypeError(f"{self.symbol}: not a model: {given!r}")
        self.model = given if given is not None else self.model_class()


class StringField(ModelWidget):
    """A line, or with `multiline` a paragraph, of text."""

    symbol = "omni.ui:StringField"
    model_class = SimpleStringModel


class IntField(ModelWidget):
    """A whole number."""

    symbol = "omni.ui:IntField"
    model_class = SimpleIntModel


class FloatField(ModelWidget):
    """A number."""

    symbol = "omni.ui:FloatField"
    model_class = SimpleFloatModel


class CheckBox(ModelWidget):
    """A tick."""

    symbol = "omni.ui:CheckBox"
    model_class = SimpleBoolModel


class ProgressBar(ModelWidget):
    """A bar from 0 to 1."""

    symbol = "omni.ui:ProgressBar"
    model_class = SimpleFloatModel


class ComboBox(Widget):
    """A choice."""

    symbol = "omni.ui:ComboBox"

    def _set_up(self, values: Mapping[str, Any]) -> None:
        super()._set_up(values)
        self.model = ItemModel(values["index"], values["items"])


class Image(Widget):
    """A picture from a file."""

    symbol = "omni.ui:Image"


class Spacer(Widget):
    """Empty room."""

    symbol = "omni.ui:Spacer"


class Separator(Widget):
    """A line."""

    symbol = "omni.ui:Separator"


class Window(Strict):
    """A window; without `destroy` it stays."""

    symbol = "omni.ui:Window"

    def __init__(self, title: str, **kwargs: Any) -> None:
        check_call(self.symbol, (title,), kwargs)
        self._title = title
        self._visible = bool(kwargs.get("visible", True))
        self._visibility_changed_fn: Callable[[bool], object] | None = None
        self._docked_in = ""
        self._frame = WindowFrame()
        SCREEN.windows.append(self)

    @property
    def frame(self) -> Frame:
        """What the window holds."""
        return self._frame

    @property
    def visible(self) -> bool:
        """Whether the window is open."""
        return self._visible

    @visible.setter
    def visible(self, value: bool) -> None:
        if value == self._visible:
            return
        self._visible = value
        if self._visibility_changed_fn is not None:
            self._visibility_changed_fn(value)

    @listed("omni.ui:Window.set_visibility_changed_fn")
    def set_visibility_changed_fn(self, fn: Callable[[bool], object] | None) -> None:
        """Call a function when the window is opened or closed."""
        self._visibility_changed_fn = fn

    @listed("omni.ui:Window.deferred_dock_in")
    def deferred_dock_in(self, target_window: str, policy: DockPolicy | None = None) -> None:
        """Dock beside another window once that exists."""
        self._docked_in = target_window

    @listed("omni.ui:Window.destroy")
    def destroy(self) -> None:
        """Close for good."""
        self._visibility_changed_fn = None
        self._frame._empty()
        self._frame.set_build_fn(None)
        if self in SCREEN.windows:
            SCREEN.windows.remove(self)


class Workspace(Strict):
    """All windows by title."""

    symbol = "omni.ui:Workspace"

    @staticmethod
    @listed("omni.ui:Workspace.set_show_window_fn", method=False)
    def set_show_window_fn(title: str, fn: Callable[[bool], object] | None) -> None:
        """How to show a window that may not exist yet; None: not any more."""
        if fn is None:
            SCREEN.show_window_fns.pop(title, None)
        else:
            SCREEN.show_window_fns[title] = fn

    @staticmethod
    @listed("omni.ui:Workspace.get_window", method=False)
    def get_window(title: str) -> Window | None:
        """The window of a title, or None."""
        return SCREEN.window(title)

    @staticmethod
    @listed("omni.ui:Workspace.show_window", method=False)
    def show_window(title: str, show: bool = True) -> bool:
        """Show or hide a window; False where there is none."""
        function, window = SCREEN.show_window_fns.get(title), SCREEN.window(title)
        if function is not None:
            function(show)
        elif window is not None:
            window.visible = show
        return function is not None or window is not None


EXPORTS: dict[str, Any] = {
    symbol.path[0]: globals()[symbol.path[0]]
    for symbol in table()
    if symbol.module == "omni.ui" and symbol.exported and len(symbol.path) == 1
}
