# SPDX-License-Identifier: Apache-2.0
"""The Gaussians of single instants of a video, all in the axes of its first camera.

A decoder with a clock (`use_time_embedding`) is told all times at once and asked for one: its latents are made once,
and several instants go through it together. A static decoder is shown each instant as a world that stands still.
Either way row i belongs to the same view and ray at every instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.conditioning.cache3d import bounded_depth
from lyra_core.conditioning.cache4d import Playback
from lyra_core.conditioning.fill import fill_holes
from lyra_core.conditioning.warp import PUBLISHED_MAX_DEPTH
from lyra_core.conditioning.warped_paths import WarpedPaths
from lyra_core.decoder import Anchors, encode_plucker, encode_time
from lyra_core.dynamic.background import Remembering
from lyra_core.dynamic.prepared import PreparedVideo
from lyra_core.gaussians import kept_count
from lyra_core.pipeline import Conditioning, LyraPipeline, distance_from_z
from lyra_core.rotations import matrix_to_quaternion, quaternion_multiply
from lyra_core.teacher.teacher import VideoLatents

TOKENS_PER_PASS = 20_000
"""Instants share a pass of the decoder up to about so many tokens; one instant of more tokens goes alone."""


@dataclass(frozen=True)
class Instant:
    """What was decoded for one source frame.

    Attributes:
        frame: its number.
        rows: unpruned Gaussians `[N, 14]` in scene units, see `GaussianDecoder.forward`.
        alive: those that the decoder's pruning keeps `[N]`.
        guessed: those in places that no frame of the video shows `[N]`; all False for a decoder without anchors.
        own: how many of the first rows are pixels of the frame itself.
    """

    frame: int
    rows: Tensor
    alive: Tensor
    guessed: Tensor
    own: int


class InstantDecoder:
    """Asks a model for the instants of one video.

    Args:
        pipeline: the model.
        prepared: the video.
        seed: of the teacher's noise, the same for every instant.
    """

    def __init__(self, pipeline: LyraPipeline, prepared: PreparedVideo, *, seed: int = 0) -> None:
        self.pipeline, self.prepared, self.seed = pipeline, prepared, seed
        self.config = pipeline.decoder.config

    @property
    def method(self) -> str:
        """How instants are made, for the provenance."""
        if self.config.use_time_embedding:
            return "time-conditioned decoder: all times at once, one pass per instant"
        return "static decoder: every instant is reconstructed as a world that stands still, from its own frame"

    def decoded(self, frames: list[int]) -> Iterator[Instant]:
        """The instants of these source frames, in order; a few at a time are in memory."""
        if self.config.use_time_embedding:
            size = self._instants_per_pass
            for start in range(0, len(frames), size):
                yield from self._timed(frames[start : start + size])
        else:
            yield from map(self._frozen, frames)

    def anchors(self, frame: int, cameras: Cameras) -> Anchors:
        """What is known of one instant along the paths `[V, F]`; no batch of views but one of size 1.

        The surfaces are those of the instant, whatever the step of the path; holes show the background where any time
        of the video has seen it.
        """
        step = self.config.gaussian_stride[0]
        keys = cameras[:, ::step]
        own = self.prepared.cache.frozen(frame, keys.shape[1]).render(keys)
        warp = fill_holes(self.prepared.background.completed(own, keys), mode="background")
        video, camera = self.prepared.video, self.prepared.video.cameras[frame : frame + 1]
        z = bounded_depth(self.prepared.cache.depth(frame), PUBLISHED_MAX_DEPTH)
        return Anchors(
            rgb=warp.rgb[None], distance=distance_from_z(warp.z, keys)[None], known=warp.mask[None],
            input_rgb=video.frames[frame][None], input_distance=distance_from_z(z[None], camera), input_camera=camera,
            fresh=~own.mask[None],
        )  # fmt: skip

    @cached_property
    def played(self) -> VideoLatents:
        """The teacher's videos along the paths while the scene moves."""
        sources = self.prepared.sources()
        return self._videos(self._guidance(self.prepared.cache.playing(sources), self.paths), int(sources[0]))

    def time_latents(self, frame: int) -> Tensor:
        """Encoded times `[1, 16, T + 1, h, w]` of the sources and of one instant."""
        encode, sources = self.pipeline.teacher.tokenizer.encode, self.prepared.sources()
        return encode_time(encode, sources, torch.tensor(frame), self.paths.height, self.paths.width)

    @property
    def _instants_per_pass(self) -> int:
        views, frames = self.paths.shape
        tokens = views * (1 + (frames - 1) // 8) * (self.paths.height // 16) * (self.paths.width // 16)
        return max(1, TOKENS_PER_PASS // tokens)

    @cached_property
    def paths(self) -> Cameras:
        """The played paths `[V, F]`, see `PreparedVideo.played_paths`."""
        return self.prepared.played_paths()

    @cached_property
    def rays(self) -> Tensor:
        """Encoded rays `[1, V, 32, T, h, w]`: of the played paths, or of the paths around a camera at rest."""
        paths = self.paths if self.config.use_time_embedding else self.prepared.paths
        return encode_plucker(self.pipeline.teacher.tokenizer.encode, paths[None], self.config.ray_torch_dtype)

    def _guidance(self, playback: Playback, paths: Cameras) -> WarpedPaths:
        """What the teacher sees. As published a frame shows its own time alone, and holes stay holes."""
        fill = self.pipeline.preset.hole_fill
        return WarpedPaths(playback if fill == "none" else Remembering(playback, self.prepared.background), paths, fill)

    def _videos(self, warps: WarpedPaths, frame: int) -> VideoLatents:
        generator = torch.Generator().manual_seed(self.seed)
        return self.pipeline.videos(warps, self.prepared.video.frames[frame], generator)

    def _timed(self, frames: list[int]) -> Iterator[Instant]:
        """Instants that share one pass of a decoder with a clock."""
        count, times = len(frames), [self.time_latents(frame) for frame in frames]
        anchors = [self.anchors(frame, self.paths) for frame in frames] if self.config.anchored else None
        rows = self.pipeline.decoder(
            self.played.latents[None].expand(count, *[-1] * 5), Cameras.stack([self.paths] * count),
            plucker_latents=self.rays.expand(count, *[-1] * 5), time_latents=torch.cat(times),
            anchors=None if anchors is None else joined(anchors),
        )  # fmt: skip
        for index, frame in enumerate(frames):
            yield self._instant(frame, rows[index], None if anchors is None else anchors[index])

    def _frozen(self, frame: int) -> Instant:
        """One instant through a static decoder, in the axes of its own camera."""
        prepared = self.prepared
        paths = prepared.frozen_paths(frame)
        video = self._videos(self._guidance(prepared.cache.frozen(frame, paths.shape[1]), paths), frame)
        start = prepared.video.cameras.c2w[frame]
        anchors = self.anchors(frame, paths) if self.config.anchored else None
        told = Conditioning(
            prepared.video.frames[frame], prepared.cache.depth(frame), prepared.paths, video, self.rays,
            None if anchors is None else _around(anchors, start),
        )  # fmt: skip
        return self._instant(frame, moved_rows(self.pipeline.decode_rows(told)[0], start), anchors)

    def _instant(self, frame: int, rows: Tensor, anchors: Anchors | None) -> Instant:
        alive = torch.zeros(len(rows), dtype=torch.bool)
        kept = kept_count(len(rows), self.config.prune_ratio)
        alive[rows[:, 3].argsort(descending=True, stable=True)[:kept]] = True
        guessed, own = torch.zeros_like(alive), 0
        if anchors is not None:
            _, *cell = self.config.gaussian_stride
            first = 1 if self.config.input_view_gaussians else 0
            own = anchors.input_distance[0].numel() if first else 0
            holes = ~anchors.known[0, :, first:, :: cell[0], :: cell[1]].reshape(-1)
            guessed[len(rows) - len(holes) :] = holes
        return Instant(frame, rows.float(), alive, guessed, own)


def moved_rows(rows: Tensor, pose: Tensor) -> Tensor:
    """Gaussian rows `[N, 14]` after a rigid pose `[4, 4]`."""
    rotation, place = pose[:3, :3].to(rows), pose[:3, 3].to(rows)
    turn = matrix_to_quaternion(rotation)
    means, quats = rows[:, :3] @ rotation.T + place, quaternion_multiply(turn, rows[:, 7:11])
    return torch.cat((means, rows[:, 3:7], quats, rows[:, 11:]), dim=1)


def joined(anchors: list[Anchors]) -> Anchors:
    """Anchors of several instants as one batch."""

    def parts(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in anchors])

    return Anchors(
        rgb=parts("rgb"), distance=parts("distance"), known=parts("known"), input_rgb=parts("input_rgb"),
        input_distance=parts("input_distance"), input_camera=Cameras.cat([part.input_camera for part in anchors]),
        fresh=parts("fresh"),
    )  # fmt: skip


def _around(anchors: Anchors, start: Tensor) -> Anchors:
    """Anchors in the axes of the camera with pose `start`."""
    return replace(anchors, input_camera=anchors.input_camera.transformed(torch.linalg.inv(start)))
