# SPDX-License-Identifier: Apache-2.0
"""Fake of `omni.usd` around real stages of `pxr`."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from fake_kit.strict import Strict, listed


class StageEventType(Enum):
    """Events of a stage that we use."""

    OPENED = 0
    CLOSING = 1
    SELECTION_CHANGED = 2


class Selection(Strict):
    """Selected prims."""

    symbol = "omni.usd:Selection"

    def __init__(self, changed: Callable[[], None]) -> None:
        self._paths: list[str] = []
        self._changed = changed

    @listed("omni.usd:Selection.get_selected_prim_paths")
    def get_selected_prim_paths(self) -> list[str]:
        """Paths, in the order of selection."""
        return list(self._paths)

    @listed("omni.usd:Selection.set_selected_prim_paths")
    def set_selected_prim_paths(self, paths: list[str], expand_in_stage: bool) -> bool:
        """Select these prims instead."""
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise TypeError(f"paths is a list of str, not {paths!r}")
        self._paths = list(paths)
        self._changed()
        return True


class UsdContext(Strict):
    """The open stage."""

    symbol = "omni.usd:UsdContext"

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._stage: Any = None
        self._loading = 0
        self._selection = Selection(lambda: emit(_event_name(StageEventType.SELECTION_CHANGED)))

    @listed("omni.usd:UsdContext.get_stage")
    def get_stage(self) -> Any:
        """The stage, or None while none is open."""
        return self._stage

    @listed("omni.usd:UsdContext.get_stage_url")
    def get_stage_url(self) -> str:
        """File of the stage; "anon:..." for one that was never saved."""
        return str(self._stage.GetRootLayer().identifier) if self._stage else ""

    @listed("omni.usd:UsdContext.get_selection")
    def get_selection(self) -> Selection:
        """The selection."""
        return self._selection

    @listed("omni.usd:UsdContext.get_stage_loading_status")
    def get_stage_loading_status(self) -> tuple[str, int, int]:
        """Message, files loaded, files in all."""
        return ("loading" if self._loading else ""), 0, self._loading

    @listed("omni.usd:UsdContext.stage_event_name")
    def stage_event_name(self, event: StageEventType) -> str:
        """Name under which the dispatcher announces an event of this stage."""
        return _event_name(StageEventType(event))

    @listed("omni.usd:UsdContext.new_stage_async")
    async def new_stage_async(self) -> tuple[bool, str]:
        """Close the stage and make an empty one."""
        self._new()
        return True, ""

    @listed("omni.usd:UsdContext.open_stage_async")
    async def open_stage_async(self, url: str) -> tuple[bool, str]:
        """Close the stage and open a file."""
        self._open(url)
        return True, ""

    def _new(self, *, metres_per_unit: float = 0.01, up_axis: str = "Y") -> Any:
        """An empty stage as plain Kit makes it (centimetres, Y up), or as Isaac Sim does (1.0, "Z")."""
        from pxr import Usd, UsdGeom

        stage = Usd.Stage.CreateInMemory()
        UsdGeom.SetStageMetersPerUnit(stage, metres_per_unit)
        UsdGeom.SetStageUpAxis(stage, up_axis)
        return self._attach(stage)

    def _open(self, file: str | Path) -> Any:
        from pxr import Usd

        return self._attach(Usd.Stage.Open(str(file)))

    def _attach(self, stage: Any) -> Any:
        self._close()
        self._stage = stage
        self._emit(_event_name(StageEventType.OPENED))
        return stage

    def _close(self) -> None:
        if self._stage is not None:
            self._emit(_event_name(StageEventType.CLOSING))
            self._stage = None
            self._selection._paths.clear()

    def _save(self, file: str | Path | None) -> None:
        """Save; with a file, save as: the written file is the open stage from then on."""
        root = self._stage.GetRootLayer()
        if file is None:
            root.Save()
        else:
            root.Export(str(file))
            self._open(file)


def _event_name(event: StageEventType) -> str:
    return f"fake:omni.usd:{event.name.lower()}"


def get_stage_next_free_path(stage: Any, path: str, prepend_default_prim: bool) -> str:
    """A path that no prim has: the one asked for, or that with a number."""
    default = stage.GetDefaultPrim()
    if prepend_default_prim and default and not path.startswith(f"{default.GetPath()}/"):
        path = f"{default.GetPath()}{path}"
    free, number = path, 1
    while stage.GetPrimAtPath(free):
        free, number = f"{path}_{number:02d}", number + 1
    return free
