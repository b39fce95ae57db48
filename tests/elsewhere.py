# SPDX-License-Identifier: Apache-2.0
"""A second device without hardware: tensors with real values that refuse to meet tensors of main memory.

Within `elsewhere()`, whatever is sent to `ELSEWHERE` (torch's meta device stands for it) keeps its values. As on a GPU,
an operation fails when it is given tensors of both places, except for numbers (tensors without dimensions) and for
indices in main memory, and such a tensor is no numpy array.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("meta")
_HOME = torch.device("cpu")
_BETWEEN = ("_to_copy", "copy_")
_INDEXING = ("index", "index_put", "index_put_", "_unsafe_index", "_index_put_impl_")


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """The device, as long as the block runs."""
    with _Values(), _Placed():
        yield ELSEWHERE


def is_elsewhere(*tensors: Tensor) -> bool:
    """Whether all tensors are there."""
    return all(isinstance(tensor, _Remote) for tensor in tensors)


class _Remote(Tensor):
    """A tensor that says it is elsewhere; its values are in main memory."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> _Remote:
        remote = torch.Tensor._make_wrapper_subclass(
            cls, values.shape, strides=values.stride(), storage_offset=values.storage_offset(), dtype=values.dtype,
            device=ELSEWHERE,
        )  # fmt: skip
        remote.values = values
        return remote

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


class _Placed(TorchDispatchMode):
    """Sees new tensors too, which have no input that would tell where they are."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


class _Values(TorchFunctionMode):
    """Constants are made in main memory and then sent; lists are read off the values."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function is torch.Tensor.tolist:
            return function(_values(args[0]))
        if function in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor):
            own = args[0] if function is torch.Tensor.new_tensor else None
            data = args[1] if own is not None else args[0]
            device = kwargs.pop("device", None) or (own.device if own is not None else _HOME)
            if own is not None:
                kwargs.setdefault("dtype", own.dtype)
            make = torch.as_tensor if function is torch.as_tensor else torch.tensor
            return make(data, **kwargs).to(device)
        return function(*args, **kwargs)


def _run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation on the values; its results are where torch would put them."""
    name = operation.overloadpacket.__name__
    inputs = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
    remote = [value for value in inputs if isinstance(value, _Remote)]
    _require_one_place(name, args, inputs, remote)
    place = kwargs.get("device") or (ELSEWHERE if remote else _HOME)
    if name == "copy_":
        place = args[0].device
    output = operation(*tree_map(_values, args), **{key: _values(value) for key, value in kwargs.items()})
    known = {id(value.values): value for value in remote}

    def placed(value: Any) -> Any:
        if not isinstance(value, Tensor) or isinstance(value, _Remote):
            return value
        if id(value) in known:
            return known[id(value)]
        return _Remote(value) if torch.device(place) == ELSEWHERE else value

    return tree_map(placed, output)


def _require_one_place(name: str, args: Any, inputs: list[Tensor], remote: list[_Remote]) -> None:
    if not remote or name in _BETWEEN:
        return
    at_home = [value for value in inputs if not isinstance(value, _Remote) and value.dim()]
    if name in _INDEXING and isinstance(args[0], _Remote):
        at_home = [value for value in at_home if value.is_floating_point()]
    if at_home:
        shapes = [tuple(value.shape) for value in at_home]
        raise AssertionError(f"{name}: tensors {shapes} of main memory meet tensors of another device")


def _values(value: Any) -> Any:
    if isinstance(value, _Remote):
        return value.values
    if isinstance(value, torch.device):
        return _HOME
    return tree_map(_values, value) if isinstance(value, list | tuple | dict) else value
