# SPDX-License-Identifier: Apache-2.0
"""`ParticleField3DGaussianSplat` prims (OpenUSD 26.03, Kit 110): one writer and one reader.

The writer names prim type and attributes as strings, so that it also runs on USD versions that lack the schema.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, Vt

from usd_export.cloud import MAX_SH_DEGREE, FloatArray, GaussianCloud
from usd_export.errors import UsdExportError

PRIM_TYPE = "ParticleField3DGaussianSplat"
COLOR_SPACE = "srgb_rec709_display"
"""Display-referred sRGB: what 3D Gaussians trained on ordinary images hold."""
SH_DEGREE = "radiance:sphericalHarmonicsDegree"
SH_COEFFICIENTS = "radiance:sphericalHarmonicsCoefficients"

_MIN_SCALE = 1e-8
_EXTENT_SIGMAS = 3.0


def write_particle_field(stage: Usd.Stage, path: str, cloud: GaussianCloud) -> Usd.Prim:
    """Define a particle field with all float attributes, hints, colour space and extent.

    Args:
        stage: Stage whose edit target receives the prim.
        path: Prim path.
        cloud: Valid Gaussians; the prim carries them in their own frame, without a transform.
    """
    prim = stage.DefinePrim(path, PRIM_TYPE)
    types = Sdf.ValueTypeNames
    _author(prim, "positions", types.Point3fArray, Vt.Vec3fArray.FromNumpy(_float32(cloud.positions)))
    _author(prim, "orientations", types.QuatfArray, _quaternions(cloud.rotations))
    scales = np.maximum(_float32(cloud.scales), np.float32(_MIN_SCALE))
    _author(prim, "scales", types.Float3Array, Vt.Vec3fArray.FromNumpy(scales))
    _author(prim, "opacities", types.FloatArray, Vt.FloatArray.FromNumpy(_float32(cloud.opacities)))
    _author(prim, SH_DEGREE, types.Int, cloud.sh_degree, uniform=True)
    coefficients = Vt.Vec3fArray.FromNumpy(_float32(cloud.sh).reshape(-1, 3))
    harmonics = _author(prim, SH_COEFFICIENTS, types.Float3Array, coefficients)
    harmonics.SetMetadata("interpolation", "vertex")
    harmonics.SetMetadata("elementSize", cloud.sh.shape[1])
    _author_color_space(prim, harmonics)
    _author(prim, "projectionModeHint", types.Token, "perspective", uniform=True)
    _author(prim, "sortingModeHint", types.Token, "cameraDistance", uniform=True)
    _author(prim, "extent", types.Float3Array, Vt.Vec3fArray.FromNumpy(splat_extent(cloud)))
    return prim


def splat_extent(cloud: GaussianCloud) -> FloatArray:
    """Bounds [2, 3] of all centres, padded by three times each Gaussian's largest standard deviation.

    The padding is limited to the diagonal of the centres' box, lest one huge floater blow up the bounds.
    """
    low, high = cloud.positions.min(axis=0), cloud.positions.max(axis=0)
    padding = _EXTENT_SIGMAS * cloud.scales.max(axis=1, keepdims=True)
    padding = np.minimum(padding, max(np.linalg.norm(high - low), np.median(padding)))
    return _float32(np.stack([(cloud.positions - padding).min(axis=0), (cloud.positions + padding).max(axis=0)]))


def read_particle_field(prim: Usd.Prim) -> GaussianCloud:
    """Read a particle field by the schema's rules: float before half, defaults for absent or short arrays.

    Raises:
        UsdExportError: If the prim has no positions or holds invalid values.
    """
    where = f"{prim.GetStage().GetRootLayer().realPath} at {prim.GetPath()}"
    positions = _array(prim, "positions")
    if positions is None or len(positions) == 0:
        raise UsdExportError(f"{where} has no positions; expected a {PRIM_TYPE} with Gaussians")
    count = len(positions)
    degree = prim.GetAttribute(SH_DEGREE).Get() if prim.GetAttribute(SH_DEGREE) else MAX_SH_DEGREE
    if not isinstance(degree, int) or not 0 <= degree <= MAX_SH_DEGREE:
        raise UsdExportError(f"{where} has spherical harmonic degree {degree}; only 0 to {MAX_SH_DEGREE} can be read")
    bands = (degree + 1) ** 2
    imaginary_first = _rows(prim, "orientations", count, fallback=(0, 0, 0, 1))
    cloud = GaussianCloud(
        positions=positions,
        scales=_rows(prim, "scales", count, fallback=(1, 1, 1)),
        rotations=np.roll(imaginary_first, 1, axis=1),
        opacities=_rows(prim, "opacities", count, fallback=1),
        sh=_rows(prim, SH_COEFFICIENTS, count * bands, fallback=(0, 0, 0)).reshape(count, bands, 3),
    )
    try:
        return cloud.validate()
    except UsdExportError as error:
        raise UsdExportError(f"{where}: {error}") from error


def _float32(values: NDArray[np.floating]) -> FloatArray:
    return np.ascontiguousarray(values, dtype=np.float32)


def _quaternions(wxyz: FloatArray) -> Vt.QuatfArray:
    """Quaternions [N, 4] as USD holds them in memory: imaginary part first, real part last."""
    return Vt.QuatfArray.FromNumpy(_float32(np.roll(wxyz, -1, axis=1)))


def _author(
    prim: Usd.Prim, name: str, type_name: Sdf.ValueTypeName, value: object, uniform: bool = False
) -> Usd.Attribute:
    variability = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
    attribute = prim.CreateAttribute(name, type_name, custom=False, variability=variability)
    attribute.Set(value)
    return attribute


def _author_color_space(prim: Usd.Prim, harmonics: Usd.Attribute) -> None:
    """Both forms: Kit reads the prim's token, Newton only the attribute's own metadata."""
    prim.AddAppliedSchema("ColorSpaceAPI")
    _author(prim, "colorSpace:name", Sdf.ValueTypeNames.Token, COLOR_SPACE, uniform=True)
    harmonics.SetColorSpace(COLOR_SPACE)


def _array(prim: Usd.Prim, name: str) -> FloatArray | None:
    """Value of the float attribute, else of its half twin, at the first time sample if there is no default."""
    for candidate in (name, f"{name}h"):
        attribute = prim.GetAttribute(candidate)
        value = attribute.Get(Usd.TimeCode.EarliestTime()) if attribute else None
        if value is not None:
            return np.array(value, dtype=np.float32)
    return None


def _rows(prim: Usd.Prim, name: str, count: int, fallback: float | Sequence[float]) -> FloatArray:
    """First `count` rows of an attribute, or `fallback` repeated when there are fewer."""
    values = _array(prim, name)
    if values is not None and len(values) >= count:
        return values[:count]
    row = np.asarray(fallback, np.float32)
    return np.broadcast_to(row, (count, *row.shape)).copy()
