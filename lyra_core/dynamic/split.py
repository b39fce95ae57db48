# SPDX-License-Identifier: Apache-2.0
"""Instants to static and moving Gaussians: what stands still is kept once, the rest at every instant.

A Gaussian stands still when no frame of the video contradicts it (see `consistency`). A moving one keeps its ray: row i
belongs to one view and one ray of the grid at every instant where something moves there. It is cut into as many
Gaussians as the ray meets different surfaces, each present for an unbroken stretch of instants, so that blending
between instants never drags a surface through the air: at the ends of its stretch a Gaussian fades in and out in place.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lyra_core.decoder import rows_to_gaussians
from lyra_core.dynamic.consistency import Consistency, pixels_of, spread_frames
from lyra_core.dynamic.instants import Instant
from lyra_core.errors import LyraError
from lyra_core.gaussians import Gaussians
from lyra_core.video.posed import PosedVideo

JUMP = 0.08
"""Between two instants a surface moves less than this share of its distance from the camera; more is another one."""

EARLIER = 8
"""Earlier instants that are asked whether they already hold a still surface."""

_OPACITY = 3
_FLOATS = 14
_BYTES = 4


@dataclass(frozen=True)
class SplitReport:
    """What the split measured.

    Attributes:
        instants: how many.
        gaussians_per_instant: mean number of an instant's Gaussians before the split.
        static: Gaussians that are kept once.
        moving: Gaussians that are kept per instant.
        refuted: guesses about hidden places that another time showed to be wrong, mean per instant.
        depth_tolerance: of the log depth.
        color_tolerance: of a colour channel.
    """

    instants: int
    gaussians_per_instant: float
    static: int
    moving: int
    refuted: float
    depth_tolerance: float
    color_tolerance: float

    @property
    def static_share(self) -> float:
        """Share of the Gaussians on view that are static, in [0, 1]."""
        return self.static / max(self.static + self.moving, 1)

    @property
    def unsplit_bytes(self) -> int:
        """Memory of all instants one by one."""
        return round(self.instants * self.gaussians_per_instant) * _FLOATS * _BYTES

    @property
    def split_bytes(self) -> int:
        """Memory after the split."""
        return (self.static + self.instants * self.moving) * _FLOATS * _BYTES

    def as_dict(self) -> dict[str, float | int]:
        """Plain values for the provenance."""
        return {
            "instants": self.instants, "static_gaussians": self.static, "moving_gaussians": self.moving,
            "static_share": round(self.static_share, 4),
            "gaussians_per_instant_before_split": round(self.gaussians_per_instant),
            "refuted_guesses_per_instant": round(self.refuted), "bytes": self.split_bytes,
            "bytes_unsplit": self.unsplit_bytes,
            "memory_saved": round(1 - self.split_bytes / max(self.unsplit_bytes, 1), 4),
            "depth_tolerance": round(self.depth_tolerance, 4), "color_tolerance": round(self.color_tolerance, 4),
        }  # fmt: skip


class Splitter:
    """Takes instants one after the other; holds what stands still once and of each instant only what moves.

    Args:
        video: in scene units.
        consistency: tells what stands still.
        frames: numbers of all instants to come, ascending.
    """

    def __init__(self, video: PosedVideo, consistency: Consistency, frames: list[int]) -> None:
        self._video, self._consistency, self._frames = video, consistency, frames
        self._still: list[Tensor] = []
        self._stored: Tensor | None = None  # [N, 3] where row i stands still, NaN where it does not yet
        self._moving: list[tuple[Tensor, Tensor]] = []
        self._held: list[Tensor] = []  # [H, W] bool of each instant
        self._alive = 0
        self._refuted = 0

    def add(self, instant: Instant) -> None:
        """One more instant. Raises LyraError for instants out of order, or of another number of rows."""
        number = len(self._moving)
        if number >= len(self._frames) or instant.frame != self._frames[number]:
            raise LyraError(f"instant {instant.frame} is out of order; expected {self._frames[number : number + 1]}.")
        if self._stored is None:
            self._stored = torch.full((len(instant.rows), 3), torch.nan)
        if len(self._stored) != len(instant.rows):
            raise LyraError(f"instant {instant.frame} has {len(instant.rows)} rows, others {len(self._stored)}.")
        index = torch.nonzero(instant.alive)[:, 0]
        rows = instant.rows[index]
        still = self._consistency.judge(rows[:, :3], self._colors(rows, instant.frame)).still
        refuted = ~still & instant.guessed[index]
        fresh = still & ~self._known(index, rows, instant)
        self._still.append(rows[fresh])
        self._stored[index[fresh]] = rows[fresh, :3]
        self._hold(index, still, instant.own)
        moving = ~still & ~refuted
        self._moving.append((index[moving], rows[moving]))
        self._alive += len(index)
        self._refuted += int(refuted.sum())

    def finish(self, *, smoothing: int = 0) -> tuple[Gaussians, tuple[Gaussians, ...], SplitReport]:
        """The static Gaussians, the moving ones per instant (equal counts), and what was measured.

        `smoothing` passes of a (1, 2, 1) / 4 mean over time calm the moving ones within their stretches.
        """
        rows, active = self._stretches()
        for _ in range(smoothing):
            rows = _smoothed(rows, active)
        moving = [rows_to_gaussians(_presented(*each)) for each in zip(rows, active, strict=True)]
        static = rows_to_gaussians(torch.cat(self._still))
        count = len(self._moving)
        report = SplitReport(
            count, self._alive / max(count, 1), len(static), rows.shape[1], self._refuted / max(count, 1),
            self._consistency.depth_tolerance, self._consistency.color_tolerance,
        )  # fmt: skip
        return static, tuple(moving), report

    def _known(self, index: Tensor, rows: Tensor, instant: Instant) -> Tensor:
        """Rows that stand where an earlier instant has put the same surface, bool `[K]`."""
        assert self._stored is not None
        reach = self._consistency.depth_tolerance * self._distance(rows, instant.frame)
        known = (self._stored[index] - rows[:, :3]).norm(dim=-1) < reach
        for number in spread_frames(len(self._held), EARLIER):
            known |= self._shown(number, rows[:, :3])
        return known

    def _colors(self, rows: Tensor, frame: int) -> Tensor:
        """What the instant's own frame shows of the rows `[K, 3]`: a Gaussian's colour alone is no pixel's colour."""
        z, row, column, inside = pixels_of(rows[:, :3], self._video.cameras[frame])
        gap = (z / self._video.depth[frame][row, column]).log().abs()
        shown = inside & (gap < self._consistency.depth_tolerance)
        return torch.where(shown[:, None], self._video.frames[frame][row, column], rows[:, 11:])

    def _hold(self, index: Tensor, still: Tensor, own: int) -> None:
        """Remembers which pixels of the instant's own frame stand still."""
        if own:
            held = torch.zeros(own, dtype=torch.bool)
            held[index[still & (index < own)]] = True
            self._held.append(held.reshape(self._video.depth.shape[1:]))

    def _shown(self, number: int, points: Tensor) -> Tensor:
        """Points `[N, 3]` of a surface that stands still in an earlier instant's own frame, at their very pixel."""
        frame = self._frames[number]
        z, row, column, inside = pixels_of(points, self._video.cameras[frame])
        near = (z / self._video.depth[frame][row, column]).log().abs() < self._consistency.depth_tolerance
        return inside & near & self._held[number][row, column]

    def _distance(self, rows: Tensor, frame: int) -> Tensor:
        return (rows[:, :3] - self._video.cameras.c2w[frame, :3, 3]).norm(dim=-1)

    def _stretches(self) -> tuple[Tensor, Tensor]:
        """Rows `[T, M, 14]` of the moving Gaussians and where they are present `[T, M]`."""
        ids = torch.cat([index for index, _ in self._moving]).unique()
        count = len(self._moving)
        rows, active = torch.zeros(count, len(ids), _FLOATS), torch.zeros(count, len(ids), dtype=torch.bool)
        begins = torch.zeros_like(active)
        for time, (index, values) in enumerate(self._moving):
            place = torch.searchsorted(ids, index)
            rows[time, place], active[time, place] = values, True
            before = active[time - 1, place] if time else torch.zeros_like(place, dtype=torch.bool)
            step = (values[:, :3] - rows[time - 1, place, :3]).norm(dim=-1) if time else torch.zeros(len(place))
            begins[time, place] = ~before | (step > JUMP * self._distance(values, self._frames[time]))
        stretch = begins.long().cumsum(0)
        parts = [_stretch(rows, active & (stretch == number)) for number in range(1, int(stretch.max().item()) + 1)]
        if not parts:
            return rows, active
        joined_rows, joined_active = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        return joined_rows, joined_active


def _stretch(rows: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the rays that are present somewhere; where they are absent, they wait in the nearest place in time."""
    some = active.any(0)
    rows, active = rows[:, some], active[:, some]
    first, last = active.int().argmax(0), len(active) - 1 - active.flip(0).int().argmax(0)
    times = torch.arange(len(active))[:, None]
    # a stretch is unbroken, so the nearest place in time is the time itself, its first or its last instant
    nearest = torch.minimum(torch.maximum(times, first), last)
    return rows.gather(0, nearest[..., None].expand(-1, -1, rows.shape[-1])), active


def _presented(rows: Tensor, active: Tensor) -> Tensor:
    """Rows `[M, 14]` that are invisible where they are absent."""
    rows = rows.clone()
    rows[:, _OPACITY] *= active
    return rows


def _smoothed(rows: Tensor, active: Tensor) -> Tensor:
    """Mean over time with weights 1, 2, 1 among the instants where a row is present; others keep their values."""
    total, weights = 2.0 * rows, torch.full_like(active, 2.0, dtype=rows.dtype)
    for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        both = (active[here] & active[there]).to(rows.dtype)
        aligned = _aligned(rows[there], rows[here])
        total[here] += both[..., None] * aligned
        weights[here] += both
    mean = total / weights[..., None]
    mean[..., 7:11] = torch.nn.functional.normalize(mean[..., 7:11], dim=-1)
    return mean


def _aligned(rows: Tensor, like: Tensor) -> Tensor:
    """The rows with quaternions on the same side of the sphere as those of `like`."""
    sign = torch.where((rows[..., 7:11] * like[..., 7:11]).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    return torch.cat((rows[..., :7], sign * rows[..., 7:11], rows[..., 11:]), dim=-1)
