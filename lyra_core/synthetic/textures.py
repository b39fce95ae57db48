# SPDX-License-Identifier: Apache-2.0
"""Closed-form surface patterns, box-filtered over the pixel footprint so that they fade instead of flickering.

Every pattern takes a `Surface` (flat batch of N points that share one texture) and returns the albedo [N, 3].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .primitives import Texture


@dataclass(frozen=True)
class Surface:
    """Points on textured solids.

    Attributes:
        u, v: surface coordinates [N] in texture periods.
        width: footprint of the pixel [N] in texture periods.
        position: metric coordinates [N, 3] in the solid's own axes.
        color, accent: the material's two albedos [N, 3].
        seed: one number per solid [N], for variation between equal solids.
        scale: texture period [N] [m].
    """

    u: Tensor
    v: Tensor
    width: Tensor
    position: Tensor
    color: Tensor
    accent: Tensor
    seed: Tensor
    scale: Tensor


def sine_noise(x: Tensor, y: Tensor, z: Tensor, octaves: int = 3) -> Tensor:
    """Smooth noise in about [-1, 1]: sums of warped, rotated sines (period about 3 units in the first octave)."""
    total = torch.zeros_like(x)
    gain = 0.6
    for k in range(octaves):
        warp_x = torch.sin(y * 2.1 + z * 0.9 + k)
        warp_y = torch.sin(z * 1.6 + x * 1.2 + 2 * k)
        total = total + gain * torch.sin(x * 1.7 + 1.3 * warp_x) * torch.sin(y * 1.9 + 1.1 * warp_y)
        x, y, z = (
            x * 1.62 + y * 1.13 + z * 0.37 + 3.1,
            y * 1.55 - x * 1.05 + z * 0.61 - 1.7,
            z * 1.93 - x * 0.31 + y * 0.4 + 0.7,
        )
        gain *= 0.55
    return total * 1.2


def _hash(a: Tensor, b: Tensor | float = 0.0) -> Tensor:
    """Pseudo-random number in [0, 1) per integer pair."""
    return torch.frac(torch.sin(a * 12.9898 + b * 78.233) * 437.585).abs()


def _pulse(x: Tensor, duty: float, width: Tensor) -> Tensor:
    """Share of [x - width/2, x + width/2] where frac(x) < duty: a square wave under a box filter."""
    width = width.clamp_min(1e-4)

    def integral(t: Tensor) -> Tensor:
        whole = torch.floor(t)
        return whole * duty + (t - whole).clamp_max(duty)

    return (integral(x + width / 2) - integral(x - width / 2)) / width


def _visible(width: Tensor, size: float = 1.0) -> Tensor:
    """1 where a feature of `size` periods is larger than the pixel, falling to 0 where it is far smaller."""
    return (1.5 - width / size).clamp(0, 1)


def _mix(s: Surface, weight: Tensor, shade: Tensor | float = 1.0) -> Tensor:
    color = torch.lerp(s.color, s.accent, weight.clamp(0, 1)[:, None])
    return color * shade[:, None] if isinstance(shade, Tensor) else color * shade


def _noise(s: Surface, frequency: float, octaves: int = 3) -> Tensor:
    x, y, z = (s.position * frequency + 7.3 * s.seed[:, None]).unbind(-1)
    return sine_noise(x, y, z, octaves)


def _spread(s: Surface, frequency: float) -> tuple[Tensor, Tensor, Tensor]:
    """Position in texture periods times `frequency`, shifted per solid."""
    x, y, z = (s.position / s.scale[:, None] * frequency + 7.3 * s.seed[:, None]).unbind(-1)
    return x, y, z


def _lines(s: Surface, duty: float, *, across: float = 1.0, along: float = 1.0) -> Tensor:
    """Grout between the cells of a grid."""
    a = _pulse(s.u * across, duty, s.width * across)
    b = _pulse(s.v * along, duty, s.width * along)
    return 1 - (1 - a) * (1 - b)


def plain(s: Surface) -> Tensor:
    return s.color


def checker(s: Surface) -> Tensor:
    a = 2 * _pulse(s.u / 2, 0.5, s.width / 2) - 1
    b = 2 * _pulse(s.v / 2, 0.5, s.width / 2) - 1
    return _mix(s, 0.5 - 0.5 * a * b, 1 + 0.03 * _noise(s, 2.0, 2))


def stripes(s: Surface) -> Tensor:
    return _mix(s, _pulse(s.u / 2, 0.5, s.width / 2))


def bands(s: Surface) -> Tensor:
    return _mix(s, _pulse(s.v / 2, 0.5, s.width / 2))


def wood(s: Surface) -> Tensor:
    plank = torch.floor(s.u)
    board = torch.floor(s.v / 6 + _hash(plank, 3.0))
    tone = _hash(plank, board + s.seed)
    grain = torch.sin(s.u * 11 + 5 * tone + 1.6 * sine_noise(s.u * 2.5, s.v * 0.35, tone * 9, 2))
    seam_v = _pulse(s.v / 6 + _hash(plank, 3.0), 0.012, s.width / 6)
    seam = torch.maximum(_pulse(s.u, 0.05, s.width), seam_v)
    weight = 0.12 + 0.2 * grain * _visible(s.width, 0.2) + 0.55 * tone
    return _mix(s, weight, 1 - 0.45 * seam)


def brick(s: Surface) -> Tensor:
    row = torch.floor(s.v * 2)
    u = s.u + 0.5 * (row % 2)
    mortar = torch.maximum(_pulse(u, 0.06, s.width), _pulse(s.v * 2, 0.12, s.width * 2))
    tone = (_hash(torch.floor(u), row) - 0.5) * _visible(s.width, 0.8)
    return _mix(s, mortar, 1 + (0.32 * tone + 0.08 * _noise(s, 14.0, 2) * _visible(s.width, 0.3)) * (1 - mortar))


def speckle(s: Surface) -> Tensor:
    return _mix(s, 0.5 + 0.45 * _noise(s, 4.0) + 0.25 * _noise(s, 31.0, 2) * _visible(s.width * 4, 0.3))


def tiles(s: Surface) -> Tensor:
    grout = _lines(s, 0.035)
    tone = (_hash(torch.floor(s.u), torch.floor(s.v)) - 0.5) * _visible(s.width, 0.8)
    return _mix(s, grout, 1 + 0.09 * tone)


def books(s: Surface) -> Tensor:
    spine = torch.floor(s.u * 4)
    key = spine + 17 * s.seed
    hue = torch.stack([torch.sin(key * 1.7), torch.sin(key * 2.9 + 1), torch.sin(key * 4.1 + 2)], -1)
    gap = _pulse(s.u * 4, 0.1, s.width * 4)
    band = _pulse(s.v + _hash(key), 0.12, s.width)
    color = (s.color + 0.3 * hue).clamp(0.04, 0.9)
    color = torch.lerp(color, s.accent, (0.6 * band)[:, None])
    return color * (1 - 0.75 * gap)[:, None]


def window(s: Surface) -> Tensor:
    frame = _lines(s, 0.07)
    sky = s.color * (0.8 + 0.25 * torch.sigmoid(s.position[:, 2:3] * 4))
    return torch.lerp(sky, s.accent, frame[:, None])


def grass(s: Surface) -> Tensor:
    """Meadow: broad patches, mowing tufts and fine blades, each fading at its own distance."""
    x, y, _ = s.position.unbind(-1)
    zero = torch.zeros_like(x)
    metre = s.width
    patches = sine_noise(x * 0.35 + s.seed, y * 0.35, zero, 2)
    tufts = sine_noise(x * 2.6, y * 2.6 + s.seed, zero, 2) * _visible(metre, 0.6)
    blades = sine_noise(x * 17, y * 13, zero + 2, 2) * _visible(metre, 0.1)
    dry = (sine_noise(x * 0.8 + 5, y * 0.8 - 3, zero, 2) - 0.35).clamp_min(0) * 0.9
    color = _mix(s, 0.45 + 0.3 * patches + 0.3 * tufts, 1 + 0.16 * tufts + 0.34 * blades)
    straw = s.color.new_tensor((0.42, 0.4, 0.16))
    return torch.lerp(color, straw, (0.55 * dry.clamp(0, 1))[:, None])


def foliage(s: Surface) -> Tensor:
    clumps = sine_noise(*_spread(s, 2.2), 2)
    leaves = sine_noise(*_spread(s, 8.0), 2) * _visible(s.width, 0.3)
    return _mix(s, 0.5 + 0.35 * clumps - 0.3 * leaves, 1 + 0.2 * leaves)


def asphalt(s: Surface) -> Tensor:
    x, y, _ = s.position.unbind(-1)
    zero = torch.zeros_like(x)
    grain = sine_noise(x * 23, y * 23, zero, 2) * _visible(s.width, 0.12)
    stains = sine_noise(x * 0.6, y * 0.35 + s.seed, zero, 3)
    tracks = torch.sin(x * 3.4) ** 8 * 0.25
    return _mix(s, 0.5 + 0.35 * stains - tracks, 1 + 0.12 * grain)


def corrugated(s: Surface) -> Tensor:
    wave = torch.sin(6.2832 * s.u) * _visible(s.width, 0.6)
    return _mix(s, 0.25 + 0.2 * wave, 1 + 0.1 * wave)


def picture(s: Surface) -> Tensor:
    """An invented landscape: sky, two ranges of hills and a sun."""
    x, y = s.position[:, 0], s.position[:, 2]
    zero = torch.zeros_like(x)
    far = 0.05 + 0.06 * sine_noise(x * 6 + 9 * s.seed, zero + s.seed, zero, 2)
    near = -0.07 + 0.07 * sine_noise(x * 8 - 5 * s.seed, zero + 2, zero + s.seed, 2)
    sky = torch.lerp(s.color.new_tensor((0.85, 0.8, 0.68)), s.color, (0.5 + 2 * y).clamp(0, 1)[:, None])
    sun = (8 - 80 * ((x - 0.25 * torch.sin(9 * s.seed)) ** 2 + (y - 0.13) ** 2).sqrt()).clamp(0, 1)
    color = torch.lerp(sky, s.color.new_tensor((0.95, 0.75, 0.35)), sun[:, None])
    color = torch.lerp(color, 0.6 * s.accent + 0.25, ((far - y) * 90).clamp(0, 1)[:, None])
    return torch.lerp(color, 0.7 * s.accent, ((near - y) * 90).clamp(0, 1)[:, None])


def screen(s: Surface) -> Tensor:
    """A desktop: a bar, a side panel and lines of text."""
    x, y = s.position[:, 0], s.position[:, 2]
    line = torch.floor(s.v * 4)
    text = (_pulse(s.v * 4, 0.45, s.width * 4)) * (_hash(torch.floor(s.u * 5), line + s.seed) > 0.3).float()
    text = text * (_hash(line, s.seed) * 0.5 - 0.05 > x).float() * (x > -0.16).float()
    panel = (x < -0.17).float()
    color = torch.lerp(s.color, s.accent, (0.75 * text)[:, None])
    color = torch.lerp(color, 0.45 * s.color, panel[:, None])
    return torch.where((y > 0.13)[:, None], 0.3 * s.accent, color)


def carton(s: Surface) -> Tensor:
    """Cardboard with a strip of tape around its middle and a label."""
    x, y, z = s.position.unbind(-1)
    tape = ((0.03 - x.abs()) * 400).clamp(0, 1)
    label = (((0.07 - (x - 0.1).abs()) * 400).clamp(0, 1)) * (((0.04 - (z + 0.01).abs()) * 400).clamp(0, 1))
    fibre = 0.05 * _noise(s, 8.0, 2)
    color = torch.lerp(s.color * (1 + fibre)[:, None], s.accent, (0.7 * tape)[:, None])
    return torch.lerp(color, torch.full_like(color, 0.82), label[:, None] * (y < 0).float()[:, None])


def siding(s: Surface) -> Tensor:
    groove = _pulse(s.v, 0.09, s.width)
    slope = (s.v - torch.floor(s.v) - 0.5) * _visible(s.width, 0.7)
    return s.color * (1 - 0.4 * groove - 0.1 * slope)[:, None]


def weave(s: Surface) -> Tensor:
    """Cloth: a fine cross-hatch over broad folds."""
    threads = torch.sin(6.2832 * s.u * 6) * torch.sin(6.2832 * s.v * 6) * _visible(s.width, 0.12)
    folds = _noise(s, 2.2, 2)
    return _mix(s, 0.4 + 0.3 * folds, 1 + 0.1 * threads + 0.04 * folds)


def roof(s: Surface) -> Tensor:
    row = torch.floor(s.v * 2)
    u = s.u * 1.5 + 0.5 * (row % 2)
    edge = torch.maximum(_pulse(u, 0.08, s.width * 1.5), _pulse(s.v * 2, 0.16, s.width * 2))
    tone = (_hash(torch.floor(u), row) - 0.5) * _visible(s.width, 0.8)
    return s.color * (1 - 0.35 * edge + 0.3 * tone)[:, None]


def hazard(s: Surface) -> Tensor:
    return _mix(s, _pulse((s.u + s.v) / 2, 0.5, s.width / 2))


def facade(s: Surface) -> Tensor:
    """Rows of windows for buildings that are far away; a few are lit."""
    pane = _pulse(s.u - 0.27, 0.46, s.width) * _pulse(s.v - 0.3, 0.5, s.width)
    sill = _pulse(s.u - 0.22, 0.56, s.width) * _pulse(s.v - 0.24, 0.05, s.width)
    on = (_hash(torch.floor(s.u), torch.floor(s.v) + s.seed) > 0.85).float()[:, None]
    glass = torch.lerp(s.accent, s.accent.new_tensor((0.95, 0.78, 0.45)), on)
    color = torch.lerp(s.color, glass, pane[:, None])
    return torch.lerp(color, torch.full_like(color, 0.75), sill[:, None])


def packs(s: Surface) -> Tensor:
    """Packs side by side, each with a label in the middle and a stripe above it."""
    z = s.position[:, 2]
    gap = _pulse(s.u + 0.04, 0.08, s.width)
    label = _pulse(s.u - 0.2, 0.6, s.width) * ((0.05 - z.abs()) * 400).clamp(0, 1)
    stripe = ((0.008 - (z - 0.075).abs()) * 600).clamp(0, 1)
    color = torch.lerp(s.color, s.accent, torch.maximum(label, stripe)[:, None])
    return color * (1 - 0.8 * gap)[:, None]


_PATTERNS: dict[Texture, Callable[[Surface], Tensor]] = {
    Texture.PLAIN: plain,
    Texture.CHECKER: checker,
    Texture.STRIPES: stripes,
    Texture.BANDS: bands,
    Texture.WOOD: wood,
    Texture.BRICK: brick,
    Texture.SPECKLE: speckle,
    Texture.TILES: tiles,
    Texture.BOOKS: books,
    Texture.WINDOW: window,
    Texture.GRASS: grass,
    Texture.FOLIAGE: foliage,
    Texture.ASPHALT: asphalt,
    Texture.CORRUGATED: corrugated,
    Texture.PICTURE: picture,
    Texture.SCREEN: screen,
    Texture.CARTON: carton,
    Texture.SIDING: siding,
    Texture.WEAVE: weave,
    Texture.ROOF: roof,
    Texture.HAZARD: hazard,
    Texture.FACADE: facade,
    Texture.PACKS: packs,
}


def albedo(texture: Texture, surface: Surface) -> Tensor:
    """Albedo [N, 3] of points that share one texture."""
    return _PATTERNS[texture](surface)
