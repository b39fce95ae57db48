# SPDX-License-Identifier: Apache-2.0
"""`ParticleField3DGaussianSplat` prims (OpenUSD 26.03, Kit 110): one writer and one reader.

The writer names prim type and attributes as strings, so that it also runs on USD versions that lack the schema.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, Vt

from usd_export.bounds import bounds, row_max
from usd_export.cloud import MAX_SH_DEGREE, FloatArray, GaussianCloud
from usd_export.encodings.half import to_half
from usd_export.errors import UsdExportError

PRIM_TYPE = "ParticleField3DGaussianSplat"
COLOR_SPACE = "srgb_rec709_display"
"""Display-referred sRGB: what 3D Gaussians trained on ordinary images hold."""
SH_DEGREE = "radiance:sphericalHarmonicsDegree"
SH_COEFFICIENTS = "radiance:sphericalHarmonicsCoefficients"

_MIN_SCALE = 1e-8
_EXTENT_SIGMAS = 3.0

HALF_WARNING = (
    "the particle field is stored in half precision only: validators and many readers look for the float attributes, "
    "Isaac Sim is not known to draw it, and positions step by 8 mm at 8 m from the origin"
)

_TYPES = Sdf.ValueTypeNames
_FLOAT = {
    "positions": (_TYPES.Point3fArray, Vt.Vec3fArray),
    "orientations": (_TYPES.QuatfArray, Vt.QuatfArray),
    "scales": (_TYPES.Float3Array, Vt.Vec3fArray),
    "opacities": (_TYPES.FloatArray, Vt.FloatArray),
    SH_COEFFICIENTS: (_TYPES.Float3Array, Vt.Vec3fArray),
}
_HALF = {
    "positions": (_TYPES.Point3hArray, Vt.Vec3hArray),
    "orientations": (_TYPES.QuathArray, Vt.QuathArray),
    "scales": (_TYPES.Half3Array, Vt.Vec3hArray),
    "opacities": (_TYPES.HalfArray, Vt.HalfArray),
    SH_COEFFICIENTS: (_TYPES.Half3Array, Vt.Vec3hArray),
}
_MIN_HALF = 2.0**-24


def write_particle_field(stage: Usd.Stage, path: str, cloud: GaussianCloud, *, half: bool = False) -> Usd.Prim:
    """Define a particle field with all attributes, hints, colour space and extent.

    Args:
        stage: Stage whose edit target receives the prim.
        path: Prim path.
        cloud: Valid Gaussians; the prim carries them in their own frame, without a transform.
        half: Author the half twins instead of the float attributes; see `HALF_WARNING`.

    Raises:
        UsdExportError: If `half` is asked for and a value does not fit.
    """
    prim = stage.DefinePrim(path, PRIM_TYPE)
    write_instant(prim, cloud, Usd.TimeCode.Default(), half=half)
    _author(prim, SH_DEGREE, _TYPES.Int, cloud.sh_degree, uniform=True)
    harmonics = prim.GetAttribute(f"{SH_COEFFICIENTS}h" if half else SH_COEFFICIENTS)
    harmonics.SetMetadata("interpolation", "vertex")
    harmonics.SetMetadata("elementSize", cloud.sh.shape[1])
    _author_color_space(prim, harmonics)
    _author(prim, "projectionModeHint", _TYPES.Token, "perspective", uniform=True)
    _author(prim, "sortingModeHint", _TYPES.Token, "cameraDistance", uniform=True)
    return prim


def write_instant(prim: Usd.Prim, cloud: GaussianCloud, time: Usd.TimeCode, *, half: bool = False) -> None:
    """Author everything about a particle field that may change over time: its arrays and its extent.

    Raises:
        UsdExportError: If `half` is asked for and a value does not fit.
    """
    _author_array(prim, "positions", cloud.positions, half, time)
    _author_array(prim, "orientations", _real_last(cloud.rotations), half, time)
    _author_array(prim, "scales", np.maximum(cloud.scales, _MIN_HALF if half else _MIN_SCALE), half, time)
    _author_array(prim, "opacities", cloud.opacities, half, time)
    _author_array(prim, SH_COEFFICIENTS, cloud.sh.reshape(-1, 3), half, time)
    _author(prim, "extent", _TYPES.Float3Array, Vt.Vec3fArray.FromNumpy(splat_extent(cloud)), time=time)


def declare_instants(prim: Usd.Prim, *, half: bool = False) -> None:
    """Create the attributes of `write_instant` without values, as the manifest of value clips wants them."""
    for name, (type_name, _) in (_HALF if half else _FLOAT).items():
        prim.CreateAttribute(f"{name}h" if half else name, type_name, custom=False)
    prim.CreateAttribute("extent", _TYPES.Float3Array, custom=False)


def splat_extent(cloud: GaussianCloud) -> FloatArray:
    """Bounds [2, 3] of all centres, padded by three times each Gaussian's largest standard deviation.

    The padding is limited to the diagonal of the centres' box, lest one huge floater blow up the bounds.
    """
    low, high = bounds(cloud.positions)
    padding = _EXTENT_SIGMAS * row_max(cloud.scales)
    np.minimum(padding, max(np.linalg.norm(high - low), np.median(padding)), out=padding)
    columns = cloud.positions.T
    corners = [[(column - padding).min() for column in columns], [(column + padding).max() for column in columns]]
    return np.array(corners, np.float32)


def read_particle_field(prim: Usd.Prim, time: Usd.TimeCode | None = None) -> GaussianCloud:
    """Read a particle field by the schema's rules: float before half, defaults for absent or short arrays.

    Args:
        prim: The particle field.
        time: When to look at it; by default at its first time sample, if it has any.

    Raises:
        UsdExportError: If the prim has no positions or holds invalid values.
    """
    where = f"{prim.GetStage().GetRootLayer().realPath} at {prim.GetPath()}"
    time = Usd.TimeCode.EarliestTime() if time is None else time
    positions = _array(prim, "positions", time)
    if positions is None or len(positions) == 0:
        raise UsdExportError(f"{where} has no positions; expected a {PRIM_TYPE} with Gaussians")
    count = len(positions)
    degree = prim.GetAttribute(SH_DEGREE).Get() if prim.GetAttribute(SH_DEGREE) else MAX_SH_DEGREE
    if not isinstance(degree, int) or not 0 <= degree <= MAX_SH_DEGREE:
        raise UsdExportError(f"{where} has spherical harmonic degree {degree}; only 0 to {MAX_SH_DEGREE} can be read")
    bands = (degree + 1) ** 2
    imaginary_first = _rows(prim, "orientations", time, count, fallback=(0, 0, 0, 1))
    cloud = GaussianCloud(
        positions=positions,
        scales=_rows(prim, "scales", time, count, fallback=(1, 1, 1)),
        rotations=np.roll(imaginary_first, 1, axis=1),
        opacities=_rows(prim, "opacities", time, count, fallback=1),
        sh=_rows(prim, SH_COEFFICIENTS, time, count * bands, fallback=(0, 0, 0)).reshape(count, bands, 3),
    )
    try:
        return cloud.validate()
    except UsdExportError as error:
        raise UsdExportError(f"{where}: {error}") from error


def _float32(values: NDArray[np.floating]) -> FloatArray:
    return np.ascontiguousarray(values, dtype=np.float32)


def _real_last(wxyz: FloatArray) -> FloatArray:
    """Quaternions [N, 4] as USD holds them in memory: imaginary part first, real part last."""
    return np.roll(wxyz, -1, axis=1)


def _author_array(prim: Usd.Prim, name: str, values: NDArray[np.floating], half: bool, time: Usd.TimeCode) -> None:
    """The float attribute, or its half twin."""
    if half:
        type_name, array = _HALF[name]
        _author(prim, f"{name}h", type_name, array.FromNumpy(np.ascontiguousarray(to_half(name, values))), time=time)
    else:
        type_name, array = _FLOAT[name]
        _author(prim, name, type_name, array.FromNumpy(_float32(values)), time=time)


def _author(
    prim: Usd.Prim,
    name: str,
    type_name: Sdf.ValueTypeName,
    value: object,
    uniform: bool = False,
    time: Usd.TimeCode | None = None,
) -> None:
    variability = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
    attribute = prim.CreateAttribute(name, type_name, custom=False, variability=variability)
    attribute.Set(value, Usd.TimeCode.Default() if time is None else time)


def _author_color_space(prim: Usd.Prim, harmonics: Usd.Attribute) -> None:
    """Both forms: Kit reads the prim's token, Newton only the attribute's own metadata."""
    prim.AddAppliedSchema("ColorSpaceAPI")
    _author(prim, "colorSpace:name", _TYPES.Token, COLOR_SPACE, uniform=True)
    harmonics.SetColorSpace(COLOR_SPACE)


def _array(prim: Usd.Prim, name: str, time: Usd.TimeCode) -> FloatArray | None:
    """Value of the float attribute, else of its half twin; the default if there are no time samples."""
    for candidate in (name, f"{name}h"):
        attribute = prim.GetAttribute(candidate)
        value = attribute.Get(time) if attribute else None
        if value is not None:
            return np.array(value, dtype=np.float32)
    return None


def _rows(prim: Usd.Prim, name: str, time: Usd.TimeCode, count: int, fallback: float | Sequence[float]) -> FloatArray:
    """First `count` rows of an attribute, or `fallback` repeated when there are fewer."""
    values = _array(prim, name, time)
    if values is not None and len(values) >= count:
        return values[:count]
    row = np.asarray(fallback, np.float32)
    return np.broadcast_to(row, (count, *row.shape)).copy()
