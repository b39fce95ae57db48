# SPDX-License-Identifier: Apache-2.0
"""What can be told from the frames of a clip alone: where another shot begins, and whether anything moves."""

from __future__ import annotations

import numpy as np

_BINS = 8
_CUT_DISTANCE = 0.25
"""Share of the pixels whose colours do not come back in the next frame, at a cut."""
_CUT_FACTOR = 4.0
"""A cut changes this many times more than the frames around it: fast motion and flicker change them all."""
_NEIGHBOURS = 4

_BLOCK = 8
_MOTION_STEP = 4.0
"""Change of a block's mean brightness above which something moves [of 255]; noise of a camera stays below."""


def cut_indices(frames: np.ndarray) -> list[int]:
    """Indices of frames uint8 `[F, H, W, 3]` that begin another shot.

    Between two shots the colours change, in all parts of the picture, at once: the histograms of the 3 x 3 parts
    differ, and much more than between the frames before and after. One frame that flashes is no cut: what comes after
    it looks as what came before.
    """
    histograms = np.stack([_histograms(frame) for frame in frames])
    steps = _distance(histograms[1:], histograms[:-1])
    found = []
    for index, step in enumerate(steps):
        around = np.concatenate(
            (steps[max(0, index - _NEIGHBOURS) : index], steps[index + 1 : index + 1 + _NEIGHBOURS])
        )
        usual = float(np.median(around)) if len(around) else 0.0
        if step < _CUT_DISTANCE or step < _CUT_FACTOR * usual:
            continue
        after, before = histograms[min(index + 2, len(frames) - 1)], histograms[max(index - 1, 0)]
        if min(_distance(after, histograms[index]), _distance(histograms[index + 1], before)) >= _CUT_DISTANCE:
            found.append(index + 1)
    return found


def anything_moves(frames: np.ndarray) -> bool:
    """Whether any 8 x 8 block of frames uint8 `[F, H, W, 3]` changes, beyond noise and changes of the exposure."""
    first = _block_means(frames[0])
    for frame in frames[1:]:
        change = _block_means(frame) - first
        if np.abs(change - np.median(change)).max() > _MOTION_STEP:
            return True
    return False


def _block_means(frame: np.ndarray) -> np.ndarray:
    rows, columns = (side // _BLOCK * _BLOCK for side in frame.shape[:2])
    blocks = frame[:rows, :columns].reshape(rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK, 3)
    return blocks.mean(axis=(1, 3, 4), dtype=np.float32)


def _histograms(frame: np.ndarray) -> np.ndarray:
    """Shares of the pixels per colour `[9, bins]`, one row for each of 3 x 3 parts of the picture."""
    codes = (frame >> 5).astype(np.int32) @ np.array((_BINS * _BINS, _BINS, 1), np.int32)
    parts = [part for rows in np.array_split(codes, 3) for part in np.array_split(rows, 3, axis=1)]
    return np.stack([np.bincount(part.ravel(), minlength=_BINS**3) / part.size for part in parts])


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Half the L1 distance of histograms `[..., 9, bins]`, the median of the parts `[...]`."""
    return np.median(0.5 * np.abs(a - b).sum(-1), axis=-1)
