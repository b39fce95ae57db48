# SPDX-License-Identifier: Apache-2.0
"""From a seed (and wishes) to a world."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from random import Random

import torch
from torch import Tensor

from lyra_core.cameras import Cameras, intrinsics_from_fov
from lyra_core.errors import LyraError

from .classes import CLASSES
from .lighting import Lighting
from .outside import lay_street, lay_yard
from .primitives import Packed, Primitive, pack
from .request import Request
from .rooms import lay_room
from .stage import Placed, Stage, View
from .tabletop import lay_tabletop
from .themes import ROOMS, THEMES, theme_of
from .tracer import RenderedViews, render_packed

__all__ = ["CLASSES", "FOV_X", "THEMES", "World", "make_world", "render_world"]

FOV_X = math.radians(70.0)
"""Horizontal field of view [rad] of every base view."""

_QUIET = {"ceiling panel", "high bay lamp", "monitor", "pot", "box", "tv", "vise", "hanging sign"}


@dataclass(frozen=True)
class World:
    """A finished scene in metres, Z up, floor at z = 0.

    Attributes:
        seed, theme: where it came from.
        caption: a sentence that names only what was placed.
        solids: (primitive, object id, class id) triples.
        lighting: its light.
        placed: the instances.
        camera: camera-to-world pose [4, 4] of the base view; its horizon is level.
        fov_x: horizontal field of view [rad] of the base view.
        focus_distance: distance [m] around which the camera may move; roughly the base view's median depth.
        missing: class names of wishes for which there was no room.
    """

    seed: int
    theme: str
    caption: str
    solids: tuple[tuple[Primitive, int, int], ...]
    lighting: Lighting
    placed: tuple[Placed, ...]
    camera: Tensor
    fov_x: float
    focus_distance: float
    missing: tuple[str, ...] = ()

    @property
    def primitives(self) -> list[Primitive]:
        """The solids without their labels."""
        return [p for p, _, _ in self.solids]

    @cached_property
    def packed(self) -> Packed:
        """The solids as arrays."""
        return pack(self.solids)

    def base_camera(self, width: int, height: int) -> Cameras:
        """The base view at some image size [pixels]; batch shape []."""
        return Cameras(self.camera, intrinsics_from_fov(self.fov_x, width, height), width, height)


def make_world(seed: int, theme: str | None = None, request: Request | None = None) -> World:
    """Build the world of a seed.

    Args:
        seed: the same seed always gives the same world.
        theme: one of `THEMES`, or None to let the seed choose (`themes.theme_of`).
        request: things and finishes that are wanted.

    Raises:
        LyraError: the theme does not exist.
    """
    name = theme or theme_of(seed)
    rng = Random(f"{seed}/{name}")
    if name not in THEMES:
        raise LyraError(f"Unknown theme {name!r}; choose one of: {', '.join(THEMES)}.")
    stage, lighting, words = _lay(rng, name, request or Request())
    return World(
        seed=seed,
        theme=name,
        caption=_caption(rng, words, stage.placed),
        solids=tuple(stage.solids),
        lighting=lighting,
        placed=tuple(stage.placed),
        camera=_pose(stage.view),
        fov_x=FOV_X,
        focus_distance=stage.view.focus_distance,
        missing=tuple(stage.missing),
    )


def render_world(
    world: World,
    cameras: Cameras,
    *,
    supersample: int = 2,
    device: torch.device | str | None = None,
    backend: str = "auto",
) -> RenderedViews:
    """Ray-trace views of a world.

    Args:
        world: the scene, in metres.
        cameras: views in the world's frame, any batch shape.
        supersample: colour samples per pixel side. Depth, normals and labels are taken at the pixel centre.
        device: where to compute (default: the cameras' device).
        backend: "numba" (CPU), "torch" (any device) or "auto".

    Raises:
        LyraError: unknown backend, or one that cannot run on the device.
    """
    return render_packed(world.packed, world.lighting, cameras, supersample=supersample, device=device, backend=backend)


def _lay(rng: Random, theme: str, request: Request) -> tuple[Stage, Lighting, str]:
    if theme in ROOMS:
        return lay_room(rng, theme, request)
    return {"tabletop": lay_tabletop, "yard": lay_yard, "street": lay_street}[theme](rng, request)


def _pose(view: View) -> Tensor:
    """Camera-to-world pose with a level horizon: the right axis has no vertical part."""
    cy, sy = math.cos(view.yaw), math.sin(view.yaw)
    cp, sp = math.cos(view.pitch), math.sin(view.pitch)
    right = (cy, sy, 0.0)
    forward = (-sy * cp, cy * cp, sp)
    down = (-sy * sp, cy * sp, -cp)
    rows = [(right[i], down[i], forward[i], view.eye[i]) for i in range(3)]
    return torch.tensor([*rows, (0.0, 0.0, 0.0, 1.0)])


def _caption(rng: Random, words: str, placed: Iterable[Placed]) -> str:
    labels: dict[str, int] = {}
    for thing in placed:
        if thing.label and thing.name not in _QUIET:
            labels[thing.label] = labels.get(thing.label, 0) + 1
    phrases = [_counted(label, count) for label, count in labels.items()]
    if len(phrases) > 7:
        phrases = [phrases[i] for i in sorted(rng.sample(range(len(phrases)), 7))]
    listed = ", ".join(phrases[:-1]) + (" and " if len(phrases) > 1 else "") + "".join(phrases[-1:])
    opening = f"{_article(words)} {words}"
    if not listed:
        return opening
    return rng.choice(["{}, {}", "{}: {}", "{}; in it {}", "{}, also {}"]).format(opening, listed)


def _article(words: str) -> str:
    return "an" if words[0] in "aeiou" else "a"


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _counted(label: str, count: int) -> str:
    if label.endswith("s") and not label.endswith("ss"):
        return label
    if count == 1:
        return f"{_article(label)} {label}"
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    return f"{number} {plural(label)}"


def plural(label: str) -> str:
    """English plural of a caption label; the noun is the first word that a preposition follows, or the last one."""
    for joint in (" of ", " with ", " on "):
        if joint in label:
            head, tail = label.split(joint, 1)
            return plural(head) + joint + tail
    if label.endswith(("s", "x", "ch", "sh")):
        return label + "es"
    if label.endswith("shelf"):
        return label[:-1] + "ves"
    return label + "s"
