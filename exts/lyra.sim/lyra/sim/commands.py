# SPDX-License-Identifier: Apache-2.0
"""Undoable commands. Each is a shell around a function of `stage_ops`; names for `execute` are those of the classes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import omni.kit.app
import omni.kit.commands
import omni.usd

from . import stage_ops
from .errors import LyraSimError
from .stage.layer_edits import remove_prim
from .stage.places import default_parent

if TYPE_CHECKING:
    from pxr import Usd


class LyraSpawnScene(omni.kit.commands.Command):
    """Put a generated scene on the open stage, in the current edit target.

    Args:
        usd_path: Root layer of the scene, an unpacked file.
        prim_path: Where; a free path below /World by default.
        translate: Position [units of the stage].
        rotate_xyz_deg: Rotation about x, then y, then z [degrees].
        scale: Factor on top of the conversion of units.
        encoding: particlefield, nurec, or auto for what this version of Kit draws.
        collision: mesh or none.
        sensors: camera or hybrid, see `stage_ops.SpawnRequest`.
        visible: Whether it is shown.
        select: Whether it is selected.
        provenance: Plain values for the prim's custom data.

    Returns:
        `stage_ops.Spawned`.
    """

    def __init__(
        self,
        usd_path: str,
        prim_path: str | None = None,
        translate: Sequence[float] = (0.0, 0.0, 0.0),
        rotate_xyz_deg: Sequence[float] = (0.0, 0.0, 0.0),
        scale: float = 1.0,
        encoding: str = "auto",
        collision: str = "mesh",
        sensors: str = "camera",
        visible: bool = True,
        select: bool = True,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self._request = stage_ops.SpawnRequest(
            usd_file=Path(usd_path),
            prim_path=prim_path,
            translate=_triple(translate),
            rotate_xyz_deg=_triple(rotate_xyz_deg),
            scale=scale,
            encoding=encoding,
            collision=collision,
            sensors=sensors,
            visible=visible,
            provenance=dict(provenance or {}),
        )
        self._select = select
        self._spawned: stage_ops.Spawned | None = None
        self._selected_before: list[str] = []

    def do(self) -> stage_ops.Spawned:
        """Spawn; a redo takes the path of the first time."""
        selection = _selection()
        self._selected_before = selection.get_selected_prim_paths()
        with _noting_refusal():
            encoding = stage_ops.choose_encoding(self._request.encoding, omni.kit.app.get_app().get_kit_version())
            self._spawned = stage_ops.spawn(_stage(), replace(self._request, encoding=encoding))
        self._request = replace(self._request, prim_path=self._spawned.prim_path)
        if self._select:
            selection.set_selected_prim_paths([self._spawned.prim_path], True)
        return self._spawned

    def undo(self) -> None:
        """Remove what was spawned, select what was selected."""
        if self._spawned:
            stage_ops.unspawn(_stage(), self._spawned)
            _selection().set_selected_prim_paths(self._selected_before, True)
            self._spawned = None


class LyraRemoveScene(omni.kit.commands.Command):
    """Remove a spawned scene from the stage; its files stay.

    Args:
        prim_path: Of the scene.
    """

    def __init__(self, prim_path: str) -> None:
        self._prim_path = prim_path
        self._selected_before: list[str] = []
        self._removed: stage_ops.RemovedScene | None = None

    def do(self) -> None:
        """Remove."""
        self._selected_before = _selection().get_selected_prim_paths()
        with _noting_refusal():
            self._removed = stage_ops.remove(_stage(), self._prim_path)

    def undo(self) -> None:
        """Put it back as it was."""
        _restore(self._removed)
        _selection().set_selected_prim_paths(self._selected_before, True)


class LyraReplaceScene(omni.kit.commands.Command):
    """Show another scene at the same path, with the same transformation.

    Args:
        prim_path: Of the scene that goes.
        usd_path: Root layer of the one that comes.
        encoding: None keeps that of the old scene; so do the next two.
        collision: mesh or none.
        sensors: camera or hybrid.
        provenance: Plain values for the prim's custom data.
    """

    def __init__(
        self,
        prim_path: str,
        usd_path: str,
        encoding: str | None = None,
        collision: str | None = None,
        sensors: str | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self._prim_path = prim_path
        self._file = Path(usd_path)
        self._options = {"encoding": encoding, "collision": collision, "sensors": sensors}
        self._provenance = dict(provenance or {})
        self._replaced: stage_ops.RemovedScene | None = None

    def do(self) -> None:
        """Replace."""
        with _noting_refusal():
            self._replaced = stage_ops.replace(
                _stage(), self._prim_path, self._file, **self._options, provenance=self._provenance
            )

    def undo(self) -> None:
        """Show the old scene again."""
        _restore(self._replaced)


class LyraRetargetScene(omni.kit.commands.Command):
    """Tell a scene where its file is now; everything else stays.

    Args:
        prim_path: Of the scene.
        usd_path: Root layer, where it is now.
    """

    def __init__(self, prim_path: str, usd_path: str) -> None:
        self._prim_path = prim_path
        self._file = Path(usd_path)
        self._before: stage_ops.RemovedScene | None = None

    def do(self) -> None:
        """Change the path."""
        with _noting_refusal():
            self._before = stage_ops.retarget(_stage(), self._prim_path, self._file)

    def undo(self) -> None:
        """The path as it was."""
        _restore(self._before)


class LyraAddPhysicsScene(omni.kit.commands.Command):
    """Add a physics scene with earth's gravity, without which colliders do nothing; nothing if there is one.

    Returns:
        The path of the physics scene.
    """

    def __init__(self) -> None:
        self._layer = ""
        self._spec_path = ""
        self._parents_made: list[str] = []

    def do(self) -> str:
        """Add."""
        stage = _stage()
        existing = stage_ops.find_physics_scene(stage)
        if existing:
            return existing
        target = stage.GetEditTarget()
        layer = target.GetLayer()
        parents = [target.MapToSpecPath(path) for path in default_parent(stage).GetPrefixes()]
        parents_made = [str(path) for path in parents if not layer.GetPrimAtPath(path)]
        with _noting_refusal():
            path = stage_ops.add_physics_scene(stage)
        self._layer, self._parents_made = layer.identifier, parents_made
        self._spec_path = str(target.MapToSpecPath(path))
        return path

    def undo(self) -> None:
        """Remove it."""
        from pxr import Sdf

        layer = Sdf.Layer.Find(self._layer) if self._layer else None
        if layer and layer.GetPrimAtPath(self._spec_path):
            remove_prim(layer, Sdf.Path(self._spec_path), self._parents_made)
        self._layer = ""


refusals: deque[str] = deque(maxlen=1)
"""Why the last command was refused. Kit logs what a command raises, but does not hand it to the caller."""


@contextmanager
def _noting_refusal() -> Iterator[None]:
    try:
        yield
    except LyraSimError as error:
        refusals.append(str(error))
        raise


def _restore(before: stage_ops.RemovedScene | None) -> None:
    if before:
        stage_ops.restore(_stage(), before)


def _stage() -> Usd.Stage:
    stage = omni.usd.get_context().get_stage()
    if stage is None:
        raise stage_ops.StageError("No stage is open. Create or open one first.")
    return stage


def _selection() -> Any:
    return omni.usd.get_context().get_selection()


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = values
    return float(x), float(y), float(z)
