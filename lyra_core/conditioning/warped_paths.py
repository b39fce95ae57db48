# SPDX-License-Identifier: Apache-2.0
"""What camera paths see of the 3D cache, one path at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, overload

from lyra_core.cameras import Cameras

from .fill import fill_holes
from .warp import Warp


class Cache(Protocol):
    """Whatever can be looked at from other cameras: `Cache3D`, or a moving scene at its times."""

    def render(self, cameras: Cameras) -> Warp:
        """Frames `[F, H, W]` of one path `[F]`."""
        ...


class WarpedPaths(Sequence[Warp]):
    """The warps `[F, H, W]` of V camera paths, each made anew when it is asked for: one clip is held, not V.

    Args:
        cache: what is looked at.
        cameras: the paths `[V, F]`; frames come to their device.
        hole_fill: see `fill_holes`.
    """

    def __init__(self, cache: Cache, cameras: Cameras, hole_fill: str = "none") -> None:
        self._cache = cache
        self._cameras = cameras
        self._hole_fill = hole_fill

    def __len__(self) -> int:
        """Number of paths."""
        return len(self._cameras)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames [px]."""
        return self._cameras.height, self._cameras.width

    @overload
    def __getitem__(self, index: int) -> Warp: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Warp]: ...

    def __getitem__(self, index: int | slice) -> Warp | Sequence[Warp]:
        """The warp of one path; for a slice, these paths, not yet made."""
        if isinstance(index, slice):
            return WarpedPaths(self._cache, self._cameras[index], self._hole_fill)
        return fill_holes(self._cache.render(self._cameras[index]), mode=self._hole_fill)
