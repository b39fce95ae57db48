# SPDX-License-Identifier: Apache-2.0
"""What the operations on a stage take and give back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LyraSimError

if TYPE_CHECKING:
    from pxr import Sdf

PARTICLE_FIELD = "particlefield"
NUREC = "nurec"
ENCODINGS = (PARTICLE_FIELD, NUREC)
"""How Gaussians can be stored: for Isaac Sim 6 and later, and for Isaac Sim 5."""

SENSOR_VARIANTS = {"camera": "splats", "hybrid": "proxy"}
"""What sensors see, and the name of the asset's variant for it. `camera`: the Gaussians, for pictures. `hybrid`: the
vertex-coloured, labelled meshes instead, for depth, normals, segmentation and lidar. Switch to have both."""

COLLISIONS = ("mesh", "none")
"""Whether the asset's colliders collide."""


class StageError(LyraSimError):
    """Nothing was changed on the stage; the message says what to do."""


@dataclass(frozen=True)
class SpawnRequest:
    """What to put on a stage, and how.

    Attributes:
        usd_file: Root layer of the scene: the unpacked file, not a package.
        prim_path: Where; None chooses a free path. A path that is taken gets a number.
        translate: Position of the scene's origin [units of the stage, axes of the parent prim].
        rotate_xyz_deg: Rotation about x, then y, then z [degrees].
        scale: Uniform factor on top of the conversion of units.
        encoding: `particlefield` or `nurec`.
        collision: `mesh` or `none`.
        sensors: `camera` or `hybrid`, see `SENSOR_VARIANTS`.
        visible: Whether the scene is shown; it collides either way.
        provenance: Origin of the scene for the prim's custom data: flat plain values, of which None is left out.
    """

    usd_file: Path
    prim_path: str | None = None
    translate: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotate_xyz_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    encoding: str = PARTICLE_FIELD
    collision: str = "mesh"
    sensors: str = "camera"
    visible: bool = True
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Spawned:
    """What `spawn` did, and what `unspawn` needs to take exactly that back.

    Attributes:
        prim_path: Of the scene.
        root_prims_created: Ancestors that did not exist, such as `/World`; outermost first.
        warnings: Texts for the user.
        encoding: Of the Gaussians that are shown; empty if the file holds none.
        layer: Identifier of the layer that was written to.
        spec_path: Of the scene in that layer; differs from `prim_path` while a variant is edited.
        parents_created: Ancestors in that layer that did not exist there; outermost first.
        layer_fields_set: Metadata of the stage that the layer did not have, such as `defaultPrim`, with its values.
    """

    prim_path: str
    root_prims_created: tuple[str, ...]
    warnings: tuple[str, ...]
    encoding: str
    layer: str
    spec_path: str
    parents_created: tuple[str, ...] = ()
    layer_fields_set: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class SpecSnapshot:
    """A prim of one layer, with everything below it.

    Attributes:
        layer: Identifier of the layer.
        path: Of the prim in that layer.
        index: Its place among the children of its parent.
        copy: A layer that holds the same prim at the same path.
    """

    layer: str
    path: str
    index: int
    copy: Sdf.Layer


@dataclass(frozen=True)
class RemovedScene:
    """A scene as it was, for `restore`.

    Attributes:
        prim_path: Of the scene.
        snapshots: Its opinions in all layers of the stage.
        replaced: Whether another scene took its place rather than none.
        warnings: Texts for the user about the one that took its place.
    """

    prim_path: str
    snapshots: tuple[SpecSnapshot, ...]
    replaced: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SpawnedInfo:
    """A scene that stands on a stage.

    Attributes:
        prim_path: Of the scene.
        usd_file: The file it shows.
        missing: Whether that file is gone; `retarget` repairs the scene.
        provenance: As given to `spawn`.
        encoding: Of the Gaussians that are shown; empty if the file holds none.
        collision: `mesh` or `none`.
        sensors: `camera` or `hybrid`.
    """

    prim_path: str
    usd_file: Path
    missing: bool
    provenance: dict[str, Any]
    encoding: str = ""
    collision: str = "mesh"
    sensors: str = "camera"
