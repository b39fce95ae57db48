# SPDX-License-Identifier: Apache-2.0
"""Named colours and the materials made from them. Colours are linear albedos."""

from __future__ import annotations

from random import Random

from .primitives import Material, Texture, Vector

COLORS: dict[str, Vector] = {
    "white": (0.85, 0.84, 0.81),
    "cream": (0.83, 0.76, 0.62),
    "grey": (0.5, 0.5, 0.52),
    "dark grey": (0.2, 0.21, 0.23),
    "black": (0.05, 0.05, 0.06),
    "red": (0.66, 0.1, 0.08),
    "orange": (0.85, 0.36, 0.06),
    "yellow": (0.88, 0.66, 0.1),
    "green": (0.14, 0.42, 0.18),
    "teal": (0.08, 0.42, 0.44),
    "blue": (0.1, 0.23, 0.62),
    "purple": (0.36, 0.17, 0.48),
    "pink": (0.82, 0.43, 0.5),
    "brown": (0.36, 0.21, 0.11),
}

WOODS: dict[str, tuple[Vector, Vector]] = {
    "oak": ((0.52, 0.34, 0.18), (0.36, 0.21, 0.1)),
    "pine": ((0.68, 0.5, 0.3), (0.5, 0.34, 0.18)),
    "walnut": ((0.3, 0.17, 0.09), (0.2, 0.11, 0.06)),
    "birch": ((0.75, 0.62, 0.45), (0.6, 0.46, 0.3)),
}

CARDBOARD: Vector = (0.6, 0.43, 0.25)
GLASS: Vector = (0.42, 0.55, 0.66)
LAMP_LIGHT: Vector = (1.0, 0.86, 0.6)


def vary(color: Vector, rng: Random, amount: float = 0.06) -> Vector:
    """The colour with each channel moved by up to `amount`."""
    r, g, b = (min(0.95, max(0.02, x + rng.uniform(-amount, amount))) for x in color)
    return (r, g, b)


def scaled(color: Vector, factor: float) -> Vector:
    """The colour made darker or lighter."""
    r, g, b = (min(0.95, x * factor) for x in color)
    return (r, g, b)


def mixed(a: Vector, b: Vector, share: float) -> Vector:
    """`a` with `share` of `b`."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def paint(color: str | Vector, gloss: float = 0.1) -> Material:
    """One colour, no pattern."""
    rgb = COLORS[color] if isinstance(color, str) else color
    return Material(rgb, rgb, gloss=gloss)


def pattern(
    color: str | Vector, accent: str | Vector, texture: Texture, scale: float, *, gloss: float = 0.05
) -> Material:
    """Two colours under a texture of period `scale` metres."""
    first = COLORS[color] if isinstance(color, str) else color
    second = COLORS[accent] if isinstance(accent, str) else accent
    return Material(first, second, texture, scale, gloss)


def lit(color: str | Vector, strength: float = 1.1) -> Material:
    """A surface that shines by itself."""
    rgb = COLORS[color] if isinstance(color, str) else color
    return Material(rgb, rgb, emission=strength)


def timber(rng: Random, kind: str | None = None, *, scale: float = 0.18, gloss: float = 0.15) -> Material:
    """Boards of one of the `WOODS`."""
    light, dark = WOODS[kind or rng.choice(list(WOODS))]
    return Material(light, dark, Texture.WOOD, scale, gloss)


def fabric(color: str | Vector, rng: Random) -> Material:
    """Cloth with folds."""
    rgb = COLORS[color] if isinstance(color, str) else color
    return Material(scaled(rgb, 0.9), vary(scaled(rgb, 1.12), rng, 0.03), Texture.WEAVE, 0.12, 0.0)


def metal(color: str | Vector = "grey") -> Material:
    """Polished metal or enamel."""
    return paint(color, gloss=0.8)


def display(rng: Random) -> Material:
    """A computer screen that is on."""
    ground = rng.choice([(0.12, 0.3, 0.55), (0.08, 0.1, 0.13), (0.75, 0.78, 0.8), (0.1, 0.35, 0.32)])
    ink = (0.15, 0.2, 0.3) if ground[0] > 0.5 else (0.85, 0.9, 0.95)
    return Material(ground, ink, Texture.SCREEN, 0.05, emission=0.95)
