# SPDX-License-Identifier: Apache-2.0
"""The layers that hold the Gaussians of a scene, one layer per encoding, cut into parts where a format demands it.

```
gaussians.usdc          /Gaussians: ParticleField3DGaussianSplat
gaussians_nurec.usda    /Gaussians: Volume, and its payload gaussians.nurec
```

In parts, `/Gaussians` is an Xform, and its children `Partition_000`, ... have what they hold in `gaussians_000.usdc` or
`gaussians_000.nurec`, ...
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Usd, UsdGeom

from usd_export.bounds import bounds
from usd_export.cloud import GaussianCloud
from usd_export.encodings.nurec import REACH, RENDER_SETTINGS, write_nurec_volume
from usd_export.encodings.nurec_payload import BYTES_PER_GAUSSIAN
from usd_export.encodings.particle_field import HALF_WARNING, write_particle_field
from usd_export.encodings.partition import Indices, cell_partitions, kd_partitions
from usd_export.layers import new_layer
from usd_export.layout import GAUSSIANS_LAYER, NUREC_LAYER
from usd_export.placement.cropping import select
from usd_export.usdz import MAX_BYTES

MAX_LAYER_BYTES = MAX_BYTES - (1 << 20)
"""Arrays of one file: USDZ ends at 4 GiB, and the rest of the file needs a little."""
MAX_VOLUMES = 64
"""NuRec volumes in a scene: each costs Kit a pass, and Isaac Sim 5.0 draws them in an arbitrary order."""

_PRIM = "/Gaussians"


@dataclass(frozen=True)
class GaussianLayers:
    """Written files.

    Attributes:
        files: The layer with the prim `/Gaussians` first, then those that it refers to.
        parts: Number of prims that hold Gaussians.
        warnings: What a user should know about the loss of precision.
    """

    files: list[Path]
    parts: int
    warnings: tuple[str, ...] = ()


def particle_field_bytes(cloud: GaussianCloud, *, half: bool) -> int:
    """Size of the arrays of a particle field."""
    values = len(cloud) * (3 + 4 + 3 + 1 + 3 * cloud.sh.shape[1])
    return values * (2 if half else 4)


def nurec_bytes(cloud: GaussianCloud) -> int:
    """Size of the arrays of NuRec volumes; padding of the harmonics from degree 0 takes next to nothing."""
    return len(cloud) * (BYTES_PER_GAUSSIAN if cloud.sh_degree else 28)


def write_particle_field_layers(
    folder: Path, cloud: GaussianCloud, *, half: bool, max_bytes: int = MAX_LAYER_BYTES
) -> GaussianLayers:
    """Write a cloud as one particle field, or as several if one layer would have more than `max_bytes`.

    Raises:
        UsdExportError: If `half` is asked for and a value does not fit.
    """
    most = max(1, len(cloud) * max_bytes // particle_field_bytes(cloud, half=half))
    parts = kd_partitions(cloud.positions, most)
    top = _top_layer(folder / GAUSSIANS_LAYER, parts)
    files = [folder / GAUSSIANS_LAYER]
    for path, ending, part in _pieces(cloud, parts):
        if not ending:
            write_particle_field(top, path, part, half=half)
            continue
        files.append(_renamed(files[0], ending, ".usdc"))
        layer = new_layer(files[-1], _PRIM)
        write_particle_field(layer, _PRIM, part, half=half)
        layer.Save()
        top.DefinePrim(path).GetReferences().AddReference(f"./{files[-1].name}")
    top.Save()
    return GaussianLayers(files, len(parts), (HALF_WARNING,) if half else ())


def write_nurec_layers(
    folder: Path,
    cloud: GaussianCloud,
    metres_per_unit: float,
    *,
    max_bytes: int = MAX_LAYER_BYTES,
    max_volumes: int = MAX_VOLUMES,
) -> GaussianLayers:
    """Write a cloud as one NuRec volume, or as several if float16 positions would step by more than 2 mm in one.

    Args:
        folder: Receives the files.
        cloud: Valid Gaussians in scene units.
        metres_per_unit: Metres per scene unit.
        max_bytes: Largest payload, with its padding.
        max_volumes: Volumes that are made for precision; what does not fit is stored coarser, with a warning.

    Raises:
        UsdExportError: If a value does not fit into float16.
    """
    cells = cell_partitions(cloud.positions, 2 * REACH / metres_per_unit, max_volumes)
    parts = [half for cell in cells for half in _fitting(cloud, cell, max(1, max_bytes // BYTES_PER_GAUSSIAN))]
    top = _top_layer(folder / NUREC_LAYER, parts)
    top.GetRootLayer().customLayerData = {"renderSettings": RENDER_SETTINGS}
    files = [folder / NUREC_LAYER]
    for path, ending, part in _pieces(cloud, parts):
        files.append(_renamed(folder / GAUSSIANS_LAYER, ending, ".nurec"))
        write_nurec_volume(top, path, part, files[-1], metres_per_unit=metres_per_unit)
    top.Save()
    return GaussianLayers(files, len(parts), _coarseness(cloud, parts, metres_per_unit))


def _top_layer(file: Path, parts: list[Indices]) -> Usd.Stage:
    """The layer with the prim that stands for all Gaussians, which is a group if there are several parts."""
    stage = new_layer(file, _PRIM)
    if len(parts) > 1:
        UsdGeom.Xform.Define(stage, _PRIM)
    return stage


def _pieces(cloud: GaussianCloud, parts: list[Indices]) -> Iterator[tuple[str, str, GaussianCloud]]:
    """Prim path, ending of the file name, and Gaussians of each part."""
    if len(parts) == 1:
        yield _PRIM, "", cloud
        return
    for number, indices in enumerate(parts):
        yield f"{_PRIM}/Partition_{number:03d}", f"_{number:03d}", select(cloud, indices)


def _renamed(file: Path, ending: str, suffix: str) -> Path:
    return file.with_name(f"{file.stem}{ending}{suffix}")


def _fitting(cloud: GaussianCloud, cell: Indices, most: int) -> list[Indices]:
    """A cell, cut if it has more than `most` Gaussians."""
    return [cell] if len(cell) <= most else [cell[part] for part in kd_partitions(cloud.positions[cell], most)]


def _coarseness(cloud: GaussianCloud, parts: list[Indices], metres_per_unit: float) -> tuple[str, ...]:
    """A warning if there were too few volumes for the precision that they are made for."""
    if len(parts) == 1:
        return ()
    reaches = [metres_per_unit * float(np.diff(bounds(cloud.positions[part]), axis=0).max()) / 2 for part in parts]
    wide = [part for part, half in zip(parts, reaches, strict=True) if half > REACH * (1 + 1e-6)]
    if not wide:
        return ()
    step = 2.0 ** (math.floor(math.log2(max(reaches))) - 10)
    return (
        f"{sum(map(len, wide))} of {len(cloud)} Gaussians lie too far apart for NuRec volumes of their own: their "
        f"positions are rounded to steps of up to {step:.2g} m; crop the scene for finer ones",
    )
