# SPDX-License-Identifier: Apache-2.0
"""Weights that are elsewhere, or smaller, than where and as they are computed with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

_LARGEST = torch.finfo(torch.float8_e4m3fn).max


class Loan:
    """Tensors in another form for a while; giving them back copies nothing, because weights do not change."""

    def __init__(self, tensors: Iterable[Tensor], form: Callable[[Tensor], Tensor]) -> None:
        """form: makes the other form of a tensor's data, e.g. on another device."""
        self._tensors = list(tensors)
        self._form = form
        self._own: list[Tensor] = []

    def take(self) -> None:
        """Changes all tensors to the other form; nothing happens when they have it. After an error none has it."""
        if self._own:
            return
        try:
            for tensor in self._tensors:
                data = self._form(tensor.data)
                self._own.append(tensor.data)
                tensor.data = data
        except BaseException:
            self.give_back()
            raise

    def give_back(self) -> None:
        """Changes them back."""
        for tensor, data in zip(self._tensors, self._own, strict=False):
            tensor.data = data
        self._own.clear()


def tensors_of(module: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers of a module."""
    return chain(module.parameters(), module.buffers())


def moved_to(device: torch.device) -> Callable[[Tensor], Tensor]:
    """The form of a loan: a copy on `device`."""
    return lambda data: data.to(device, copy=True)


@contextmanager
def lent(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Within, the weights of `module` are on `device`; main memory keeps them."""
    if device.type == "cpu":
        yield
        return
    loan = Loan(tensors_of(module), moved_to(device))
    loan.take()
    try:
        yield
    finally:
        loan.give_back()


def cast_weights(module: nn.Module, precision: torch.dtype) -> None:
    """Changes the precision of all weights that are not stored in 8 bits; permanently."""
    for tensor in tensors_of(module):
        if tensor.is_floating_point() and tensor.dtype != torch.float8_e4m3fn:
            tensor.data = tensor.data.to(precision)


def lend_per_call(module: nn.Module, loan: Loan) -> list[RemovableHandle]:
    """Takes a loan whenever `module` is called and gives it back afterwards, also after an error."""

    def take(*_: Any) -> None:
        loan.take()

    def give_back(*_: Any) -> None:
        loan.give_back()

    return [module.register_forward_pre_hook(take), module.register_forward_hook(give_back, always_call=True)]


def castable(block: nn.Module) -> list[Tensor]:
    """Weights of a transformer block that bear 8 bits: the large matrices, not those that steer normalisation."""
    return [layer.weight for layer in _castable_layers(block)]


def store_in_8_bits(blocks: Iterable[nn.Module]) -> list[RemovableHandle]:
    """Keeps the large matrices of transformer blocks as float8 (e4m3) with a scale per row; permanently.

    Every layer computes in the precision that its weights had. The hooks must stay as long as the weights are used.
    """
    return [handle for block in blocks for layer in _castable_layers(block) for handle in _store_layer(layer)]


def _castable_layers(block: nn.Module) -> Iterator[nn.Linear]:
    for name, layer in block.named_modules():
        if isinstance(layer, nn.Linear) and "norm" not in name:
            yield layer


def _store_layer(layer: nn.Linear) -> list[RemovableHandle]:
    weight, precision = layer.weight, layer.weight.dtype
    if precision == torch.float8_e4m3fn:
        return []
    scale = weight.data.float().abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / _LARGEST
    weight.data = (weight.data.float() / scale).to(torch.float8_e4m3fn)

    def restored(data: Tensor) -> Tensor:
        return data.to(precision) * scale.to(data.device, precision)

    return lend_per_call(layer, Loan([weight], restored))
