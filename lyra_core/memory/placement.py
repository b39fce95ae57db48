# SPDX-License-Identifier: Apache-2.0
"""Carries out a memory plan on a pipeline, and tries the next plan after running out of memory.

Networks keep their weights in main memory; on the GPU they are guests, for the time that the plan gives them. What goes
into a network is taken to its device and what comes out is brought back, so that nothing else needs to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lyra_core.errors import LyraError
from lyra_core.memory.budget import Budget
from lyra_core.memory.plan import (
    CHUNKS,
    DECODER_CHUNK,
    EIGHT_BITS,
    OFFLOAD,
    SEQUENTIAL,
    TILE_FRAMES,
    TILES,
    Choice,
    Plan,
    choose,
    gib,
    next_choice,
    sizes_on,
)
from lyra_core.memory.storage import Loan, cast_weights, lend_per_call, moved_to, store_in_8_bits, tensors_of

if TYPE_CHECKING:
    from lyra_core.pipeline import LyraPipeline

Result = TypeVar("Result")

_HOME = torch.device("cpu")


def run_with_plans(
    pipeline: LyraPipeline,
    work: Callable[[], Result],
    *,
    budget: Budget | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Result:
    """Does `work` with the pipeline under the first plan that fits; after running out of memory, once under the next.

    Args:
        pipeline: of which `work` makes use.
        work: e.g. making a scene; what it left behind before it ran out of memory must do no harm.
        budget: memory that may be used; None for what is free.
        tell: hears one sentence when a plan turned out not to fit.

    Raises LyraError when memory runs out a second time, or no plan needs clearly less.
    """
    budget = budget or Budget.read()
    device = torch.device("cuda" if budget.gpu and torch.cuda.is_available() else "cpu")
    sizes = sizes_on(pipeline.preset, budget)
    first = choose(sizes, budget)
    failure = _attempt(pipeline, first.plan, device, work)
    if not isinstance(failure, _OutOfMemory):
        return failure
    second = next_choice(sizes, first)
    if second is None:
        raise _exhausted(first)
    tell(f"out of memory with {first.plan} (estimated {gib(first.estimate.peak)}); trying again with {second.plan}")
    result = _attempt(pipeline, second.plan, device, work)
    if isinstance(result, _OutOfMemory):
        raise _exhausted(second)
    return result


@contextmanager
def placed(pipeline: LyraPipeline, plan: Plan, device: torch.device) -> Iterator[None]:
    """Within, the pipeline's networks work on `device` as the plan says.

    What changes for good: on a GPU the weights get the preset's precision, and with 8-bit storage they keep it.
    """
    networks = [network for network in _networks(pipeline) if network is not None]
    tokenizer, decoder = pipeline.teacher.tokenizer, pipeline.decoder
    if device.type != "cpu":
        for network in networks:
            cast_weights(network, getattr(torch, pipeline.preset.precision))
    with ExitStack() as undo:
        tokenizer.tile_frames = TILE_FRAMES if TILES in plan else None
        undo.callback(setattr, tokenizer, "tile_frames", None)
        decoder.work_in_chunks(DECODER_CHUNK if CHUNKS in plan else None)
        undo.callback(decoder.work_in_chunks, None)
        for adapter in (pipeline.images, pipeline.depth_estimator):
            if hasattr(adapter, "device"):
                undo.callback(setattr, adapter, "device", adapter.device)
                adapter.device = device
        if EIGHT_BITS in plan:
            store_in_8_bits(_blocks(pipeline))
        for handle in _accommodate(pipeline, networks, plan, device, undo):
            undo.callback(handle.remove)
        yield


def _accommodate(
    pipeline: LyraPipeline, networks: list[nn.Module], plan: Plan, device: torch.device, undo: ExitStack
) -> Iterator[RemovableHandle]:
    """Hooks that take the networks to the device when they are called."""
    visiting = list(_blocks(pipeline)) if OFFLOAD in plan else []
    if device == _HOME and SEQUENTIAL not in plan and OFFLOAD not in plan:
        return
    away = {id(tensor) for block in visiting for tensor in tensors_of(block)}
    guests = _Guests(alone=SEQUENTIAL in plan)
    undo.callback(guests.leave)
    for network in networks:
        loan = Loan((tensor for tensor in tensors_of(network) if id(tensor) not in away), moved_to(device))
        for entrance in _entrances(network):
            yield entrance.register_forward_pre_hook(_arrival(guests, loan, device), with_kwargs=True)
            yield entrance.register_forward_hook(lambda module, inputs, output: _moved(output, _HOME))
    for block in visiting:
        yield from lend_per_call(block, Loan(tensors_of(block), moved_to(device)))


class _Guests:
    """Which networks are on the device: all that came, or only the one that came last."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._present: list[Loan] = []

    def enter(self, loan: Loan) -> None:
        """Brings a network in; first the others leave where only one may stay."""
        if loan in self._present:
            return
        if self._alone:
            self.leave()
        loan.take()
        self._present.append(loan)

    def leave(self) -> None:
        """All go home."""
        for loan in self._present:
            loan.give_back()
        self._present.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _arrival(guests: _Guests, loan: Loan, device: torch.device) -> Callable[..., Any]:
    """Hook before a network is called."""

    def arrive(module: nn.Module, args: Any, kwargs: Any) -> Any:
        guests.enter(loan)
        return _moved(args, device), _moved(kwargs, device)

    return arrive


def _networks(pipeline: LyraPipeline) -> tuple[nn.Module | None, ...]:
    """The networks that plans are about."""
    diffusion = pipeline.teacher.diffusion
    return pipeline.teacher.tokenizer, diffusion.transformer if diffusion else None, pipeline.decoder


def _blocks(pipeline: LyraPipeline) -> Iterator[nn.Module]:
    """Blocks of the transformer."""
    diffusion = pipeline.teacher.diffusion
    return iter(diffusion.transformer.network.transformer_blocks if diffusion else ())


def _entrances(network: nn.Module) -> Iterator[nn.Module]:
    """The modules through which a network is called: itself, or for a tokenizer what its two methods call."""
    from lyra_core.teacher.tokenizer import Tokenizer

    return network.network.children() if isinstance(network, Tokenizer) else iter((network,))


def _moved(value: Any, device: torch.device) -> Any:
    """Tensors on `device`, wherever they are in tuples, dictionaries and dataclasses."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple):
        return tuple(_moved(part, device) for part in value)
    if isinstance(value, dict):
        return {name: _moved(part, device) for name, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{part.name: _moved(getattr(value, part.name), device) for part in fields(value)})
    return value


class _OutOfMemory:
    """Says that memory ran out; the error itself would hold on to what filled it."""


def _attempt(
    pipeline: LyraPipeline, plan: Plan, device: torch.device, work: Callable[[], Result]
) -> Result | _OutOfMemory:
    try:
        with placed(pipeline, plan, device):
            return work()
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
    return _OutOfMemory()


def _is_out_of_memory(error: Exception) -> bool:
    """CUDA has its own error; torch's CPU allocator only says so in words."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def _exhausted(choice: Choice) -> LyraError:
    return LyraError(
        f"out of memory, also with {choice.plan} (estimated {gib(choice.estimate.peak)} for "
        f"{choice.estimate.largest}). Close other programs that use this memory, or choose a smaller model."
    )
