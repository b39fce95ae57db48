# SPDX-License-Identifier: Apache-2.0
"""Carries out a memory plan on a pipeline, and tries the next plan after running out of memory.

Networks keep their weights in main memory; on the GPU they are guests, for the time that the plan gives them. What goes
into a network is taken to its device and what comes out is brought back, so that nothing else needs to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lyra_core.devices import HOME, device_name, working_device
from lyra_core.faults import GpuLost, OutOfMemory, is_gpu_lost, is_out_of_memory
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
    announce,
    choose,
    gib,
    next_choice,
    sizes_on,
)
from lyra_core.memory.storage import Loan, cast_weights, lend_per_call, moved_to, store_in_8_bits, tensors_of

if TYPE_CHECKING:
    from lyra_core.pipeline import LyraPipeline
    from lyra_core.teacher.transformer import VideoTransformer

Result = TypeVar("Result")


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
        tell: hears in a few sentences which plan is taken and why, where the work is done, and what did not fit.

    Raises:
        OutOfMemory: it ran out a second time, or no plan needs clearly less.
        GpuLost: the GPU failed.
    """
    budget = budget or Budget.read()
    sizes = sizes_on(pipeline.preset, budget)
    first = choose(sizes, budget)
    for line in announce(first):
        tell(line)
    result = _attempt(pipeline, first, work, tell)
    if not isinstance(result, _RanOut):
        return result
    second = next_choice(sizes, first)
    if second is None:
        raise _exhausted(first)
    tell(f"out of memory with {_told(first)}; finished stages stay, trying again with {_told(second)}")
    result = _attempt(pipeline, second, work, tell)
    if isinstance(result, _RanOut):
        raise _exhausted(second)
    return result


@contextmanager
def placed(
    pipeline: LyraPipeline, plan: Plan, device: torch.device, others: Sequence[torch.device] = ()
) -> Iterator[None]:
    """Within, the pipeline works on `device` as the plan says.

    What changes for good: on a GPU the weights get the preset's precision, and with 8-bit storage they keep it.

    Args:
        pipeline: whose networks and geometry are placed.
        plan: what to do about memory.
        device: where everything is worked on.
        others: where the teacher's transformer also works, on videos of its own.
    """
    networks = [network for network in _networks(pipeline) if network is not None]
    tokenizer, decoder, diffusion = pipeline.teacher.tokenizer, pipeline.decoder, pipeline.teacher.diffusion
    if device.type != "cpu":
        for network in networks:
            cast_weights(network, getattr(torch, pipeline.preset.precision))
    with ExitStack() as undo:
        _set(undo, tokenizer, "tile_frames", TILE_FRAMES if TILES in plan else None)
        decoder.work_in_chunks(DECODER_CHUNK if CHUNKS in plan else None)
        undo.callback(decoder.work_in_chunks, None)
        for part in (pipeline, pipeline.images, pipeline.depth_estimator):
            if hasattr(part, "device"):
                _set(undo, part, "device", device)
        _set(undo, pipeline, "plan", str(plan))
        if diffusion and EIGHT_BITS in plan:
            store_in_8_bits(_blocks(diffusion.transformer))
        groups = [(networks, device)]
        if diffusion:
            twins = [twin for _ in others if (twin := _twin(diffusion.transformer))]
            groups += [([twin], other) for twin, other in zip(twins, others, strict=False)]
            _set(undo, diffusion, "twins", tuple(twins))
        for members, place in groups:
            for handle in _accommodate(members, plan, place, undo):
                undo.callback(handle.remove)
        yield


def _set(undo: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Changes an attribute until `undo` is left."""
    undo.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _twin(network: VideoTransformer) -> VideoTransformer | None:
    """The same network once more, with tensors of its own over the same memory; None where it is stored in 8 bits.

    Hooks restore such weights, and those of the one network would do so for the other.
    """
    shared: dict[int, Any] = {}
    for tensor in tensors_of(network):
        if tensor.dtype == torch.float8_e4m3fn:
            return None
        same = tensor.detach()
        shared[id(tensor)] = nn.Parameter(same, requires_grad=False) if isinstance(tensor, nn.Parameter) else same
    return deepcopy(network, shared)


def _accommodate(
    networks: Sequence[nn.Module], plan: Plan, device: torch.device, undo: ExitStack
) -> Iterator[RemovableHandle]:
    """Hooks that take the networks to the device when they are called."""
    if device == HOME and SEQUENTIAL not in plan and OFFLOAD not in plan:
        return
    visiting = [block for network in networks for block in _blocks(network)] if OFFLOAD in plan else []
    away = {id(tensor) for block in visiting for tensor in tensors_of(block)}
    guests = _Guests(alone=SEQUENTIAL in plan)
    undo.callback(guests.leave)
    for network in networks:
        loan = Loan((tensor for tensor in tensors_of(network) if id(tensor) not in away), moved_to(device))
        for entrance in _entrances(network):
            yield entrance.register_forward_pre_hook(_arrival(guests, loan, device), with_kwargs=True)
            yield entrance.register_forward_hook(lambda module, inputs, output: _moved(output, HOME))
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


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """Blocks of a transformer; nothing of any other network."""
    from lyra_core.teacher.transformer import VideoTransformer

    return iter(network.network.transformer_blocks if isinstance(network, VideoTransformer) else ())


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


class _RanOut:
    """Says that memory ran out; the error itself would hold on to what filled it."""


def _attempt(
    pipeline: LyraPipeline, choice: Choice, work: Callable[[], Result], tell: Callable[[str], None]
) -> Result | _RanOut:
    device, *others = _devices(choice)
    try:
        with placed(pipeline, choice.plan, device, others):
            tell(f"working on {' and '.join(map(device_name, (device, *others)))}: {pipeline.backends}")
            return work()
    except (RuntimeError, MemoryError) as error:
        if is_gpu_lost(error):
            raise GpuLost(error) from error
        if not is_out_of_memory(error):
            raise
    return _RanOut()


def _devices(choice: Choice) -> list[torch.device]:
    """Where to work: the first GPU, and every other one with room for the transformer too."""
    device = working_device() if choice.budget.gpu else HOME
    need = choice.estimate.stages.get("transformer")
    if device == HOME or need is None:
        return [device]
    others = [torch.device("cuda", index) for index in range(1, torch.cuda.device_count())]
    return [device, *(other for other in others if torch.cuda.mem_get_info(other)[0] >= need)]


def _told(choice: Choice) -> str:
    return f"{choice.plan} (estimated {gib(choice.estimate.peak)}, most of it for {choice.estimate.largest})"


def _exhausted(choice: Choice) -> OutOfMemory:
    return OutOfMemory(
        f"out of memory, also with {_told(choice)}. Close other programs that use this memory, or choose a smaller "
        "model."
    )
