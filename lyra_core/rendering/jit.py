# SPDX-License-Identifier: Apache-2.0
"""How kernels are compiled and how they use several cores.

Kernels release the interpreter lock and are spread over plain threads. OpenMP is not involved: its waiting threads burn
the cores that others need, and it would add seconds to every compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numba
import torch


def compiled(function: Callable) -> Callable:
    """Compile on first call and keep the machine code on disk, where a folder for it can be written."""
    try:
        return _compiler(cache=True)(function)
    except RuntimeError:  # numba found no such folder
        return _compiler()(function)


# only float rewrites that keep checks for NaN and infinity intact, which reassociation does not
_compiler = partial(numba.njit, nogil=True, error_model="numpy", fastmath={"contract", "arcp"})


def spread(kernel: Callable[[int, int], None], count: int) -> None:
    """Call `kernel(begin, end)` on ranges that cover `count` items, on as many threads as torch uses."""
    threads = min(torch.get_num_threads(), count)
    if threads <= 1:
        kernel(0, count)
        return
    parts = min(8 * threads, count)
    edges = [count * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(kernel, edges[:-1], edges[1:]))
