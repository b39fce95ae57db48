# SPDX-License-Identifier: Apache-2.0
"""A procedural room in which things move."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras, intrinsics_from_fov, look_at
from lyra_core.errors import LyraError
from lyra_core.video.posed import PosedVideo, from_first_camera

from ..classes import CLASS_INDEX
from ..grammar import World, make_world
from ..primitives import Primitive, pack
from ..request import Request
from ..tracer import RenderedViews, render_packed
from .movers import MOVERS, Mover
from .placing import camera_room, find_place, solid_boxes
from .rigid import Part, Pose

THEMES = ("warehouse", "workshop", "living room", "office", "bedroom", "kitchen")
"""Rooms with a floor to move on."""

DURATION = 4.0
"""Length of a clip [s]."""

_ATTEMPTS = 12
_WALK = (0.12, 0.04, 0.10)
"""How far the walking camera gets to the right, up and ahead, in units of the focus distance."""


@dataclass(frozen=True)
class PlacedMover:
    """A moving thing in its place: `object_id` is its instance id in renderings."""

    mover: Mover
    object_id: int
    pose: Pose

    def solids(self, time: float) -> list[tuple[Primitive, int, int]]:
        """(primitive, object id, class id) triples at a time [s]."""
        class_id = CLASS_INDEX.get(self.mover.name, 0)
        return [(p, self.object_id, class_id) for part in self.parts for p in part.at(time)]

    @property
    def parts(self) -> list[Part]:
        """Its parts in the world's axes."""
        return [part.under(self.pose) for part in self.mover.parts]


class MovingWorld:
    """A room with one to three moving things; the same seed gives the same world and the same motion.

    Args:
        seed: decides everything.
        movers: words from `MOVERS` that must be there; None lets the seed choose.
        duration: length of the motion [s].

    Raises LyraError for an unknown word, or when nothing fits into any room that was tried.
    """

    def __init__(self, seed: int, *, movers: tuple[str, ...] | None = None, duration: float = DURATION) -> None:
        unknown = sorted(set(movers or ()) - set(MOVERS))
        if unknown:
            raise LyraError(f"unknown mover {', '.join(unknown)}; known are {', '.join(MOVERS)}.")
        self.seed, self.duration = seed, duration
        for attempt in range(_ATTEMPTS):
            rng = Random(f"moving/{seed}/{attempt}")
            names = movers or tuple(rng.sample(list(MOVERS), rng.choice([1, 2, 2, 3])))
            world = make_world(rng.randrange(1 << 30), rng.choice(THEMES), Request(sparse=True, size=1.15))
            placed = _placed(rng, world, names, duration)
            if placed and (movers is None or len(placed) == len(movers)):
                self.world: World = world
                self.movers: tuple[PlacedMover, ...] = placed
                return
        raise LyraError(f"world {seed} has no room for {', '.join(movers or MOVERS)}. Take another seed.")

    @property
    def caption(self) -> str:
        """A sentence that names the room and what moves in it."""
        return f"{self.world.caption}; {', '.join(placed.mover.label for placed in self.movers)}"

    @property
    def moving_ids(self) -> frozenset[int]:
        """Instance ids of the moving things (some of their parts may stand still)."""
        return frozenset(placed.object_id for placed in self.movers)

    @cached_property
    def median_depth(self) -> float:
        """Median depth of the base view at time 0 [m]: the length of one scene unit."""
        return float(self.render(self.base_cameras(1, 44, 80), [0.0], supersample=1).z.median())

    def times(self, frames: int) -> Tensor:
        """Times [s] of `frames` pictures from the first to the last instant."""
        return torch.linspace(0.0, self.duration, frames) if frames > 1 else torch.zeros(1)

    def base_cameras(self, frames: int, height: int, width: int) -> Cameras:
        """A camera that stands still: the base view, `[F]`, in world metres."""
        intrinsics = intrinsics_from_fov(self.world.fov_x, width, height)
        return Cameras(self.world.camera.expand(frames, 4, 4), intrinsics.expand(frames, 4), width, height)

    def walking_cameras(self, frames: int, height: int, width: int) -> Cameras:
        """A camera that walks a little and keeps looking at the middle of the room, `[F]`, in world metres."""
        base, focus = self.world.camera, self.world.focus_distance
        share = torch.linspace(0.0, 1.0, frames)[:, None]
        right, up, ahead = (focus * reach * share for reach in _WALK)
        eyes = base[:3, 3] + right * base[:3, 0] - up * base[:3, 1] + ahead * base[:3, 2]
        target = base[:3, 3] + focus * base[:3, 2]
        intrinsics = intrinsics_from_fov(self.world.fov_x, width, height)
        return Cameras(look_at(eyes, target, (0.0, 0.0, 1.0)), intrinsics.expand(frames, 4), width, height)

    def solids(self, time: float) -> list[tuple[Primitive, int, int]]:
        """Everything there is at a time [s]: (primitive, object id, class id) triples."""
        return [*self.world.solids, *(solid for placed in self.movers for solid in placed.solids(time))]

    def render(
        self, cameras: Cameras, times: Tensor | list[float], *, supersample: int = 2, backend: str = "auto"
    ) -> RenderedViews:
        """Ray-trace each camera `[F]` (world metres) at its time `[F]` [s]; results `[F, ...]`.

        Raises LyraError where there are not as many times as cameras.
        """
        instants = [float(time) for time in times]
        if len(instants) != len(cameras):
            raise LyraError(f"{len(cameras)} cameras need as many times; got {len(instants)}.")
        views: list[RenderedViews | None] = [None] * len(instants)
        for time in sorted(set(instants)):
            where = [index for index, instant in enumerate(instants) if instant == time]
            packed = pack(self.solids(time))
            seen = render_packed(packed, self.world.lighting, cameras[where], supersample=supersample, backend=backend)
            for row, index in enumerate(where):
                views[index] = RenderedViews(*(part[row] for part in seen))
        return RenderedViews(*(torch.stack(parts) for parts in zip(*(v for v in views if v is not None), strict=True)))

    def video(self, frames: int, height: int, width: int, *, walking: bool = False, supersample: int = 2) -> PosedVideo:
        """The clip a camera films, with exact depth [m], in the axes of its first camera."""
        cameras = (self.walking_cameras if walking else self.base_cameras)(frames, height, width)
        times = self.times(frames)
        seen = self.render(cameras, times, supersample=supersample)
        return PosedVideo(
            frames=(seen.rgb * 255).round() / 255, cameras=from_first_camera(cameras), depth=seen.z,
            mask=torch.ones_like(seen.z, dtype=torch.bool), times=times, static_camera=not walking, metric=True,
            source="synthetic",
        )  # fmt: skip


def _placed(rng: Random, world: World, names: tuple[str, ...], duration: float) -> tuple[PlacedMover, ...]:
    """The movers for which there is room, each clear of all others during the whole clip."""
    taken = np.concatenate((solid_boxes(world), camera_room(world)))
    placed: list[PlacedMover] = []
    for name in names:
        mover = MOVERS[name](rng, duration)
        found = find_place(rng, world, mover, taken, duration)
        if found is not None:
            pose, swept = found
            taken = np.concatenate((taken, swept))
            placed.append(PlacedMover(mover, len(world.placed) + len(placed) + 1, pose))
    return tuple(placed)
