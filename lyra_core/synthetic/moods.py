# SPDX-License-Identifier: Apache-2.0
"""Lighting by mood word, indoors and outdoors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from .lighting import Glow, Lighting
from .primitives import Vector


@dataclass(frozen=True)
class Mood:
    """Strength of the key light, its warmth (red minus blue), and strength of the ambient light."""

    key: float
    warmth: float
    ambient: float


INDOOR: dict[str, Mood] = {
    "bright": Mood(1.2, 0.02, 1.12),
    "sunny": Mood(1.22, 0.08, 1.1),
    "dim": Mood(0.62, 0.08, 0.6),
    "cosy": Mood(0.85, 0.16, 0.78),
    "modern": Mood(1.1, -0.03, 1.05),
    "cool": Mood(1.0, -0.1, 1.0),
    "cloudy": Mood(0.85, -0.04, 0.95),
    "evening": Mood(0.7, 0.17, 0.65),
    "night": Mood(0.5, 0.12, 0.45),
}

_DEFAULT_INDOOR = ("bright", "sunny", "cosy", "modern", "cool", "dim")


@dataclass(frozen=True)
class Sky:
    """Outdoor light: sun strength, warmth and elevation range [rad], ambient and sky colours, cloud cover."""

    sun: float
    warmth: float
    elevation: tuple[float, float]
    ambient: Vector
    horizon: Vector
    zenith: Vector
    clouds: float


OUTDOOR: dict[str, Sky] = {
    "sunny": Sky(1.75, 0.1, (0.6, 0.95), (0.5, 0.55, 0.66), (0.6, 0.78, 0.96), (0.13, 0.36, 0.8), 0.35),
    "bright": Sky(1.45, 0.04, (0.7, 1.05), (0.58, 0.62, 0.7), (0.7, 0.83, 0.96), (0.24, 0.48, 0.85), 0.5),
    "cloudy": Sky(0.55, 0.0, (0.8, 1.1), (0.88, 0.9, 0.95), (0.8, 0.83, 0.87), (0.6, 0.66, 0.74), 0.9),
    "evening": Sky(1.55, 0.3, (0.3, 0.45), (0.5, 0.46, 0.54), (0.98, 0.68, 0.42), (0.3, 0.38, 0.66), 0.45),
    "night": Sky(0.3, -0.2, (0.7, 1.0), (0.24, 0.28, 0.42), (0.14, 0.18, 0.3), (0.02, 0.04, 0.11), 0.3),
}

_AS_OUTDOOR = {"dim": "cloudy", "cosy": "evening", "modern": "bright", "cool": "cloudy"}
_DEFAULT_OUTDOOR = ("sunny", "sunny", "sunny", "bright", "bright", "cloudy", "evening")

MOODS: tuple[str, ...] = tuple(sorted({*INDOOR, *OUTDOOR}))


def indoor_light(
    rng: Random, mood: str | None, lamp: Vector, reach: float, floor: Vector, glows: tuple[Glow, ...]
) -> tuple[Lighting, str]:
    """Light of a room lit by one lamp; `reach` [m] is how far it has to carry, `floor` the albedo it bounces off."""
    word = mood or rng.choice(_DEFAULT_INDOOR)
    m = INDOOR[word]
    warmth = m.warmth + rng.uniform(-0.04, 0.04)
    strength = 0.98 * m.key * (1 + 0.016 * reach * reach)
    ambient = 0.47 * m.ambient
    return (
        Lighting(
            key=lamp,
            key_color=(strength * (1 + warmth), strength, strength * (1 - warmth)),
            ambient=(ambient * (1 + 0.3 * warmth), ambient, ambient * (1.03 - 0.3 * warmth)),
            bounce=_bounce(floor, 0.6, 0.35),
            glows=glows,
        ),
        word,
    )


def outdoor_light(
    rng: Random, mood: str | None, ground: Vector, glows: tuple[Glow, ...], towards: float = 0.0
) -> tuple[Lighting, str]:
    """Daylight; the sun stands to one side of, or behind, a camera that heads `towards` [rad from +y]."""
    word = mood or rng.choice(_DEFAULT_OUTDOOR)
    word = _AS_OUTDOOR.get(word, word)
    sky = OUTDOOR[word]
    side = rng.choice([-1, 1]) * rng.uniform(1.0, 2.4)  # angle away from the heading: never straight ahead
    azimuth = math.pi / 2 + towards + side
    elevation = rng.uniform(*sky.elevation)
    sun = (math.cos(azimuth) * math.cos(elevation), math.sin(azimuth) * math.cos(elevation), math.sin(elevation))
    return (
        Lighting(
            key=sun,
            key_color=(sky.sun * (1 + sky.warmth), sky.sun, sky.sun * (1 - sky.warmth)),
            sun=True,
            ambient=sky.ambient,
            bounce=_bounce(ground, 0.15, 0.75),
            horizon=sky.horizon,
            zenith=sky.zenith,
            haze=0.004,
            cloudiness=sky.clouds,
            glows=glows,
        ),
        word,
    )


def _bounce(ground: Vector, base: float, share: float) -> Vector:
    r, g, b = (base + share * channel for channel in ground)
    return (r, g, b)
