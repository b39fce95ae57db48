# SPDX-License-Identifier: Apache-2.0
"""What a training step may keep in memory, from everything to as little as possible; results stay the same.

When a step runs out of memory the trainer takes the next plan, says so, and repeats the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

PLAN_NAME = "memory-plan"
"""File in the run's folder with the name of the plan in use, so that a restart begins with it."""


@dataclass(frozen=True)
class MemoryPlan:
    """One way to need less.

    Attributes:
        name: in logs.
        prepare: called once with the network when the plan is taken.
        around: context of every forward and backward pass.
    """

    name: str
    prepare: Callable[[nn.Module], None] = lambda model: None
    around: Callable[[], AbstractContextManager[Any]] = nullcontext


def recompute_blocks(model: nn.Module) -> None:
    """Makes the blocks of a decoder keep only their input, and run again in the backward pass (a third slower)."""
    for block in getattr(model, "enc_blocks", ()):
        if not isinstance(block.forward, partial):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)


KEEP_ALL = MemoryPlan("everything kept")
RECOMPUTE = MemoryPlan("blocks recomputed", recompute_blocks)
IN_MAIN_MEMORY = MemoryPlan(
    "blocks recomputed, the rest kept in main memory", recompute_blocks, partial(torch.autograd.graph.save_on_cpu)
)


def decoder_plans(device: torch.device) -> tuple[MemoryPlan, ...]:
    """The plans for a decoder, in the order in which they are tried."""
    return (KEEP_ALL, RECOMPUTE, IN_MAIN_MEMORY) if device.type == "cuda" else (KEEP_ALL, RECOMPUTE)


def names_of(plans: Sequence[MemoryPlan]) -> list[str]:
    """Their names, in order."""
    return [plan.name for plan in plans]


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a GPU or in main memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        sign in str(error) for sign in ("can't allocate memory", "not enough memory", "out of memory")
    )
