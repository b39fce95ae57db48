# SPDX-License-Identifier: Apache-2.0
"""The one picture that a scene was made from: what it shows was observed, everything else was made up.

The cameras of such a scene are paths that all set out from the camera of that picture. Other scenes were looked at from
all of their cameras; of these nothing counts as made up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from usd_export.prims.cameras import CameraPath
from usd_export.report_card.splat_depth import Camera, render_splats
from usd_export.report_card.subject import Subject

Array = NDArray[np.float64]

_SAME_POSE = 1e-4  # scene units, and parts of a rotation matrix
_WIDTH = 448  # pixels
_BEHIND = (0.02, 0.01)  # metres, and share of the depth, by which a visible point may lie behind its pixel


@dataclass(frozen=True)
class SourceView:
    """The camera of the picture and how far one sees in it.

    Attributes:
        c2w: [4, 4] pose in world metres, OpenCV axes.
        low: Tangents [2] of the left and upper border.
        high: Tangents [2] of the right and lower border.
        camera: Sees at least what the picture shows.
        depth: [height, width] farthest visible depth at and around each pixel of `camera`, metres; inf for nothing.
    """

    c2w: Array
    low: Array
    high: Array
    camera: Camera
    depth: NDArray[np.float32]

    def shows(self, points: Array) -> NDArray[np.bool_]:
        """Which of the points [P, 3] in world metres the picture shows."""
        x, y, z = ((points - self.c2w[:3, 3]) @ self.c2w[:3, :3]).T
        with np.errstate(divide="ignore", invalid="ignore"):
            tangents = np.stack([x / z, y / z], axis=1)
            inside = (z > 0) & (tangents > self.low).all(axis=1) & (tangents < self.high).all(axis=1)
        middle = np.array([self.camera.width, self.camera.height]) / 2
        column, row = (tangents[inside] * self.camera.focal + middle).astype(int).T
        inside[inside] = z[inside] <= self.depth[row, column] * (1 + _BEHIND[1]) + _BEHIND[0]
        return inside


def find_source_view(subject: Subject) -> SourceView | None:
    """The picture that a scene was made from; None if it was made from many, or does not say."""
    paths = subject.record.cameras
    if len(paths) < 2 or any(np.abs(path.c2w[0] - paths[0].c2w[0]).max() > _SAME_POSE for path in paths):
        return None
    c2w = subject.frame.apply_to_cameras(paths[0].c2w[0])
    low, high = _borders(paths[0])
    width, height = np.maximum(-low, high)
    focal = _WIDTH / (2 * width)
    camera = Camera(c2w, focal, _WIDTH, 2 * int(np.ceil(height * focal)))
    depth = render_splats(subject.cloud, subject.frame, camera).depth
    return SourceView(c2w, low, high, camera, maximum_filter(depth, 3))


def _borders(path: CameraPath) -> tuple[Array, Array]:
    focal, center = np.asarray(path.intrinsics, np.float64).reshape(2, 2)
    return -center / focal, (np.array([path.width, path.height]) - center) / focal
