# SPDX-License-Identifier: Apache-2.0
"""The layers of a scene whose Gaussians move.

```
dynamic.usda        /Gaussians: Xform
                    /Gaussians/Static: what does not move, from gaussians.usdc, if there is such
                    /Gaussians/Moving: from moving.usdc
```
"""

from __future__ import annotations

from pathlib import Path

from pxr import Usd, UsdGeom

from usd_export.cloud import GaussianCloud
from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.frames import write_frames
from usd_export.dynamic.motion import SAMPLES_BYTES, Motion, set_time_range
from usd_export.dynamic.rigid import bodies_note, rigid_note, write_rigid
from usd_export.dynamic.samples import write_clips, write_clusters, write_samples
from usd_export.encodings.gaussian_layers import GaussianLayers, particle_field_bytes, write_particle_field_layers
from usd_export.encodings.particle_field import HALF_WARNING
from usd_export.layers import new_layer
from usd_export.layout import DYNAMIC_LAYER, MOVING_LAYER
from usd_export.options import MotionChoice

_PRIM = "/Gaussians"


def moving_bytes(cloud: DynamicCloud, *, half: bool) -> int:
    """Size of the arrays of all instants."""
    return len(cloud) * particle_field_bytes(cloud.moving[0], half=half)


def chosen_motion(cloud: DynamicCloud, motion: Motion, *, half: bool) -> MotionChoice:
    """How the motion is stored, with `auto` decided."""
    if motion.kind != "auto":
        return motion.kind
    return "clips" if moving_bytes(cloud, half=half) > SAMPLES_BYTES else "samples"


def write_dynamic_layers(
    folder: Path, cloud: DynamicCloud, motion: Motion, metres_per_unit: float, *, half: bool
) -> GaussianLayers:
    """Write a cloud that moves, one instant at a time.

    Args:
        folder: Receives the files.
        cloud: Gaussians in scene units.
        motion: How to store their motion.
        metres_per_unit: Metres per scene unit.
        half: Whether values are stored in half precision.

    Raises:
        UsdExportError: If an instant is invalid, or the motion needs what the cloud does not have.
    """
    rate, codes = motion.time_codes_per_second, motion.time_codes(cloud.times)
    top = new_layer(folder / DYNAMIC_LAYER, _PRIM, rate)
    set_time_range(top, codes)
    UsdGeom.Xform.Define(top, _PRIM)
    still = _write_static(folder, top, cloud.static, half)
    moving = _write_moving(folder, cloud, motion, half)
    _refer(top, "Moving", MOVING_LAYER)
    top.Save()
    return GaussianLayers(
        [folder / DYNAMIC_LAYER, *still.files, *moving.files],
        still.parts + moving.parts,
        (*((HALF_WARNING,) if half else ()), *motion_notes(cloud, motion, metres_per_unit)),
    )


def _write_static(folder: Path, top: Usd.Stage, cloud: GaussianCloud | None, half: bool) -> GaussianLayers:
    if cloud is None:
        return GaussianLayers([], 0)
    layers = write_particle_field_layers(folder, cloud, half=half)
    _refer(top, "Static", layers.files[0].name)
    return layers


def motion_notes(cloud: DynamicCloud, motion: Motion, metres_per_unit: float) -> tuple[str, ...]:
    """What a user should know about the way that motion is stored.

    Raises:
        UsdExportError: If rigid parts are asked for and there are no clusters.
    """
    if motion.kind == "rigid":
        return (rigid_note(cloud, metres_per_unit),)
    if motion.kind == "frames":
        return (f"the moving Gaussians are {len(cloud)} prims, one per instant: all of them are held in memory",)
    if motion.bodies != "none" and cloud.rigid_fit is not None:
        return (bodies_note(cloud, metres_per_unit),)
    return ()


def _write_moving(folder: Path, cloud: DynamicCloud, motion: Motion, half: bool) -> GaussianLayers:
    rate, codes = motion.time_codes_per_second, motion.time_codes(cloud.times)
    files = [folder / MOVING_LAYER]
    match chosen_motion(cloud, motion, half=half):
        case "rigid":
            return GaussianLayers(files, write_rigid(folder, cloud, codes, rate, half=half))
        case "frames":
            files = write_frames(folder, cloud.instants(matched=False), codes, rate, half=half)
            return GaussianLayers(files, len(codes))
        case "clips":
            stage, clips = write_clips(folder, cloud.instants(), codes, rate, half=half, clip_bytes=motion.clip_bytes)
            files += clips
        case _:
            stage = write_samples(folder, cloud.instants(), codes, rate, half=half)
    if cloud.clusters is not None:
        write_clusters(stage, cloud.clusters)
    return GaussianLayers(files, 1)


def _refer(stage: Usd.Stage, name: str, layer: str) -> None:
    stage.DefinePrim(f"{_PRIM}/{name}").GetReferences().AddReference(f"./{layer}")
