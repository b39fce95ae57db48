# SPDX-License-Identifier: Apache-2.0
"""The light in a world: one shadowed key light, soft ambient light, glowing lamps, sky and haze."""

from __future__ import annotations

from dataclasses import dataclass, field

from .primitives import Vector


@dataclass(frozen=True)
class Glow:
    """Unshadowed warm light around a lamp: position [m], colour, and the distance [m] at which it has halved."""

    position: Vector
    color: Vector
    radius: float = 0.8


@dataclass(frozen=True)
class Lighting:
    """All light of a world, in linear units where albedo 1 under key 1 is display white.

    Attributes:
        key: position of the lamp [m], or the unit direction towards the sun.
        key_color: strength of the key light; a lamp's falls off with distance.
        sun: whether `key` is a direction.
        ambient: light from everywhere; stronger from above.
        bounce: colour that the ground throws on surfaces that look down.
        horizon, zenith: sky colours.
        haze: share of light lost per metre towards the horizon colour.
        cloudiness: how much of the sky is covered, in [0, 1].
        glows: lamps' own light.
    """

    key: Vector
    key_color: Vector
    sun: bool = False
    ambient: Vector = (0.46, 0.46, 0.48)
    bounce: Vector = (0.4, 0.38, 0.35)
    horizon: Vector = (0.75, 0.83, 0.92)
    zenith: Vector = (0.25, 0.47, 0.82)
    haze: float = 0.0
    cloudiness: float = 0.4
    glows: tuple[Glow, ...] = field(default_factory=tuple)
