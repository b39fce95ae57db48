# SPDX-License-Identifier: Apache-2.0
"""Compiled front-to-back compositing of footprints on the CPU, with its analytic gradient.

Work is split by tiles of 16 x 16 pixels; inside a tile each footprint visits only the pixels of its bounds. Nothing
depends on the number of threads, so neither do the results.

With alpha_i as in `projection`, T_i the product of (1 - alpha_j) over all j in front of i, and weights
w_i = alpha_i T_i, the backward pass walks front to back as well. It keeps B_i, the sum of w_j <f_j, dL/df> over all j
behind i plus T_end dL/dT_end, because dL/dalpha_i = T_i <f_i, dL/df> - B_i / (1 - alpha_i).
"""

from __future__ import annotations

import math

import numpy as np

from . import columns as col
from .jit import compiled
from .projection import ALPHA_MAX, TILE, TRANSMITTANCE_MIN

HALF, ONE, ZERO = np.float32(0.5), np.float32(1.0), np.float32(0.0)
MAX, END = np.float32(ALPHA_MAX), np.float32(TRANSMITTANCE_MIN)


@compiled
def bin_tiles(order, bounds, x0, y0, columns, lines):
    """Lists of footprints per tile, nearest first: all `ids`, and where the list of each tile starts in them."""
    starts = np.zeros(columns * lines + 1, np.int64)
    for g in order:
        for line in range((bounds[g, 2] - y0) // TILE, (bounds[g, 3] - 1 - y0) // TILE + 1):
            for column in range((bounds[g, 0] - x0) // TILE, (bounds[g, 1] - 1 - x0) // TILE + 1):
                starts[line * columns + column + 1] += 1
    for tile in range(columns * lines):
        starts[tile + 1] += starts[tile]
    ids = np.empty(starts[-1], np.int32)
    cursor = starts[:-1].copy()
    for g in order:
        for line in range((bounds[g, 2] - y0) // TILE, (bounds[g, 3] - 1 - y0) // TILE + 1):
            for column in range((bounds[g, 0] - x0) // TILE, (bounds[g, 1] - 1 - x0) // TILE + 1):
                tile = line * columns + column
                ids[cursor[tile]] = g
                cursor[tile] += 1
    return ids, starts


@compiled
def composite(rows, bounds, ids, starts, begin, end, x0, y0, columns, features, transmittance):
    """Fill colour and depth sums `features` [h, w, 4] and `transmittance` [h, w] of the tiles from `begin` to `end`."""
    for tile in range(begin, end):
        left, right, top, bottom = _tile_pixels(tile, columns, transmittance)
        features[top:bottom, left:right] = ZERO
        transmittance[top:bottom, left:right] = ONE
        unfinished = (right - left) * (bottom - top)
        for slot in range(starts[tile], starts[tile + 1]):
            box = _overlap(bounds[ids[slot]], x0, y0, left, right, top, bottom)
            unfinished -= _draw(rows[ids[slot]], box, x0, y0, features, transmittance)
            if unfinished == 0:
                break
        for j in range(top, bottom):
            for i in range(left, right):
                transmittance[j, i] = abs(transmittance[j, i])


@compiled
def _tile_pixels(tile, columns, image):
    """Begin and end of a tile's pixels in the window: x, x, y, y."""
    left, top = tile % columns * TILE, tile // columns * TILE
    return left, min(left + TILE, image.shape[1]), top, min(top + TILE, image.shape[0])


@compiled
def _overlap(bound, x0, y0, left, right, top, bottom):
    """Begin and end of the pixels that a footprint and a tile share."""
    return max(left, bound[0] - x0), min(right, bound[1] - x0), max(top, bound[2] - y0), min(bottom, bound[3] - y0)


@compiled
def _draw(row, box, x0, y0, features, transmittance):
    """Add one footprint to the pixels of `box` and return how many of them it finished.

    A negative transmittance marks a pixel that is finished.
    """
    q, s, t, p, r, nearness = row[col.Q], row[col.S], row[col.T], row[col.TILT_X], row[col.TILT_Y], row[col.NEARNESS]
    opacity, cutoff = row[col.OPACITY], row[col.CUTOFF]
    finished = 0
    for j in range(box[2], box[3]):
        dy = np.float32(j + y0) + HALF - row[col.Y]
        for i in range(box[0], box[1]):
            before = transmittance[j, i]
            dx = np.float32(i + x0) + HALF - row[col.X]
            m, n, ell = q * dx + s * dy, t * dy, ONE + p * dx + r * dy
            num = m * m + n * n
            exponent = -HALF * num / (ell * ell + nearness * num)
            if not exponent >= cutoff or before < ZERO:
                continue
            alpha = min(opacity * math.exp(exponent), MAX)
            after = before * (ONE - alpha)
            if after <= END:
                transmittance[j, i] = -before
                finished += 1
                continue
            transmittance[j, i] = after
            for k in range(4):
                features[j, i, k] += alpha * before * row[col.COLOR + k]
    return finished


@compiled
def composite_backward(
    rows, bounds, ids, starts, begin, end, x0, y0, columns, features, transmittance, d_features, d_transmittance, grads
):
    """Fill one gradient row per list entry of the tiles from `begin` to `end`: `grads` [len(ids), 14], zeros at first.

    With exponent = -num / (2 D), D = ell^2 + nearness num, and g the gradient of the exponent at a pixel, the columns
    are the sums over pixels of k (dx, dy, dx^2, dx dy, dy^2) with k = g ell^2 / D^2; of l (dx, dy, 1) with
    l = g num ell / D^2; of g num^2 / (2 D^2); and the gradients of opacity, colour and depth.
    """
    through = np.empty(transmittance.shape, np.float32)
    behind = np.empty(transmittance.shape, np.float32)
    for tile in range(begin, end):
        left, right, top, bottom = _tile_pixels(tile, columns, transmittance)
        for j in range(top, bottom):
            for i in range(left, right):
                through[j, i] = ONE
                behind[j, i] = d_transmittance[j, i] * transmittance[j, i]
                for k in range(4):
                    behind[j, i] += features[j, i, k] * d_features[j, i, k]
        unfinished = (right - left) * (bottom - top)
        for slot in range(starts[tile], starts[tile + 1]):
            box = _overlap(bounds[ids[slot]], x0, y0, left, right, top, bottom)
            unfinished -= _draw_backward(rows[ids[slot]], box, x0, y0, through, behind, d_features, grads[slot])
            if unfinished == 0:
                break


@compiled
def _draw_backward(row, box, x0, y0, through, behind, d_features, grad):
    """Repeat `_draw` with `through` for the transmittance, and fill the footprint's gradient row for this tile."""
    q, s, t, p, r, nearness = row[col.Q], row[col.S], row[col.T], row[col.TILT_X], row[col.TILT_Y], row[col.NEARNESS]
    opacity, cutoff = row[col.OPACITY], row[col.CUTOFF]
    red, green, blue, depth = row[col.COLOR], row[col.COLOR + 1], row[col.COLOR + 2], row[col.DEPTH]
    kx = ky = kxx = kxy = kyy = lx = ly = l0 = j0 = ZERO
    d_opacity = d_red = d_green = d_blue = d_depth = ZERO
    finished = 0
    for j in range(box[2], box[3]):
        dy = np.float32(j + y0) + HALF - row[col.Y]
        for i in range(box[0], box[1]):
            before = through[j, i]
            dx = np.float32(i + x0) + HALF - row[col.X]
            m, n, ell = q * dx + s * dy, t * dy, ONE + p * dx + r * dy
            num = m * m + n * n
            inverse = ONE / (ell * ell + nearness * num)
            exponent = -HALF * num * inverse
            if not exponent >= cutoff or before < ZERO:
                continue
            response = math.exp(exponent)
            alpha = min(opacity * response, MAX)
            after = before * (ONE - alpha)
            if after <= END:
                through[j, i] = -before
                finished += 1
                continue
            through[j, i] = after
            weight, pixel = alpha * before, d_features[j, i]
            d_red += weight * pixel[0]
            d_green += weight * pixel[1]
            d_blue += weight * pixel[2]
            d_depth += weight * pixel[3]
            along = red * pixel[0] + green * pixel[1] + blue * pixel[2] + depth * pixel[3]
            behind[j, i] -= weight * along
            if opacity * response > MAX:
                continue
            d_alpha = before * along - behind[j, i] / (ONE - alpha)
            d_opacity += d_alpha * response
            d_exponent = d_alpha * alpha * inverse * inverse
            k, tilt = d_exponent * ell * ell, d_exponent * num * ell
            kx += k * dx
            ky += k * dy
            kxx += k * dx * dx
            kxy += k * dx * dy
            kyy += k * dy * dy
            lx += tilt * dx
            ly += tilt * dy
            l0 += tilt
            j0 += HALF * d_exponent * num * num
    grad[col.KX], grad[col.KY], grad[col.KXX], grad[col.KXY], grad[col.KYY] = kx, ky, kxx, kxy, kyy
    grad[col.LX], grad[col.LY], grad[col.L0], grad[col.J0], grad[col.GRAD_OPACITY] = lx, ly, l0, j0, d_opacity
    grad[col.GRAD_COLOR], grad[col.GRAD_COLOR + 1], grad[col.GRAD_COLOR + 2] = d_red, d_green, d_blue
    grad[col.GRAD_DEPTH] = d_depth
    return finished


@compiled
def gather(ids, entries, grads):
    """Add the gradient rows `entries` of all tiles to those of their footprints, `grads` [M, 14], in list order."""
    for slot in range(ids.shape[0]):
        for k in range(col.GRAD_ROW):
            grads[ids[slot], k] += entries[slot, k]
