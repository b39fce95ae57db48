# SPDX-License-Identifier: Apache-2.0
"""NuRec volumes (Isaac Sim 5, Kit 107.3): one writer and one reader of the prims around a `.nurec` file.

All properties are custom ones on stock prim types, as NVIDIA's converter writes them: Kit needs no applied schema.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray
from pxr import Ar, Gf, Sdf, Usd, UsdGeom, Vt

from usd_export.bounds import bounds
from usd_export.cloud import GaussianCloud
from usd_export.encodings.nurec_encoding import decode, encode
from usd_export.encodings.nurec_payload import NurecModel, read_payload, write_payload
from usd_export.encodings.particle_field import splat_extent
from usd_export.errors import UsdExportError, located
from usd_export.opening.package import check_package
from usd_export.placement.cropping import select

MARK = "omni:nurec:isNuRecVolume"
"""Attribute that makes a Volume a NuRec volume."""
RENDER_SETTINGS = {
    "rtx:directLighting:sampledLighting:samplesPerPixel": 8,
    "rtx:material:enableRefraction": False,
    "rtx:matteObject:visibility:secondaryRays": True,
    "rtx:post:histogram:enabled": False,
    "rtx:post:registeredCompositing:invertColorCorrection": True,
    "rtx:post:registeredCompositing:invertToneMap": True,
    "rtx:post:tonemap:op": 2,
    "rtx:raytracing:fractionalCutoutOpacity": False,
    "rtx:rendermode": "RaytracedLighting",
}
"""For a root layer: the inverted tone mapping lets the colours of the Gaussians reach the screen unchanged."""

REACH = 4.0
"""Distance from a volume's origin [m] up to which float16 positions step by 2 mm at most."""

_PAYLOAD_SUFFIX = ".nurec"
_FLOAT16_STEP = 2.0**-10  # between neighbouring numbers, as a fraction of the number


def write_nurec_volume(
    stage: Usd.Stage, path: str, cloud: GaussianCloud, payload: Path, *, metres_per_unit: float = 1.0
) -> Usd.Prim:
    """Define a volume and write its payload, which is in metres and centred on the volume's origin.

    The volume's own transform leads back to scene units. Below a prim that scales these to metres, the volume as a
    whole is only turned and moved, so that nothing depends on how a renderer treats scale.

    Args:
        stage: Stage whose edit target receives the prims.
        path: Prim path.
        cloud: Valid Gaussians; the volume has them in the frame of its parent.
        payload: `.nurec` file to write, in the folder of the stage's root layer.
        metres_per_unit: Length of a unit of the cloud.

    Raises:
        UsdExportError: If a value does not fit into float16.
    """
    origin = _middle(cloud.positions)
    arrays = encode(cloud, origin, metres_per_unit)
    with payload.open("wb") as file:
        write_payload(file, arrays)
    stored = replace(cloud, positions=arrays.positions.astype(np.float32), scales=metres_per_unit * cloud.scales)
    extent = splat_extent(stored)
    low, high = (Gf.Vec3f(*corner.tolist()) for corner in extent)
    types = Sdf.ValueTypeNames
    prim = stage.DefinePrim(path, "Volume")
    prim.CreateAttribute("extent", types.Float3Array, custom=False).Set(Vt.Vec3fArray([low, high]))
    _author(prim, MARK, types.Bool, True)
    _author(prim, "omni:nurec:useProxyTransform", types.Bool, False)
    _author(prim, "omni:nurec:offset", types.Float3, Gf.Vec3f(0))
    _author(prim, "omni:nurec:crop:minBounds", types.Float3, low)
    _author(prim, "omni:nurec:crop:maxBounds", types.Float3, high)
    prim.CreateRelationship("proxy")
    placement = Gf.Matrix4d().SetTranslate(Gf.Vec3d(*origin.tolist()))
    UsdGeom.Xformable(prim).AddTransformOp().Set(Gf.Matrix4d().SetScale(1 / metres_per_unit) * placement)
    for name, field, role, kind in _FIELDS:
        child = _define_field(stage, f"{path}/{name}", role, kind, payload)
        prim.CreateRelationship(field).SetTargets([child.GetPath()])
    return prim


_FIELDS = (
    ("density_field", "field:density", "density", "float"),
    ("emissive_color_field", "field:emissiveColor", "emissiveColor", "float3"),
)


def _define_field(stage: Usd.Stage, path: str, role: str, kind: str, payload: Path) -> Usd.Prim:
    types = Sdf.ValueTypeNames
    prim = stage.DefinePrim(path, "OmniNuRecFieldAsset")
    _author(prim, "filePath", types.Asset, Sdf.AssetPath(f"./{payload.name}"))
    _author(prim, "fieldName", types.Token, role)
    _author(prim, "fieldRole", types.Token, role)
    _author(prim, "fieldDataType", types.Token, kind)
    if kind == "float3":
        for row, channel in enumerate("RGB"):
            identity = Gf.Vec4f(*(float(column == row) for column in range(4)))
            _author(prim, f"omni:nurec:ccm{channel}", types.Float4, identity)
    return prim


def _author(prim: Usd.Prim, name: str, type_name: Sdf.ValueTypeName, value: object) -> None:
    prim.CreateAttribute(name, type_name, custom=True).Set(value)


def _middle(positions: NDArray[np.float32]) -> NDArray[np.float32]:
    return bounds(positions).mean(axis=0).astype(np.float32)


def is_nurec_volume(prim: Usd.Prim) -> bool:
    """Whether Kit draws this prim as a NuRec volume."""
    if not prim.IsA(UsdGeom.Xformable):  # asked first: USD warns when the pseudo-root is asked for an attribute
        return False
    attribute = prim.GetAttribute(MARK)
    return bool(attribute and attribute.Get())


def read_nurec_volume(prim: Usd.Prim) -> GaussianCloud:
    """Read the Gaussians of a volume in its own frame, without those that its crop box hides.

    Raises:
        UsdExportError: If the payload is missing, outside the scene, damaged or invalid, or the box hides everything.
    """
    model = read_nurec_model(prim)
    with located(prim.GetPath()):
        if any(_vector(prim, "omni:nurec:offset", 0.0)):
            raise UsdExportError("omni:nurec:offset is not zero; its meaning is not public, so the place is unknown")
        return _cropped(prim, decode(model.arrays))


def read_nurec_model(prim: Usd.Prim) -> NurecModel:
    """Read the payload of a volume as it is stored.

    Raises:
        UsdExportError: If the payload is missing, outside the scene, damaged or invalid.
    """
    with located(prim.GetPath()), _open_payload(_payload_path(prim)) as (file, size):
        return read_payload(file, size)


def _payload_path(prim: Usd.Prim) -> str:
    """Resolved path of the payload; relative to the layer and below it, so that no file leads elsewhere."""
    density = prim.GetRelationship("field:density")
    fields = [prim.GetStage().GetPrimAtPath(path) for path in (density.GetTargets() if density else [])]
    attribute = next((field.GetAttribute("filePath") for field in fields if field), None)
    asset = attribute.Get() if attribute else None
    if not isinstance(asset, Sdf.AssetPath):
        raise UsdExportError("the relationship field:density does not lead to a field with a filePath")
    authored = PurePosixPath(asset.path.replace("\\", "/"))
    if authored.is_absolute() or ".." in authored.parts or authored.suffix.lower() != _PAYLOAD_SUFFIX:
        raise UsdExportError(f"filePath {asset.path} is not a {_PAYLOAD_SUFFIX} file beside the layer or below it")
    if not asset.resolvedPath:
        raise UsdExportError(f"the payload {asset.path} is missing; keep it beside the layer")
    return asset.resolvedPath


@contextmanager
def _open_payload(resolved: str) -> Iterator[tuple[IO[bytes], int]]:
    """A payload that is a file or an entry of a package, and its size in bytes."""
    outer, inner = Ar.SplitPackageRelativePathOuter(resolved)
    try:
        if not inner:
            with Path(outer).open("rb") as file:
                yield file, Path(outer).stat().st_size
            return
        check_package(Path(outer))
        with zipfile.ZipFile(outer) as package, package.open(inner) as entry:
            yield entry, package.getinfo(inner).file_size
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UsdExportError(f"the payload {inner or outer} cannot be read ({error}); write the scene again") from error


def _cropped(prim: Usd.Prim, cloud: GaussianCloud) -> GaussianCloud:
    low = np.array(_vector(prim, "omni:nurec:crop:minBounds", -math.inf))
    high = np.array(_vector(prim, "omni:nurec:crop:maxBounds", math.inf))
    slack = np.abs(cloud.positions) * _FLOAT16_STEP  # boxes around the centres before their rounding to float16
    inside = ((cloud.positions >= low - slack) & (cloud.positions <= high + slack)).all(axis=1)
    if inside.all():
        return cloud
    if not inside.any():
        raise UsdExportError("the crop box hides all Gaussians")
    return select(cloud, np.flatnonzero(inside))


def _vector(prim: Usd.Prim, name: str, fallback: float) -> tuple[float, ...]:
    attribute = prim.GetAttribute(name)
    value = attribute.Get() if attribute else None
    return tuple(value) if isinstance(value, Gf.Vec3f | Gf.Vec3d) else (fallback,) * 3
