# SPDX-License-Identifier: Apache-2.0
"""Composing a scene from its parts: the only place that builds layers.

```
scene.usda                      root layer: Z-up, 1 m, 1 kg
gaussians.usdc                  the Gaussians: see `gaussian_layers`
collision.usdc                  the collider, if there is one
shadow_proxy.usdc, robotics.usdc, cameras.usdc
/World                          Xform, kind component, or group if the Gaussians are in parts
/World/Scene                    Xform with the one matrix from scene units to metres
/World/Scene/Gaussians          ParticleField3DGaussianSplat, or the Volume of a NuRec scene, or an Xform of parts
/World/Scene/Gaussians/Static   ... of a scene that moves: see `usd_export.dynamic.layers`
/World/Scene/Gaussians/Moving
/World/Scene/Bodies             kinematic colliders of what moves, if rigid clusters are known
/World/Scene/Collision          Xform, purpose guide
/World/Scene/Collision/mesh     Mesh with UsdPhysics collision
/World/Scene/ShadowProxy        matte Mesh under NuRec volumes, if there is a collider
/World/Scene/Robotics           robot metadata, if given
/World/Scene/Cameras            generating cameras, if given; inactive in scenes for Isaac Sim 5
/World/PhysicsMaterials/ground  Material with friction
/World/PhysicsScene             only if asked for
```

A universal scene is a folder with two root layers over the same parts: `scene.usda` shows the particle field (Isaac Sim
6), `scene_isaac5.usda` the NuRec volume. In both, the variant set `encoding` of `/World` switches between the two, for
those who spawn a file with chosen variants.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Kind, Sdf, Tf, Usd, UsdGeom

from usd_export.cloud import GaussianCloud
from usd_export.dynamic.bodies import write_bodies
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.layers import moving_bytes, write_dynamic_layers
from usd_export.dynamic.motion import Motion, set_time_range
from usd_export.encodings.gaussian_layers import (
    GaussianLayers,
    nurec_bytes,
    particle_field_bytes,
    write_nurec_layers,
    write_particle_field_layers,
)
from usd_export.encodings.nurec import RENDER_SETTINGS as NUREC_RENDER_SETTINGS
from usd_export.encodings.nurec import is_nurec_volume
from usd_export.errors import UsdExportError
from usd_export.files import replacing
from usd_export.formats.splat_writer import write_splats
from usd_export.frame import Frame
from usd_export.layers import new_layer
from usd_export.layout import (
    BODIES,
    BODIES_LAYER,
    CAMERAS,
    CAMERAS_LAYER,
    COLLISION,
    COLLISION_LAYER,
    GAUSSIANS,
    ISAAC5_LAYER,
    MATERIALS,
    PHYSICS_SCENE,
    ROBOTICS,
    ROBOTICS_LAYER,
    ROOT_LAYER,
    SCENE,
    SHADOW_PROXY,
    SHADOW_PROXY_LAYER,
    WORLD,
    Encoding,
)
from usd_export.opening.trust import vouch_for
from usd_export.prims.cameras import CameraPath, write_cameras
from usd_export.prims.physics import SURFACES, bind_physics_material, write_collider, write_collider_materials
from usd_export.prims.physics_scene import write_physics_scene
from usd_export.prims.semantics import write_sensor_variants
from usd_export.prims.shadow_proxy import link_shadow_proxy, write_shadow_proxy
from usd_export.provenance import KEY, SceneRecord
from usd_export.scene_target import require_motion_target, require_scene_options, require_scene_target
from usd_export.usdz import MAX_BYTES, write_usdz

if TYPE_CHECKING:
    from usd_export.collision import ColliderMesh
    from usd_export.robotics import Robotics

VARIANT_SET = "encoding"
"""On `/World` of universal scenes."""

# Splat colours are display-referred already: RTX must not tone-map them again (as NVIDIA's 3dgrut exporter has it).
_RENDER_SETTINGS = {"rtx:post:tonemap:op": 2}
_LAYERS_OF_OURS = re.compile(
    r"scene_isaac5\.usda|gaussians_nurec\.usda|gaussians(_\d{3,})?\.(usdc|nurec)|dynamic\.usda|"
    r"moving(_\d{3,}|_default|_manifest)?\.usdc|(bodies|collision|robotics|cameras|shadow_proxy)\.usdc"
)


@dataclass(frozen=True)
class _Scene:
    """What `write_scene` was given."""

    cloud: GaussianCloud | DynamicCloud
    record: SceneRecord
    encoding: Encoding
    half: bool
    motion: Motion
    collider: ColliderMesh | None
    robotics: Robotics | None
    cameras: Sequence[CameraPath]
    physics_scene: bool

    @property
    def encodings(self) -> tuple[Encoding, ...]:
        return ("particlefield", "nurec") if self.encoding == "universal" else (self.encoding,)

    @property
    def time_codes_per_second(self) -> float | None:
        """Of every layer; None for a scene that does not move."""
        return self.motion.time_codes_per_second if isinstance(self.cloud, DynamicCloud) else None


def write_scene(
    path: str | Path,
    cloud: GaussianCloud | DynamicCloud,
    frame: Frame,
    *,
    motion: Motion | None = None,
    collider: ColliderMesh | None = None,
    provenance: Mapping[str, Any] | None = None,
    camera_hull: NDArray[np.floating] | None = None,
    encoding: Encoding = "particlefield",
    half: bool = False,
    robotics: Robotics | None = None,
    cameras: Sequence[CameraPath] | None = None,
    physics_scene: bool = False,
) -> list[Path]:
    """Write a scene; the same arguments give the same bytes.

    Files are finished under a temporary name and then renamed: a failure leaves the old content, or nothing.

    Args:
        path: `*.usdz`, a folder, `*.ply`, `*.compressed.ply` or `*.spz`. The last three hold the splats only, with the
            frame applied to positions, scales, rotations and harmonics, so that they are metric and upright too.
        cloud: Gaussians in scene units; those that move need a particle field.
        frame: Scene units to world metres.
        motion: How to store motion, if there is any.
        collider: Collision mesh in scene units, of what does not move.
        provenance: Nested plain values about the origin of the scene, without clock times.
        camera_hull: Viewpoints [M, 3] in scene units; inside their convex hull the picture can be trusted.
        encoding: How Gaussians are stored; a package holds one encoding, "universal" needs a folder.
        half: Store a particle field in half precision; what that costs is written into the provenance.
        robotics: Spawn poses, occupancy map and navigable region.
        cameras: Cameras that the scene was made from, in scene units.
        physics_scene: Whether the file brings its own UsdPhysics scene; only for files that nobody references.

    Returns:
        The files that were written, the one to open first.

    Raises:
        UsdExportError: If the input is invalid or the target cannot be written.
    """
    kind = require_scene_target(path)
    target = Path(path)
    require_scene_options(target, kind, encoding, half)
    if isinstance(cloud, DynamicCloud):
        require_motion_target(target, kind, encoding)
    still = cloud.static if isinstance(cloud, DynamicCloud) else cloud
    if still is not None:
        still.validate()
    record = SceneRecord(frame, dict(provenance or {}), camera_hull)
    if kind == "splats" and isinstance(cloud, GaussianCloud):
        write_splats(target, cloud, record)
        return [target]
    scene = _Scene(cloud, record, encoding, half, motion or Motion(), collider, robotics, cameras or (), physics_scene)
    if kind == "usdz":
        _require_package_size(target, scene)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.absolute().parent) as scratch:
            folder = Path(scratch, "layers")
            folder.mkdir()
            files = _write_layers(folder, scene)
            if kind == "folder":
                written = _install(files, target)
            else:
                with replacing(target) as package:
                    write_usdz(package, files)
                written = [target]
            vouch_for(written)
            return written
    except Tf.ErrorException as error:
        raise UsdExportError(f"{path} could not be written: {_first_line(error)}") from error
    except OSError as error:
        raise UsdExportError(f"{path} could not be written: {error.strerror or error}") from error


def _require_package_size(target: Path, scene: _Scene) -> None:
    """Refuse early what `write_usdz` would refuse after all layers are written."""
    cloud, half = scene.cloud, scene.half
    if isinstance(cloud, DynamicCloud):
        static = particle_field_bytes(cloud.static, half=half) if cloud.static else 0
        size = static + (0 if scene.motion.kind == "rigid" else moving_bytes(cloud, half=half))
    else:
        size = nurec_bytes(cloud) if scene.encoding == "nurec" else particle_field_bytes(cloud, half=half)
    if size > MAX_BYTES:
        raise UsdExportError(
            f"{target} would have {size} bytes, more than the 4 GiB of USDZ; write to a folder instead"
        )


def _write_layers(folder: Path, scene: _Scene) -> list[Path]:
    """Write all files of a scene; the root layer comes first in the result."""
    gaussians = {encoding: _write_gaussians(folder, scene, encoding) for encoding in scene.encodings}
    parts = _write_parts(folder, scene)
    record = _with_warnings(scene.record, [text for layers in gaussians.values() for text in layers.warnings])
    roots = [ROOT_LAYER, ISAAC5_LAYER][: len(gaussians)]
    for name, shown in zip(roots, gaussians, strict=True):
        root = _compose(folder / name, replace(scene, record=record), parts)
        _refer_to_gaussians(root, gaussians, shown, parts.get(SHADOW_PROXY))
        root.Save()
    payloads = [file for layers in gaussians.values() for file in layers.files]
    return [*(folder / name for name in roots), *payloads, *(folder / name for name in parts.values())]


def _write_gaussians(folder: Path, scene: _Scene, encoding: Encoding) -> GaussianLayers:
    if isinstance(scene.cloud, DynamicCloud):
        return write_dynamic_layers(folder, scene.cloud, scene.motion, scene.record.frame.scale, half=scene.half)
    if encoding == "nurec":
        return write_nurec_layers(folder, scene.cloud, scene.record.frame.scale)
    return write_particle_field_layers(folder, scene.cloud, half=scene.half)


def _write_parts(folder: Path, scene: _Scene) -> dict[str, str]:
    """Write everything else that has a layer of its own; returns the layer names by the prim that refers to them."""
    parts = {}

    def write(path: str, name: str, author: Callable[[Usd.Stage, str], object]) -> None:
        root = f"/{Sdf.Path(path).name}"
        layer = new_layer(folder / name, root, scene.time_codes_per_second)
        author(layer, root)
        layer.Save()
        parts[path] = name

    collider, robotics, cameras, frame = scene.collider, scene.robotics, scene.cameras, scene.record.frame
    cloud, motion = scene.cloud, scene.motion
    if isinstance(cloud, DynamicCloud) and motion.bodies != "none" and cloud.rigid_fit is not None:
        write(BODIES, BODIES_LAYER, lambda stage, path: write_bodies(stage, path, cloud, frame, motion))
    if collider is not None:
        write(COLLISION, COLLISION_LAYER, lambda stage, path: write_collider(stage, path, collider))
    if collider is not None and "nurec" in scene.encodings:
        write(SHADOW_PROXY, SHADOW_PROXY_LAYER, lambda stage, path: write_shadow_proxy(stage, path, collider))
    if robotics is not None:
        from usd_export.robotics import write_robotics  # brings SciPy along

        write(ROBOTICS, ROBOTICS_LAYER, lambda stage, path: write_robotics(stage, path, robotics))
    if cameras:
        write(CAMERAS, CAMERAS_LAYER, lambda stage, path: write_cameras(stage, path, cameras, frame))
    return parts


def _with_warnings(record: SceneRecord, warnings: list[str]) -> SceneRecord:
    """The record with more warnings in its provenance."""
    known = record.provenance.get("warnings")
    every = [*(known if isinstance(known, list) else []), *warnings]
    return replace(record, provenance={**record.provenance, "warnings": every}) if warnings else record


def _compose(file: Path, scene: _Scene, parts: Mapping[str, str]) -> Usd.Stage:
    """Begin a root layer: all but the Gaussians."""
    stage = new_layer(file, WORLD, scene.time_codes_per_second)
    if isinstance(scene.cloud, DynamicCloud):
        set_time_range(stage, scene.motion.time_codes(scene.cloud.times))
    origin = scene.record.to_usd()
    stage.GetRootLayer().customLayerData = {KEY: origin}
    world = UsdGeom.Xform.Define(stage, WORLD)
    world.GetPrim().SetCustomDataByKey(KEY, origin)
    UsdGeom.Xform.Define(stage, SCENE).AddTransformOp().Set(usd_matrix(scene.record.frame))
    for path, layer in parts.items():
        if path != SHADOW_PROXY:
            _refer(stage, path, layer)
    if scene.collider is not None:
        write_collider_materials(stage, COLLISION, MATERIALS)
        if scene.collider.labels is not None:
            hidden = [GAUSSIANS, SHADOW_PROXY] if "nurec" in scene.encodings else [GAUSSIANS]
            write_sensor_variants(stage, SCENE, hidden, f"{COLLISION}/{SURFACES}")
    if BODIES in parts:
        UsdGeom.Scope.Define(stage, MATERIALS)
        bind_physics_material(stage, [BODIES], f"{MATERIALS}/obstacle")
    if scene.physics_scene:
        write_physics_scene(stage, PHYSICS_SCENE)
    return stage


def _refer_to_gaussians(
    stage: Usd.Stage, gaussians: Mapping[Encoding, GaussianLayers], shown: Encoding, shadow_proxy: str | None
) -> None:
    """Refer to the layers of the Gaussians, and set up what depends on which of them is shown."""
    world = stage.GetPrimAtPath(WORLD)
    if len(gaussians) == 1:
        _refer_to_encoding(stage, shown, gaussians[shown], shadow_proxy)
    else:
        variants = world.GetVariantSets().AddVariantSet(VARIANT_SET)
        for encoding, layers in gaussians.items():
            variants.AddVariant(encoding)
            variants.SetVariantSelection(encoding)
            with variants.GetVariantEditContext():
                _refer_to_encoding(stage, encoding, layers, shadow_proxy)
        variants.SetVariantSelection(shown)
    tokens = Kind.Tokens
    Usd.ModelAPI(world).SetKind(tokens.group if gaussians[shown].parts > 1 else tokens.component)
    settings = NUREC_RENDER_SETTINGS if shown == "nurec" else _RENDER_SETTINGS
    layer = stage.GetRootLayer()
    layer.customLayerData = {"renderSettings": settings, **layer.customLayerData}
    if shown == "nurec" and stage.GetPrimAtPath(CAMERAS):
        stage.GetPrimAtPath(CAMERAS).SetActive(False)


def _refer_to_encoding(stage: Usd.Stage, encoding: Encoding, layers: GaussianLayers, shadow_proxy: str | None) -> None:
    """Refer to one encoding of the Gaussians; only volumes need a proxy for shadows, elsewhere it would be seen."""
    _refer(stage, GAUSSIANS, layers.files[0].name)
    if encoding == "nurec" and shadow_proxy:
        _refer(stage, SHADOW_PROXY, shadow_proxy)
        for prim in filter(is_nurec_volume, Usd.PrimRange(stage.GetPrimAtPath(GAUSSIANS))):
            link_shadow_proxy(prim, SHADOW_PROXY)


def _refer(stage: Usd.Stage, path: str, layer: str) -> None:
    stage.DefinePrim(path).GetReferences().AddReference(f"./{layer}")


def usd_matrix(frame: Frame) -> Gf.Matrix4d:
    """The frame as USD writes matrices: row vectors, translation in the last row."""
    return Gf.Matrix4d(frame.matrix.T.tolist())


def _install(files: list[Path], target: Path) -> list[Path]:
    """Move finished files to the target folder, root layers last so that they never refer to a missing one."""
    installed = [target / file.name for file in files]
    if not target.exists():
        files[0].parent.replace(target)
        return installed
    for file, place in zip(reversed(files), reversed(installed), strict=True):
        file.replace(place)
    for file in target.iterdir():
        if _LAYERS_OF_OURS.fullmatch(file.name) and file not in installed:  # of an earlier scene, referred to by none
            file.unlink()
    return installed


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "unknown error of the USD library")
