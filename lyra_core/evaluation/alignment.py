# SPDX-License-Identifier: Apache-2.0
"""From the poses of a data set to the scene a model made of one of its pictures.

The frame is always that of the input camera. The scale is not: poses and depth of one picture have no common unit
unless somebody says so, and a wrong one looks like a bad model. So it is a choice, and the report names it:

* `none`: poses are in the unit of the model's depth (a metric data set and a metric depth model);
* `median-depth`: median ratio of the model's depth to depths that the data set knows in the input view;
* `triangulation`: the same, with depths triangulated from features matched between input and other frames;
* a number: scene units (median depth of the input view = 1) per unit of the poses;
* `auto`: `median-depth` where the data set knows depths, else `triangulation`.

None of them looks at a rendering, so that the scale is never fitted to the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.conditioning.depth import DepthEstimate
from lyra_core.conditioning.warp import unproject_grid
from lyra_core.errors import LyraError
from lyra_core.evaluation.clips import Frame, Shot, evenly
from lyra_core.evaluation.metrics import resize_crop

SCALES = ("auto", "none", "median-depth", "triangulation")

FEWEST_POINTS = 8
"""With fewer known depths a median says nothing."""

_PARTNERS = 4
_MATCHING_WIDTH = 640
_LARGEST_RATIO = 0.75
_SMALLEST_PARALLAX = np.radians(0.5)
_LARGEST_RESIDUAL = 2.0


@dataclass(frozen=True)
class Alignment:
    """How poses became scene units.

    Attributes:
        scale: scene units per unit of the poses.
        method: one of `SCALES` without `auto`, or `given`.
        points: known depths it rests on.
    """

    scale: float
    method: str
    points: int = 0


def align(
    choice: str, frame: Frame, shot: Shot, others: Sequence[Frame], depth: DepthEstimate, unit: float
) -> Alignment:
    """The scale of one scene.

    Args:
        choice: one of `SCALES`, or a number.
        frame: the input.
        shot: what it reads.
        others: further frames, for triangulation.
        depth: of the input [scene units], at any size, with the data set's intrinsics.
        unit: length of a scene unit in the unit of the model's depth.

    Raises:
        LyraError: an unknown choice, or too few known depths.
    """
    method = checked_scale(choice)
    if method == "auto":
        method = "triangulation" if frame.points is None and frame.depth is None else "median-depth"
    if method == "none":
        return Alignment(1.0 / unit, method)
    if method == "given":
        return Alignment(float(choice), method)
    points = known_points(frame) if method == "median-depth" else triangulated(shot, evenly(others, _PARTNERS))
    ratios = depth_ratios(points, depth)
    if len(ratios) < FEWEST_POINTS:
        raise LyraError(
            f"scale of {frame.name} by {method}: only {len(ratios)} known depths, {FEWEST_POINTS} are needed. "
            f"Choose another --scale ({', '.join(SCALES)}, or a number)."
        )
    return Alignment(float(ratios.median()), method, len(ratios))


def checked_scale(choice: str) -> str:
    """A member of `SCALES`, or `given` for a positive number. Raises LyraError for anything else."""
    if choice in SCALES:
        return choice
    try:
        if 0 < float(choice) < float("inf"):
            return "given"
    except ValueError:
        pass
    raise LyraError(f"unknown scale {choice!r}. Choose {', '.join(SCALES)}, or a positive number.")


def known_points(frame: Frame) -> Tensor:
    """Points `[N, 3]` in the camera's axes that the data set knows [unit of the poses]."""
    if frame.points is not None:
        return frame.points
    if frame.depth is None:
        return torch.zeros(0, 3)
    z = frame.depth()
    return unproject_grid(z, frame.camera.resized(*z.shape).intrinsics)[z > 0]


def depth_ratios(points: Tensor, depth: DepthEstimate) -> Tensor:
    """Model's depth over known depth `[N]` for the points `[M, 3]` (camera axes) that the depth map sees."""
    points = points[points[:, 2] > 0]
    fx, fy, cx, cy = depth.intrinsics.tolist()
    columns = (points[:, 0] / points[:, 2] * fx + cx).floor().long()
    rows = (points[:, 1] / points[:, 2] * fy + cy).floor().long()
    height, width = depth.z.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    rows, columns, known = rows[inside], columns[inside], points[inside, 2]
    return (depth.z[rows, columns] / known)[depth.mask[rows, columns]]


def triangulated(shot: Shot, others: Sequence[Frame]) -> Tensor:
    """Points `[N, 3]` in the input camera's axes [unit of the poses], from features matched with other frames."""
    features = _features(shot)
    return torch.cat([torch.zeros(0, 3), *(_pair(shot, features, frame.read()) for frame in others)])


def _features(shot: Shot) -> tuple[np.ndarray, np.ndarray, Cameras]:
    """Positions `[N, 2]` (x, y) [px] and descriptors of one picture, and the camera they refer to."""
    from skimage.color import rgb2gray
    from skimage.feature import SIFT

    width = min(_MATCHING_WIDTH, shot.camera.width)
    height = round(shot.camera.height * width / shot.camera.width)
    camera = shot.camera.resized(height, width)
    detector = SIFT()
    try:
        detector.detect_and_extract(rgb2gray(resize_crop(shot.picture, height, width, antialias=True).numpy()))
    except RuntimeError:  # a picture without features
        return np.zeros((0, 2)), np.zeros((0, 128)), camera
    return np.asarray(detector.keypoints)[:, ::-1] + 0.5, np.asarray(detector.descriptors), camera


def _pair(shot: Shot, features: tuple[np.ndarray, np.ndarray, Cameras], other: Shot) -> Tensor:
    """Points of one pair of pictures; matches that contradict the poses are dropped."""
    from skimage.feature import match_descriptors

    positions, descriptors, camera = features
    other_positions, other_descriptors, other_camera = _features(other)
    if not len(positions) or not len(other_positions):
        return torch.zeros(0, 3)
    matches = match_descriptors(descriptors, other_descriptors, max_ratio=_LARGEST_RATIO, cross_check=True)
    relative = (torch.linalg.inv(shot.camera.c2w.double()) @ other.camera.c2w.double()).numpy()
    first = _directions(positions[matches[:, 0]], camera)
    second = _directions(other_positions[matches[:, 1]], other_camera) @ relative[:3, :3].T
    return torch.from_numpy(_midpoints(first, second, relative[:3, 3], float(camera.intrinsics[0]))).float()


def _directions(positions: np.ndarray, camera: Cameras) -> np.ndarray:
    """Unit viewing directions `[N, 3]` in camera axes."""
    fx, fy, cx, cy = camera.intrinsics.tolist()
    x, y = (positions[:, 0] - cx) / fx, (positions[:, 1] - cy) / fy
    directions = np.stack((x, y, np.ones_like(x)), axis=1)
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _midpoints(first: np.ndarray, second: np.ndarray, offset: np.ndarray, focal: float) -> np.ndarray:
    """Where rays from the origin along `first` and from `offset` along `second` `[N, 3]` come closest."""
    cosine = (first * second).sum(1)
    sine = np.maximum(1 - cosine**2, 1e-12)
    along_first, along_second = first @ offset, second @ offset
    s = (along_first - cosine * along_second) / sine
    t = (cosine * along_first - along_second) / sine
    gap = np.linalg.norm(first * s[:, None] - second * t[:, None] - offset, axis=1)
    good = (np.arccos(np.clip(cosine, -1, 1)) > _SMALLEST_PARALLAX) & (s > 0) & (t > 0)
    good &= gap * focal < _LARGEST_RESIDUAL * np.minimum(s, t)
    return (0.5 * (first * s[:, None] + second * t[:, None] + offset))[good]
