# SPDX-License-Identifier: Apache-2.0
"""The intersection queries in plain batched torch: the CUDA path, and the oracle of `tracer_numba`."""

from __future__ import annotations

import torch
from torch import Tensor

from .primitives import Packed

FAR = 1e9
_T_MIN = 1e-3
_TINY = 1e-9


class KernelsTorch:
    """The three intersection queries on any device. Work is split so that one step touches `budget` ray-solid pairs."""

    def __init__(self, packed: Packed, device: torch.device, budget: int = 1 << 21) -> None:
        def tensor(name: str) -> Tensor:
            return torch.from_numpy(getattr(packed, name)).to(device)

        self._matrix, self._offset, self._taper = tensor("matrix"), tensor("offset"), tensor("taper")
        self._half, self._rotation, self._center = tensor("half"), tensor("rotation"), tensor("center")
        self._hollow, self._casts = tensor("hollow"), tensor("solid_shadow")
        boxes, frusta, _ = packed.counts
        self._first_frustum, self._first_sphere = boxes, boxes + frusta
        self._chunk = max(1, budget // max(1, len(packed.kind)))

    def nearest(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Distance [R] (FAR where nothing is hit) and packed index [R] of the first solid along each ray [R, 3]."""
        parts = [self._all_hits(o, d).min(-1) for o, d in self._chunks(origins, directions)]
        return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])

    def occluded(self, origins: Tensor, directions: Tensor, limit: Tensor) -> Tensor:
        """Whether something solid lies nearer than `limit` [R] along each ray: bool [R]."""
        parts = [
            ((self._all_hits(o, d) < t[:, None]) & self._casts).any(-1)
            for o, d, t in self._chunks(origins, directions, limit)
        ]
        return torch.cat(parts)

    def clearance(self, points: Tensor, limit: float) -> Tensor:
        """Distance [R] in metres from each point [R, 3] to the nearest surface, at most `limit`."""
        return torch.cat([self._distances(p).amin(-1).clamp_max(limit) for (p,) in self._chunks(points)])

    def _chunks(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        return list(zip(*(t.split(self._chunk) for t in tensors), strict=True))

    def _all_hits(self, o: Tensor, d: Tensor) -> Tensor:  # [R, 3], [R, 3] -> [R, P]
        local_o = torch.einsum("pij,rj->rpi", self._matrix, o) - self._offset
        local_d = torch.einsum("pij,rj->rpi", self._matrix, d)
        a, b = self._first_frustum, self._first_sphere
        return torch.cat(
            [
                _box_hits(local_o[:, :a], local_d[:, :a]),
                _frustum_hits(local_o[:, a:b], local_d[:, a:b], self._taper[a:b]),
                _sphere_hits(local_o[:, b:], local_d[:, b:]),
            ],
            -1,
        )

    def _distances(self, points: Tensor) -> Tensor:  # [R, 3] -> [R, P]
        local = torch.einsum("rpj,pij->rpi", points[:, None] - self._center, self._rotation)
        a, b = self._first_frustum, self._first_sphere
        d = torch.cat(
            [
                _box_distances(local[:, :a], self._half[:a]),
                _frustum_distances(local[:, a:b], self._half[a:b], self._taper[a:b]),
                _sphere_distances(local[:, b:], self._half[b:]),
            ],
            -1,
        )
        return torch.where(self._hollow, d.abs(), d.clamp_min(0))


def _away_from_zero(x: Tensor) -> Tensor:
    return torch.where(x.abs() < _TINY, torch.full_like(x, _TINY), x)


def _box_hits(o: Tensor, d: Tensor) -> Tensor:
    inverse = 1.0 / _away_from_zero(d)
    middle, reach = o * inverse, inverse.abs()
    near = (-middle - reach).amax(-1)
    far = (-middle + reach).amin(-1)
    t = torch.where(near > _T_MIN, near, far)
    return torch.where((near < far) & (far > _T_MIN), t, FAR)


def _frustum_hits(o: Tensor, d: Tensor, taper: Tensor) -> Tensor:
    m, q = (taper - 1) / 2, (taper + 1) / 2
    (ox, oy, oz), (dx, dy, dz) = o.unbind(-1), d.unbind(-1)
    rim = m * oz + q
    a = _away_from_zero(dx * dx + dy * dy - (m * dz) ** 2)
    b = ox * dx + oy * dy - rim * m * dz
    c = ox * ox + oy * oy - rim * rim
    disc = b * b - a * c
    root = disc.clamp_min(0).sqrt()
    best = torch.full_like(a, FAR)
    for sign in (-1.0, 1.0):
        t = (-b + sign * root) / a
        z = oz + t * dz
        inside = (disc > 0) & (t > _T_MIN) & (z.abs() < 1) & (m * z + q >= 0)
        best = torch.where(inside & (t < best), t, best)
    for cap in (-1.0, 1.0):
        t = (cap - oz) / _away_from_zero(dz)
        inside = (t > _T_MIN) & ((ox + t * dx) ** 2 + (oy + t * dy) ** 2 < (m * cap + q) ** 2)
        best = torch.where(inside & (t < best), t, best)
    return best


def _sphere_hits(o: Tensor, d: Tensor) -> Tensor:
    a, b, c = (d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1) - 1
    disc = b * b - a * c
    root = disc.clamp_min(0).sqrt()
    near, far = (-b - root) / a, (-b + root) / a
    t = torch.where(near > _T_MIN, near, far)
    return torch.where((disc > 0) & (t > _T_MIN), t, FAR)


def _box_distances(x: Tensor, half: Tensor) -> Tensor:
    q = x.abs() - half
    return q.clamp_min(0).norm(dim=-1) + q.amax(-1).clamp_max(0)


def _frustum_distances(x: Tensor, half: Tensor, taper: Tensor) -> Tensor:
    radius, hz = half[:, 0], half[:, 2]
    slope = radius * (taper - 1) / (2 * hz)
    z = x[..., 2]
    rim = radius * (taper + 1) / 2 + slope * torch.maximum(torch.minimum(z, hz), -hz)
    side = (x[..., :2].norm(dim=-1) - rim) / (1 + slope * slope).sqrt()
    q = torch.stack([side, z.abs() - hz], -1)
    ball = x.norm(dim=-1) - torch.hypot(radius * taper.clamp_min(1), hz)  # the slope alone falls short far away
    return torch.maximum(q.clamp_min(0).norm(dim=-1) + q.amax(-1).clamp_max(0), ball)


def _sphere_distances(x: Tensor, half: Tensor) -> Tensor:
    """First-order distance to an ellipsoid, k0 (k0 - 1) / k1 (Quilez, "Ellipsoid - SDF")."""
    unit = x / half
    k0, k1 = unit.norm(dim=-1), (unit / half).norm(dim=-1).clamp_min(1e-6)
    return k0 * (k0 - 1) / k1
