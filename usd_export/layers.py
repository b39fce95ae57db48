# SPDX-License-Identifier: Apache-2.0
"""The start of every layer of a scene."""

from __future__ import annotations

from pathlib import Path

from pxr import Sdf, Usd, UsdGeom, UsdPhysics


def new_layer(file: Path, default_prim: str, time_codes_per_second: float | None = None) -> Usd.Stage:
    """A stage on a new layer: Z-up, one unit is one metre and one kilogram.

    Args:
        file: `*.usda` or `*.usdc`; must not exist.
        default_prim: Path of the prim, at the root, that stands for the layer where it is referenced.
        time_codes_per_second: Unit of its time samples; the same in all layers of a scene, since USD would stretch
            what is referenced from a layer with another one. By default USD's own, 24.
    """
    stage = Usd.Stage.CreateNew(str(file))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    stage.GetRootLayer().defaultPrim = Sdf.Path(default_prim).name
    if time_codes_per_second is not None:
        stage.SetTimeCodesPerSecond(time_codes_per_second)
        stage.SetFramesPerSecond(time_codes_per_second)
    return stage
