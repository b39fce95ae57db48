# SPDX-License-Identifier: Apache-2.0
"""The 4D cache of a moving scene: one RGB-D view per time, and what each shows from other cameras at its own time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.errors import LyraError
from lyra_core.video.posed import PosedVideo

from .cache3d import FOOTPRINTS, bounded_depth
from .depth import DepthEstimate
from .point_cache import SourceView, source_view, splat_views
from .surface import Surface, build_surface, render_surface
from .warp import PUBLISHED_CHUNK, PUBLISHED_MAX_DEPTH, Warp


@dataclass(frozen=True)
class Playback:
    """A 4D cache of which every step of a path shows the source frame that `frames` `[F]` names."""

    cache: Cache4D
    frames: Tensor

    def render(self, cameras: Cameras) -> Warp:
        """Frames `[..., F, H, W]` of paths `[..., F]`."""
        return self.cache.render(cameras, self.frames)


class Cache4D:
    """Points of every frame of a posed video, in the axes of its first camera.

    As published (GEN3C, arXiv 2503.03751), a frame of the source is only ever shown at its own time.

    Args:
        video: frames, cameras and depth, in one unit of length.
        footprint: see `Cache3D`.
        foreground: whether a bilinear footprint drops what may have been hidden behind the foreground, by the depth
            edges of each frame.
        max_depth: depth limit; unknown depth sits there.
        keep: bool `[F, H, W]`, the pixels that the cache holds; None holds all.

    Raises LyraError for an unknown footprint.
    """

    def __init__(
        self,
        video: PosedVideo,
        footprint: str = "bilinear",
        *,
        foreground: bool = False,
        max_depth: float = PUBLISHED_MAX_DEPTH,
        keep: Tensor | None = None,
    ) -> None:
        if footprint not in FOOTPRINTS:
            raise LyraError(f"Unknown warp footprint {footprint!r}; choose one of {', '.join(FOOTPRINTS)}.")
        self.video, self.footprint, self.foreground = video, footprint, foreground
        self.max_depth, self.keep = max_depth, keep
        self._surface = lru_cache(maxsize=2)(self._built_surface)
        self._points = lru_cache(maxsize=2)(self._built_points)

    def __len__(self) -> int:
        """Number of times."""
        return len(self.video)

    def depth(self, frame: int) -> DepthEstimate:
        """Depth of one frame, in its own camera."""
        video = self.video
        return DepthEstimate(
            video.depth[frame], video.mask[frame], video.cameras.intrinsics[frame],
            video.source if video.source != "synthetic" else "exact:procedural", video.metric,
        )  # fmt: skip

    def render(self, cameras: Cameras, frames: Tensor) -> Warp:
        """Frames `[..., F, H, W]` of paths `[..., F]`: step f of every path shows source frame `frames[f]`.

        Raises LyraError for frame numbers that the video does not have, and as `PointCache` for cameras of another
        image size under the bilinear footprint.
        """
        numbers = self._numbers(cameras, frames)
        paths = cameras.reshape(-1, len(numbers))
        if self.footprint == "bilinear":
            splats = [self._splat(paths[path], numbers) for path in range(len(paths))]
            warp = Warp(*(torch.stack(part) for part in zip(*splats, strict=True)))
        else:
            steps = [
                render_surface(self._surface(number), self._local(paths[:, step], number))
                for step, number in enumerate(numbers)
            ]
            warp = Warp(*(torch.stack(part, dim=1) for part in zip(*steps, strict=True)))
        parts = (part.reshape(*cameras.shape, *part.shape[2:]) for part in warp if part is not None)
        return Warp(*parts)

    def playing(self, frames: Tensor) -> Playback:
        """The cache under a clock: step f of every path shows source frame `frames[f]`."""
        return Playback(self, frames)

    def frozen(self, frame: int, steps: int) -> Playback:
        """The one instant of source frame `frame`, for paths of `steps` cameras."""
        return Playback(self, torch.full((steps,), frame))

    def _numbers(self, cameras: Cameras, frames: Tensor) -> list[int]:
        numbers = [int(number) for number in frames]
        if not cameras.shape or cameras.shape[-1] != len(numbers):
            raise LyraError(f"{len(numbers)} source frames need as many cameras per path; got {[*cameras.shape]}.")
        if min(numbers) < 0 or max(numbers) >= len(self):
            raise LyraError(f"the video has frames 0 to {len(self) - 1}; asked for {min(numbers)} to {max(numbers)}.")
        return numbers

    def _local(self, cameras: Cameras, frame: int) -> Cameras:
        """The cameras in the axes of a frame's own camera."""
        return cameras.transformed(torch.linalg.inv(self.video.cameras.c2w[frame]))

    def _splat(self, cameras: Cameras, numbers: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Published splat of one path `[F]`: two frames per call, which share the scale of the soft z-buffer."""
        size = self.video.depth.shape[1:]
        if (cameras.height, cameras.width) != tuple(size):
            raise LyraError(
                f"The bilinear footprint needs cameras of the source's size {size[1]} x {size[0]}, got "
                f"{cameras.width} x {cameras.height}; resize the video, or use the adaptive footprint."
            )
        calls = []
        for start in range(0, len(numbers), PUBLISHED_CHUNK):
            part = slice(start, start + PUBLISHED_CHUNK)
            views = [self._points(number) for number in numbers[part]]
            calls.append(splat_views(views, cameras[part], [~view.keep for view in views] if self.foreground else None))
        rgb, z, mask = (torch.cat(part) for part in zip(*calls, strict=True))
        return rgb, z, mask

    def _built_points(self, frame: int) -> SourceView:
        depth = self.depth(frame)
        z = bounded_depth(depth, self.max_depth)
        view = source_view(self.video.frames[frame], z, depth.intrinsics.to(z), self.video.cameras.c2w[frame].to(z))
        return view if self.keep is None else view._replace(keep=view.keep & self.keep[frame])

    def _built_surface(self, frame: int) -> Surface:
        depth = self.depth(frame)
        z = bounded_depth(depth, self.max_depth)
        surface = build_surface(self.video.frames[frame].float(), z, depth.intrinsics.to(z))
        return surface if self.keep is None else surface.selected(self.keep[frame].reshape(-1))
