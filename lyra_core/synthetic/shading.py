# SPDX-License-Identifier: Apache-2.0
"""From hits to colours: surface patterns, light, ambient occlusion, haze, sky and tone curve, on any device.

Both kernel backends share this file, so that they differ in nothing but the arithmetic of the intersections.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .lighting import Lighting
from .primitives import Kind, Packed, Texture
from .textures import Surface, albedo, sine_noise

_AMBIENT_TAPS = ((0.1, 0.5), (0.4, 0.6))
_SHADOW_BIAS = 2e-3


class Kernels(Protocol):
    """The intersection queries that `tracer_numba` and `tracer_torch` answer."""

    def nearest(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]: ...

    def occluded(self, origins: Tensor, directions: Tensor, limit: Tensor) -> Tensor: ...

    def clearance(self, points: Tensor, limit: float) -> Tensor: ...


class Hits(NamedTuple):
    """Points where rays met solids, [N] each; `local` and `local_normal` are in the solid's own axes [N, 3]."""

    solid: Tensor
    t: Tensor
    point: Tensor
    local: Tensor
    local_normal: Tensor
    normal: Tensor  # [N, 3] world, facing the viewer
    on_side: Tensor  # bool [N]: the round wall of a frustum


class Shader:
    """Shades rays of one world."""

    def __init__(self, packed: Packed, lighting: Lighting, kernels: Kernels, device: torch.device) -> None:
        def tensor(name: str) -> Tensor:
            return torch.from_numpy(getattr(packed, name)).to(device)

        self._kernels, self._lighting = kernels, lighting
        self._kind, self._texture = tensor("kind").long(), tensor("texture")
        self._center, self._half, self._rotation = tensor("center"), tensor("half"), tensor("rotation")
        self._taper, self._scale = tensor("taper"), tensor("scale")
        self._color, self._accent = tensor("color"), tensor("accent")
        self._gloss, self._emission = tensor("gloss"), tensor("emission")
        self._textures = [Texture(int(k)) for k in sorted(set(packed.texture.tolist()))]

    def hits(self, origins: Tensor, directions: Tensor, t: Tensor, index: Tensor) -> Hits:
        """Geometry of rays [N, 3] that hit solid `index` [N] at distance `t` [N]."""
        point = origins + directions * t[:, None]
        rotation, half = self._rotation[index], self._half[index]
        local = torch.einsum("nij,nj->ni", rotation, point - self._center[index])
        unit = local / half
        kind, slope = self._kind[index], (self._taper[index] - 1) / 2
        face = unit.abs().argmax(-1, keepdim=True)
        flat = torch.zeros_like(unit).scatter(-1, face, 1.0) * unit.sign()
        rim = slope * unit[:, 2] + 1 + slope
        radial = torch.stack([unit[:, 0] / half[:, 0], unit[:, 1] / half[:, 1], -slope * rim / half[:, 2]], -1)
        on_side = (kind == Kind.FRUSTUM) & (unit[:, 2].abs() < 0.9995)
        cap = torch.zeros_like(unit)
        cap[:, 2] = unit[:, 2].sign()
        round_normal = torch.where((kind == Kind.SPHERE)[:, None], local / half**2, radial)
        round_normal = torch.where(((kind == Kind.FRUSTUM) & ~on_side)[:, None], cap, round_normal)
        round_normal = round_normal / round_normal.norm(dim=-1, keepdim=True).clamp_min(1e-9)
        local_normal = torch.where((kind == Kind.BOX)[:, None], flat, round_normal)
        normal = torch.einsum("nij,ni->nj", rotation, local_normal)
        normal = torch.where((normal * directions).sum(-1, keepdim=True) > 0, -normal, normal)
        return Hits(index, t, point, local, local_normal, normal, on_side)

    def colors(self, hits: Hits, directions: Tensor, pixel_angle: float) -> Tensor:
        """Linear colour [N, 3] of hits seen along `directions`; `pixel_angle` [rad] sets the pattern filter."""
        light = self._lighting
        base, normal = self._surface(hits, directions, pixel_angle)
        lifted = hits.point + hits.normal * _SHADOW_BIAS
        key = _like(light.key, base)
        if light.sun:
            towards = key.expand_as(lifted).contiguous()
            limit = torch.full_like(hits.t, 1e6)
            strength = torch.ones_like(hits.t)
        else:
            towards = key - lifted
            span = towards.norm(dim=-1)
            towards, limit, strength = towards / span[:, None], span - 1e-2, 1 / (1 + 0.06 * span**2)
        lit = (~self._kernels.occluded(lifted, towards, limit)).float()
        facing = (normal * towards).sum(-1).clamp_min(0) * (hits.normal * towards).sum(-1).clamp(0, 0.1) * 10
        half_way = torch.nn.functional.normalize(towards - directions, dim=-1)
        shine = self._gloss[hits.solid] * (normal * half_way).sum(-1).clamp_min(0) ** 40 * 0.6
        up = 0.5 + 0.5 * normal[:, 2:3]
        ambient = _like(light.ambient, base) * torch.lerp(_like(light.bounce, base), torch.ones_like(base), up)
        incoming = (
            ambient * self._openness(hits)[:, None] + _like(light.key_color, base) * (facing * strength * lit)[:, None]
        )
        for glow in light.glows:
            offset = _like(glow.position, base) - lifted
            squared = (offset * offset).sum(-1) / glow.radius**2
            wrap = 0.6 + 0.4 * (torch.nn.functional.normalize(offset, dim=-1) * normal).sum(-1)
            incoming = incoming + _like(glow.color, base) * (wrap.clamp_min(0) / (1 + squared) ** 1.5)[:, None]
        color = base * incoming + (shine * lit)[:, None] * _like(light.key_color, base)
        emission = self._emission[hits.solid][:, None]
        color = torch.where(emission > 0, base * emission, color)
        if light.haze > 0:
            clear = torch.exp(-light.haze * hits.t)[:, None]
            color = color * clear + _like(light.horizon, base) * (1 - clear)
        return color

    def sky(self, directions: Tensor) -> Tensor:
        """Linear colour [N, 3] of rays that hit nothing."""
        light = self._lighting
        height = directions[:, 2].clamp(0, 1)
        blend = height[:, None] ** 0.6
        plane = directions[:, :2] / (height + 0.15)[:, None] * 2
        cover = sine_noise(plane[:, 0], plane[:, 1], torch.zeros_like(height), 4)
        cover = ((cover + 2 * light.cloudiness - 0.7) * 0.9).clamp(0, 1)[:, None] * (height * 5).clamp(0, 1)[:, None]
        color = torch.lerp(_like(light.horizon, directions), _like(light.zenith, directions), blend)
        return torch.lerp(color, 0.35 + 0.65 * _like(light.horizon, directions), 0.7 * cover)

    def _surface(self, hits: Hits, directions: Tensor, pixel_angle: float) -> tuple[Tensor, Tensor]:
        """Albedo and shading normal, both [N, 3]."""
        half, scale = self._half[hits.solid], self._scale[hits.solid]
        angle = torch.atan2(hits.local[:, 1], hits.local[:, 0]) * half[:, 0]
        x, y, z = hits.local.unbind(-1)
        axis = hits.local_normal.abs().argmax(-1)
        u = torch.where(hits.on_side, angle, torch.where(axis == 0, y, x))
        v = torch.where(hits.on_side | (axis != 2), z, y)
        grazing = (hits.normal * directions).sum(-1).abs().clamp_min(0.15)
        width = hits.t * pixel_angle / (scale * grazing.sqrt())
        seed = torch.frac(self._center[hits.solid].sum(-1) * 3.7).abs()
        base = torch.empty_like(hits.point)
        normal = hits.normal.clone()
        texture = self._texture[hits.solid]
        for kind in self._textures:
            chosen = (texture == kind).nonzero()[:, 0]
            if not len(chosen):
                continue
            solid = hits.solid[chosen]
            surface = Surface(
                (u / scale)[chosen],
                (v / scale)[chosen],
                width[chosen],
                hits.local[chosen],
                self._color[solid],
                self._accent[solid],
                seed[chosen],
                scale[chosen],
            )
            base[chosen] = albedo(kind, surface)
            if kind is Texture.FOLIAGE:
                normal[chosen] = _ruffled(hits.normal[chosen], surface)
        return base, normal

    def _openness(self, hits: Hits) -> Tensor:
        """Ambient occlusion [N] from a few clearance taps along the normal (Evans, "Fast approximations", 2006)."""
        shut = torch.zeros_like(hits.t)
        for height, weight in _AMBIENT_TAPS:
            clear = self._kernels.clearance(hits.point + hits.normal * height, height)
            shut = shut + weight * (1 - clear / height)
        return (1 - 0.8 * shut).clamp(0.12, 1)


def tone_mapped(linear: Tensor) -> Tensor:
    """Display-referred colour: a soft shoulder, then gamma 2."""
    x = (linear * 1.02).clamp(0, 4)
    return (x * (1 + x / 9) / (1 + 0.35 * x)).clamp(0, 1).sqrt()


def _ruffled(normal: Tensor, surface: Surface) -> Tensor:
    """Normals shaken by noise, so that a few spheres read as leaves."""
    x, y, z = (surface.position / surface.scale[:, None] * 4.2).unbind(-1)
    shake = torch.stack([sine_noise(y, z, x, 2), sine_noise(z, x + 4, y, 2), sine_noise(x, y - 7, z, 2)], -1)
    strength = 0.75 * (1.2 - 2 * surface.width).clamp(0, 1)
    return torch.nn.functional.normalize(normal + strength[:, None] * shake, dim=-1)


def _like(vector: tuple[float, float, float], other: Tensor) -> Tensor:
    return other.new_tensor(vector)
