# SPDX-License-Identifier: Apache-2.0
"""Cameras, points and scales of the depth maps of a clip, adjusted together (bundle adjustment).

What is brought into agreement: points appear where they were seen, and their depth is that of the frames' depth maps,
each of which has a scale of its own. Where the camera hardly moves the depth maps alone say how far a point is; where
it moves a lot the sightings outweigh them. Both are robust: things that move and wrong depths lose their weight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from lyra_core.video.resection import moved, pose_slopes, projected

_PIXEL_SIGMA = 0.25
_DEPTH_SIGMA = 0.3
"""How far depth maps are off, as a share, after their scale was taken out."""
_ROBUST = 2.0
"""Residuals above this many standard deviations lose their weight (Cauchy)."""
_ANCHOR_SIGMA = 1e-4
_LENS_SIGMA = 0.1

_ITERATIONS = 15
_GOOD_ENOUGH = 1e-4
_DAMPING = (1e-3, 10.0, 0.3)
"""First value, factor after a step that failed, factor after one that did not (Marquardt 1963)."""


@dataclass(frozen=True)
class Sightings:
    """What was seen, one row per sighting.

    Attributes:
        frame, point: indices `[N]`.
        pixel: `[N, 2]` [px].
        log_depth: logarithm of the frame's depth map there `[N]`; NaN where it says nothing.
    """

    frame: np.ndarray
    point: np.ndarray
    pixel: np.ndarray
    log_depth: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Sightings:
        """Some of them."""
        return Sightings(self.frame[rows], self.point[rows], self.pixel[rows], self.log_depth[rows])


@dataclass(frozen=True)
class Solution:
    """What is adjusted.

    Attributes:
        w2c: world-to-camera poses `[F, 4, 4]`; the first is the identity and stays.
        points: `[P, 3]` in the world.
        log_scale: of the frames' depth maps `[F]`; that of the first is 0.
        assumed_lens: fx, fy, cx, cy [px].
        log_focal: logarithm of the factor on the assumed focal length.
    """

    w2c: np.ndarray
    points: np.ndarray
    log_scale: np.ndarray
    assumed_lens: np.ndarray
    log_focal: float = 0.0

    @property
    def lens(self) -> np.ndarray:
        """fx, fy, cx, cy [px]."""
        return self.assumed_lens * np.exp((self.log_focal, self.log_focal, 0, 0))

    def errors(self, seen: Sightings) -> np.ndarray:
        """Distance of every sighting from where its point should appear `[N]` [px]."""
        return np.linalg.norm(projected(self.w2c[seen.frame], self.points[seen.point, None], self.lens)[0][:, 0]
                              - seen.pixel, axis=-1)  # fmt: skip


def adjust(start: Solution, seen: Sightings, *, scale_sigma: float, free_lens: bool = False) -> Solution:
    """The solution in whose favour most is said; Levenberg-Marquardt on the sparse normal equations.

    Args:
        start: where to begin.
        seen: at least two sightings of every point that is to be adjusted.
        scale_sigma: how far the logarithms of the scales are expected from 0.
        free_lens: whether the focal length is adjusted too, for a lens that was guessed.
    """
    best, damping = start, _DAMPING[0]
    residual, slopes, cost = _linearized(best, seen, scale_sigma, free_lens)
    for _ in range(_ITERATIONS):
        normal, right = (slopes.T @ slopes).tocsc(), -slopes.T @ residual
        diagonal = sparse.diags(damping * normal.diagonal() + 1e-9)
        step = splu(normal + diagonal, permc_spec="MMD_AT_PLUS_A").solve(right)
        trial = _stepped(best, step, free_lens)
        reached = _linearized(trial, seen, scale_sigma, free_lens)
        if not reached[2] < cost:
            damping *= _DAMPING[1]
            continue
        done = cost - reached[2] < _GOOD_ENOUGH * cost
        best, (residual, slopes, cost), damping = trial, reached, damping * _DAMPING[2]
        if done:
            break
    return best


def _linearized(
    at: Solution, seen: Sightings, scale_sigma: float, free_lens: bool
) -> tuple[np.ndarray, sparse.csr_matrix, float]:
    """Residuals `[R]` and their slopes `[R, 6 F + 3 P + F + lens]`, weighted for a robust step, and the loss."""
    frames, count = len(at.w2c), len(seen.frame)
    pixels, local = projected(at.w2c[seen.frame], at.points[seen.point, None], at.lens)
    local, off = local[:, 0], (pixels[:, 0] - seen.pixel) / _PIXEL_SIGMA
    known = np.flatnonzero(np.isfinite(seen.log_depth))
    depth_off = (np.log(local[known, 2]) - seen.log_depth[known] - at.log_scale[seen.frame[known]]) / _DEPTH_SIGMA
    rotations = at.w2c[seen.frame, :3, :3]
    by_pose = pose_slopes(local, at.lens) / _PIXEL_SIGMA
    by_point = by_pose[..., 3:] @ rotations
    depth_by_pose = np.stack((local[:, 1], -local[:, 0], *np.zeros((3, count)), np.ones(count)), axis=-1)
    depth_by_pose = (depth_by_pose / local[:, 2:] / _DEPTH_SIGMA)[known]
    depth_by_point = (rotations[known, 2] / local[known, 2:]) / _DEPTH_SIGMA

    pose_columns = 6 * seen.frame[:, None] + np.arange(6)
    point_columns = 6 * frames + 3 * seen.point[:, None] + np.arange(3)
    scale_column = 6 * frames + 3 * len(at.points)
    columns = scale_column + frames + int(free_lens)
    rows = 2 * np.arange(count)[:, None] + np.arange(2)
    squares, depth_squares = np.square(off).sum(axis=-1), np.square(depth_off)
    weight, depth_weight = (1 / np.sqrt(1 + values / _ROBUST**2) for values in (squares, depth_squares))
    depth_rows = 2 * count + np.arange(len(known))
    prior_rows = 2 * count + len(known) + np.arange(6 + frames + int(free_lens))
    scales = np.full(frames, 1 / scale_sigma)
    scales[0] = 1 / _ANCHOR_SIGMA
    blocks = [
        _block(rows, pose_columns, by_pose * weight[:, None, None]),
        _block(rows, point_columns, by_point * weight[:, None, None]),
        _block(depth_rows[:, None], pose_columns[known], (depth_by_pose * depth_weight[:, None])[:, None]),
        _block(depth_rows[:, None], point_columns[known], (depth_by_point * depth_weight[:, None])[:, None]),
        (depth_rows, scale_column + seen.frame[known], -depth_weight / _DEPTH_SIGMA),
        (prior_rows[:6], np.arange(6), np.full(6, 1 / _ANCHOR_SIGMA**2)),
        (prior_rows[6 : 6 + frames], scale_column + np.arange(frames), scales),
    ]
    prior = [np.zeros(6), at.log_scale * scales]
    if free_lens:
        by_lens = (pixels[:, 0] - at.lens[2:]) / _PIXEL_SIGMA * weight[:, None]
        blocks.append((rows.ravel(), np.full(2 * count, columns - 1), by_lens.ravel()))
        blocks.append((prior_rows[-1:], np.array([columns - 1]), np.array([1 / _LENS_SIGMA])))
        prior.append(np.array([at.log_focal / _LENS_SIGMA]))
    row, column, value = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    residual = np.concatenate(((off * weight[:, None]).ravel(), depth_off * depth_weight, *prior))
    loss = sum(_ROBUST**2 * np.log1p(values / _ROBUST**2).sum() for values in (squares, depth_squares))
    loss += sum(np.square(values).sum() for values in prior)
    return residual, sparse.csr_matrix((value, (row, column)), shape=(len(residual), columns)), float(loss)


def _block(rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries of dense blocks `[N, r, c]` at rows `[N, r]` and columns `[N, c]`."""
    row, column = np.broadcast_arrays(rows[:, :, None], columns[:, None, :])
    return row.ravel(), column.ravel(), values.ravel()


def _stepped(at: Solution, step: np.ndarray, free_lens: bool) -> Solution:
    frames, points = len(at.w2c), len(at.points)
    ends = (6 * frames, 6 * frames + 3 * points, 7 * frames + 3 * points)
    w2c = moved(at.w2c, step[: ends[0]].reshape(frames, 6))
    w2c[0] = at.w2c[0]
    return replace(
        at, w2c=w2c, points=at.points + step[ends[0] : ends[1]].reshape(points, 3),
        log_scale=at.log_scale + step[ends[1] : ends[2]],
        log_focal=at.log_focal + (float(step[-1]) if free_lens else 0.0),
    )  # fmt: skip
