# SPDX-License-Identifier: Apache-2.0
"""Code for CUDA tensors run where there is no GPU: tensors that are really on the CPU and say they are on one.

Within `PretendedGpu` a tensor that was made there says that its device is "cuda", what is made of it is there too, and
an operation with tensors of both places fails as it would on a real GPU. Values are computed by the CPU.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map

GPU = torch.device("cuda")
HOME = torch.device("cpu")

_DEVICE: Any = Tensor.device.__get__
_MOVING: set[Any] = {Tensor.to, Tensor.copy_, Tensor.__setitem__, Tensor.cpu}
_TAKING_INDICES: set[Any] = {Tensor.__getitem__}
_LEAVING_TORCH: set[Any] = {Tensor.numpy, Tensor.__array__}


class PretendedGpu(TorchFunctionMode):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._there: set[int] = set()

    def put(self, value: Tensor) -> Tensor:
        """A copy of a tensor on the GPU."""
        copy = value.detach().clone()
        self._mark(copy)
        return copy

    def holds(self, value: Any) -> bool:
        """Whether a value is a tensor on the GPU."""
        return isinstance(value, Tensor) and value.untyped_storage()._cdata in self._there

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function == _DEVICE:
            return GPU if self.holds(args[0]) else HOME
        tensors = [value for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)]
        there = [self.holds(value) for value in tensors]
        if function in _LEAVING_TORCH and any(there):
            raise TypeError("can't convert cuda tensor to numpy: it is on the GPU")
        if function not in _MOVING | _TAKING_INDICES:
            self._require_one_place(function, tensors, there)
        wanted = [value for value in tree_iter((args, kwargs)) if isinstance(value, torch.device | str)]
        places = [torch.device(value).type == "cuda" for value in wanted if _names_device(value)]
        args, kwargs = tree_map(_at_home, (args, kwargs))
        output = function(*args, **kwargs)
        if function is Tensor.cpu:
            places = [False]
        elif function is Tensor.to and len(there) > 1:
            places = [there[1]]
        target = places[0] if places else any(there[:1]) if function in _TAKING_INDICES | _MOVING else any(there)
        if not any(isinstance(value, Tensor) for value in tree_iter(output)):
            return output
        given = {value.untyped_storage()._cdata for value in tensors}
        return tree_map(lambda value: self._placed(value, target, given), output)

    def _require_one_place(self, function: Any, tensors: list[Tensor], there: list[bool]) -> None:
        here = [tuple(t.shape) for t, gpu in zip(tensors, there, strict=True) if not gpu and t.dim() > 0]
        if any(there) and here:
            raise RuntimeError(f"{function}: expected all tensors on cuda, but those of shape {here} are on the cpu")

    def _placed(self, value: Any, target: bool, given: set[int]) -> Any:
        if not isinstance(value, Tensor) or self.holds(value) == target:
            return value
        if value.untyped_storage()._cdata in given:
            value = value.clone()
        if target:
            self._mark(value)
        return value

    def _mark(self, value: Tensor) -> None:
        storage = value.untyped_storage()
        self._there.add(storage._cdata)
        weakref.finalize(storage, self._there.discard, storage._cdata)


def _names_device(value: Any) -> bool:
    return isinstance(value, torch.device) or value.split(":")[0] in ("cuda", "cpu")


def _at_home(value: Any) -> Any:
    return HOME if isinstance(value, torch.device | str) and _names_device(value) else value
