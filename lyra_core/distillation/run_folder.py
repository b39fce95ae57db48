# SPDX-License-Identifier: Apache-2.0
"""The folder of a training run: who may write to it, what it resumes from, and what it says about itself.

trainer.lock   held by the one trainer that works here (released by the system when it ends, however it ends)
state.pt       model, optimiser, averages and counters
log.jsonl      one JSON object a line
tensorboard/   the same figures, where tensorboard is installed
sheets/        pictures of held-out scenes, one per evaluation
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lyra_core.distillation.ema import Ema
from lyra_core.errors import LyraError
from lyra_core.files import replacing
from lyra_core.locks import locked as system_lock

STATE_NAME = "state.pt"
"""What a run resumes from, in its folder."""

LOCK_NAME = "trainer.lock"
_BUSY = "another trainer (process {holder}) works in {folder}. Wait for it, stop it, or choose another --out."


def is_main_process() -> bool:
    """Whether this process writes files: the first of those that a launcher started together."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps every other trainer out of `folder` while the block runs.

    Processes that a launcher started together share the lock of the first.

    Raises LyraError naming the holder's process where there is one.
    """
    if not is_main_process():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with system_lock(folder / LOCK_NAME, lambda holder: _BUSY.format(holder=holder, folder=folder)):
        yield


def open_run(out: Path | str, *, threads: int, resume: bool) -> Path:
    """The folder of a run, made if it is missing; without `resume` its saved state goes. Sets torch's CPU threads.

    Raises LyraError while another trainer works in it.
    """
    torch.set_num_threads(threads)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    if not resume and is_main_process():
        with locked(folder):
            (folder / STATE_NAME).unlink(missing_ok=True)
    return folder


class TrainingState:
    """Model, optimiser, averages and counters of a run on disk, read back with weights-only loading.

    Attributes:
        step: optimiser steps so far.
        leg: number of the leg.
        smooth: running means of the logged figures.
        lowest: the lowest running loss so far.
        saved_step: the step of the state on disk; None where there is none.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, ema: Ema, out: Path, *, identity: str = "",
        sharded: bool = False,
    ) -> None:  # fmt: skip
        """Bind to `out`; `identity` says what is trained, and a state of something else is refused.

        With `sharded` (FSDP) every process holds a part of each tensor; the file holds them whole all the same.
        """
        self.model, self.optimizer, self.ema, self.path = model, optimizer, ema, out / STATE_NAME
        self.identity, self.sharded = identity, sharded
        self.step = 0
        self.leg = 0
        self.smooth: dict[str, float] = {}
        self.lowest = float("inf")
        self.saved_step: int | None = None

    def save(self) -> None:
        """Replace the state on disk. Raises LyraError where it cannot be written; the old one stays."""
        model, optimizer = self._tensors()
        state = {
            "model": model,
            "optimizer": optimizer,
            "ema": {name: whole(average) for name, average in self.ema.shadow.items()},
            "ema_steps": self.ema.steps,
            "step": self.step,
            "leg": self.leg,
            "smooth": self.smooth,
            "lowest": self.lowest,
            "identity": self.identity,
        }
        if is_main_process():
            self._write(state)
        self.saved_step = self.step

    def _write(self, state: dict[str, Any]) -> None:
        try:
            with replacing(self.path) as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
            kept = "no earlier state exists" if self.saved_step is None else f"the one of step {self.saved_step} stays"
            raise LyraError(
                f"cannot save the training state of step {self.step} to {self.path} ({error}); {kept}. Free space on "
                "that disk and run the same command again."
            ) from error

    def load(self) -> bool:
        """Returns False where there is nothing to resume from. Raises LyraError for a state that does not fit."""
        if not self.path.exists():
            return False
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            self._require_same(state.get("identity", ""))
            self._restore(state["model"], state["optimizer"])
            self.ema.load(state["ema"], state["ema_steps"])
        except LyraError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())
            raise LyraError(
                f"cannot resume from {self.path}: {reason}. Delete the file to start this run from scratch."
            ) from error
        self.step, self.leg = state["step"], state["leg"]
        self.smooth, self.lowest = state.get("smooth", {}), state.get("lowest", float("inf"))
        self.saved_step = self.step
        return True

    def _require_same(self, stored: str) -> None:
        if stored and self.identity and stored != self.identity:
            raise LyraError(
                f"{self.path} belongs to another training ({stored}), not to this one ({self.identity}). Give the "
                "preset it was made with, or another --out."
            )

    def _tensors(self) -> tuple[dict[str, Any], dict[str, Any]]:
        if not self.sharded:
            return self.model.state_dict(), self.optimizer.state_dict()
        from torch.distributed.checkpoint.state_dict import get_state_dict

        return get_state_dict(self.model, self.optimizer, options=_whole_tensors())

    def _restore(self, model: dict[str, Any], optimizer: dict[str, Any]) -> None:
        if not self.sharded:
            self.model.load_state_dict(model)
            self.optimizer.load_state_dict(optimizer)
            return
        from torch.distributed.checkpoint.state_dict import set_state_dict

        set_state_dict(
            self.model, self.optimizer, model_state_dict=model, optim_state_dict=optimizer, options=_whole_tensors()
        )


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together (every process must call this), any other as it is."""
    full = getattr(tensor, "full_tensor", None)
    return tensor if full is None else full()


def _whole_tensors() -> Any:
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(full_state_dict=True, cpu_offload=False)


class JsonLog:
    """Appends one JSON object a line to `<out>/log.jsonl`, prints it, and shows its numbers in TensorBoard if it can.

    Only the first of several processes writes.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / "log.jsonl"
        self._board = _tensorboard(out / "tensorboard") if is_main_process() else None

    def write(self, record: Mapping[str, object]) -> None:
        """Add a line; floats are rounded to five digits."""
        if not is_main_process():
            return
        line = json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in record.items()})
        with self.path.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)
        self._plot(record)

    def _plot(self, record: Mapping[str, object]) -> None:
        step = record.get("step", record.get("steps"))
        if self._board is None or not isinstance(step, int | float):
            return
        group = record.get("event", "train")
        for name, value in record.items():
            if isinstance(value, float):
                self._board.add_scalar(f"{group}/{name}", value, int(step))
        self._board.flush()


def _tensorboard(folder: Path) -> Any:
    """A summary writer, or None where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
