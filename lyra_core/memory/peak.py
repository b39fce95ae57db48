# SPDX-License-Identifier: Apache-2.0
"""Peak memory of a piece of work, counted tensor by tensor: on any device, and on the meta device without any memory.

On the meta device a network of full size runs in a second and holds nothing, yet every intermediate has its size. What
is counted is what torch is asked for; workspaces inside kernels and the gaps of an allocator are not.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class PeakMemory(TorchDispatchMode):
    """Within, counts the bytes of all tensors that come and go; what was there before does not count.

    Attributes:
        live: bytes that are held now.
        peak: the most that was held at once.
        largest: the largest single tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = self.largest = 0
        self._known: dict[int, int] = {}
        self._attention = _FusedAttention()

    def __enter__(self) -> PeakMemory:
        self._attention.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *reason: Any) -> None:
        super().__exit__(*reason)
        self._attention.__exit__(*reason)

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operation: inputs seen for the first time were there before, new storages among its outputs are new."""
        for value in tree_iter((args, kwargs)):
            self._note(value, new=False)
        output = operation(*args, **(kwargs or {}))
        for value in tree_iter(output):
            self._note(value, new=True)
        self.peak = max(self.peak, self.live)
        return output

    def _note(self, value: Any, *, new: bool) -> None:
        if not isinstance(value, Tensor):
            return
        storage = value.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes() if new else 0
        self._known[key] = size
        self.live += size
        self.largest = max(self.largest, size)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.live -= self._known.pop(key, 0)


class _FusedAttention(TorchFunctionMode):
    """On the meta device, attention costs its output, as in the fused kernels; torch would take it apart there."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is not torch.nn.functional.scaled_dot_product_attention:
            return function(*args, **kwargs)
        query, _, value = (*args, *(kwargs[name] for name in ("query", "key", "value")[len(args) :]))[:3]
        if not query.is_meta:
            return function(*args, **kwargs)
        return query.new_empty(*query.shape[:-1], value.shape[-1])
