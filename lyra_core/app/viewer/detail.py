# SPDX-License-Identifier: Apache-2.0
"""Level of detail: a cloud that is too large for a browser is cut into boxes, in full near the camera, thinned afar."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from usd_export.cloud import GaussianCloud

_BOXES = 16
"""Boxes that the Gaussians near the camera are spread over, at least."""
_LARGEST_GROWTH = 2.0
"""Of the Gaussians that stand for those left out."""

Indices = NDArray[np.int64]


class DetailLevels:
    """A cloud in boxes.

    Args:
        cloud: In world metres.
        budget: Gaussians that a browser gets at most: half of them thinned, everywhere, the rest in full.

    Attributes:
        thinned: One cloud per box. A cloud within the budget is one box in full, and thinning leaves it alone.
    """

    def __init__(self, cloud: GaussianCloud, budget: int) -> None:
        self._cloud = cloud
        self._near = budget // 2
        fits = len(cloud) <= budget
        self._boxes = [np.arange(len(cloud))] if fits else _split(cloud.positions, max(budget // 2 // _BOXES, 1))
        self._middles = np.stack([cloud.positions[box].mean(0) for box in self._boxes])
        share = 1.0 if fits else self._near / len(cloud)
        self.thinned = [_thinned(take(cloud, box), share) for box in self._boxes]
        self.complete = fits

    def __len__(self) -> int:
        return len(self._boxes)

    def full(self, box: int) -> GaussianCloud:
        """All Gaussians of a box."""
        return take(self._cloud, self._boxes[box])

    def near(self, eye: NDArray[np.floating]) -> set[int]:
        """The boxes around a viewpoint [3] that are to be shown in full, as many as the budget allows."""
        if self.complete:
            return set()
        order = np.argsort(np.linalg.norm(self._middles - eye, axis=1))
        running = np.cumsum([len(self._boxes[box]) for box in order])
        return {int(box) for box in order[running <= self._near]}


def take(cloud: GaussianCloud, rows: NDArray[np.integer]) -> GaussianCloud:
    """Some Gaussians of a cloud."""
    return GaussianCloud(**{part.name: getattr(cloud, part.name)[rows] for part in fields(cloud)})


def _split(points: NDArray[np.float32], largest: int) -> list[Indices]:
    """Boxes of at most `largest` points, halved along their longest side again and again."""
    boxes, waiting = [], [np.arange(len(points))]
    while waiting:
        box = waiting.pop()
        if len(box) <= largest:
            boxes.append(box)
            continue
        inside = points[box]
        axis = int((inside.max(0) - inside.min(0)).argmax())
        order = inside[:, axis].argsort(kind="stable")
        waiting += [box[order[len(box) // 2 :]], box[order[: len(box) // 2]]]
    return boxes


def _thinned(cloud: GaussianCloud, share: float) -> GaussianCloud:
    """The most visible Gaussians, enlarged so that they cover what the others did."""
    if share >= 1.0:
        return cloud
    area = np.sort(cloud.scales, axis=1)[:, 1:].prod(1) * cloud.opacities
    keep = np.sort(np.argsort(-area, kind="stable")[: max(round(share * len(cloud)), 1)])
    growth = np.float32(min(share**-0.5, _LARGEST_GROWTH))
    kept = take(cloud, keep)
    return replace(kept, scales=kept.scales * growth)
