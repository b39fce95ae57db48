# SPDX-License-Identifier: Apache-2.0
"""Compiled projection of Gaussians to footprints, with its analytic gradient.

The formulas are those of `projection` (read that first). Here each Gaussian is culled before any costly step, survivors
are packed densely, and arithmetic is double precision because its cost vanishes beside compositing.

Kernels that call each other share this file: numba's cache does not notice edits elsewhere.
"""

from __future__ import annotations

import math

import numpy as np

from . import columns as col
from .jit import compiled
from .projection import ALPHA_MIN, EPS2D, EVERYTHING, MAX_EXTENT, SCALE_MIN, UT_MARGIN, UT_SPREAD


@compiled
def project(unscented, means, scales, quats, opacities, colors, view, index, rows, bounds):
    """Pack what the window of `view` shows and return how many Gaussians that are.

    Fills `index` [N], footprint `rows` [N, 14] and pixel `bounds` [N, 4] (x begin, x end, y begin, y end in the whole
    image, clipped to the window) from the front.
    """
    turn = np.empty((3, 3))
    count = 0
    for i in range(means.shape[0]):
        x, y, z = _to_camera(means, i, view)
        opacity = np.float64(opacities[i])
        if not (view[col.NEAR] <= z <= view[col.FAR] and opacity >= ALPHA_MIN and _may_touch(x, y, z, scales[i], view)):
            continue
        extent = math.sqrt(2.0 * math.log(opacity / ALPHA_MIN))
        if not math.isfinite(colors[i, 0] + colors[i, 1] + colors[i, 2] + extent):
            continue
        _camera_rotation(quats, i, view, turn)
        row = rows[count]
        row[col.X] = view[col.FX] * x / z + view[col.CX]
        row[col.Y] = view[col.FY] * y / z + view[col.CY]
        row[col.OPACITY] = opacity
        row[col.CUTOFF] = -0.5 * extent * extent
        row[col.DEPTH] = z
        for k in range(3):
            row[col.COLOR + k] = colors[i, k]
        if unscented:
            seen = _unscented(x, y, z, extent, scales[i], turn, view, row, bounds[count])
        else:
            seen = _ewa(x, y, z, extent, scales[i], turn, view, row, bounds[count])
        if seen:
            index[count] = i
            count += 1
    return count


@compiled
def _to_camera(means, i, view):
    x, y, z = np.float64(means[i, 0]), np.float64(means[i, 1]), np.float64(means[i, 2])
    return (
        view[0] * x + view[1] * y + view[2] * z + view[3],
        view[4] * x + view[5] * y + view[6] * z + view[7],
        view[8] * x + view[9] * y + view[10] * z + view[11],
    )


@compiled
def _may_touch(x, y, z, scales, view):
    """Whether the Gaussian may reach the window, see `projection._candidates`; False for values that are not finite."""
    ratio = MAX_EXTENT * max(scales[0], scales[1], scales[2]) / z
    u, v = x / z, y / z
    if not math.isfinite(ratio + u + v + scales[0] + scales[1] + scales[2]):
        return False
    rx = 2.0 * view[col.FX] * ratio * math.sqrt(1.0 + u * u) + MAX_EXTENT
    ry = 2.0 * view[col.FY] * ratio * math.sqrt(1.0 + v * v) + MAX_EXTENT
    px, py = view[col.FX] * u + view[col.CX], view[col.FY] * v + view[col.CY]
    near = px + rx > view[col.X0] and px - rx < view[col.X1] and py + ry > view[col.Y0] and py - ry < view[col.Y1]
    return near or ratio > 0.5


@compiled
def _unit_quaternion(quats, i):
    """Normalised quaternion and its inverse length; a zero quaternion stays zero, which stands for no rotation."""
    w, x, y, z = np.float64(quats[i, 0]), np.float64(quats[i, 1]), np.float64(quats[i, 2]), np.float64(quats[i, 3])
    inverse = 1.0 / max(math.sqrt(w * w + x * x + y * y + z * z), 1e-12)
    return w * inverse, x * inverse, y * inverse, z * inverse, inverse


@compiled
def _camera_rotation(quats, i, view, turn):
    """Fill `turn` [3, 3] with the rotation from the Gaussian's own axes to the camera's."""
    w, x, y, z, _ = _unit_quaternion(quats, i)
    r00, r01, r02 = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    r10, r11, r12 = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    r20, r21, r22 = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    for k in range(3):
        a, b, c = view[4 * k], view[4 * k + 1], view[4 * k + 2]
        turn[k, 0] = a * r00 + b * r10 + c * r20
        turn[k, 1] = a * r01 + b * r11 + c * r21
        turn[k, 2] = a * r02 + b * r12 + c * r22


@compiled
def _set_bounds(x, y, rx, ry, view, bounds):
    """Pixels whose centres lie within (rx, ry) of (x, y), clipped to the window; False when there are none."""
    if not math.isfinite(x + y + rx + ry):
        return False
    bounds[0] = int(min(max(math.ceil(x - rx - 0.5), view[col.X0]), view[col.X1]))
    bounds[1] = int(min(max(math.floor(x + rx - 0.5) + 1.0, view[col.X0]), view[col.X1]))
    bounds[2] = int(min(max(math.ceil(y - ry - 0.5), view[col.Y0]), view[col.Y1]))
    bounds[3] = int(min(max(math.floor(y + ry - 0.5) + 1.0, view[col.Y0]), view[col.Y1]))
    return bounds[1] > bounds[0] and bounds[3] > bounds[2]


@compiled
def _clamped(slope, focal, centre, size):
    """Slope at which the Jacobian is taken: kept inside the view, widened by 15 % of its size on either side."""
    margin = 0.15 * size / focal
    return min(max(slope, -centre / focal - margin), (size - centre) / focal + margin)


@compiled
def _ewa(x, y, z, extent, scales, turn, view, row, bounds):
    fx, fy = view[col.FX] / z, view[col.FY] / z
    tx = _clamped(x / z, view[col.FX], view[col.CX], view[col.WIDTH])
    ty = _clamped(y / z, view[col.FY], view[col.CY], view[col.HEIGHT])
    a, b, c = EPS2D, 0.0, EPS2D
    for k in range(3):
        m0 = fx * (turn[0, k] - tx * turn[2, k]) * scales[k]
        m1 = fy * (turn[1, k] - ty * turn[2, k]) * scales[k]
        a += m0 * m0
        b += m0 * m1
        c += m1 * m1
    det = a * c - b * b
    if not det > 0.0:
        return False
    row[col.Q] = math.sqrt(c / det)
    row[col.S] = -b / math.sqrt(c * det)
    row[col.T] = 1.0 / math.sqrt(c)
    row[col.TILT_X] = row[col.TILT_Y] = row[col.NEARNESS] = 0.0
    rx, ry = extent * math.sqrt(a), extent * math.sqrt(c)
    return _set_bounds(fx * x + view[col.CX], fy * y + view[col.CY], rx, ry, view, bounds)


@compiled
def _ray_products(x, y, z, scales, turn, view):
    """Inner products of h0, hx, hy (see `projection.project_unscented`) and the tilts: n, p, r, xx, xy, yy."""
    n = e = f = xx = xy = yy = 0.0
    for k in range(3):
        s = max(np.float64(scales[k]), SCALE_MIN)
        h0 = (turn[0, k] * x + turn[1, k] * y + turn[2, k] * z) / (s * z)
        hx, hy = turn[0, k] / (s * view[col.FX]), turn[1, k] / (s * view[col.FY])
        n += h0 * h0
        e += h0 * hx
        f += h0 * hy
    p, r = e / n, f / n
    for k in range(3):
        s = max(np.float64(scales[k]), SCALE_MIN)
        h0 = (turn[0, k] * x + turn[1, k] * y + turn[2, k] * z) / (s * z)
        hx, hy = turn[0, k] / (s * view[col.FX]) - p * h0, turn[1, k] / (s * view[col.FY]) - r * h0
        xx += hx * hx
        xy += hx * hy
        yy += hy * hy
    return n, p, r, xx, xy, yy


@compiled
def _unscented(x, y, z, extent, scales, turn, view, row, bounds):
    if not _sigma_points_inside(x, y, z, scales, turn, view):
        return False
    n, p, r, xx, xy, yy = _ray_products(x, y, z, scales, turn, view)
    row[col.Q] = z * math.sqrt(xx)
    row[col.S] = z * xy / math.sqrt(xx)
    row[col.T] = z * math.sqrt(max(yy - xy * xy / xx, 0.0))
    nearness = 1.0 / (z * z * n)
    row[col.TILT_X], row[col.TILT_Y], row[col.NEARNESS] = p, r, nearness
    dx, dy, rx, ry = _outline(z * z * xx, z * z * xy, z * z * yy, p, r, 1.0 / (extent * extent) - nearness)
    px, py = view[col.FX] * x / z + view[col.CX], view[col.FY] * y / z + view[col.CY]
    return _set_bounds(px + dx, py + dy, rx, ry, view, bounds)


@compiled
def _outline(a, b, c, p, r, w):
    """Middle and half size of the box around an outline, see `projection._outline`; a, b, c make up num."""
    det = (a * c - b * b) * w
    mx, my = (c * p - b * r) / det, (a * r - b * p) / det
    left = 1.0 - mx * p - my * r
    if not (w > 0.0 and left > 0.0):
        return 0.0, 0.0, EVERYTHING, EVERYTHING
    rx, ry = math.sqrt((c / det + mx * mx / left) / left), math.sqrt((a / det + my * my / left) / left)
    return mx / left, my / left, rx, ry


@compiled
def _sigma_points_inside(x, y, z, scales, turn, view):
    if not _near_image(x, y, z, view):
        return False
    for k in range(3):
        step = UT_SPREAD * scales[k]
        dx, dy, dz = step * turn[0, k], step * turn[1, k], step * turn[2, k]
        if not (_near_image(x + dx, y + dy, z + dz, view) and _near_image(x - dx, y - dy, z - dz, view)):
            return False
    return True


@compiled
def _near_image(x, y, z, view):
    """Whether a point lies before the camera and projects into the widened image."""
    u = (view[col.FX] * x / z + view[col.CX]) / view[col.WIDTH]
    v = (view[col.FY] * y / z + view[col.CY]) / view[col.HEIGHT]
    return z > 0.0 and -UT_MARGIN <= u < 1.0 + UT_MARGIN and -UT_MARGIN <= v < 1.0 + UT_MARGIN


@compiled
def project_backward(
    unscented, means, scales, quats, view, index, rows, grads, d_means, d_scales, d_quats, d_opacities, d_colors
):
    """Turn gradient rows `grads` [M, 14] into gradients of the Gaussians (zeros at first)."""
    turn, d_turn, d_center = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    for m in range(index.shape[0]):
        i = index[m]
        x, y, z = _to_camera(means, i, view)
        _camera_rotation(quats, i, view, turn)
        d_turn[:] = 0.0
        _center_backward(x, y, z, view, rows[m], grads[m], d_center)
        if unscented:
            _unscented_backward(x, y, z, scales[i], turn, view, grads[m], d_center, d_scales[i], d_turn)
        else:
            _ewa_backward(x, y, z, scales[i], turn, view, rows[m], grads[m], d_center, d_scales[i], d_turn)
        for k in range(3):
            d_means[i, k] = view[k] * d_center[0] + view[4 + k] * d_center[1] + view[8 + k] * d_center[2]
            d_colors[i, k] = grads[m, col.GRAD_COLOR + k]
        d_opacities[i] = grads[m, col.GRAD_OPACITY]
        _quaternion_backward(quats, i, view, d_turn, d_quats)


@compiled
def _conic(row):
    q, s, t = np.float64(row[col.Q]), np.float64(row[col.S]), np.float64(row[col.T])
    return q * q, q * s, s * s + t * t


@compiled
def _center_backward(x, y, z, view, row, grad, d_center):
    """Gradient through the projected centre and the depth channel; fills `d_center` [3]."""
    a, b, c = _conic(row)
    du = view[col.FX] * (a * grad[col.KX] + b * grad[col.KY] - row[col.TILT_X] * grad[col.L0])
    dv = view[col.FY] * (b * grad[col.KX] + c * grad[col.KY] - row[col.TILT_Y] * grad[col.L0])
    d_center[0], d_center[1] = du / z, dv / z
    d_center[2] = grad[col.GRAD_DEPTH] - (du * x + dv * y) / (z * z)


@compiled
def _ewa_backward(x, y, z, scales, turn, view, row, grad, d_center, d_scales, d_turn):
    a, b, c = _conic(row)
    ga, gb, gc = -0.5 * grad[col.KXX], -0.5 * grad[col.KXY], -0.5 * grad[col.KYY]
    # d(K^-1) = -K dK K: the gradient of the covariance is -K G K
    h00 = -(a * (ga * a + gb * b) + b * (gb * a + gc * b))
    h01 = -(a * (ga * b + gb * c) + b * (gb * b + gc * c))
    h11 = -(b * (ga * b + gb * c) + c * (gb * b + gc * c))
    fx, fy = view[col.FX] / z, view[col.FY] / z
    tx = _clamped(x / z, view[col.FX], view[col.CX], view[col.WIDTH])
    ty = _clamped(y / z, view[col.FY], view[col.CY], view[col.HEIGHT])
    d_tx = d_ty = d_z = 0.0
    for k in range(3):
        s = np.float64(scales[k])
        t0, t1 = fx * (turn[0, k] - tx * turn[2, k]), fy * (turn[1, k] - ty * turn[2, k])
        g0, g1 = 2.0 * s * (h00 * t0 + h01 * t1), 2.0 * s * (h01 * t0 + h11 * t1)
        d_scales[k] = g0 * t0 + g1 * t1
        g0, g1 = g0 * s, g1 * s
        d_turn[0, k] = fx * g0
        d_turn[1, k] = fy * g1
        d_turn[2, k] = -(fx * tx * g0 + fy * ty * g1)
        d_tx -= fx * g0 * turn[2, k]
        d_ty -= fy * g1 * turn[2, k]
        d_z -= (g0 * t0 + g1 * t1) / z
    if tx == x / z:
        d_center[0] += d_tx / z
        d_z -= d_tx * tx / z
    if ty == y / z:
        d_center[1] += d_ty / z
        d_z -= d_ty * ty / z
    d_center[2] += d_z


@compiled
def _unscented_backward(x, y, z, scales, turn, view, grad, d_center, d_scales, d_turn):
    n, p, r, xx, xy, yy = _ray_products(x, y, z, scales, turn, view)
    ga, gb, gc = -0.5 * grad[col.KXX], -1.0 * grad[col.KXY], -0.5 * grad[col.KYY]
    nearness = 1.0 / (z * z * n)
    gr = -grad[col.J0] * nearness * nearness
    zz = z * z
    d_center[2] += 2.0 * z * (ga * xx + gb * xy + gc * yy + n * gr)
    for k in range(3):
        s = max(np.float64(scales[k]), SCALE_MIN)
        h0 = (turn[0, k] * x + turn[1, k] * y + turn[2, k] * z) / (s * z)
        hx, hy = turn[0, k] / (s * view[col.FX]), turn[1, k] / (s * view[col.FY])
        px, py = hx - p * h0, hy - r * h0
        d_hx = zz * (2.0 * ga * px + gb * py) + grad[col.LX] * h0 / n
        d_hy = zz * (gb * px + 2.0 * gc * py) + grad[col.LY] * h0 / n
        d_h0 = zz * (2.0 * gr * h0 - 2.0 * ga * p * px - gb * (p * py + r * px) - 2.0 * gc * r * py)
        d_h0 += (grad[col.LX] * (px - p * h0) + grad[col.LY] * (py - r * h0)) / n
        if scales[k] >= SCALE_MIN:
            d_scales[k] = -(d_h0 * h0 + d_hx * hx + d_hy * hy) / s
        inner = d_h0 / (s * z)
        d_turn[0, k] = inner * x + d_hx / (s * view[col.FX])
        d_turn[1, k] = inner * y + d_hy / (s * view[col.FY])
        d_turn[2, k] = inner * z
        d_center[0] += inner * turn[0, k]
        d_center[1] += inner * turn[1, k]
        d_center[2] += inner * turn[2, k] - d_h0 * h0 / z


@compiled
def _quaternion_backward(quats, i, view, d_turn, d_quats):
    w, x, y, z, inverse = _unit_quaternion(quats, i)
    g = np.empty((3, 3))
    for j in range(3):
        for k in range(3):
            g[j, k] = view[j] * d_turn[0, k] + view[4 + j] * d_turn[1, k] + view[8 + j] * d_turn[2, k]
    dw = 2.0 * (x * (g[2, 1] - g[1, 2]) + y * (g[0, 2] - g[2, 0]) + z * (g[1, 0] - g[0, 1]))
    dx = 2.0 * (y * (g[0, 1] + g[1, 0]) + z * (g[0, 2] + g[2, 0]) + w * (g[2, 1] - g[1, 2]))
    dy = 2.0 * (x * (g[0, 1] + g[1, 0]) + z * (g[1, 2] + g[2, 1]) + w * (g[0, 2] - g[2, 0]))
    dz = 2.0 * (x * (g[0, 2] + g[2, 0]) + y * (g[1, 2] + g[2, 1]) + w * (g[1, 0] - g[0, 1]))
    dx -= 4.0 * x * (g[1, 1] + g[2, 2])
    dy -= 4.0 * y * (g[0, 0] + g[2, 2])
    dz -= 4.0 * z * (g[0, 0] + g[1, 1])
    along = w * dw + x * dx + y * dy + z * dz
    d_quats[i, 0] = inverse * (dw - w * along)
    d_quats[i, 1] = inverse * (dx - x * along)
    d_quats[i, 2] = inverse * (dy - y * along)
    d_quats[i, 3] = inverse * (dz - z * along)
