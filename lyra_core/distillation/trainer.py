# SPDX-License-Identifier: Apache-2.0
"""One training leg: bounded by the clock or by steps, it starts from the last saved state and ends in EMA weights.

Every network is trained by this loop, from the embedded ones on two CPU cores to the published decoder on many GPUs;
what differs is the loss. A leg can be killed at any time: the next one goes on from the last state on disk.

Randomness belongs to (seed, step, sample), not to a stream: a resumed run draws what an uninterrupted one would have
drawn, and several processes together draw what one alone would have. With a bound in steps, where the learning rate too
depends on nothing else, a killed and resumed run therefore repeats the loss curve exactly.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lyra_core.distillation.ema import Ema
from lyra_core.distillation.memory_plans import KEEP_ALL, PLAN_NAME, MemoryPlan, names_of, out_of_memory
from lyra_core.distillation.run_folder import JsonLog, TrainingState, is_main_process, locked, whole
from lyra_core.errors import LyraError
from lyra_core.images import write_image

Figures = Mapping[str, float | str]
"""Numbers to log; the text "batch", if there, names the batch in error messages."""

Loss = Callable[[np.random.Generator], tuple[Tensor, Figures]]
"""Draws a sample with the generator it is given and returns (loss, figures to log)."""

_SMOOTHING = 0.05
_SETTLED = 20
"""Steps before the running loss is trusted to tell an explosion."""


@dataclass(frozen=True)
class LegConfig:
    """How one leg runs.

    Attributes:
        minutes: wall-clock bound of the leg [min]; infinite for a leg that counts steps only.
        learning_rate: peak rate.
        warmup_steps: linear warm-up from zero (again at every timed leg, because the optimiser state may be new).
        constant_share: share of the leg at the peak rate before the cosine starts; 1 never lets it fall.
        ema_decay: of the exponential moving average that is saved; 0 saves the last weights.
        clip_norm: gradient norm bound; 0 turns clipping off.
        save_every: minutes between saved states.
        evaluate_every: minutes between held-out evaluations (also at the end).
        seed: of the data order.
        steps: the step to end at, counted from the start of the training; None for a leg that only the clock ends.
            With it the learning rate depends on steps alone.
        first_step: where this training starts to count (a stage continues the count of the one before it).
        samples: samples per step over all processes together; gradients are their mean.
        log_every, save_every_steps, evaluate_every_steps: the same in steps; 0 leaves it to the minutes.
        precision: "bf16" or "no", of autocast.
        device: "cpu", or "auto" for the GPUs where there are any.
        explosion: the leg stops when the running loss reaches this multiple of its lowest value.
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
    steps: int | None = None
    first_step: int = 0
    samples: int = 1
    log_every: int = 0
    save_every_steps: int = 0
    evaluate_every_steps: int = 0
    precision: str = "bf16"
    device: str = "cpu"
    explosion: float = 30.0


def learning_rate(config: LegConfig, step: int, elapsed_share: float) -> float:
    """Linear warm-up in steps, constant, then a cosine that reaches zero at the end of the leg."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.constant_share >= 1.0:
        return config.learning_rate * warm
    share = max(0.0, (elapsed_share - config.constant_share) / (1 - config.constant_share))
    return config.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, share)))


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
    *,
    identity: str = "",
    plans: Sequence[MemoryPlan] = (KEEP_ALL,),
    sheet: Callable[[], Tensor] | None = None,
) -> dict[str, float]:
    """Run one leg and leave `model` with its EMA weights.

    Started by `accelerate launch` or `torchrun`, every process runs this with the same arguments; the samples of a step
    are shared out among them. FSDP comes from accelerate's own configuration.

    Args:
        model: trained in place.
        optimizer: over the model's parameters; each group may carry a `rate_scale` (default 1).
        loss: one sample's loss and figures; it calls `model`.
        evaluate: held-out figures of the model as it stands.
        out: folder of this run, see `run_folder`.
        config: how the leg runs.
        identity: what is trained; a state of something else is refused.
        plans: ways to need less memory, tried in order when it runs out.
        sheet: makes a picture `[H, W, 3]` of held-out scenes, kept at every evaluation.

    Returns:
        The held-out figures of the EMA weights at the end of the leg, with `steps` and `minutes`.

    Raises LyraError when the loss is not finite or explodes, when the state on disk does not fit or cannot be written,
    when another trainer works in `out`, and when memory runs out under the last plan.
    """
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        return _Leg(model, optimizer, loss, evaluate, out, config, identity, plans, sheet).run()


class _WithLoss(nn.Module):
    """The network and its loss as one module, so that what wraps it (DDP, FSDP) sees the forward pass."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, rng: np.random.Generator) -> tuple[Tensor, Figures]:
        return self._loss(rng)


class _Leg:
    """The state of a running leg."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: Loss,
        evaluate: Callable[[], dict[str, float]],
        out: Path,
        config: LegConfig,
        identity: str,
        plans: Sequence[MemoryPlan],
        sheet: Callable[[], Tensor] | None,
    ) -> None:
        self.model, self.evaluate, self.sheet = model, evaluate, sheet
        self.out, self.config, self.plans = out, config, plans
        self.accelerator = _accelerator(config)
        self.module, self.optimizer = self.accelerator.prepare(_WithLoss(model, loss), optimizer)
        self.ema = Ema(model, config.ema_decay)
        self.state = TrainingState(
            model, _bare(self.optimizer), self.ema, out, identity=identity,
            sharded=self.accelerator.distributed_type.value == "FSDP",
        )  # fmt: skip
        self.state.step = config.first_step
        self.log = JsonLog(out)
        self.plan = self._remembered_plan()
        self.began = time.monotonic()

    def run(self) -> dict[str, float]:
        """The leg from its first to its last step."""
        state, config = self.state, self.config
        resumed = state.load()
        state.leg += 1
        self.log.write({
            "event": "leg", "leg": state.leg, "resumed_at_step": state.step if resumed else 0,
            "processes": self.accelerator.num_processes, "memory_plan": self.plans[self.plan].name,
        })  # fmt: skip
        self._take_plan(self.plan)
        # A timed leg warms up again; one that counts steps is a piece of one long schedule.
        first = state.step if config.steps is None else config.first_step
        next_save, next_evaluation = config.save_every, config.evaluate_every
        while not self._over():
            self._set_rate(state.step - first)
            self._step_within_memory()
            minutes = self._minutes()
            if config.log_every and state.step % config.log_every == 0:
                self.log.write({"step": state.step, "minutes": minutes, **state.smooth})
            if minutes > next_save or _due(state.step, config.save_every_steps):
                next_save = minutes + config.save_every
                self._save(minutes)
            if minutes > next_evaluation or _due(state.step, config.evaluate_every_steps):
                next_evaluation = minutes + config.evaluate_every
                self._show_heldout()
        return self._finish()

    def _over(self) -> bool:
        done = self.config.steps is not None and self.state.step >= self.config.steps
        return done or self._minutes() >= self.config.minutes

    def _minutes(self) -> float:
        """Minutes since the leg began, by the clock of the first process: all must stop and save at the same step."""
        minutes = (time.monotonic() - self.began) / 60
        if self.accelerator.num_processes == 1:
            return minutes
        from accelerate.utils import broadcast

        return float(broadcast(torch.tensor(minutes, device=self.accelerator.device)))

    def _set_rate(self, step: int) -> None:
        config = self.config
        total = None if config.steps is None else config.steps - config.first_step
        share = self._minutes() / config.minutes if total is None else step / total
        rate = learning_rate(config, step, share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_scale", 1.0)

    def _step_within_memory(self) -> None:
        """One step; out of memory, it is tried again under the next plan."""
        while True:
            try:
                return self._step()
            except Exception as error:
                if not out_of_memory(error):
                    raise
                message = str(error)
            self._next_plan(message)

    def _step(self) -> None:
        self.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        value, figures, batches = self._gradients()
        norm = self._clipped_norm()
        if self.config.clip_norm:
            figures["grad_norm"] = norm
        self._require_health(value, norm, batches)
        self.optimizer.step()
        self.ema.update(self.model)
        for name, figure in {"loss": value, **figures}.items():
            self.state.smooth[name] = _smoothed(self.state.smooth, name, figure)
        self.state.step += 1

    def _clipped_norm(self) -> float:
        """The norm of all gradients before they were clipped."""
        parameters = self.module.parameters()
        return float(whole(self.accelerator.clip_grad_norm_(parameters, self.config.clip_norm or math.inf)))

    def _gradients(self) -> tuple[float, dict[str, float], list[str]]:
        """Forward and backward over this process's samples: mean loss and figures over all processes, batch names."""
        ranks, rank, samples = self.accelerator.num_processes, self.accelerator.process_index, self.config.samples
        own = range(rank, samples, ranks)
        if samples % ranks:
            raise LyraError(f"{samples} samples per step cannot be shared out evenly among {ranks} processes.")
        sums: dict[str, float] = {}
        batches = []
        for position, sample in enumerate(own):
            rng = np.random.default_rng([self.config.seed, self.state.step, sample])
            last = position == len(own) - 1
            with self.plans[self.plan].around(), self._synchronised(last):
                value, figures = self.module(rng)
                # Wrapped modules average over processes, so each brings the mean of its own samples.
                self.accelerator.backward(value / len(own))
            batches.append(f"sample {sample} ({figures.get('batch', 'unnamed')}): loss {float(value.detach()):.4g}")
            for name, figure in {"loss": float(value.detach()), **figures}.items():
                if not isinstance(figure, str):
                    sums[name] = sums.get(name, 0.0) + figure / len(own)
        means = self._mean_over_processes(sums)
        return means.pop("loss"), means, batches

    def _synchronised(self, last: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged once per step, after the last sample."""
        return nullcontext() if last else self.accelerator.no_sync(self.module)

    def _mean_over_processes(self, figures: dict[str, float]) -> dict[str, float]:
        if self.accelerator.num_processes == 1:
            return figures
        values = torch.tensor(list(figures.values()), dtype=torch.float32, device=self.accelerator.device)
        reduced = self.accelerator.reduce(values, reduction="mean")
        return dict(zip(figures, reduced.tolist(), strict=True))

    def _require_health(self, value: float, norm: float, batches: list[str]) -> None:
        """Raises LyraError where the loss is not finite, or the running loss is far above its lowest."""
        state = self.state
        if not math.isfinite(value) or not math.isfinite(norm):
            raise self._diverged(f"loss {value:.4g}, gradient norm {norm:.4g}", batches)
        running = _smoothed(state.smooth, "loss", value)
        if state.step - self.config.first_step > _SETTLED and running > self.config.explosion * state.lowest:
            raise self._diverged(f"running loss {running:.4g}, its lowest was {state.lowest:.4g}", batches)
        state.lowest = min(state.lowest, running)

    def _diverged(self, what: str, batches: list[str]) -> LyraError:
        saved = self.state.saved_step
        kept = (
            "nothing was saved before" if saved is None else f"the state of step {saved} is kept in {self.state.path}"
        )
        return LyraError(
            f"training diverged at step {self.state.step}: {what}. Batch (seed {self.config.seed}): "
            f"{'; '.join(batches)}. The step was not taken; {kept}. Look at that batch, or lower the learning rate."
        )

    def _remembered_plan(self) -> int:
        path = self.out / PLAN_NAME
        known = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        return names_of(self.plans).index(known) if known in names_of(self.plans) else 0

    def _take_plan(self, index: int) -> None:
        self.plan = index
        self.plans[index].prepare(self.model)

    def _next_plan(self, message: str) -> None:
        """Take the next plan after running out of memory. Raises LyraError where there is none, or others run too."""
        if self.plan + 1 >= len(self.plans):
            raise LyraError(
                f"out of memory at step {self.state.step} even with {self.plans[self.plan].name} ({message}). Take a "
                "preset with fewer views or frames, or a larger device; the last saved state stays."
            )
        following = self.plans[self.plan + 1]
        (self.out / PLAN_NAME).write_text(following.name + "\n", encoding="utf-8")
        if self.accelerator.num_processes > 1:  # the others already wait for this process's gradients
            raise LyraError(
                f"out of memory at step {self.state.step} with {self.plans[self.plan].name}. Start the same command "
                f"again: it goes on from the last saved state with {following.name}."
            )
        self.optimizer.zero_grad(set_to_none=True)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.log.write({
            "event": "out_of_memory", "step": self.state.step, "was": self.plans[self.plan].name, "now": following.name,
        })  # fmt: skip
        self._take_plan(self.plan + 1)

    def _save(self, minutes: float) -> None:
        """Save and log; a state in the middle of an explosion is not kept over a good one."""
        state = self.state
        if state.smooth.get("loss", 0.0) <= 0.5 * self.config.explosion * state.lowest:
            state.save()
        if not self.config.log_every:
            self.log.write({"step": state.step, "minutes": minutes, **state.smooth})

    def _show_heldout(self) -> None:
        self.ema.swap(self.model)
        self.log.write({"event": "heldout", "step": self.state.step, **evaluate_quietly(self.model, self.evaluate)})
        self._draw_sheet()
        self.ema.swap(self.model)

    @torch.no_grad()
    def _draw_sheet(self) -> None:
        if self.sheet is None:
            return
        self.model.eval()
        picture = self.sheet()
        self.model.train()
        if is_main_process():
            folder = self.out / "sheets"
            folder.mkdir(exist_ok=True)
            write_image(folder / f"step-{self.state.step:07d}.png", picture)

    def _finish(self) -> dict[str, float]:
        """Save, and leave the averages in the model."""
        self.state.save()
        self.ema.swap(self.model)
        result = evaluate_quietly(self.model, self.evaluate)
        self._draw_sheet()
        result |= {"steps": float(self.state.step), "minutes": self._minutes()}
        self.log.write({"event": "end", "leg": self.state.leg, **result})
        return result


@torch.no_grad()
def evaluate_quietly(model: nn.Module, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
    """The figures of `evaluate` with the model in its evaluation mode."""
    model.eval()
    figures = evaluate()
    model.train()
    return figures


def _accelerator(config: LegConfig) -> Any:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # or a process could train in one precision only; there is no public way
    on_cpu = config.device == "cpu" or not torch.cuda.is_available()
    accelerator = Accelerator(mixed_precision=config.precision, cpu=on_cpu)
    if accelerator.distributed_type.value == "DEEPSPEED":
        raise LyraError(
            "DeepSpeed takes its step within the backward pass, where a loss that is not finite cannot be stopped. "
            "Choose plain multi-GPU or FSDP in `accelerate config`."
        )
    return accelerator


def _bare(optimizer: Any) -> torch.optim.Optimizer:
    """The optimiser inside accelerate's wrapper."""
    return getattr(optimizer, "optimizer", optimizer)


def _smoothed(means: Mapping[str, float], name: str, figure: float) -> float:
    """The running mean of a figure after one more value."""
    old = means.get(name, figure)
    return old + _SMOOTHING * (figure - old)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
