# SPDX-License-Identifier: Apache-2.0
"""One training leg: a bounded time on the clock that starts from the last saved state and ends in EMA weights.

Every network of the embedded family is trained by this loop; what differs is the loss. A leg can be killed at any
time: the next one goes on from the last state on disk.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lyra_core.errors import LyraError

Loss = Callable[[np.random.Generator], tuple[Tensor, dict[str, float]]]
"""Draws a batch with the generator it is given and returns (loss, figures to log)."""


@dataclass(frozen=True)
class LegConfig:
    """How one leg runs.

    Attributes:
        minutes: wall-clock bound of the leg [min].
        learning_rate: peak rate.
        warmup_steps: linear warm-up from zero (again at every leg, because the optimiser state may be new).
        constant_share: share of the leg at the peak rate before the cosine starts.
        ema_decay: of the exponential moving average that is saved.
        clip_norm: gradient norm bound; 0 turns clipping off.
        save_every: minutes between saved states.
        evaluate_every: minutes between held-out evaluations (also at the end).
        seed: of the data order; the leg number is added, so that a resumed run sees new batches.
    """

    minutes: float
    learning_rate: float
    warmup_steps: int = 50
    constant_share: float = 0.1
    ema_decay: float = 0.999
    clip_norm: float = 1.0
    save_every: float = 3.0
    evaluate_every: float = 10.0
    seed: int = 0


class Ema:
    """Exponential moving average of a module's trainable parameters, with a short memory at the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        weight = 1.0 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        parameters = dict(model.named_parameters())
        for name, average in self.shadow.items():
            average.lerp_(parameters[name].detach(), weight)

    def swap(self, model: nn.Module) -> None:
        """Exchange the model's parameters with the averages (call twice to undo)."""
        parameters = dict(model.named_parameters())
        for name, average in self.shadow.items():
            held = average.clone()
            average.copy_(parameters[name].data)
            parameters[name].data.copy_(held)


def learning_rate(config: LegConfig, step: int, elapsed_share: float) -> float:
    """Linear warm-up in steps, constant, then a cosine in time that reaches zero at the end of the leg."""
    warm = min(1.0, (step + 1) / config.warmup_steps)
    share = max(0.0, (elapsed_share - config.constant_share) / (1 - config.constant_share))
    return config.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, share)))


STATE_NAME = "state.pt"
"""What a run resumes from, in its folder."""


def open_run(out: Path | str, *, threads: int, resume: bool) -> Path:
    """The folder of a run, made if it is missing; without `resume` its saved state goes. Sets torch's CPU threads."""
    torch.set_num_threads(threads)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    if not resume:
        (folder / STATE_NAME).unlink(missing_ok=True)
    return folder


class TrainingState:
    """Model, optimiser and EMA of a run on disk, read back with weights-only loading."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, ema: Ema, out: Path) -> None:
        self.model, self.optimizer, self.ema, self.path = model, optimizer, ema, out / STATE_NAME
        self.step = 0
        self.leg = 0

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.shadow,
            "ema_steps": self.ema.steps,
            "step": self.step,
            "leg": self.leg,
        }
        temporary = self.path.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(self.path)

    def load(self) -> bool:
        """Returns False where there is nothing to resume from."""
        if not self.path.exists():
            return False
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        except Exception as error:
            raise LyraError(
                f"cannot resume from {self.path}: {error}. Delete the file to start this run from scratch."
            ) from error
        self.ema.shadow, self.ema.steps = state["ema"], state["ema_steps"]
        self.step, self.leg = state["step"], state["leg"]
        return True


class JsonLog:
    """Appends one JSON object a line to `<out>/log.jsonl`, and prints it."""

    def __init__(self, out: Path) -> None:
        self.path = out / "log.jsonl"

    def write(self, record: Mapping[str, object]) -> None:
        line = json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in record.items()})
        with self.path.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """AdamW groups: no decay on vectors (norms, biases) nor on the scan's A, dt and D."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def train_leg(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    evaluate: Callable[[], dict[str, float]],
    out: Path,
    config: LegConfig,
) -> dict[str, float]:
    """Run one leg and leave `model` with its EMA weights.

    Args:
        model: trained in place.
        optimizer: over the model's parameters; each group may carry a `rate_scale` (default 1).
        loss: one batch's loss and figures.
        evaluate: held-out figures of the model as it stands.
        out: folder of this run: `state.pt`, `log.jsonl`.

    Returns:
        The held-out figures of the EMA weights at the end of the leg, with `steps` and `minutes`.
    """
    from accelerate import Accelerator

    out.mkdir(parents=True, exist_ok=True)
    accelerator = Accelerator(mixed_precision="bf16", cpu=not torch.cuda.is_available())
    ema = Ema(model, config.ema_decay)
    state, log = TrainingState(model, optimizer, ema, out), JsonLog(out)
    resumed = state.load()
    state.leg += 1
    rng = np.random.default_rng([config.seed, state.leg])
    log.write({"event": "leg", "leg": state.leg, "resumed_at_step": state.step if resumed else 0})

    start, first_step = time.monotonic(), state.step
    next_save, next_evaluation = config.save_every, config.evaluate_every
    smooth: dict[str, float] = {}
    while (elapsed := (time.monotonic() - start) / 60) < config.minutes:
        rate = learning_rate(config, state.step - first_step, elapsed / config.minutes)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("rate_scale", 1.0)
        model.train()
        with accelerator.autocast():
            value, figures = loss(rng)
        if not bool(value.detach().isfinite()):
            raise LyraError(f"training diverged at step {state.step} (loss {float(value.detach())}).")
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(value)
        if config.clip_norm:
            figures["grad_norm"] = float(nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm))
        optimizer.step()
        ema.update(model)
        state.step += 1
        for name, figure in {"loss": float(value.detach()), **figures}.items():
            smooth[name] = smooth.get(name, figure) * 0.95 + figure * 0.05
        if elapsed > next_save:
            state.save()
            next_save += config.save_every
            log.write({"step": state.step, "minutes": elapsed, **smooth})
        if elapsed > next_evaluation:
            ema.swap(model)
            log.write({"event": "heldout", "step": state.step, **evaluate_quietly(model, evaluate)})
            ema.swap(model)
            next_evaluation += config.evaluate_every

    state.save()
    ema.swap(model)
    result = evaluate_quietly(model, evaluate)
    result |= {"steps": float(state.step), "minutes": (time.monotonic() - start) / 60}
    log.write({"event": "end", "leg": state.leg, **result})
    return result


@torch.no_grad()
def evaluate_quietly(model: nn.Module, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
    model.eval()
    figures = evaluate()
    model.train()
    return figures
