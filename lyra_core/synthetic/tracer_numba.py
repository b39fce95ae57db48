# SPDX-License-Identifier: Apache-2.0
"""Compiled CPU kernels of the ray tracer: nearest hit, any hit (shadows) and clearance (ambient occlusion).

Each ray first tests every bounding sphere in one vectorised pass, then only the solids it can reach.
`tracer_torch` computes the same three things in plain torch and is the test oracle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lyra_core.rendering.jit import compiled, spread

from .primitives import Packed

FAR = np.float32(1e9)
_T_MIN = np.float32(1e-3)


@compiled
def _box_hit(ox, oy, oz, dx, dy, dz):  # unit-frame ray -> t
    tiny = np.float32(1e-9)
    ix = np.float32(1.0) / (dx if abs(dx) > tiny else tiny)
    iy = np.float32(1.0) / (dy if abs(dy) > tiny else tiny)
    iz = np.float32(1.0) / (dz if abs(dz) > tiny else tiny)
    nx, ny, nz = ox * ix, oy * iy, oz * iz
    kx, ky, kz = abs(ix), abs(iy), abs(iz)
    near = max(-nx - kx, -ny - ky, -nz - kz)
    far = min(-nx + kx, -ny + ky, -nz + kz)
    if near >= far or far <= _T_MIN:
        return FAR
    return near if near > _T_MIN else far


@compiled
def _frustum_hit(ox, oy, oz, dx, dy, dz, taper):
    one = np.float32(1.0)
    tiny = np.float32(1e-9)
    m = (taper - one) * np.float32(0.5)
    q = (taper + one) * np.float32(0.5)
    rz = m * oz + q
    a = dx * dx + dy * dy - (m * dz) * (m * dz)
    b = ox * dx + oy * dy - rz * m * dz
    c = ox * ox + oy * oy - rz * rz
    if abs(a) < tiny:
        a = tiny
    best = FAR
    disc = b * b - a * c
    if disc > 0:
        root = np.sqrt(disc)
        for sign in (np.float32(-1.0), np.float32(1.0)):
            t = (-b + sign * root) / a
            z = oz + t * dz
            if _T_MIN < t < best and abs(z) < one and m * z + q >= 0:
                best = t
    if abs(dz) < tiny:
        dz = tiny
    for cap in (np.float32(-1.0), np.float32(1.0)):
        t = (cap - oz) / dz
        x = ox + t * dx
        y = oy + t * dy
        r = m * cap + q
        if _T_MIN < t < best and x * x + y * y < r * r:
            best = t
    return best


@compiled
def _sphere_hit(ox, oy, oz, dx, dy, dz):
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - np.float32(1.0)
    disc = b * b - a * c
    if disc <= 0:
        return FAR
    root = np.sqrt(disc)
    t = (-b - root) / a
    if t <= _T_MIN:
        t = (-b + root) / a
    return t if t > _T_MIN else FAR


@compiled
def _hit(j, ox, oy, oz, dx, dy, dz, kind, matrix, offset, taper):
    m = matrix[j]
    px = m[0, 0] * ox + m[0, 1] * oy + m[0, 2] * oz - offset[j, 0]
    py = m[1, 0] * ox + m[1, 1] * oy + m[1, 2] * oz - offset[j, 1]
    pz = m[2, 0] * ox + m[2, 1] * oy + m[2, 2] * oz - offset[j, 2]
    vx = m[0, 0] * dx + m[0, 1] * dy + m[0, 2] * dz
    vy = m[1, 0] * dx + m[1, 1] * dy + m[1, 2] * dz
    vz = m[2, 0] * dx + m[2, 1] * dy + m[2, 2] * dz
    if kind[j] == 0:
        return _box_hit(px, py, pz, vx, vy, vz)
    if kind[j] == 1:
        return _frustum_hit(px, py, pz, vx, vy, vz, taper[j])
    return _sphere_hit(px, py, pz, vx, vy, vz)


@compiled
def _reach(ox, oy, oz, dx, dy, dz, cx, cy, cz, radius, along, room):
    """Per bounding sphere: distance along the ray to its centre, and squared chord (negative when missed)."""
    for j in range(cx.shape[0]):
        x = cx[j] - ox
        y = cy[j] - oy
        z = cz[j] - oz
        b = x * dx + y * dy + z * dz
        along[j] = b
        room[j] = radius[j] * radius[j] - (x * x + y * y + z * z - b * b)


@compiled
def _nearest(begin, end, o, d, cx, cy, cz, radius, kind, matrix, offset, taper, t_out, index_out):
    along = np.empty(cx.shape[0], np.float32)
    room = np.empty(cx.shape[0], np.float32)
    for i in range(begin, end):
        ox, oy, oz, dx, dy, dz = o[i, 0], o[i, 1], o[i, 2], d[i, 0], d[i, 1], d[i, 2]
        _reach(ox, oy, oz, dx, dy, dz, cx, cy, cz, radius, along, room)
        best = FAR
        index = 0
        for j in range(cx.shape[0]):
            if room[j] > 0 and along[j] + radius[j] > 0 and along[j] - radius[j] < best:
                t = _hit(j, ox, oy, oz, dx, dy, dz, kind, matrix, offset, taper)
                if t < best:
                    best = t
                    index = j
        t_out[i] = best
        index_out[i] = index


@compiled
def _occluded(begin, end, o, d, limit, cx, cy, cz, radius, kind, matrix, offset, taper, casts, out):
    along = np.empty(cx.shape[0], np.float32)
    room = np.empty(cx.shape[0], np.float32)
    last = 0  # neighbouring points are mostly shadowed by the same solid
    for i in range(begin, end):
        ox, oy, oz, dx, dy, dz = o[i, 0], o[i, 1], o[i, 2], d[i, 0], d[i, 1], d[i, 2]
        dark = casts[last] and _hit(last, ox, oy, oz, dx, dy, dz, kind, matrix, offset, taper) < limit[i]
        if not dark:
            _reach(ox, oy, oz, dx, dy, dz, cx, cy, cz, radius, along, room)
            for j in range(cx.shape[0]):
                near = room[j] > 0 and along[j] + radius[j] > 0 and along[j] - radius[j] < limit[i] and casts[j]
                if near and _hit(j, ox, oy, oz, dx, dy, dz, kind, matrix, offset, taper) < limit[i]:
                    dark = True
                    last = j
                    break
        out[i] = dark


@compiled
def _distance(j, x, y, z, kind, half, rotation, center, taper, hollow):
    one = np.float32(1.0)
    zero = np.float32(0.0)
    x -= center[j, 0]
    y -= center[j, 1]
    z -= center[j, 2]
    r = rotation[j]
    lx = r[0, 0] * x + r[0, 1] * y + r[0, 2] * z
    ly = r[1, 0] * x + r[1, 1] * y + r[1, 2] * z
    lz = r[2, 0] * x + r[2, 1] * y + r[2, 2] * z
    hx, hy, hz = half[j, 0], half[j, 1], half[j, 2]
    if kind[j] == 0:
        qx, qy, qz = abs(lx) - hx, abs(ly) - hy, abs(lz) - hz
        ex, ey, ez = max(qx, zero), max(qy, zero), max(qz, zero)
        d = np.sqrt(ex * ex + ey * ey + ez * ez) + min(max(qx, qy, qz), zero)
    elif kind[j] == 1:
        slope = hx * (taper[j] - one) / (np.float32(2.0) * hz)
        rim = hx * (taper[j] + one) * np.float32(0.5) + slope * max(-hz, min(hz, lz))
        side = (np.sqrt(lx * lx + ly * ly) - rim) / np.sqrt(one + slope * slope)
        cap = abs(lz) - hz
        ex, ez = max(side, zero), max(cap, zero)
        widest = hx * max(taper[j], one)
        ball = np.sqrt(lx * lx + ly * ly + lz * lz) - np.sqrt(widest * widest + hz * hz)
        d = max(np.sqrt(ex * ex + ez * ez) + min(max(side, cap), zero), ball)
    else:
        ux, uy, uz = lx / hx, ly / hy, lz / hz
        gx, gy, gz = ux / hx, uy / hy, uz / hz
        k0 = np.sqrt(ux * ux + uy * uy + uz * uz)
        k1 = np.sqrt(gx * gx + gy * gy + gz * gz)
        d = k0 * (k0 - one) / max(k1, np.float32(1e-6))
    return abs(d) if hollow[j] else max(d, zero)


@compiled
def _clearance(begin, end, p, limit, cx, cy, cz, radius, kind, half, rotation, center, taper, hollow, out):
    beyond = np.empty(cx.shape[0], np.float32)
    for i in range(begin, end):
        x, y, z = p[i, 0], p[i, 1], p[i, 2]
        for j in range(cx.shape[0]):
            dx, dy, dz, reach = x - cx[j], y - cy[j], z - cz[j], radius[j] + limit
            beyond[j] = dx * dx + dy * dy + dz * dz - reach * reach
        best = limit
        for j in range(cx.shape[0]):
            if beyond[j] < 0:
                best = min(best, _distance(j, x, y, z, kind, half, rotation, center, taper, hollow))
        out[i] = best


class KernelsNumba:
    """The three intersection queries on the CPU. Tensors in and out are float32, contiguous, on the CPU."""

    def __init__(self, packed: Packed) -> None:
        self._packed = packed
        columns = [np.ascontiguousarray(packed.sphere[:, k]) for k in range(4)]
        self._spheres: tuple[Any, ...] = tuple(columns)
        self._solids: tuple[Any, ...] = (*columns, packed.kind, packed.matrix, packed.offset, packed.taper)

    def nearest(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Distance [R] (FAR where nothing is hit) and packed index [R] of the first solid along each ray [R, 3]."""
        t = np.empty(len(origins), np.float32)
        index = np.empty(len(origins), np.int64)
        rays = (origins.numpy(), directions.numpy())

        def work(begin: int, end: int) -> None:
            _nearest(begin, end, *rays, *self._solids, t, index)

        spread(work, len(t))
        return torch.from_numpy(t), torch.from_numpy(index)

    def occluded(self, origins: Tensor, directions: Tensor, limit: Tensor) -> Tensor:
        """Whether something solid lies nearer than `limit` [R] along each ray: bool [R]."""
        out = np.empty(len(origins), np.bool_)
        rays = (origins.numpy(), directions.numpy(), limit.numpy())

        def work(begin: int, end: int) -> None:
            _occluded(begin, end, *rays, *self._solids, self._packed.solid_shadow, out)

        spread(work, len(out))
        return torch.from_numpy(out)

    def clearance(self, points: Tensor, limit: float) -> Tensor:
        """Distance [R] in metres from each point [R, 3] to the nearest surface, at most `limit`."""
        p = self._packed
        shapes = (p.kind, p.half, p.rotation, p.center, p.taper, p.hollow)
        positions, reach = points.numpy(), np.float32(limit)
        out = np.empty(len(points), np.float32)

        def work(begin: int, end: int) -> None:
            _clearance(begin, end, positions, reach, *self._spheres, *shapes, out)

        spread(work, len(out))
        return torch.from_numpy(out)
