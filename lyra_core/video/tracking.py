# SPDX-License-Identifier: Apache-2.0
"""Cameras and depth of a clip from the clip alone: a depth network per frame, corners followed, both made to agree.

The first frame's depth places its corners in space; every further camera is the one that sees them where they went,
whatever moves for itself left out; new corners are placed by the depth of their frame, brought to the scale of what is
there. Cameras, points and scales are adjusted together as the clip grows. The result says how far it can be believed,
and what cannot be believed is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lyra_core.cameras import Cameras
from lyra_core.conditioning.depth import DepthEstimate, DepthEstimator
from lyra_core.errors import LyraError
from lyra_core.progress import Progress, no_progress
from lyra_core.video.bundle import Sightings, Solution, adjust
from lyra_core.video.depth_scale import consistent_depth, log_depth_at, steady_depth
from lyra_core.video.features import Tracks, track_corners
from lyra_core.video.posed import PosedVideo, VideoClip, from_first_camera
from lyra_core.video.resection import resect

CORNERS = 400
"""Points that are followed at a time."""

TRACKING_SIDE = 640
"""Longest side of the pictures that corners are followed in [px]."""

STILL = 0.5
"""A camera stands still when half of the first frame's corners never move by more than this [px]."""

FEWEST_POINTS, LOWEST_SHARE = 16, 0.4
"""Points, and share of them, that must agree on a camera; below the camera counts as lost."""

DOUBTFUL_SHARE = 0.65
"""Share of agreeing points below which the user is warned."""

_TOLERANCE = 3.0
"""Largest distance at which a point still agrees with a camera, for pictures of `TRACKING_SIDE` [px]."""
_LEAST_TOLERANCE = 1.5
_SHORTEST_TRACK = 3
_FAILURES = 3
"""A point that disagrees this often moves for itself or is wrong: it is given up."""
_FIRST_ADJUSTMENT, _ADJUSTMENT_GROWTH = 3, 1.5
"""Everything is adjusted together when the clip has grown to this many frames, and whenever by this factor."""
_SCALE_SIGMA = {True: 0.05, False: 0.5}
"""How far scales of depth maps may be from 1, metric or not (logarithm)."""


@dataclass(frozen=True)
class Tracking:
    """How far the cameras of a clip can be believed.

    Attributes:
        share: of the points that agree with their frame's camera, the smallest of all frames.
        error: median distance of the agreeing ones from where they should be [px of the tracking pictures].
        points: how many were seen in at least three frames.
    """

    share: float
    error: float
    points: int


def estimate_cameras(clip: VideoClip, estimator: DepthEstimator, progress: Progress = no_progress) -> PosedVideo:
    """The clip with cameras and depth, in the unit of the first frame's depth.

    Raises:
        LyraError: a frame has too little that can be followed, or what is seen does not fit one moving camera.
    """
    frames = clip.rgb()
    estimates = []
    for number, frame in enumerate(frames):
        progress("depth", number, len(frames))
        estimates.append(estimator(frame))
    progress("depth", len(frames), len(frames))
    depth = torch.stack([torch.where(estimate.mask, estimate.z, 0.0) for estimate in estimates]).float()
    lens = _common_lens(estimates)
    metric = all(estimate.metric for estimate in estimates)
    gray, scale = _tracking_pictures(frames)
    tracks = track_corners(gray, CORNERS)
    if not clip.moving or _stands_still(tracks, len(frames)):
        depth = steady_depth(depth, frames)
        cameras = Cameras(torch.eye(4).repeat(len(frames), 1, 1), lens, frames.shape[2], frames.shape[1])
        notes = (*clip.notes, "the camera stands still")
        return _posed(clip, frames, cameras, depth, notes, static=True, metric=metric)
    seen = Sightings(tracks.frame, tracks.point, tracks.pixel, log_depth_at(depth, tracks, scale))
    assumed = (lens * torch.tensor((*scale, *scale))).double().numpy()
    guessed = estimates[0].guessed
    walk = _Walk(seen, assumed, clip.times, metric=metric, guessed_lens=guessed)
    solution, tracking = walk.solve(len(frames), max(gray.shape[1:]), progress)
    focal = float(np.exp(solution.log_focal))
    lens = lens * lens.new_tensor((focal, focal, 1, 1))
    c2w = torch.from_numpy(np.linalg.inv(solution.w2c))
    cameras = from_first_camera(Cameras(c2w, lens.double(), frames.shape[2], frames.shape[1]).to(torch.float32))
    depth = consistent_depth(depth, seen, solution, walk.agrees)
    return _posed(clip, frames, cameras, depth, (*clip.notes, *_judged(tracking)), static=False, metric=metric)


class _Walk:
    """The cameras of a clip, frame after frame."""

    def __init__(
        self, seen: Sightings, lens: np.ndarray, times: np.ndarray, *, metric: bool, guessed_lens: bool
    ) -> None:
        count = int(seen.point.max(initial=-1)) + 1
        self.seen, self.times = seen, times
        self.scale_sigma, self.guessed_lens = _SCALE_SIGMA[metric], guessed_lens
        self.agrees = np.ones(len(seen.frame), bool)
        self.failures = np.zeros(count, int)
        self.placed = np.zeros(count, bool)
        self.solution = Solution(np.eye(4)[None], np.zeros((count, 3)), np.zeros(1), lens)

    def solve(self, frames: int, side: int, progress: Progress) -> tuple[Solution, Tracking]:
        """All cameras. Raises LyraError naming the time at which the camera is lost."""
        tolerance = max(_LEAST_TOLERANCE, _TOLERANCE * side / TRACKING_SIDE)
        self._place(0)
        following, shares = _FIRST_ADJUSTMENT, []
        for number in range(1, frames):
            progress("cameras", number, frames)
            shares.append(self._camera(number, tolerance))
            self._place(number)
            if number == following or number == frames - 1:
                self._adjust(tolerance, free_lens=self.guessed_lens and number == frames - 1)
                following = max(following + 1, round(following * _ADJUSTMENT_GROWTH))
        progress("cameras", frames, frames)
        used = self._used()
        errors = self.solution.errors(self.seen[used])
        report = Tracking(min(shares), float(np.median(errors)), len(np.unique(self.seen.point[used])))
        return self.solution, report

    def _camera(self, number: int, tolerance: float) -> float:
        """Finds a camera; returns the share of the points that agree with it."""
        rows = np.flatnonzero((self.seen.frame == number) & self.placed[self.seen.point])
        rows = rows[self.failures[self.seen.point[rows]] < _FAILURES]
        at, points = self.solution, self.seen.point[rows]
        if len(rows) < FEWEST_POINTS:
            raise self._lost(number, f"only {len(rows)} points can be followed")
        found = resect(at.points[points], self.seen.pixel[rows], at.lens, at.w2c[-1], tolerance, seed=number)
        self.agrees[rows] = found.agrees
        self.failures[points] += ~found.agrees
        share = float(found.agrees.mean())
        if found.agrees.sum() < FEWEST_POINTS or share < LOWEST_SHARE:
            raise self._lost(number, f"{found.agrees.sum()} of {len(rows)} points agree on where the camera is")
        good = rows[found.agrees]
        local = at.points[self.seen.point[good]] @ found.w2c[2, :3] + found.w2c[2, 3]
        ratios = np.log(np.maximum(local, 1e-9)) - self.seen.log_depth[good]
        ratios = ratios[np.isfinite(ratios)]
        scale = float(np.median(ratios)) if len(ratios) else float(at.log_scale[-1])
        self.solution = Solution(
            np.concatenate((at.w2c, found.w2c[None])), at.points, np.append(at.log_scale, scale), at.assumed_lens,
            at.log_focal,
        )  # fmt: skip
        return share

    def _place(self, number: int) -> None:
        """Gives points that are seen for the first time, and have a depth, their place in space."""
        at = self.solution
        rows = np.flatnonzero((self.seen.frame == number) & ~self.placed[self.seen.point])
        rows = rows[np.isfinite(self.seen.log_depth[rows])]
        z = np.exp(self.seen.log_depth[rows] + at.log_scale[number])
        rays = (self.seen.pixel[rows] - at.lens[2:]) / at.lens[:2]
        local = np.concatenate((rays, np.ones((len(rows), 1))), axis=1) * z[:, None]
        c2w = np.linalg.inv(at.w2c[number])
        at.points[self.seen.point[rows]] = local @ c2w[:3, :3].T + c2w[:3, 3]
        self.placed[self.seen.point[rows]] = True

    def _used(self) -> np.ndarray:
        """Rows of points that agree, and were seen often enough to say something."""
        number = len(self.solution.w2c)
        rows = (self.seen.frame < number) & self.agrees & self.placed[self.seen.point]
        rows &= self.failures[self.seen.point] < _FAILURES
        often = np.bincount(self.seen.point[rows], minlength=len(self.placed)) >= _SHORTEST_TRACK
        return np.flatnonzero(rows & often[self.seen.point])

    def _adjust(self, tolerance: float, *, free_lens: bool) -> None:
        rows = self._used()
        if len(rows) < FEWEST_POINTS:
            return
        ids, local = np.unique(self.seen.point[rows], return_inverse=True)
        at = self.solution
        part = Solution(at.w2c, at.points[ids], at.log_scale, at.assumed_lens, at.log_focal)
        chosen = self.seen[rows]
        chosen = Sightings(chosen.frame, local, chosen.pixel, chosen.log_depth)
        part = adjust(part, chosen, scale_sigma=self.scale_sigma, free_lens=free_lens)
        points = at.points.copy()
        points[ids] = part.points
        self.solution = Solution(part.w2c, points, part.log_scale, at.assumed_lens, part.log_focal)
        self.agrees[rows] = part.errors(chosen) < tolerance

    def _lost(self, number: int, reason: str) -> LyraError:
        return LyraError(
            f"the camera is lost at {self.times[number]:.2f} s of the clip: {reason}. Take a part with slower motion, "
            "less blur or more texture, or bring cameras (a ViPE folder, or your own)."
        )


def _posed(
    clip: VideoClip, frames: Tensor, cameras: Cameras, depth: Tensor, notes: tuple[str, ...], *, static: bool,
    metric: bool,
) -> PosedVideo:  # fmt: skip
    times = torch.from_numpy(clip.times).float()
    return PosedVideo(frames, cameras, depth, depth > 0, times, static, metric, "embedded", notes)


def _judged(tracking: Tracking) -> tuple[str, ...]:
    figures = (
        f"camera tracked on {tracking.points} points, {tracking.error:.2f} px off in the median; in the worst frame "
        f"{tracking.share:.0%} of them agree"
    )
    if tracking.share >= DOUBTFUL_SHARE:
        return (figures,)
    return (figures, "the cameras are doubtful: much of the picture moves for itself, or the depth is wrong")


def _common_lens(estimates: list[DepthEstimate]) -> Tensor:
    """fx, fy, cx, cy `[4]` of the clip: a lens does not change from frame to frame."""
    return torch.stack([estimate.intrinsics.float() for estimate in estimates]).median(dim=0).values


def _tracking_pictures(frames: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """Grey pictures `[F, H, W]`, and their width and height in units of the frames'."""
    height, width = frames.shape[1:3]
    factor = min(1.0, TRACKING_SIDE / max(height, width))
    size = (round(height * factor), round(width * factor))
    gray = frames @ frames.new_tensor((0.299, 0.587, 0.114))
    if factor < 1:
        gray = functional.interpolate(gray[:, None], size, mode="bilinear", antialias=True)[:, 0]
    return gray, (size[1] / width, size[0] / height)


def _stands_still(tracks: Tracks, frames: int) -> bool:
    """Whether most of what was seen first stays where it was, in every frame."""
    first = tracks.frame == 0
    home = dict(zip(tracks.point[first].tolist(), tracks.pixel[first], strict=True))
    if len(home) < FEWEST_POINTS:
        return False
    for number in range(1, frames):
        rows = np.flatnonzero(tracks.frame == number)
        moves = [
            np.linalg.norm(tracks.pixel[row] - home[point])
            for row, point in zip(rows, tracks.point[rows].tolist(), strict=True)
            if point in home
        ]
        if np.count_nonzero(np.array(moves) < STILL) < 0.5 * len(home):
            return False
    return True
