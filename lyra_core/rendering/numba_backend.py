# SPDX-License-Identifier: Apache-2.0
"""The compiled CPU renderer as one differentiable operation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..gaussians import Gaussians
from . import columns as col
from . import compositing_numba, projection_numba
from .jit import spread
from .projection import TILE, View


def rasterize(gaussians: Gaussians, colors: Tensor, view: View, projection: str) -> tuple[Tensor, Tensor]:
    """Sums of colour and depth `[h, w, 4]` and the remaining transmittance `[h, w]`, float32."""
    parts = (gaussians.means, gaussians.scales, gaussians.quats, gaussians.opacities, colors)
    return _Rasterize.apply(projection == "ut", view, *(part.float() for part in parts))


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, unscented: bool, view: View, *parts: Tensor) -> tuple[Tensor, Tensor]:
        numbers = _numbers(view)
        arrays = [_array(part) for part in parts]
        index, rows, bounds = _visible(unscented, arrays, numbers)
        order = torch.from_numpy(rows[:, col.DEPTH]).argsort(stable=True).numpy()
        x0, y0, width, height = view.window
        columns, lines = -(-width // TILE), -(-height // TILE)
        ids, starts = compositing_numba.bin_tiles(order, bounds, x0, y0, columns, lines)
        features, transmittance = torch.empty(height, width, 4), torch.empty(height, width)
        drawing = (x0, y0, columns, features.numpy(), transmittance.numpy())

        def tiles(begin: int, end: int) -> None:
            compositing_numba.composite(rows, bounds, ids, starts, begin, end, *drawing)

        spread(tiles, columns * lines)
        ctx.save_for_backward(*parts, features, transmittance)
        ctx.kept = unscented, numbers, index, rows, bounds, ids, starts, x0, y0, columns
        return features, transmittance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_features: Tensor, d_transmittance: Tensor) -> tuple[Tensor | None, ...]:
        *parts, features, transmittance = ctx.saved_tensors
        unscented, numbers, index, rows, bounds, ids, starts, x0, y0, columns = ctx.kept
        entries = np.zeros((len(ids), col.GRAD_ROW), np.float32)
        images = [_array(image) for image in (features, transmittance, d_features, d_transmittance)]

        def tiles(begin: int, end: int) -> None:
            compositing_numba.composite_backward(
                rows, bounds, ids, starts, begin, end, x0, y0, columns, *images, entries
            )

        spread(tiles, len(starts) - 1)
        grads = np.zeros((len(index), col.GRAD_ROW), np.float32)
        compositing_numba.gather(ids, entries, grads)
        out = [torch.zeros(part.shape) for part in parts]
        means, scales, quats, _, _ = (_array(part) for part in parts)
        projection_numba.project_backward(
            unscented, means, scales, quats, numbers, index, rows, grads, *(_array(part) for part in out)
        )
        return None, None, *out


def _visible(unscented: bool, arrays: list[np.ndarray], numbers: np.ndarray) -> tuple[np.ndarray, ...]:
    count = len(arrays[0])
    index = np.empty(count, np.int64)
    rows = np.empty((count, col.ROW), np.float32)
    bounds = np.empty((count, 4), np.int32)
    seen = projection_numba.project(unscented, *arrays, numbers, index, rows, bounds)
    return index[:seen], rows[:seen], bounds[:seen]


def _numbers(view: View) -> np.ndarray:
    """The view as the flat array the kernels read."""
    x0, y0, width, height = view.window
    sizes = (view.width, view.height, x0, y0, x0 + width, y0 + height, view.near, view.far)
    matrix = view.w2c[:3].detach().double().reshape(-1)
    return np.concatenate((matrix.numpy(), view.intrinsics.detach().double().numpy(), sizes))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()
