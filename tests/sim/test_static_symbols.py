# SPDX-License-Identifier: Apache-2.0
"""The extension and the examples use Kit symbols of the closed list only, as it says and where it says."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path

import pytest

from fake_kit import LIST, table
from fake_kit.places import Place, extension_files
from fake_kit.strict import Strict
from fake_kit.symbol_use import check, modules_used

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "exts" / "lyra.sim"
FILES = [
    *extension_files(EXTENSION),
    *((path, Place.EXAMPLE) for path in sorted((ROOT / "examples").rglob("*.py"))),
]
ALL_PLACES = tuple(Place)


@pytest.mark.parametrize(("path", "place"), FILES, ids=lambda value: getattr(value, "name", str(value)))
def test_only_listed_symbols_are_used(path: Path, place: Place) -> None:
    assert check(path.read_text(encoding="utf-8"), place, name=path.name) == []


def test_the_check_sees_the_symbols_of_the_extension() -> None:
    """A check that follows nothing finds nothing: these are used, so it has to see them."""
    used = {module for path, _place in FILES for module in modules_used(path.read_text(encoding="utf-8"))}
    assert {"carb", "carb.eventdispatcher", "carb.settings", "omni.ext", "omni.ui", "omni.usd"} <= used
    assert {"omni.kit.app", "omni.kit.async_engine", "omni.kit.commands", "omni.kit.notification_manager"} <= used


UNLISTED = {
    "attribute of a module": "import omni.ui\nomni.ui.Slider()",
    "module under another name": "import omni.ui as ui\nui.Slider()",
    "package under another name": "from omni import ui as u\nu.Slider()",
    "name from a module": "from omni.ui import Slider",
    "module": "import omni.kit.pipapi",
    "module of Isaac": "from omni.isaac.core import World",
    "deprecated module": "import isaacsim.core.utils.stage",
    "module by its text": "import importlib\nimportlib.import_module('omni.kit.pipapi')",
    "attribute by its text": "import omni.ui as ui\ngetattr(ui, 'Slider')()",
    "chain of calls": "import omni.kit.app\nomni.kit.app.get_app().shutdown()",
    "local variable": "import omni.kit.app\napp = omni.kit.app.get_app()\napp.shutdown()",
    "two variables": "import omni.usd\nc = omni.usd.get_context()\nchosen = c.get_selection()\nchosen.clear()",
    "variable of an outer function": """
        import omni.ui as ui
        def build():
            label = ui.Label("a")
            def later():
                label.set_text("b")
        """,
    "with as": "import omni.ui as ui\nwith ui.VStack() as stack:\n    stack.clear()",
    "walrus": "import omni.usd\nif (context := omni.usd.get_context()):\n    context.close_stage()",
    "either or": "import omni.ui as ui\nw = ui.Label('a') if 1 else None\nw.destroy()",
    "unpacked pair": "import omni.ui as ui\na, b = ui.Label('a'), ui.Label('b')\nb.destroy()",
    "attribute of self": """
        import omni.ui as ui
        class View:
            def build(self):
                self._window = ui.Window("a")
            def close(self):
                self._window.close()
        """,
    "attribute of an attribute": """
        import omni.ui as ui
        class View:
            def build(self):
                self._window = ui.Window("a")
                self._window.frame.clear()
        """,
    "annotated argument": "import omni.ui as ui\ndef grey(label: ui.Label) -> None:\n    label.grey = True",
    "annotated attribute": """
        import omni.ui as ui
        class View:
            def __init__(self):
                self._label: ui.Label | None = None
            def show(self):
                self._label.show()
        """,
    "annotated result": """
        import omni.ui as ui
        def make() -> "ui.Label":
            return object()
        make().destroy()
        """,
    "class that derives": """
        import omni.ui as ui
        class View(ui.Window):
            def __init__(self):
                super().__init__("a")
                self.set_key_pressed_fn(None)
        """,
    "member of an enumeration": "import omni.usd\nomni.usd.StageEventType.SAVED",
    "member, in an argument": "import omni.ui as ui\nui.Label('a', alignment=ui.Alignment.CENTER)",
    "class that is only reached": "import omni.ui as ui\nui.Frame()",
    "event stream": "import omni.kit.app\ndef f(x):\n    x.get_update_event_stream()",
    "namespace of Replicator": "import omni.replicator.core as rep\nrep.orchestrator.run()",
}


@pytest.mark.parametrize("source", UNLISTED.values(), ids=UNLISTED)
def test_an_unlisted_symbol_is_found(source: str) -> None:
    for place in (Place.KIT, Place.TESTS, Place.EXAMPLE):
        assert check(textwrap.dedent(source), place), f"nothing found in {place.value}"


WRONG_CALLS = {
    "unknown keyword": "import omni.ui as ui\nui.Label('a', colour=1)",
    "too many": "import omni.ui as ui\nui.Button('a', None)",
    "too few": "import omni.usd\ndef f(s):\n    omni.usd.get_stage_next_free_path(s, '/a')",
    "positional for a keyword": "import carb.eventdispatcher as e\ne.get_eventdispatcher().observe_event('a', 'b')",
    "keyword for a positional": (
        "import omni.usd\nchosen = omni.usd.get_context().get_selection()\n"
        "chosen.set_selected_prim_paths(paths=[], expand_in_stage=True)"
    ),
    "beside unpacked ones": "import omni.ui as ui\ndef f(k):\n    ui.Label('a', colour=1, **k)",
    "through super": (
        "import omni.ui as ui\nclass View(ui.Window):\n    def __init__(self):\n        super().__init__('a', w=1)"
    ),
    "a constant": "import omni.kit.app\nomni.kit.app.GLOBAL_EVENT_UPDATE()",
}


@pytest.mark.parametrize("source", WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_a_call_that_does_not_fit_is_found(source: str) -> None:
    assert check(source, Place.KIT)


MISPLACED = {
    "Kit in a module without Kit": ("import omni.ui", (Place.FREE, Place.LAZY)),
    "Kit in a function of a module without Kit": ("def f():\n    import carb\n    carb.log_info('a')", (Place.FREE,)),
    "optional module at the top": (
        "try:\n    from omni.kit.viewport.utility import get_active_viewport\nexcept ImportError:\n    pass",
        (Place.KIT, Place.LAZY, Place.FREE),
    ),
    "optional module without a try": ("def f():\n    import omni.kit.viewport.utility", (Place.KIT, Place.LAZY)),
    "file dialog at the top": ("from omni.kit.window.filepicker import FilePickerDialog", (Place.KIT,)),
    "test symbol": ("import omni.kit.undo\nomni.kit.undo.undo()", (Place.KIT, Place.EXAMPLE)),
    "Isaac Lab": ("from isaaclab.sim import UsdFileCfg", (Place.KIT, Place.FREE, Place.TESTS)),
    "torch": ("def f():\n    import torch", tuple(p for p in ALL_PLACES if p.in_extension)),
    "the other packages": ("def f():\n    from lyra_core import app", (Place.KIT, Place.FREE, Place.ISAAC_LAB)),
    "numpy": ("def f():\n    import numpy as np", (Place.KIT, Place.FREE)),
    "Kit's executable": ("import sys\nsys.executable", (Place.FREE, Place.KIT)),
    "Kit's executable by name": ("from sys import executable", (Place.FREE, Place.KIT)),
    "asyncio processes": ("import asyncio\nasyncio.create_subprocess_exec('a')", (Place.FREE, Place.KIT)),
    "own event loop": ("import asyncio\ndef f(l):\n    asyncio.get_event_loop().run_until_complete(l)", (Place.KIT,)),
    "print": ("print('a')", (Place.KIT, Place.FREE)),
    "sleep": ("from time import sleep\nsleep(1)", (Place.KIT, Place.FREE)),
}


@pytest.mark.parametrize(("source", "places"), MISPLACED.values(), ids=MISPLACED)
def test_a_symbol_in_the_wrong_place_is_found(source: str, places: tuple[Place, ...]) -> None:
    for place in places:
        assert check(source, place), f"nothing found in {place.value}"


ALLOWED = {
    "optional module": (
        "def f():\n    try:\n        import omni.kit.viewport.utility as v\n    except ImportError:\n        return\n"
        "    v.frame_viewport_prims(v.get_active_viewport(), prims=['/a'])",
        Place.KIT,
    ),
    "optional module, suppressed": (
        "from contextlib import suppress\ndef f():\n    with suppress(ImportError):\n"
        "        import omni.kit.viewport.utility",
        Place.LAZY,
    ),
    "types": ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import omni.ui as ui", Place.FREE),
    "name that hides a module": ("import omni.ui as ui\ndef f(ui):\n    ui.Slider()", Place.KIT),
    "same word elsewhere": ("class A:\n    pass\na = A()\na.Slider()", Place.KIT),
    "class that derives has its own": (
        "import omni.ui as ui\nclass V(ui.Window):\n    def __init__(self):\n        super().__init__('a')\n"
        "        self.mine()\n        self.frame.rebuild()\n    def mine(self):\n        pass",
        Place.KIT,
    ),
    "print in an example": ("print('a')", Place.EXAMPLE),
    "inherited keyword": ("import omni.ui as ui\nui.ComboBox(0, 'a', 'b', identifier='c', tooltip='d')", Place.KIT),
    "Replicator": (
        "import omni.replicator.core as rep\nrep.functional.create.camera(position=(0, 0, 1))",
        Place.EXAMPLE,
    ),
}


@pytest.mark.parametrize(("source", "place"), ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_is_not_found(source: str, place: Place) -> None:
    assert check(source, place) == []


def test_every_row_of_the_list_is_well_formed() -> None:
    for row in table():
        assert row.tier in {"R", "O", "T", "X"}, row.name
        assert row.since
        owner = row.name.rpartition(".")[0]
        if len(row.path) == 2 and row.path[0][0].isupper():
            assert table().get(owner), f"{row.name} belongs to no class in {LIST}"
        for other in (row.returns, *row.bases, *row.attributes.values()):
            assert other in (None, "value") or table().get(other), f"{row.name} speaks of {other}"
        if row.params is not None:
            ast.parse(f"lambda {row.params[1:-1]}: None")


def faked_classes() -> list[type[Strict]]:
    found, queue = [], [Strict]
    while queue:
        subclasses = queue.pop().__subclasses__()
        found += [cls for cls in subclasses if cls.__module__.startswith("fake_kit.")]
        queue += subclasses
    return found


@pytest.mark.parametrize("cls", faked_classes(), ids=lambda cls: cls.__name__)
def test_the_fake_shows_listed_members_only(cls: type[Strict]) -> None:
    row = table().get(cls.symbol)
    if row is None:
        assert cls.__name__ == "Event"  # nothing of it is read
        return
    public = {name for name in dir(cls) if not name.startswith("_")} - {"symbol", "model_class"}
    listed = {r.path[1] for base in table().lineage(cls.symbol) for r in table() if r.name.startswith(f"{base.name}.")}
    assert public <= listed | set(table().attributes(cls.symbol)), f"{cls.symbol} shows more than {LIST}"


@pytest.mark.parametrize("cls", faked_classes(), ids=lambda cls: cls.__name__)
def test_methods_of_the_fake_take_what_the_list_says(cls: type[Strict]) -> None:
    """The list decides which arguments a call may have; the fake has to be able to take them all."""
    for row in [row for row in table() if row.name.startswith(f"{cls.symbol}.")]:
        method = getattr(cls, row.path[1], None)
        signature = table().signature(row.name)
        if method is None or signature is None:
            continue
        names = [p.name for p in inspect.signature(method).parameters.values() if p.name != "self"]
        assert len(names) == len(signature.parameters), row.name
