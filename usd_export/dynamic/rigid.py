# SPDX-License-Identifier: Apache-2.0
"""Moving Gaussians as rigid parts: plain particle fields whose transforms have time samples.

```
moving.usdc       /Moving: Xform
                  /Moving/Rigid_000, ...: Xform of a cluster
                  /Moving/Rigid_000/Gaussians: its particle field about its centre, at the first instant
                  /Moving/Loose: particle field of the Gaussians in no cluster, with time samples
```

The transforms are on prims of a type that every USD knows, which cannot be said of particle fields. Size, opacity and
colour stay those of the first instant. Translation and quaternion are separate operations, because USD blends the
sixteen numbers of a matrix, which shrinks what turns.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Usd, UsdGeom

from usd_export.dynamic.cloud import DynamicCloud
from usd_export.dynamic.motion import set_time_range
from usd_export.dynamic.rigid_fit import RigidFit
from usd_export.encodings.particle_field import write_instant, write_particle_field
from usd_export.errors import UsdExportError
from usd_export.layers import new_layer
from usd_export.layout import MOVING_LAYER
from usd_export.placement.cropping import select

RIGID, LOOSE = "Rigid", "Loose"

_PRIM = "/Moving"


def write_rigid(folder: Path, cloud: DynamicCloud, codes: list[float], rate: float, *, half: bool) -> int:
    """Write one prim per cluster, and one for the rest; returns the number of prims.

    Raises:
        UsdExportError: If the cloud has no clusters, or invalid instants.
    """
    fit = require_fit(cloud)
    stage = new_layer(folder / MOVING_LAYER, _PRIM, rate)
    set_time_range(stage, codes)
    UsdGeom.Xform.Define(stage, _PRIM)
    instants = cloud.instants()
    first = next(instants)
    for number, rows in enumerate(fit.members):
        part = select(first, rows)
        centred = replace(part, positions=(part.positions - fit.centers[0, number]).astype(np.float32))
        xform = UsdGeom.Xform.Define(stage, f"{_PRIM}/{RIGID}_{number:03d}")
        write_poses(xform, codes, fit.centers[:, number], fit.rotations[:, number])
        write_particle_field(stage, f"{xform.GetPath()}/Gaussians", centred, half=half)
        stage.Save()
    rest = np.setdiff1d(np.arange(len(first)), np.concatenate(fit.members))
    if len(rest) == 0:
        return len(fit.members)
    prim = write_particle_field(stage, f"{_PRIM}/{LOOSE}", select(first, rest), half=half)
    for code, instant in zip(codes, cloud.instants(), strict=True):
        write_instant(prim, select(instant, rest), Usd.TimeCode(code), half=half)
        stage.Save()
    return len(fit.members) + 1


def require_fit(cloud: DynamicCloud) -> RigidFit:
    """Rigid motion of the clusters.

    Raises:
        UsdExportError: If there are none.
    """
    if cloud.rigid_fit is None:
        raise UsdExportError("no rigid clusters are known, which motion as rigid parts needs; store samples or frames")
    return cloud.rigid_fit


def rigid_note(cloud: DynamicCloud, metres_per_unit: float) -> str:
    """What rigid parts leave out of the motion."""
    count = sum(map(len, require_fit(cloud).members))
    return (
        f"{count} moving Gaussians are rigid parts: {_residual(cloud, metres_per_unit)}; size, opacity and colour are "
        f"those of the first instant; {len(cloud.moving[0]) - count} others keep time samples"
    )


def bodies_note(cloud: DynamicCloud, metres_per_unit: float) -> str:
    """How well rigid bodies follow the Gaussians."""
    return f"{len(require_fit(cloud).members)} rigid bodies follow the Gaussians: {_residual(cloud, metres_per_unit)}"


def _residual(cloud: DynamicCloud, metres_per_unit: float) -> str:
    fit = require_fit(cloud)
    counts = np.array([len(rows) for rows in fit.members])
    rms = metres_per_unit * float(np.sqrt((counts * fit.rms**2).sum() / counts.sum()))
    worst = int(np.argmax(fit.largest))
    return (
        f"positions differ by {rms:.2g} m rms, at most {metres_per_unit * fit.largest[worst]:.2g} m (cluster {worst})"
    )


def write_poses(
    prim: UsdGeom.Xformable, codes: list[float], centers: NDArray[np.float64], rotations: NDArray[np.float64]
) -> None:
    """Author translation and rotation at every time code, and the first pose as the default.

    Args:
        prim: Xform without transform operations.
        codes: Time codes [T].
        centers: Translations [T, 3].
        rotations: Unit quaternions [T, 4], w first.
    """
    translate = prim.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble)
    orient = prim.AddOrientOp(UsdGeom.XformOp.PrecisionDouble)
    for code, center, (w, *xyz) in zip([None, *codes], centers[[0, *range(len(codes))]],
                                       rotations[[0, *range(len(codes))]], strict=True):  # fmt: skip
        time = Usd.TimeCode.Default() if code is None else Usd.TimeCode(code)
        translate.Set(Gf.Vec3d(*center), time)
        orient.Set(Gf.Quatd(w, *xyz), time)
