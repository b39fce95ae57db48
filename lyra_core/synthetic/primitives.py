# SPDX-License-Identifier: Apache-2.0
"""The three solids every procedural world is made of, and how they are painted.

World frame: metres, Z up. A primitive is a unit solid ([-1, 1] cube, frustum along z, sphere) under a rotation, a
scale by its half sizes and a translation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

Vector = tuple[float, float, float]
Rotation = tuple[Vector, Vector, Vector]

IDENTITY: Rotation = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


class Kind(IntEnum):
    """Shape of a primitive; packed scenes keep the kinds in this order."""

    BOX = 0
    FRUSTUM = 1
    SPHERE = 2


class Texture(IntEnum):
    """Closed-form surface patterns, see `textures`."""

    PLAIN = 0
    CHECKER = 1
    STRIPES = 2
    BANDS = 3
    WOOD = 4
    BRICK = 5
    SPECKLE = 6
    TILES = 7
    BOOKS = 8
    WINDOW = 9
    GRASS = 10
    FOLIAGE = 11
    ASPHALT = 12
    CORRUGATED = 13
    PICTURE = 14
    SCREEN = 15
    CARTON = 16
    SIDING = 17
    WEAVE = 18
    ROOF = 19
    HAZARD = 20
    FACADE = 21
    PACKS = 22


@dataclass(frozen=True, slots=True)
class Material:
    """How a surface looks: two linear albedos in [0, 1] mixed by a texture whose period is `scale` metres."""

    color: Vector
    accent: Vector
    texture: Texture = Texture.PLAIN
    scale: float = 1.0
    gloss: float = 0.05
    emission: float = 0.0


@dataclass(frozen=True, slots=True)
class Primitive:
    """One solid. `rotation` maps world to local axes; `taper` is a frustum's top radius over its bottom radius.

    A `hollow` primitive is a shell seen from inside (a room). Lamp shades let light through: `casts_shadow` is False.
    """

    kind: Kind
    center: Vector
    half: Vector
    material: Material
    rotation: Rotation = IDENTITY
    taper: float = 1.0
    hollow: bool = False
    casts_shadow: bool = True

    def moved(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Primitive:
        """The same solid after a turn of `yaw` radians about the origin's vertical and a shift in metres."""
        c, s = math.cos(yaw), math.sin(yaw)
        px, py, pz = self.center
        return replace(
            self,
            center=(c * px - s * py + x, s * px + c * py + y, pz + z),
            rotation=_matmul(self.rotation, ((c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0))),
        )

    def bounds(self) -> tuple[Vector, Vector]:
        """Axis-aligned bounds (low corner, high corner) in metres; exact for boxes, safe for the others."""
        widest = max(1.0, self.taper)
        hx, hy, hz = self.half[0] * widest, self.half[1] * widest, self.half[2]
        rx, ry, rz = self.rotation
        e = tuple(abs(rx[i]) * hx + abs(ry[i]) * hy + abs(rz[i]) * hz for i in range(3))
        c = self.center
        return (c[0] - e[0], c[1] - e[1], c[2] - e[2]), (c[0] + e[0], c[1] + e[1], c[2] + e[2])


def _matmul(a: Rotation, b: Rotation) -> Rotation:
    rows = tuple(tuple(a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j] for j in range(3)) for i in range(3))
    return rows  # type: ignore[return-value]


def _axes(yaw: float, pitch: float, roll: float) -> Rotation:
    """World-to-local rotation of a body rolled about y, pitched about x, then yawed about z."""
    if yaw == pitch == roll == 0.0:
        return IDENTITY
    cy, sy = math.cos(yaw), math.sin(yaw)
    cp, sp = math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    undo_yaw = ((cy, sy, 0.0), (-sy, cy, 0.0), (0.0, 0.0, 1.0))
    undo_pitch = ((1.0, 0.0, 0.0), (0.0, cp, sp), (0.0, -sp, cp))
    undo_roll = ((cr, 0.0, -sr), (0.0, 1.0, 0.0), (sr, 0.0, cr))
    return _matmul(undo_roll, _matmul(undo_pitch, undo_yaw))


def box(
    x: float,
    y: float,
    z: float,
    width: float,
    depth: float,
    height: float,
    material: Material,
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
) -> Primitive:
    """A box whose bottom face is centred on (x, y, z) before it is tilted about its own centre. Sizes in metres."""
    return Primitive(
        Kind.BOX,
        (x, y, z + height / 2),
        (width / 2, depth / 2, height / 2),
        material,
        _axes(yaw, pitch, roll),
    )


def cylinder(
    x: float,
    y: float,
    z: float,
    radius: float,
    height: float,
    material: Material,
    *,
    taper: float = 1.0,
    pitch: float = 0.0,
    roll: float = 0.0,
) -> Primitive:
    """An upright frustum standing on (x, y, z), tilted about its own centre. `radius` is that of the bottom."""
    return Primitive(
        Kind.FRUSTUM,
        (x, y, z + height / 2),
        (radius, radius, height / 2),
        material,
        _axes(0.0, pitch, roll),
        taper,
    )


def oval(
    x: float,
    y: float,
    z: float,
    radius_x: float,
    radius_y: float,
    height: float,
    material: Material,
    *,
    taper: float = 1.0,
) -> Primitive:
    """An upright frustum with an elliptical foot on (x, y, z); its radii [m] are those of the bottom.

    The first axis is the longer one, because distances to a frustum are those to a round one of its first radius: so
    they are never too large.
    """
    along_x = radius_x >= radius_y
    half = (radius_x, radius_y, height / 2) if along_x else (radius_y, radius_x, height / 2)
    rotation = IDENTITY if along_x else ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    return Primitive(Kind.FRUSTUM, (x, y, z + height / 2), half, material, rotation, taper)


def rod(start: Vector, end: Vector, radius: float, material: Material, *, taper: float = 1.0) -> Primitive:
    """A frustum from `start` to `end` (metres)."""
    d = tuple(b - a for a, b in zip(start, end, strict=True))
    length = math.sqrt(sum(c * c for c in d))
    z = (d[0] / length, d[1] / length, d[2] / length)
    helper = (1.0, 0.0, 0.0) if abs(z[0]) < 0.9 else (0.0, 1.0, 0.0)
    x = _unit(_cross(helper, z))
    middle = tuple((a + b) / 2 for a, b in zip(start, end, strict=True))
    return Primitive(
        Kind.FRUSTUM,
        middle,  # type: ignore[arg-type]
        (radius, radius, length / 2),
        material,
        (x, _cross(z, x), z),
        taper,
    )


def ball(x: float, y: float, z: float, radius: float, material: Material, *, height: float | None = None) -> Primitive:
    """A sphere centred on (x, y, z), or a spheroid when its vertical radius `height` is given."""
    return Primitive(Kind.SPHERE, (x, y, z), (radius, radius, radius if height is None else height), material)


def ellipsoid(x: float, y: float, z: float, half: Vector, material: Material) -> Primitive:
    """An axis-aligned ellipsoid centred on (x, y, z) with half sizes in metres."""
    return Primitive(Kind.SPHERE, (x, y, z), half, material)


def _cross(a: Vector, b: Vector) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _unit(a: Vector) -> Vector:
    n = math.sqrt(a[0] ** 2 + a[1] ** 2 + a[2] ** 2)
    return (a[0] / n, a[1] / n, a[2] / n)


@dataclass(frozen=True)
class Packed:
    """A scene as flat float32 arrays, sorted by kind: what the intersection kernels and the shader read.

    `matrix` [P, 3, 3] and `offset` [P, 3] map a world point x to the unit solid: matrix @ x - offset.
    `sphere` [P, 4] is a bounding sphere (centre, radius). `solid_shadow` is False for lamps, which cast no shadow.
    """

    counts: tuple[int, int, int]
    kind: np.ndarray  # [P] int32
    center: np.ndarray  # [P, 3]
    half: np.ndarray  # [P, 3]
    rotation: np.ndarray  # [P, 3, 3] world to local
    matrix: np.ndarray  # [P, 3, 3]
    offset: np.ndarray  # [P, 3]
    sphere: np.ndarray  # [P, 4]
    taper: np.ndarray  # [P]
    hollow: np.ndarray  # [P] bool
    solid_shadow: np.ndarray  # [P] bool
    color: np.ndarray  # [P, 3]
    accent: np.ndarray  # [P, 3]
    texture: np.ndarray  # [P] int64
    scale: np.ndarray  # [P]
    gloss: np.ndarray  # [P]
    emission: np.ndarray  # [P]
    object_id: np.ndarray  # [P] int64
    class_id: np.ndarray  # [P] int64


def pack(primitives: Iterable[tuple[Primitive, int, int]]) -> Packed:
    """Flatten (primitive, object id, class id) triples into the arrays of a `Packed` scene."""
    rows = sorted(primitives, key=lambda row: row[0].kind)
    solids = [row[0] for row in rows]

    def floats(values: Iterable[object]) -> np.ndarray:
        return np.array(list(values), dtype=np.float32)

    center = np.array([p.center for p in solids])
    half = np.array([p.half for p in solids])
    rotation = np.array([p.rotation for p in solids])
    matrix = rotation / half[:, :, None]
    return Packed(
        counts=tuple(sum(p.kind == k for p in solids) for k in Kind),  # type: ignore[arg-type]
        kind=np.array([p.kind for p in solids], dtype=np.int32),
        center=center.astype(np.float32),
        half=half.astype(np.float32),
        rotation=rotation.astype(np.float32),
        matrix=matrix.astype(np.float32),
        offset=np.einsum("pij,pj->pi", matrix, center).astype(np.float32),
        sphere=floats((*p.center, _bounding_radius(p)) for p in solids),
        taper=floats(p.taper for p in solids),
        hollow=np.array([p.hollow for p in solids]),
        solid_shadow=np.array([p.casts_shadow and p.material.emission < 0.5 for p in solids]),
        color=floats(p.material.color for p in solids),
        accent=floats(p.material.accent for p in solids),
        texture=np.array([p.material.texture for p in solids], dtype=np.int64),
        scale=floats(p.material.scale for p in solids),
        gloss=floats(p.material.gloss for p in solids),
        emission=floats(p.material.emission for p in solids),
        object_id=np.array([row[1] for row in rows], dtype=np.int64),
        class_id=np.array([row[2] for row in rows], dtype=np.int64),
    )


def _bounding_radius(p: Primitive) -> float:
    hx, hy, hz = p.half
    if p.kind is Kind.SPHERE:
        radius = max(p.half)
    elif p.kind is Kind.FRUSTUM:
        radius = math.hypot(max(hx, hy) * max(1.0, p.taper), hz)
    else:
        radius = math.sqrt(hx * hx + hy * hy + hz * hz)
    return radius * 1.0001
