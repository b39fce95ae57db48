# SPDX-License-Identifier: Apache-2.0
"""Compiled hole fill; `fill.py` says what it computes and holds its pure-torch twin."""

from __future__ import annotations

import numpy as np

from lyra_core.rendering.jit import compiled

HOLE, SOURCE, WALL = 0, 1, 2
"""Pixel states: to be filled; known; known, but spreading nothing into holes."""

RADIUS = 2
"""Half width of the window a ring is averaged over [pixels]."""

FAR_BIAS = 6.0
"""Weight of a neighbour: exp(bias * (z / z_far - 1)), z_far the farthest one in the window."""

SMOOTHING_STEPS = 10
"""Diffusion steps inside the holes after growing."""

# numba freezes these at compile time and its cache sees changes of this file only: that is why they live here
_BIAS = np.float32(FAR_BIAS)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@compiled
def fill_frame(values, states):
    """Fill `values` [H, W, 4] in place where `states` [H, W] is HOLE; the work grows with the number of holes."""
    states = states.copy()
    filled = _grow(values, states)
    if np.any(states == HOLE):
        opened = np.where(states == WALL, SOURCE, states).astype(np.uint8)
        rest = _grow(values, opened)
        for n in range(len(rest)):
            states[rest[n, 0], rest[n, 1]] = SOURCE
        filled = np.concatenate((filled, rest))
    _diffuse(values, states, filled)


@compiled
def _grow(values, states):
    """Fill ring by ring; returns the filled pixels [N, 2] in that order."""
    height, width = states.shape
    pixels = np.empty((np.sum(states == HOLE), 2), np.int32)
    queued = states != HOLE
    ring_start, ring_end = 0, 0
    for y in range(height):
        for x in range(width):
            if states[y, x] == SOURCE:
                ring_end = _queue_neighbours(queued, pixels, ring_end, y, x)
    while ring_start < ring_end:
        for n in range(ring_start, ring_end):
            _average(values, states, pixels[n, 0], pixels[n, 1], RADIUS, _BIAS, values[pixels[n, 0], pixels[n, 1]])
        next_end = ring_end
        for n in range(ring_start, ring_end):
            states[pixels[n, 0], pixels[n, 1]] = SOURCE
            next_end = _queue_neighbours(queued, pixels, next_end, pixels[n, 0], pixels[n, 1])
        ring_start, ring_end = ring_end, next_end
    return pixels[:ring_end]


@compiled
def _queue_neighbours(queued, pixels, end, y, x):
    """Append the holes around a pixel that are not queued yet; returns the new end."""
    for j in range(max(y - 1, 0), min(y + 2, queued.shape[0])):
        for i in range(max(x - 1, 0), min(x + 2, queued.shape[1])):
            if not queued[j, i]:
                queued[j, i] = True
                pixels[end, 0], pixels[end, 1] = j, i
                end += 1
    return end


@compiled
def _diffuse(values, states, pixels):
    """Replace every filled pixel by the mean of its neighbours, a few times, all at once."""
    means = np.empty((len(pixels), 4), np.float32)
    for _ in range(SMOOTHING_STEPS):
        for n in range(len(pixels)):
            means[n] = values[pixels[n, 0], pixels[n, 1]]
            _average(values, states, pixels[n, 0], pixels[n, 1], 1, _ZERO, means[n])
        for n in range(len(pixels)):
            values[pixels[n, 0], pixels[n, 1]] = means[n]


@compiled
def _average(values, states, y, x, radius, bias, out):
    """Weighted mean of the source pixels around (y, x), itself not counted; `out` stays as it is if there are none."""
    height, width = states.shape
    top, bottom = max(y - radius, 0), min(y + radius + 1, height)
    left, right = max(x - radius, 0), min(x + radius + 1, width)
    farthest = np.float32(np.inf)
    for j in range(top, bottom):
        for i in range(left, right):
            if states[j, i] == SOURCE:
                farthest = min(farthest, values[j, i, 3])
    total = _ZERO
    red, green, blue, inverse = _ZERO, _ZERO, _ZERO, _ZERO
    for j in range(top, bottom):
        for i in range(left, right):
            square = (j - y) ** 2 + (i - x) ** 2
            if square == 0 or states[j, i] != SOURCE:
                continue
            weight = _ONE / np.float32(square)
            if bias > _ZERO:
                weight *= np.exp(bias * (farthest / values[j, i, 3] - _ONE))
            total += weight
            red += weight * values[j, i, 0]
            green += weight * values[j, i, 1]
            blue += weight * values[j, i, 2]
            inverse += weight * values[j, i, 3]
    if total > _ZERO:
        out[0], out[1], out[2], out[3] = red / total, green / total, blue / total, inverse / total
