# SPDX-License-Identifier: Apache-2.0
"""Compiled kernels of the surface splat; `surface.py` says what they compute and holds their oracle."""

from __future__ import annotations

import math

import numpy as np

from lyra_core.rendering.jit import compiled

NEAR = 0.01
"""Points closer to the target camera are not drawn [scene units]."""

SLACK_RATIO, SLACK = 1.1, 0.04
"""A box reaches this factor of its half extent, plus this many target pixels, when visibility is sampled."""

MIN_HALF_EXTENT, MAX_HALF_EXTENT, MAX_STRETCH = 0.05, 6.0, 2.5
"""Limits of a box's half extent [target pixels], and as a multiple of what a frontal patch would have."""

GROUP_RATIO, TOLERANCE = 1.05, 0.03
"""Samples belong to one surface while the next is at most this ratio deeper; patches join within the tolerance."""

FRONT, BEHIND = 1, 2
"""Rim labels: near side of a depth edge; far side, whose colour may be mixed with the foreground's."""

BEHIND_WEIGHT = 1e-3
"""Colour weight of a patch on the far side of a depth edge: it counts only where nothing else does."""

# numba freezes these at compile time and its cache sees changes of this file only: that is why they live here
_NEAR = np.float32(NEAR)
_SLACK_RATIO, _SLACK = np.float32(SLACK_RATIO), np.float32(SLACK)
_MIN_HALF, _MAX_HALF = np.float32(MIN_HALF_EXTENT), np.float32(MAX_HALF_EXTENT)
_MAX_STRETCH = np.float32(MAX_STRETCH)
_GROUP_RATIO = np.float32(GROUP_RATIO)
_LOWER, _UPPER = np.float32(1.0 - TOLERANCE), np.float32(1.0 + TOLERANCE)
_BEHIND_WEIGHT = np.float32(BEHIND_WEIGHT)
_HALF, _ONE, _TWO, _ZERO = np.float32(0.5), np.float32(1.0), np.float32(2.0), np.float32(0.0)
_EMPTY = np.float32(np.inf)


@compiled
def splat_frame(position, tangent_x, tangent_y, color, rim, focal, w2c, intrinsics, sums):
    """Fill `sums` [H, W, 6] with one camera's view: weighted r, g, b, z, then the weight and the front rim's weight."""
    height, width = sums.shape[:2]
    boxes = _boxes(position, tangent_x, tangent_y, focal, w2c, intrinsics)
    samples = _nearest_samples(boxes, height, width)
    _keep_visible_range(samples)
    sums[:] = _ZERO
    _accumulate(boxes, color, rim, samples, sums)


@compiled
def _boxes(position, tangent_x, tangent_y, focal, w2c, intrinsics):
    """Centre x, y, depth and half extents of every patch [N, 5] [target pixels]."""
    boxes = np.empty((len(position), 5), np.float32)
    fx, fy, cx, cy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    frontal_x, frontal_y = _HALF * fx / focal[0], _HALF * fy / focal[1]
    for n in range(len(position)):
        x, y, depth = position[n]
        z = w2c[2, 0] * x + w2c[2, 1] * y + w2c[2, 2] * depth + w2c[2, 3]
        boxes[n, 2] = z
        if z <= _NEAR:
            continue
        inverse = _ONE / z
        u = (w2c[0, 0] * x + w2c[0, 1] * y + w2c[0, 2] * depth + w2c[0, 3]) * inverse
        v = (w2c[1, 0] * x + w2c[1, 1] * y + w2c[1, 2] * depth + w2c[1, 3]) * inverse
        boxes[n, 0], boxes[n, 1] = u * fx + cx, v * fy + cy
        ax, ay = _projected_step(tangent_x[n], w2c, u, v)
        bx, by = _projected_step(tangent_y[n], w2c, u, v)
        stretch = _MAX_STRETCH * depth * inverse
        half_x = min(_HALF * (ax + bx) * inverse * fx, stretch * frontal_x)
        half_y = min(_HALF * (ay + by) * inverse * fy, stretch * frontal_y)
        boxes[n, 3] = min(max(half_x, _MIN_HALF), _MAX_HALF)
        boxes[n, 4] = min(max(half_y, _MIN_HALF), _MAX_HALF)
    return boxes


@compiled
def _projected_step(tangent, w2c, u, v):
    """Size of a tangent's image, times depth over focal length."""
    x, y, z = tangent
    forward = w2c[2, 0] * x + w2c[2, 1] * y + w2c[2, 2] * z
    right = w2c[0, 0] * x + w2c[0, 1] * y + w2c[0, 2] * z
    down = w2c[1, 0] * x + w2c[1, 1] * y + w2c[1, 2] * z
    return abs(right - u * forward), abs(down - v * forward)


@compiled
def _nearest_samples(boxes, height, width):
    """Nearest depth at the 2 x 2 samples of every pixel [H, W, 4]."""
    samples = np.full((height, width, 4), _EMPTY, np.float32)
    for n in range(len(boxes)):
        u, v, z, half_x, half_y = boxes[n]
        if z <= _NEAR:
            continue
        reach_x, reach_y = half_x * _SLACK_RATIO + _SLACK, half_y * _SLACK_RATIO + _SLACK
        first_x = max(math.ceil(_TWO * (u - reach_x) - _HALF), 0)
        last_x = min(math.floor(_TWO * (u + reach_x) - _HALF), 2 * width - 1)
        first_y = max(math.ceil(_TWO * (v - reach_y) - _HALF), 0)
        last_y = min(math.floor(_TWO * (v + reach_y) - _HALF), 2 * height - 1)
        for j in range(first_y, last_y + 1):
            for i in range(first_x, last_x + 1):
                slot = 2 * (j & 1) + (i & 1)
                if z < samples[j >> 1, i >> 1, slot]:
                    samples[j >> 1, i >> 1, slot] = z
    return samples


@compiled
def _keep_visible_range(samples):
    """Replace the first two samples of every pixel by the depth interval of the surface that owns it."""
    for row in range(samples.shape[0]):
        for column in range(samples.shape[1]):
            four = samples[row, column]
            _sort(four)
            if four[1] == _EMPTY:
                four[0], four[1] = _EMPTY, -_EMPTY
                continue
            start = 0
            while start < 3 and not _joined(four, start):
                start += 1
            if start == 3:
                start = 0
            end = start
            while end < 3 and _joined(four, end):
                end += 1
            four[0], four[1] = four[start] * _LOWER, four[end] * _UPPER


@compiled
def _sort(four):
    """Ascending, by a network of five comparisons."""
    a, b = min(four[0], four[1]), max(four[0], four[1])
    c, d = min(four[2], four[3]), max(four[2], four[3])
    low, high = max(a, c), min(b, d)
    four[0], four[1], four[2], four[3] = min(a, c), min(low, high), max(low, high), max(b, d)


@compiled
def _joined(four, index):
    """Whether the next deeper sample belongs to the same surface."""
    return four[index + 1] < _EMPTY and four[index + 1] <= four[index] * _GROUP_RATIO


@compiled
def _accumulate(boxes, color, rim, interval, sums):
    """Add every patch to the pixels it covers and whose surface it belongs to."""
    height, width = sums.shape[:2]
    for n in range(len(boxes)):
        u, v, z, half_x, half_y = boxes[n]
        if z <= _NEAR:
            continue
        left, right, top, bottom = u - half_x, u + half_x, v - half_y, v + half_y
        weight = _BEHIND_WEIGHT if rim[n] == BEHIND else _ONE
        for j in range(max(math.floor(top), 0), min(math.floor(bottom), height - 1) + 1):
            rows = min(bottom, np.float32(j + 1)) - max(top, np.float32(j))
            for i in range(max(math.floor(left), 0), min(math.floor(right), width - 1) + 1):
                if z < interval[j, i, 0] or z > interval[j, i, 1]:
                    continue
                share = weight * rows * (min(right, np.float32(i + 1)) - max(left, np.float32(i)))
                pixel = sums[j, i]
                pixel[0] += share * color[n, 0]
                pixel[1] += share * color[n, 1]
                pixel[2] += share * color[n, 2]
                pixel[3] += share * z
                pixel[4] += share
                if rim[n] == FRONT:
                    pixel[5] += share
