# SPDX-License-Identifier: Apache-2.0
"""Scene files on disk, read before they are put on a stage.

Layers are opened, but no payload is loaded and no array is read: the time this takes does not grow with the scene.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..protocol import MANIFEST_FILE, Manifest, ProtocolError, existing_file
from .types import ENCODINGS, NUREC, PARTICLE_FIELD, SENSOR_VARIANTS, StageError

if TYPE_CHECKING:
    from pxr import Sdf, Usd

ENCODING_SET = "encoding"
SENSOR_SET = "sensors"
COLLIDER_SET = "collider"
"""Variant sets of scenes as `usd_export` writes them."""

ROOT_LAYERS = {PARTICLE_FIELD: "scene.usda", NUREC: "scene_isaac5.usda"}
"""Root layers over the same parts, if a folder holds both encodings."""

_BEGINNINGS = (b"#usda", b"#sdf", b"PXR-USDC", b"PK\x03\x04")
_RESET_XFORM_STACK = "!resetXformStack!"


@dataclass(frozen=True)
class SceneAsset:
    """What the root layer of a scene says about itself.

    Attributes:
        file: The root layer.
        metres_per_unit: Its unit [m].
        up_axis: `Y` or `Z`.
        time_range: First and last moment [s], or None for a scene that does not move.
        encodings: Of its Gaussians.
        switchable: Whether a variant set switches between the encodings.
        sensor_prim: Path below the default prim of the prim that has the variant set `sensors`; None if none has.
        root_type: Type of the default prim, `Xform` if it cannot be moved.
        xform_ops: Transformations of the default prim itself.
        warnings: Texts for the user.
    """

    file: Path
    metres_per_unit: float
    up_axis: str
    time_range: tuple[float, float] | None
    encodings: tuple[str, ...]
    switchable: bool
    sensor_prim: str | None
    root_type: str
    xform_ops: tuple[str, ...]
    warnings: tuple[str, ...]


def check_asset(scene: Path, encoding: str) -> list[str]:
    """Why a scene cannot be shown; empty if it can.

    Args:
        scene: Folder with a manifest, or a USD file.
        encoding: `particlefield` or `nurec`.
    """
    try:
        if not scene.is_dir():
            return encoding_problems(read_asset(root_layer_for(scene, encoding)), encoding)
        manifest = Manifest.read(scene)
        require_usd_file(manifest.root_file(scene, encoding))
        return [problem for entry in manifest.files for problem in _file_problems(scene, entry)]
    except (StageError, ProtocolError) as error:
        return [str(error)]


def encoding_problems(asset: SceneAsset, encoding: str) -> list[str]:
    """Why the Gaussians of a scene cannot be shown in an encoding."""
    if not asset.encodings:
        return [f"{asset.file} holds no Gaussians; cameras will see only its meshes."]
    if encoding in asset.encodings:
        return []
    return [
        f"{asset.file} holds its Gaussians as {asset.encodings[0]} only, and this application draws {encoding}. "
        "Generate the scene again with the encoding universal."
    ]


def _file_problems(folder: Path, entry: dict[str, object]) -> Iterator[str]:
    """What is wrong with a file of a manifest, without reading it."""
    try:
        size = existing_file(folder, str(entry["path"])).stat().st_size
    except ProtocolError as error:
        yield str(error)
        return
    if size != entry.get("bytes"):
        yield (
            f"{folder / str(entry['path'])} has {size} bytes, {MANIFEST_FILE} says {entry.get('bytes')}. "
            "Generate the scene again."
        )


def root_layer_for(file: Path, encoding: str) -> Path:
    """The root layer beside `file` that is made for an encoding; `file` itself where there is no choice.

    The layers differ in more than the encoding: the one for Isaac Sim 5 also switches cameras off.
    """
    sibling = file.with_name(ROOT_LAYERS.get(encoding, file.name))
    return sibling if file.name in ROOT_LAYERS.values() and sibling.is_file() else file


def require_usd_file(file: Path) -> Path:
    """The absolute path of an existing USD file.

    Raises:
        StageError: If it is none.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]", str(file)):
        raise StageError(f"{file} is not a file of this computer. Copy the scene's folder to a local disk.")
    if not _can_be_written(str(file)):
        raise StageError(
            f"{str(file)!r} has characters in its name that USD cannot store. Rename the folder or the file."
        )
    try:
        if file.is_dir():
            raise StageError(f"{file} is a folder. Name the root layer in it, such as {ROOT_LAYERS[PARTICLE_FIELD]}.")
        with file.open("rb") as stream:
            beginning = stream.read(16)
    except FileNotFoundError as error:
        raise StageError(f"{file} does not exist. Was the scene moved or deleted?") from error
    except (OSError, ValueError) as error:
        raise StageError(f"{file} cannot be read: {error}.") from error
    if not beginning.startswith(_BEGINNINGS):
        raise StageError(f"{file} is not a USD file. Choose the root layer of a scene: .usda, .usd or .usdc.")
    return file.absolute()


def _can_be_written(path: str) -> bool:
    """Whether a path is Unicode without control characters, of which file systems allow more."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in path)


def open_asset(file: Path) -> Usd.Stage:
    """A stage of its own on a scene file, with nothing loaded.

    Raises:
        StageError: If the file or a layer that it refers to cannot be read, or no prim stands for it.
    """
    from pxr import Sdf, Tf, Usd

    file = require_usd_file(file)
    try:
        layer = Sdf.Layer.FindOrOpen(file.as_posix())
        stage = Usd.Stage.Open(layer, load=Usd.Stage.LoadNone) if layer else None
    except Tf.ErrorException as error:
        reason = error.args[0].commentary.strip()
        raise StageError(f"{file} is damaged ({reason}). Generate the scene again.") from error
    if stage is None:
        raise StageError(f"{file} is damaged. Generate the scene again.")
    absent = list(_absent_layers(stage.GetRootLayer()))
    if absent:
        raise StageError(
            f"{file} refers to {absent[0]}, which does not exist. Put it back, or generate the scene again."
        )
    if not stage.GetDefaultPrim():
        raise StageError(f"{file} names no default prim, so it cannot be put on a stage. Set one in the file.")
    return stage


def _absent_layers(layer: Sdf.Layer) -> Iterator[str]:
    from pxr import Ar

    for path in layer.GetCompositionAssetDependencies():
        if path and not Ar.GetResolver().Resolve(layer.ComputeAbsolutePath(path)):
            yield path


def read_asset(file: Path) -> SceneAsset:
    """Read what a root layer says about itself.

    Raises:
        StageError: If it cannot be put on a stage.
    """
    from pxr import UsdGeom

    stage = open_asset(file)
    prim = stage.GetDefaultPrim()
    layer = stage.GetRootLayer()
    movable = prim.IsA(UsdGeom.Xformable)
    ops = UsdGeom.Xformable(prim).GetXformOpOrderAttr().Get() if movable else None
    return SceneAsset(
        file=file.absolute(),
        metres_per_unit=metres_per_unit(stage),
        up_axis=up_axis(stage),
        time_range=time_range(layer),
        encodings=tuple(_encodings(prim)),
        switchable=prim.GetVariantSets().HasVariantSet(ENCODING_SET),
        sensor_prim=_sensor_prim(prim),
        root_type=str(prim.GetTypeName()) if movable else "Xform",
        xform_ops=tuple(op for op in ops or () if op != _RESET_XFORM_STACK),
        warnings=tuple(_warnings(stage)),
    )


def metres_per_unit(stage: Usd.Stage) -> float:
    """Unit of a stage [m]; StageError unless it is a length."""
    from pxr import UsdGeom

    unit = float(UsdGeom.GetStageMetersPerUnit(stage))
    if not (math.isfinite(unit) and unit > 0):
        name = stage.GetRootLayer().GetDisplayName()
        raise StageError(f"{name} has the unit {unit} metres. Set metersPerUnit to a positive number.")
    return unit


def up_axis(stage: Usd.Stage) -> str:
    """`Y` or `Z`; StageError for anything else."""
    from pxr import UsdGeom

    axis = str(UsdGeom.GetStageUpAxis(stage))
    if axis not in ("Y", "Z"):
        name = stage.GetRootLayer().GetDisplayName()
        raise StageError(f"{name} has the up axis {axis}. USD knows Y and Z; set upAxis to one of them.")
    return axis


def collider_paths(file: Path) -> list[str]:
    """Paths, below the default prim, of all prims that collide in some variant of the collider; parents first."""
    from pxr import Usd

    stage = open_asset(file)
    root = stage.GetDefaultPrim()
    found = set(_colliding(root))
    switches = [prim.GetPath() for prim in Usd.PrimRange(root) if prim.GetVariantSets().HasVariantSet(COLLIDER_SET)]
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        for path in switches:
            for name in stage.GetPrimAtPath(path).GetVariantSet(COLLIDER_SET).GetVariantNames():
                stage.GetPrimAtPath(path).GetVariantSet(COLLIDER_SET).SetVariantSelection(name)
                found.update(_colliding(root))
    return sorted(found)


def _colliding(root: Usd.Prim) -> Iterator[str]:
    from pxr import Usd

    for prim in Usd.PrimRange(root):
        if "PhysicsCollisionAPI" in prim.GetAppliedSchemas():
            yield str(prim.GetPath().MakeRelativePath(root.GetPath()))


def time_range(layer: Sdf.Layer) -> tuple[float, float] | None:
    """First and last moment of a layer [s]; None if it does not say them."""
    if not (layer.HasStartTimeCode() and layer.HasEndTimeCode()):
        return None
    rate = layer.timeCodesPerSecond
    return layer.startTimeCode / rate, layer.endTimeCode / rate


def _encodings(root: Usd.Prim) -> Iterator[str]:
    from pxr import Usd

    if root.GetVariantSets().HasVariantSet(ENCODING_SET):
        names = root.GetVariantSet(ENCODING_SET).GetVariantNames()
        yield from (name for name in ENCODINGS if name in names)
        return
    types = {str(prim.GetTypeName()) for prim in Usd.PrimRange(root)}
    if any(name.startswith("ParticleField") for name in types):
        yield PARTICLE_FIELD
    if "OmniNuRecFieldAsset" in types:
        yield NUREC


def _sensor_prim(root: Usd.Prim) -> str | None:
    from pxr import Usd

    for prim in Usd.PrimRange(root):
        if set(SENSOR_VARIANTS.values()) <= set(prim.GetVariantSets().GetVariantSet(SENSOR_SET).GetVariantNames()):
            return str(prim.GetPath().MakeRelativePath(root.GetPath()))
    return None


def _warnings(stage: Usd.Stage) -> Iterator[str]:
    from pxr import UsdGeom

    layer = stage.GetRootLayer()
    if layer.GetFileFormat().IsPackage():
        yield (
            f"{layer.GetDisplayName()} is a package: it is shown, but nothing in it can be changed, and some "
            f"applications load only part of it. Spawn {ROOT_LAYERS[PARTICLE_FIELD]} of the scene's folder instead."
        )
    if not UsdGeom.StageHasAuthoredMetersPerUnit(stage):
        yield f"{layer.GetDisplayName()} does not say its unit; USD's default, centimetres, was taken."
