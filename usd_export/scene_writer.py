# SPDX-License-Identifier: Apache-2.0
"""Composing a scene from its parts: the only place that builds layers.

```
scene.usda                      root layer: Z-up, 1 m, 1 kg
gaussians.usdc                  the particle field
collision.usdc                  the collider, if there is one
/World                          Xform, kind component
/World/Scene                    Xform with the one matrix from scene units to metres
/World/Scene/Gaussians          ParticleField3DGaussianSplat
/World/Scene/Collision          Xform, purpose guide
/World/Scene/Collision/mesh     Mesh with UsdPhysics collision
/World/PhysicsMaterials/ground  Material with friction
```
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Kind, Sdf, Tf, Usd, UsdGeom, UsdPhysics

from usd_export.baking import bake_frame
from usd_export.cloud import GaussianCloud
from usd_export.errors import UsdExportError
from usd_export.files import replacing, require_writable_folder
from usd_export.frame import Frame
from usd_export.particle_field import write_particle_field
from usd_export.physics import bind_physics_material, write_collider, write_ground_material
from usd_export.ply import write_ply
from usd_export.provenance import KEY, SceneRecord
from usd_export.usdz import write_usdz

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh

ROOT_LAYER = "scene.usda"
GAUSSIANS_LAYER = "gaussians.usdc"
COLLISION_LAYER = "collision.usdc"

WORLD = "/World"
SCENE = "/World/Scene"
GAUSSIANS = "/World/Scene/Gaussians"
COLLISION = "/World/Scene/Collision"
MATERIALS = "/World/PhysicsMaterials"

# Splat colours are display-referred already: RTX must not tone-map them again (as NVIDIA's 3dgrut exporter has it).
_RENDER_SETTINGS = {"rtx:post:tonemap:op": 2}


def require_scene_target(path: str | Path) -> str:
    """Check, before any long work, that a scene can be written to `path`.

    Returns:
        The kind of output: "usdz", "ply" or "folder" (no suffix, a trailing slash, or an existing folder).

    Raises:
        UsdExportError: If the suffix is unknown or the folder around it is missing or read-only.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if target.is_dir() or str(path).endswith("/") or not suffix:
        kind = "folder"
    elif suffix in (".usdz", ".ply"):
        kind = suffix[1:]
    else:
        raise UsdExportError(f"{path} has the unknown suffix {target.suffix}; use .usdz, .ply or a folder name")
    if kind == "folder" and target.exists() and not target.is_dir():
        raise UsdExportError(f"{path} is a file, not a folder; choose another output name")
    require_writable_folder(target if target.is_dir() else target.absolute().parent)
    return kind


def write_scene(
    path: str | Path,
    cloud: GaussianCloud,
    frame: Frame,
    *,
    collider: ColliderMesh | None = None,
    provenance: Mapping[str, Any] | None = None,
    camera_hull: NDArray[np.floating] | None = None,
) -> list[Path]:
    """Write a scene; the same arguments give the same bytes.

    Files are finished under a temporary name and then renamed: a failure leaves the old content, or nothing.

    Args:
        path: `*.usdz`, `*.ply` or a folder. A PLY holds the splats only, with the frame applied to positions, scales,
            rotations and harmonics, so that it is metric and Z-up too.
        cloud: Gaussians in scene units.
        frame: Scene units to world metres.
        collider: Collision mesh in scene units.
        provenance: Nested plain values about the origin of the scene, without clock times.
        camera_hull: Viewpoints [M, 3] in scene units; inside their convex hull the picture can be trusted.

    Returns:
        The files that were written, the one to open first.

    Raises:
        UsdExportError: If the input is invalid or the target cannot be written.
    """
    kind = require_scene_target(path)
    target = Path(path)
    cloud.validate()
    record = SceneRecord(frame, dict(provenance or {}), camera_hull)
    if kind == "ply":
        write_ply(target, bake_frame(cloud, frame), comments=[record.to_ply_comment()])
        return [target]
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.absolute().parent) as scratch:
            folder = Path(scratch, "layers")
            folder.mkdir()
            layers = _write_layers(folder, cloud, collider, record)
            if kind == "folder":
                return _install(layers, target)
            with replacing(target) as package:
                write_usdz(package, layers)
            return [target]
    except Tf.ErrorException as error:
        raise UsdExportError(f"{path} could not be written: {_first_line(error)}") from error
    except OSError as error:
        raise UsdExportError(f"{path} could not be written: {error.strerror or error}") from error


def _write_layers(folder: Path, cloud: GaussianCloud, collider: ColliderMesh | None, record: SceneRecord) -> list[Path]:
    """Write all layers of a scene; the root layer comes first in the result."""
    parts = [_new_stage(folder / GAUSSIANS_LAYER, "/Gaussians")]
    write_particle_field(parts[0], "/Gaussians", cloud)
    if collider is not None:
        parts.append(_new_stage(folder / COLLISION_LAYER, "/Collision"))
        write_collider(parts[1], "/Collision", collider)
    for part in parts:
        part.Save()
    root = _compose(folder / ROOT_LAYER, record, has_collider=collider is not None)
    return [Path(stage.GetRootLayer().realPath) for stage in (root, *parts)]


def _new_stage(file: Path, default_prim: str) -> Usd.Stage:
    stage = Usd.Stage.CreateNew(str(file))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    stage.GetRootLayer().defaultPrim = Sdf.Path(default_prim).name
    return stage


def _compose(file: Path, record: SceneRecord, has_collider: bool) -> Usd.Stage:
    """Write the root layer, which refers to the other layers beside it."""
    stage = _new_stage(file, WORLD)
    origin = record.to_usd()
    stage.GetRootLayer().customLayerData = {"renderSettings": _RENDER_SETTINGS, KEY: origin}
    world = UsdGeom.Xform.Define(stage, WORLD)
    Usd.ModelAPI(world).SetKind(Kind.Tokens.component)
    world.GetPrim().SetCustomDataByKey(KEY, origin)
    scene = UsdGeom.Xform.Define(stage, SCENE)
    scene.AddTransformOp().Set(usd_matrix(record.frame))
    stage.DefinePrim(GAUSSIANS).GetReferences().AddReference(f"./{GAUSSIANS_LAYER}")
    if has_collider:
        stage.DefinePrim(COLLISION).GetReferences().AddReference(f"./{COLLISION_LAYER}")
        UsdGeom.Scope.Define(stage, MATERIALS)
        material = write_ground_material(stage, f"{MATERIALS}/ground")
        bind_physics_material(stage.OverridePrim(f"{COLLISION}/mesh"), material)
    stage.Save()
    return stage


def usd_matrix(frame: Frame) -> Gf.Matrix4d:
    """The frame as USD writes matrices: row vectors, translation in the last row."""
    return Gf.Matrix4d(frame.matrix.T.tolist())


def _install(layers: list[Path], target: Path) -> list[Path]:
    """Move finished layers to the target folder, the root layer last so that it never refers to a missing one."""
    installed = [target / layer.name for layer in layers]
    if not target.exists():
        layers[0].parent.replace(target)
        return installed
    for layer, file in zip(reversed(layers), reversed(installed), strict=True):
        layer.replace(file)
    if target / COLLISION_LAYER not in installed:  # of an earlier scene: nothing refers to it any more
        (target / COLLISION_LAYER).unlink(missing_ok=True)
    return installed


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "unknown error of the USD library")
