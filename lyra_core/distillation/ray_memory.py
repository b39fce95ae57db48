# SPDX-License-Identifier: Apache-2.0
"""Encoded rays that are asked for again: clips as long as a stage's input show the same cameras every time."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor

from lyra_core.cameras import Cameras
from lyra_core.decoder import encode_plucker
from lyra_core.decoder.embeddings import Encode

LIMIT = 64 * 2**20
"""Most that is kept [bytes]: hundreds of small paths, or the last two of full size."""


class RayMemory:
    """`encode_plucker`, remembering the paths that were encoded last."""

    def __init__(self, encode: Encode, dtype: torch.dtype, limit: int = LIMIT) -> None:
        """encode: the tokenizer; dtype: precision of the rays; limit: [bytes]."""
        self.encode, self.dtype, self.limit = encode, dtype, limit
        self._known: OrderedDict[bytes, Tensor] = OrderedDict()
        self._bytes = 0

    def __call__(self, cameras: Cameras) -> Tensor:
        """Pluecker latents `[1, V, 2 C, T, h, w]` of cameras `[V, F]`."""
        return torch.stack([self._path(cameras[view]) for view in range(len(cameras))])[None]

    def _path(self, cameras: Cameras) -> Tensor:
        numbers = torch.cat((cameras.c2w.flatten(), cameras.intrinsics.flatten())).cpu().numpy()
        key = numbers.tobytes() + bytes(f"{cameras.width} {cameras.height}", "ascii")
        if key not in self._known:
            self._known[key] = encode_plucker(self.encode, cameras[None, None], self.dtype)[0, 0]
            self._bytes += self._known[key].nbytes
        self._known.move_to_end(key)
        rays = self._known[key]
        while self._bytes > self.limit:
            self._bytes -= self._known.popitem(last=False)[1].nbytes
        return rays
