# SPDX-License-Identifier: Apache-2.0
"""The camera that sees known points at given pixels, although some of the points have moved or are wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SAMPLES, _SAMPLE_SIZE = 96, 6
_STEPS, _FINAL_STEPS = 5, 10
_NEAREST = 1e-3
"""Points nearer to the camera than this are taken to be this far off [scene units]."""


@dataclass(frozen=True)
class Resection:
    """A camera and how far it can be believed.

    Attributes:
        w2c: world-to-camera pose `[4, 4]`.
        agrees: bool `[N]`, whether a point appears where it should.
        error: median distance of those that do [px].
    """

    w2c: np.ndarray
    agrees: np.ndarray
    error: float


def resect(
    points: np.ndarray, pixels: np.ndarray, lens: np.ndarray, guess: np.ndarray, tolerance: float, seed: int
) -> Resection:
    """Random sample consensus over small Gauss-Newton problems that start at a guess: the camera moves little.

    Args:
        points: world points `[N, 3]`, N >= 6.
        pixels: where they are seen `[N, 2]` [px].
        lens: fx, fy, cx, cy [px].
        guess: world-to-camera pose `[4, 4]` of the frame before.
        tolerance: largest distance of a point that agrees [px].
        seed: of the samples.
    """
    rng = np.random.default_rng(seed)
    picks = rng.random((_SAMPLES, len(points))).argpartition(min(_SAMPLE_SIZE, len(points) - 1), axis=1)
    picks = picks[:, :_SAMPLE_SIZE]
    poses = np.tile(guess, (_SAMPLES + 1, 1, 1))
    for _ in range(_STEPS):
        poses[:-1] = _improved(poses[:-1], points[picks], pixels[picks], lens, np.ones(picks.shape))
    losses = np.minimum(_distances(poses, points, pixels, lens), tolerance) ** 2
    best = poses[losses.sum(axis=1).argmin()][None]
    for _ in range(_FINAL_STEPS):
        off = _distances(best, points, pixels, lens)
        weights = np.maximum(1 - (off / tolerance) ** 2, 0) ** 2  # Tukey: what does not agree says nothing
        best = _improved(best, points[None], pixels[None], lens, weights)
    off = _distances(best, points, pixels, lens)[0]
    agrees = off < tolerance
    return Resection(best[0], agrees, float(np.median(off[agrees])) if agrees.any() else float("inf"))


def projected(w2c: np.ndarray, points: np.ndarray, lens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels `[..., N, 2]` and camera coordinates `[..., N, 3]` of points `[..., N, 3]` in cameras `[..., 4, 4]`."""
    local = points @ np.swapaxes(w2c[..., :3, :3], -1, -2) + w2c[..., None, :3, 3]
    local[..., 2] = np.maximum(local[..., 2], _NEAREST)
    return local[..., :2] / local[..., 2:] * lens[:2] + lens[2:], local


def pose_slopes(local: np.ndarray, lens: np.ndarray) -> np.ndarray:
    """How pixels change `[..., 2, 6]` with a small turn about and shift along the camera's axes; local `[..., 3]`."""
    x, y, z = (local[..., index] / local[..., 2] for index in range(3))
    inverse, zero = 1 / local[..., 2], np.zeros_like(x)
    across = np.stack((-x * y, z + x * x, -y, inverse, zero, -x * inverse), axis=-1)
    down = np.stack((-z - y * y, x * y, x, zero, inverse, -y * inverse), axis=-1)
    return np.stack((lens[0] * across, lens[1] * down), axis=-2)


def moved(w2c: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Poses `[..., 4, 4]` after small turns [rad] and shifts `[..., 6]` in the camera's axes (turn first)."""
    turn = rotation_of(step[..., :3])
    result = w2c.copy()
    result[..., :3, :3] = turn @ w2c[..., :3, :3]
    result[..., :3, 3] = (turn @ w2c[..., :3, 3:])[..., 0] + step[..., 3:]
    return result


def rotation_of(vector: np.ndarray) -> np.ndarray:
    """Rotation matrices `[..., 3, 3]` about vectors `[..., 3]` by their length [rad] (Rodrigues)."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    cross = np.zeros((*vector.shape, 3))
    x, y, z = (vector[..., index] for index in range(3))
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -z, y, -x
    cross = cross - np.swapaxes(cross, -1, -2)
    return np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * (cross @ cross)


def _distances(poses: np.ndarray, points: np.ndarray, pixels: np.ndarray, lens: np.ndarray) -> np.ndarray:
    return np.linalg.norm(projected(poses, points, lens)[0] - pixels, axis=-1)


def _improved(
    poses: np.ndarray, points: np.ndarray, pixels: np.ndarray, lens: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """One damped Gauss-Newton step of poses `[S, 4, 4]` on points `[S, N, 3]` with weights `[S, N]`."""
    seen, local = projected(poses, points, lens)
    slopes = pose_slopes(local, lens)
    weighted = slopes * weights[..., None, None]
    normal = np.einsum("sNij,sNik->sjk", weighted, slopes)
    normal += 1e-6 * np.einsum("sjj->s", normal)[:, None, None] * np.eye(6) / 6
    right = np.einsum("sNij,sNi->sj", weighted, pixels - seen)
    return moved(poses, np.linalg.solve(normal, right[..., None])[..., 0])
